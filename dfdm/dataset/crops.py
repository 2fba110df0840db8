"""Face crops of an encoded video: boxes of its own pixels, unrotated and unresized, packed for fast reading.

A crop file is a safetensors file: `frames` uint8 [n, size * 3 / 2, size] (I420 as decoded: lossless), `boxes`
int32 [n, 2] (x, y of the box's corner in the frame), `landmarks` float32 [n, 68, 2] and `polygon` float32
[n, 27, 2] (the outline of the mask `extended`), both in crop pixels, `frame_index` int32 [n], `checksum` int64 [n]
(CRC-32 of each of `frames`, compared for every one that is read); n is the number of frames with a face. The metadata's
one key `dfdm` is JSON.
"""

import json
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, reading
from dfdm.base.records import check_index
from dfdm.base.tensorfile import CHECKSUM, Streamed, write_tensors
from dfdm.media.colour import crop_i420, yuv_to_rgb
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


def write_crops(path: Path, video: Path, track: FaceTrack, margin: float, smooth: float, about: dict[str, Any]) -> None:
    """Cut the crops of an encoded video along its scene's track; `about` (name, model, crf ...) goes with them.

    Raises DfdmError when the video's frames are not as many as the track's scene has.
    """
    record = of_encoded(track.record)
    corners, size = boxes_along(track, margin, smooth)
    landmarks = (track.landmarks - corners[:, None, :]).astype(np.float32)
    polygon = np.zeros((len(corners), POLYGON_POINTS, 2), np.float32)
    for index, points in enumerate(landmarks):
        polygon[index] = extended_polygon(points)
    tensors = {
        "frames": Streamed((len(corners), size * 3 // 2, size), _cut(video, record, track, corners, size)),
        "boxes": corners,
        "landmarks": landmarks,
        "polygon": polygon,
        "frame_index": track.frame_index.astype(np.int32),
    }
    meta = {**about, "size": size, "frames": record.frames, "matrix": record.matrix, "full_range": record.full_range}
    write_tensors(path, tensors, meta)


def _cut(video: Path, record: VideoRecord, track: FaceTrack, corners: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The crops of the frames with a face, one at a time: a long close-up would fill the memory."""
    for index, planes in track.seen(read_planes(video, record, whole=True)):
        x, y = (int(value) for value in corners[index])
        yield crop_i420(planes, (x, y, x + size, y + size))  # [size * 3 / 2, size]


class CropReader:
    """Reads a crop file a few frames at a time (the file is mapped, not loaded)."""

    def __init__(self, path: Path) -> None:
        with reading(path, "not a readable crop file", "run the crops stage"):
            self._file = safe_open(str(path), framework="np")
            self.meta: dict[str, Any] = json.loads(self._file.metadata()["dfdm"])
            self._frames = self._file.get_slice("frames")
            self._sums = self._file.get_tensor(CHECKSUM)
        check_index(path)
        self._path = path

    def __len__(self) -> int:
        """Frames with a face."""
        return int(self._frames.get_shape()[0])

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
        size = int(self.meta["size"])
        out = np.empty((len(indices), size, size, 3), np.uint8)
        for row, index in enumerate(indices):
            planes = np.ascontiguousarray(self._frames[int(index) : int(index) + 1][0])
            if zlib.crc32(planes.data) != self._sums[int(index)]:
                raise DfdmError(f"{self._path} is damaged: crop {int(index)} is not what was written; make it again")
            out[row] = yuv_to_rgb(planes, matrix, full_range)
        return out


def export_tree(crops: Sequence[Path], out: Path, classes: Sequence[str], numbered: bool = False) -> int:
    """Write crops as `DF_class3/id0_id1_0003/Frame1.png` trees, classes numbered from 1 in the given order.

    `numbered`: the folders are `Video1`, `Video2` ... of each class, and `index.csv` in `out` says what each one is.
    Crop files of no such class are named on stderr. Returns the number of videos written. Each folder appears only when
    it is complete. DfdmError, before anything is written: files of several qualities, and folders that exist.
    """
    import cv2
    import pandas as pd

    metas = {path: CropReader(path).meta for path in sorted(crops)}
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
        partial = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for number in range(len(reader)):
            file = partial / f"Frame{number + 1}.png"
            if not cv2.imwrite(str(file), reader.frames([number])[0][:, :, ::-1]):
                raise DfdmError(f"{file} could not be written; is the disk full?")
        partial.rename(folder)
    if numbered:
        with atomic(out / "index.csv") as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)
    return len(rows)
