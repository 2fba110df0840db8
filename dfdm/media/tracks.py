"""One face through a scene: found in every frame, kept apart at cuts and gaps, saved, smoothed."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from dfdm.base.files import atomic, reading
from dfdm.base.records import checked
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.detectors import Detector, Face
from dfdm.media.settings import FacesConfig
from dfdm.media.video import VideoRecord

_FORMAT = 1  # raised when the file's arrays change


@dataclass(frozen=True)
class TrackCounts:
    """What was seen on the way: frames in all, with a face, with several faces, and cuts."""

    frames: int
    with_face: int
    several_faces: int
    cuts: int


@dataclass(frozen=True)
class FaceTrack:
    """One face through a scene; n frames have it (n may be 0).

    `frame_index` int32 [n], rising, counts from the scene's first frame. `landmarks` float32 [n, 68, 2] and
    `boxes` float32 [n, 4] (x0, y0, x1, y1) are in frame pixels. `confidence` float32 [n] is on the detector's
    own scale. `segment` int32 [n] takes a new number after a cut, a long gap or a jump to another place:
    within one number it is one moving face.
    """

    record: VideoRecord
    frame_index: np.ndarray
    landmarks: np.ndarray
    boxes: np.ndarray
    confidence: np.ndarray
    segment: np.ndarray
    counts: TrackCounts

    def __len__(self) -> int:
        return len(self.frame_index)

    def trained_count(self, held_out: float) -> int:
        """How many of the scene's faces, the first ones, a training with this `held_out` share may see."""
        return len(self) - int(len(self) * held_out)

    def seen(self, frames: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        """Of all frames of the scene those with the face, each with its row of the track."""
        rows = {int(frame): row for row, frame in enumerate(self.frame_index)}
        return ((rows[index], frame) for index, frame in enumerate(frames) if index in rows)

    def save(self, path: str | Path) -> None:
        """Write the track as .npz: the arrays under their names, `record` and `counts` as JSON text.

        The same track gives the same bytes.
        """
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        counts = json.dumps(vars(self.counts), sort_keys=True)
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, format=np.int32(_FORMAT), record=self.record.to_json(), counts=counts, **arrays)

    @staticmethod
    def load(path: str | Path) -> "FaceTrack":
        """Read what `save` wrote; a missing or damaged file is a DfdmError naming it."""
        with (
            reading(path, "not a readable face track", "run the faces stage"),
            np.load(path, allow_pickle=False) as file,
        ):
            if int(file["format"]) != _FORMAT:
                raise ValueError(f"format {int(file['format'])}, not {_FORMAT}")
            arrays = {name: file[name] for name in _ARRAYS}
            for name, (kind, shape) in _ARRAYS.items():
                if arrays[name].dtype != kind or arrays[name].shape != (len(arrays["frame_index"]), *shape):
                    raise ValueError(f"{name} has the wrong shape or type")
            counts = TrackCounts(**json.loads(str(file["counts"])))
            track = FaceTrack(VideoRecord.model_validate_json(str(file["record"])), counts=counts, **arrays)
        checked(path)
        return track

    def smoothed(self, sigma: float) -> "FaceTrack":
        """The track with landmarks and boxes smoothed along each segment by a Gaussian of `sigma` frames.

        Frames without the face count as missing, not as neighbours; 0 leaves the track as it is.
        """
        if sigma == 0:
            return self
        landmarks, boxes = self.landmarks.copy(), self.boxes.copy()
        for segment in np.unique(self.segment):
            rows = np.flatnonzero(self.segment == segment)
            when = self.frame_index[rows] - self.frame_index[rows[0]]
            present = np.zeros(when[-1] + 1)
            present[when] = 1
            weight = _gaussian(present, sigma)[when, None]
            for values in (landmarks, boxes):
                flat = values[rows].reshape(len(rows), -1)
                middle = flat.mean(axis=0, dtype=np.float64)
                dense = np.zeros((len(present), flat.shape[1]))
                dense[when] = flat - middle  # about the mean, so that float32 keeps its precision
                values[rows] = (middle + _gaussian(dense, sigma)[when] / weight).reshape(values[rows].shape)
        return replace(self, landmarks=landmarks, boxes=boxes)


