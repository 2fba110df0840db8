"""Face crops of an encoded video: boxes of its own pixels, unrotated and unresized, packed for fast reading.

A crop file is a safetensors file: `frames` uint8 (the crops, I420 as decoded, each packed alone without loss, one after
the other), `ends` int64 [n] (where each of them ends), `checksum` int64 [n] (its CRC-32, compared for every one that is
read), `boxes` int32 [n, 2] (x, y of the box's corner in the frame), `landmarks` float32 [n, 68, 2] and `polygon`
float32 [n, 27, 2] (the outline of the mask `extended`), both in crop pixels, `frame_index` int32 [n]; n is the number
of frames with a face, or of those kept. The metadata's one key `dfdm` is JSON.
"""

import json
import shutil
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, reading, sha256, writing
from dfdm.base.names import REAL
from dfdm.base.records import check_index
from dfdm.base.tensorfile import CHECKSUM, ENDS, Streamed, write_tensors
from dfdm.dataset.provenance import read_mark
from dfdm.dataset.settings import CropsConfig
from dfdm.dataset.sidecar import ORIGINAL, STATEMENT
from dfdm.media.colour import crop_i420, yuv_to_rgb
from dfdm.media.comments import commented
from dfdm.media.lossless import Packer, Unpacker
from dfdm.media.masks import extended_polygon
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord, of_encoded, read_planes

POLYGON_POINTS = 27


