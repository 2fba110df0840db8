"""One face through a scene: found in every frame, kept apart at cuts and gaps, saved, smoothed."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from dfdm.base.files import atomic, reading
from dfdm.base.records import checked
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.detectors import Detector, Face
from dfdm.media.identity import Embedder, Seen, Wanted
from dfdm.media.looking import fits, looks
from dfdm.media.settings import FacesConfig
from dfdm.media.video import VideoRecord

_DESCRIBED = {0, *(2**power for power in range(3, 40))}  # frames of a segment whose face is described: 0, 8, 16, 32
_APART = 100  # frames between two faces of a segment where only some frames were looked at
_FAR = 1e5  # px: no frame is so large
_FORMAT = 1  # raised when the file's arrays change


@dataclass(frozen=True)
class TrackCounts:
    """What was seen on the way: frames in all, with a face, with several faces, cuts; faces with wrong landmarks."""

    frames: int
    with_face: int
    several_faces: int
    cuts: int
    misplaced: int = 0


@dataclass(frozen=True)
class FaceTrack:
    """One face through a scene; n frames have it (n may be 0).

    `frame_index` int32 [n], rising, counts from the scene's first frame. `landmarks` float32 [n, 68, 2] and
    `boxes` float32 [n, 4] (x0, y0, x1, y1) are in frame pixels. `confidence` float32 [n] is on the detector's
    own scale. `segment` int32 [n] takes a new number after a cut, a long gap or a jump to another place:
    within one number it is one moving face. `identity` float32 [segments, 128] is each segment's face as the
    recognition network describes it, [0, 128] where there was none.
    """

    record: VideoRecord
    frame_index: np.ndarray
    landmarks: np.ndarray
    boxes: np.ndarray
    confidence: np.ndarray
    segment: np.ndarray
    counts: TrackCounts
    identity: np.ndarray = field(default_factory=lambda: np.empty((0, 128), np.float32))

    def __len__(self) -> int:
        return len(self.frame_index)

    @property
    def pieces(self) -> list[Seen]:
        """Its segments, for a comparison of the people; empty where no network described them."""
        rows = [np.flatnonzero(self.segment == segment) for segment in range(len(self.identity))]
        return [
            Seen(self.record.scene_key, int(self.frame_index[of[0]]), int(self.frame_index[of[-1]]), len(of), face)
            for of, face in zip(rows, self.identity)
        ]

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
            about: dict[str, Any] = {"format": np.int32(_FORMAT), "record": self.record.to_json(), "counts": counts}
            np.savez(file, **about, identity=self.identity, **arrays)

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
            identity = file["identity"] if "identity" in file else np.empty((0, 128), np.float32)
            if identity.dtype != np.float32 or identity.shape[1:] != (128,):
                raise ValueError("identity has the wrong shape or type")
            counts = TrackCounts(**json.loads(str(file["counts"])))
            record = VideoRecord.model_validate_json(str(file["record"]))
            index = arrays["frame_index"]
            if (np.diff(index) <= 0).any() or (len(index) and not 0 <= index[0] <= index[-1] < record.frames):
                raise ValueError("its frames are not those of its scene, in order")
            if not (np.abs(arrays["landmarks"]) < _FAR).all():  # NaN too
                raise ValueError("its landmarks are no places in a picture")
            track = FaceTrack(record, counts=counts, identity=identity, **arrays)
        checked(path)
        return track

    def smoothed(self, sigma: float) -> "FaceTrack":
        """The track with landmarks and boxes smoothed along each segment by a Gaussian of `sigma` frames.

        Frames without the face count as missing, not as neighbours; 0 leaves the track as it is.
        """
        if sigma == 0:
            return self
        landmarks, boxes = self.landmarks.copy(), self.boxes.copy()
        parts: list[np.ndarray] = []
        for segment in np.unique(self.segment):
            whole = np.flatnonzero(self.segment == segment)
            apart = np.flatnonzero(np.diff(self.frame_index[whole]) > _APART + 8 * sigma) + 1
            parts += np.split(whole, apart)  # too far apart to be neighbours: a long video would fill the memory
        for rows in parts:
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


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return float((x1 - x0) * (y1 - y0))


def _distance(face: Face, box: np.ndarray) -> float:
    """How far a face's middle lies from a box's, in widths of that box."""
    middle, other = (face.box[:2] + face.box[2:]) / 2, (box[:2] + box[2:]) / 2
    return float(np.linalg.norm(middle - other) / max(box[2] - box[0], 1e-6))


def track_planes(
    planes: Iterable[np.ndarray],
    detector: Detector,
    record: VideoRecord,
    settings: FacesConfig,
    embedder: Embedder | None = None,
    wanted: Wanted | None = None,
    only: Sequence[int] | None = None,
) -> FaceTrack:
    """`track_faces` on decoded frames (I420, in order) of a scene, with the config's settings.

    Faces are looked for in square pixels; the track is in the frame's own.
    """
    aspect = record.pixel_aspect[0] / record.pixel_aspect[1]
    stretch = np.array([max(aspect, 1), max(1 / aspect, 1)])
    frames = (yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes)
    if aspect != 1:
        frames = (cv2.resize(frame, None, fx=stretch[0], fy=stretch[1]) for frame in frames)
    keep = "nearest" if settings.keep == "person" else settings.keep
    more = (embedder, wanted, only, settings.every)
    track = track_faces(frames, detector, record, keep, settings.cut_threshold, settings.max_gap, *more)
    if aspect == 1:
        return track
    boxes = (track.boxes.reshape(-1, 2, 2) / stretch).reshape(-1, 4)
    return replace(track, landmarks=(track.landmarks / stretch).astype(np.float32), boxes=boxes.astype(np.float32))


def track_faces(
    frames: Iterator[np.ndarray],
    detector: Detector,
    record: VideoRecord,
    keep: Literal["largest", "nearest"] = "nearest",
    cut_threshold: float = FacesConfig.model_fields["cut_threshold"].default,
    max_gap: int = FacesConfig.model_fields["max_gap"].default,
    embedder: Embedder | None = None,
    wanted: Wanted | None = None,
    only: Sequence[int] | None = None,
    every: int = 1,
) -> FaceTrack:
    """Follow one face through a scene's frames (RGB uint8 [H, W, 3], in order).

    Of several faces the largest is kept, or ("nearest") the one nearest the last kept box; after a cut, or
    after more than `max_gap` frames without the face, the largest again. With `wanted` it is that person's wherever
    tracking starts again or there are several, and none where no face is the person's. A cut is where more than
    `cut_threshold` of the brightness histogram changes between neighbouring frames. Faces whose landmarks do not fit
    are dropped and counted. With `embedder` each segment's face is described, from its frames 0, 8, 16, 32, 64, ...

    `only`: the numbers of the frames, rising, where not all are given. After frames that were not looked at, the
    largest face counts again where none is within a width of the last kept box. `every`: see dfdm.media.looking.
    """
    kept: list[tuple[int, Face, int]] = []  # frame, face, segment
    described, length = defaultdict[int, list[np.ndarray]](list), Counter[int]()  # by segment
    several = cuts = segment = seen = misplaced = 0
    last: np.ndarray | None = None  # the last kept box, None where tracking starts again
    missed, skipped = 0, False  # missed: frames looked at since the last kept face
    numbered = zip(count() if only is None else only, frames)
    for look in looks(numbered, detector, cut_threshold, every):
        index, frame = look.number, look.frame
        seen += 1
        skipped = skipped or look.skipped
        if look.cut:
            cuts += 1
            last = None
        faces = [face for face in look.found if fits(face)]
        misplaced += len(look.found) - len(faces)
        several += len(faces) > 1
        if missed > max_gap:
            last = None
        if last is not None and skipped and faces and all(_distance(face, last) > 1 for face in faces):
            last = None
        missed += 1
        if faces and wanted is not None and (last is None or len(faces) > 1):
            chosen = wanted.choose(frame, faces)
            faces = [] if chosen is None else [chosen]
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
        if embedder is not None:
            length[segment] += 1  # of the segment so far
            if length[segment] - 1 in _DESCRIBED:
                described[segment].append(embedder.describe(frame, face.landmarks))
        last, missed, skipped = face.box, 0, False
    return FaceTrack(
        record,
        frame_index=np.array([index for index, _, _ in kept], np.int32),
        landmarks=np.array([face.landmarks for _, face, _ in kept], np.float32).reshape(-1, 68, 2),
        boxes=np.array([face.box for _, face, _ in kept], np.float32).reshape(-1, 4),
        confidence=np.array([face.confidence for _, face, _ in kept], np.float32),
        segment=np.array([number for _, _, number in kept], np.int32),
        counts=TrackCounts(seen, len(kept), several, cuts, misplaced),
        identity=np.array([np.mean(faces, axis=0) for faces in described.values()], np.float32).reshape(-1, 128),
    )