_ARRAYS: dict[str, tuple[type, tuple[int, ...]]] = {
    "frame_index": (np.int32, ()),
    "landmarks": (np.float32, (68, 2)),
    "boxes": (np.float32, (4,)),
    "confidence": (np.float32, ()),
    "segment": (np.int32, ()),
}


def _gaussian(values: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d  # half of a command's start, and most commands smooth nothing

    return gaussian_filter1d(values, sigma, axis=0, mode="constant", truncate=4)


def luma_histogram(rgb: np.ndarray) -> np.ndarray:
    """The share of pixels in each of 32 steps of brightness, [32]; every fourth pixel each way counts."""
    luma = cv2.cvtColor(np.ascontiguousarray(rgb[::4, ::4]), cv2.COLOR_RGB2GRAY)
    return np.bincount(luma.ravel() >> 3, minlength=32) / luma.size


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return float((x1 - x0) * (y1 - y0))


def _distance(face: Face, box: np.ndarray) -> float:
    """How far a face's middle lies from a box's, in widths of that box."""
    middle, other = (face.box[:2] + face.box[2:]) / 2, (box[:2] + box[2:]) / 2
    return float(np.linalg.norm(middle - other) / max(box[2] - box[0], 1e-6))


def track_planes(
    planes: Iterable[np.ndarray], detector: Detector, record: VideoRecord, settings: FacesConfig
) -> FaceTrack:
    """`track_faces` on decoded frames (I420, in order) of a scene, with the config's settings."""
    frames = (yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes)
    return track_faces(frames, detector, record, settings.keep, settings.cut_threshold, settings.max_gap)


def track_faces(
    frames: Iterator[np.ndarray],
    detector: Detector,
    record: VideoRecord,
    keep: Literal["largest", "nearest"] = "nearest",
    cut_threshold: float = 0.35,
    max_gap: int = 5,
) -> FaceTrack:
    """Follow one face through a scene's frames (RGB uint8 [H, W, 3], in order).

    Of several faces the largest is kept, or ("nearest") the one nearest the last kept box; after a cut, or
    after more than `max_gap` frames without the face, the largest again. A cut is where more than
    `cut_threshold` of the brightness histogram changes between neighbouring frames.
    """
    kept: list[tuple[int, Face, int]] = []  # frame, face, segment
    several = cuts = segment = seen = 0
    last: np.ndarray | None = None  # the last kept box, None where tracking starts again
    before: np.ndarray | None = None
    for index, frame in enumerate(frames):
        seen += 1
        histogram = luma_histogram(frame)
        if before is not None and np.abs(histogram - before).sum() / 2 > cut_threshold:
            cuts += 1
            last = None
        before = histogram
        faces = detector.detect(frame)
        several += len(faces) > 1
        if last is not None and index - kept[-1][0] > max_gap + 1:
            last = None
        if not faces:
            continue
        if last is None or keep == "largest":
            face = max(faces, key=_area)
        else:
            box = last
            face = min(faces, key=lambda candidate: _distance(candidate, box))
        if kept and (last is None or _distance(face, last) > 1):  # a jump: another face, or a cut not seen
            segment += 1
        kept.append((index, face, segment))
        last = face.box
    return FaceTrack(
        record,
        frame_index=np.array([index for index, _, _ in kept], np.int32),
        landmarks=np.array([face.landmarks for _, face, _ in kept], np.float32).reshape(-1, 68, 2),
        boxes=np.array([face.box for _, face, _ in kept], np.float32).reshape(-1, 4),
        confidence=np.array([face.confidence for _, face, _ in kept], np.float32),
        segment=np.array([number for _, _, number in kept], np.int32),
        counts=TrackCounts(frames=seen, with_face=len(kept), several_faces=several, cuts=cuts),
    )