def side_along(track: FaceTrack, margin: float) -> int:
    """Side of the square boxes along a track, px, even: the largest landmarks' box with `margin` of it on each side."""
    largest = float(np.ptp(track.landmarks, axis=1).max())
    return min(int(largest * (1 + 2 * margin)) // 2 * 2, track.record.width, track.record.height)


def boxes_along(track: FaceTrack, margin: float, smooth: float) -> tuple[np.ndarray, int]:
    """Corner [n, 2] int32 (even x, y) and side (even, one a scene) of the square boxes along a track.

    The side is the largest landmarks' box with `margin` of it on each side. The box does not move while the face stays
    half a margin inside it; else it moves, by no more than it must, with the track smoothed over time (`smooth`: sigma
    in frames), and always holds the face. Boxes lie within the frame.
    """
    record = track.record
    lower, upper = track.landmarks.min(1), track.landmarks.max(1)  # [n, 2] each
    if len(lower) == 0:
        return np.zeros((0, 2), np.int32), 0
    largest, size = float((upper - lower).max()), side_along(track, margin)
    steady = track.smoothed(smooth).landmarks if smooth else track.landmarks
    low, high = steady.min(1), steady.max(1)
    free = largest * margin / 2
    limits = np.array([record.width - size, record.height - size])
    corners = np.empty((len(lower), 2), np.int32)
    corner = (low[0] + high[0] - size) / 2
    for index in range(len(lower)):
        if index and track.segment[index] != track.segment[index - 1]:
            corner = (low[index] + high[index] - size) / 2  # a cut: start again around the face
        corner = np.maximum(corner, high[index] + free - size)
        corner = np.minimum(corner, low[index] - free)
        corner = np.minimum(np.maximum(corner, upper[index] - size), lower[index])  # a jerk must not leave it
        corners[index] = np.clip(np.round(corner / 2) * 2, 0, limits)
    return corners, size


def spread(places: int, count: int) -> list[int]:
    """`count` of so many places, evenly spread from the first to the last, each once; fewer where there are fewer."""
    return sorted({int(place) for place in np.linspace(0, places - 1, count).round()}) if places > 0 else []


def kept_rows(frames: int, clips: int | None, clip: int) -> np.ndarray:
    """Which of a track's faces `clips` clips of `clip` frames keep, int64 [n]; all where they would overlap."""
    starts = np.array(spread(frames - clip + 1, clips) if clips else [], np.int64)
    if len(starts) == 0 or len(starts) * clip >= frames or (np.diff(starts) < clip).any():
        return np.arange(frames)
    return (starts[:, None] + np.arange(clip)).ravel()


def write_crops(
    path: Path,
    video: Path,
    track: FaceTrack,
    settings: CropsConfig,
    about: dict[str, Any],
    clip: int = 1,
) -> None:
    """Cut the crops of an encoded video along its scene's track; `about` (name, model, crf ...) goes with them.

    `clip`: the frames of a clip, where the settings keep clips alone. Memory: one frame. Raises DfdmError when the
    video's frames are not as many as the track's scene has.
    """
    record = of_encoded(track.record)
    corners, size = boxes_along(track, settings.margin, settings.smooth)
    kept = kept_rows(len(track), settings.clips, clip)
    corners, index = corners[kept], track.frame_index[kept]
    landmarks = (track.landmarks[kept] - corners[:, None, :]).astype(np.float32)
    polygon = np.zeros((len(corners), POLYGON_POINTS, 2), np.float32)
    for row, points in enumerate(landmarks):
        polygon[row] = extended_polygon(points)
    packer = Packer(settings.codec, size)
    tensors = {
        "frames": Streamed(len(kept), packer.pack(_cut(video, record, index, corners, size))),
        "boxes": corners,
        "landmarks": landmarks,
        "polygon": polygon,
        "frame_index": index.astype(np.int32),
    }
    meta = {**about, "size": size, "frames": record.frames, "matrix": record.matrix, "full_range": record.full_range}
    if len(kept) < len(track):
        meta["clip"] = clip
    write_tensors(path, tensors, meta | {"packing": packer.about})


def _cut(video: Path, record: VideoRecord, index: np.ndarray, corners: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The crops of some frames, one at a time: a long close-up would fill the memory."""
    rows = {int(frame): row for row, frame in enumerate(index)}
    for frame, planes in enumerate(read_planes(video, record, whole=True)):
        if (row := rows.get(frame)) is None:
            continue
        x, y = (int(value) for value in corners[row])
        yield crop_i420(planes, (x, y, x + size, y + size))  # [size * 3 / 2, size]


class CropReader:
    """Reads a crop file a few frames at a time (the file is mapped, not loaded)."""

    def __init__(self, path: Path) -> None:
        with reading(path, "not a readable crop file", "run the crops stage"):
            self._file = safe_open(str(path), framework="np")
            self.meta: dict[str, Any] = json.loads(self._file.metadata()["dfdm"])
            self._frames = self._file.get_slice("frames")
            self._ends, self._sums = self._file.get_tensor(ENDS), self._file.get_tensor(CHECKSUM)
            _check_meta(self.meta, self._ends, self._frames.get_shape()[0])
            self._packing, self._size = self.meta["packing"], int(self.meta["size"])
        check_index(path)
        self._path, self._local = path, threading.local()

    def __len__(self) -> int:
        """Frames with a face."""
        return len(self._ends)

    @property
    def clip(self) -> int | None:
        """The frames of each kept clip, one after the other; None where all frames are there."""
        return self.meta.get("clip")

    @property
    def frame_index(self) -> np.ndarray:
        """The video's frame of each crop, int32 [n]."""
        return self._file.get_tensor("frame_index")

    @property
    def boxes(self) -> np.ndarray:
        """Where each crop's corner is in the video's frame (x, y), int32 [n, 2]."""
        return self._file.get_tensor("boxes")

    @property
    def landmarks(self) -> np.ndarray:
        """Landmarks in crop pixels, float32 [n, 68, 2]."""
        return self._file.get_tensor("landmarks")

    @property
    def polygon(self) -> np.ndarray:
        """The mask's outline in crop pixels, float32 [n, 27, 2]."""
        return self._file.get_tensor("polygon")

    def frames(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Some crops as RGB, uint8 [k, size, size, 3]; `indices` count crops, not frames of the video."""
        matrix, full_range = self.meta["matrix"], self.meta["full_range"]
        out = np.empty((len(indices), self._size, self._size, 3), np.uint8)
        for row, planes in enumerate(self.planes(indices)):
            out[row] = yuv_to_rgb(planes, matrix, full_range)
        return out

    def planes(self, indices: Sequence[int] | np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Some crops, or all, as I420 uint8 [size * 3 / 2, size]; DfdmError for one that is damaged."""
        if not hasattr(self._local, "unpacker"):  # a decoder belongs to one thread
            self._local.unpacker = Unpacker(self._packing)
        for index in range(len(self)) if indices is None else map(int, indices):
            packed = self._frames[int(self._ends[index - 1]) if index else 0 : int(self._ends[index])].tobytes()
            if zlib.crc32(packed) != self._sums[index]:
                raise DfdmError(f"{self._path} is damaged: crop {index} is not what was written; make it again")
            yield self._local.unpacker.unpack(packed)


def _check_meta(meta: dict[str, Any], ends: np.ndarray, size: int) -> None:
    """ValueError where a crop file does not say what its frames need, or they do not fill it."""
    if missing := sorted({"size", "matrix", "full_range", "packing"} - meta.keys()):
        raise ValueError(f"it does not say its {missing[0]}")
    if (side := meta["packing"]["side"]) != meta["size"]:
        raise ValueError(f"its frames are of {side} pixels, not of {meta['size']}")
    if (np.diff(ends, prepend=0) < 0).any() or (int(ends[-1]) if len(ends) else 0) != size:
        raise ValueError("its frames do not end where it ends")


def _check_label(path: Path, meta: dict[str, Any]) -> None:
    """DfdmError where a crop file does not say which video it is of."""
    name, crf = meta.get("name"), meta.get("crf")
    told = isinstance(name, str) and isinstance(meta.get("model"), str) and type(crf) is int
    if not told or not {"", ".", ".."}.isdisjoint(str(name).split("/")):
        raise DfdmError(f"{path} does not say name, model and crf of its video; give crop files of the stage crops")


def mark_of(crops: Path, meta: dict[str, Any]) -> dict[str, Any]:
    """What a picture of a crop says of itself: the mark of its video, where that lies in the same results or release,
    else what the crop file says.
    """
    folder, name, model = crops.resolve().parents, meta["name"], meta["model"]
    below = f"DFDM_crf{meta['crf']}/{model}/{name}.mp4"
    for video in (top / below for top in ([folder[3] / "dataset", folder[3]] if len(folder) > 3 else [])):
        if video.is_file() and sha256(video) == meta.get("video"):
            return read_mark(video)
    facts = {"name": name.replace("/", "-"), "model": model, "crf": meta["crf"], "video": meta.get("video")}
    return {"synthetic": model != REAL, "statement": ORIGINAL if model == REAL else STATEMENT, **facts}


def export_tree(crops: Sequence[Path], out: Path, classes: Sequence[str], numbered: bool = False) -> int:
    """Write crops as `DF_class3/id0_id1_0003/Frame1.png` trees, classes numbered from 1 in the given order.

    `numbered`: the folders are `Video1`, `Video2` ... of each class, and `index.csv` in `out` says what each one is.
    Crop files of no such class are named on stderr. Returns the number of videos written. Each folder appears only when
    it is complete. DfdmError, before anything is written: files of several qualities, and folders that exist.
    """
    import cv2
    import pandas as pd

    metas = {path: CropReader(path).meta for path in sorted(crops)}
    for path, meta in metas.items():
        _check_label(path, meta)
    if len(qualities := sorted({meta["crf"] for meta in metas.values()})) > 1:
        raise DfdmError(
            f"the crop files are of crf {', '.join(map(str, qualities))}, which one tree cannot tell apart; "
            "export each quality into a folder of its own"
        )
    rows, counts = list[dict[str, Any]](), dict.fromkeys(classes, 0)
    for path, meta in metas.items():
        if (model := meta["model"]) not in counts:
            print(f"{path} is left out: {model} is not one of the classes {', '.join(classes)}", file=sys.stderr)
            continue
        counts[model] += 1
        video = f"Video{counts[model]}" if numbered else meta["name"].removesuffix(f"_{model}")
        folder = f"DF_class{list(classes).index(model) + 1}/{video}"
        rows.append({"folder": folder, "name": meta["name"], "model": model, "crf": meta["crf"], "crops": str(path)})
    for row in rows:
        if (out / row["folder"]).exists():
            raise DfdmError(f"{out / row['folder']} exists already; export into an empty folder")
    if len({row["folder"] for row in rows}) < len(rows):
        raise DfdmError("two of the crop files are of one video; give each once")
    for row in rows:
        folder, reader = out / row["folder"], CropReader(Path(row["crops"]))
        mark = mark_of(Path(row["crops"]), reader.meta)
        partial = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for number in range(len(reader)):
            file = partial / f"Frame{number + 1}.png"
            coded = cv2.imencode(".png", reader.frames([number])[0][:, :, ::-1])[1].tobytes()
            with writing(file):
                file.write_bytes(commented(coded, mark))
        partial.rename(folder)
    if numbered:
        with atomic(out / "index.csv") as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)
    return len(rows)
