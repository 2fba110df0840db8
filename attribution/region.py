"""The background region of a clip: one for all models and qualities, with every pixel that any model changed inside.

A control (docs/attribution.md, Controls): outside it the crf 0 masters of all models hold the same samples as the
original, so a signal found there is not a trace of the model. In every frame with a face it starts as the
outline of the mask `extended`, filled in 2 x 2 blocks (chroma's grid), and grows by a block on all sides until no
changed sample of Y, U or V is beyond it.

A region file is a safetensors file: `frame_index` int32 [n], `box` int32 [n, 4] (x0, y0, x1, y1 in blocks of the
frame, x1 and y1 outside), `grown` int32 [n] (blocks), `start` int64 [n + 1], and `bits` uint8: frame i's blocks
within its box, row by row, a bit each, in the bytes [start i, start i + 1). n is the number of frames with a face.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from safetensors import safe_open

from dfdm.base.errors import DfdmError
from dfdm.base.files import reading
from dfdm.base.tensorfile import Streamed, write_tensors
from dfdm.media.masks import extended_polygon
from dfdm.media.planes import blocks_of, changed_pixels
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import of_encoded, read_planes

PAINT = (164, 119, 99)  # RGB put over the region: attribution.clips.MEAN, rounded, so that it is near 0 to a network


def changed_blocks(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The 2 x 2 blocks in which two I420 frames [H * 3 / 2, W] differ in any sample, bool [H / 2, W / 2]."""
    return blocks_of(changed_pixels(first, second))


def outline_blocks(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The blocks that the outline of the mask `extended` touches or contains, bool [H / 2, W / 2] = `shape`.

    Where it leaves the frame, its points are moved to the frame's edge: some block is always in.
    """
    points = np.clip(extended_polygon(landmarks) // 2, 0, (shape[1] - 1, shape[0] - 1)).astype(np.int32)
    blocks = np.zeros(shape, np.uint8)
    cv2.fillPoly(blocks, [points], 1)  # with its border
    return blocks.astype(bool)


def grow(blocks: np.ndarray, changed: np.ndarray) -> tuple[np.ndarray, int]:
    """Grow blocks (bool [h, w], not empty) on all sides until they contain `changed`; and by how many blocks."""
    distance = cv2.distanceTransform((~blocks).astype(np.uint8), cv2.DIST_C, cv2.DIST_MASK_3)  # in blocks, diagonals 1
    steps = round(float(distance[changed].max(initial=0)))
    return distance <= steps, steps


def write_region(path: Path, clip: str, track: FaceTrack, original: Path, masters: Mapping[str, Path]) -> None:
    """Write the region of a clip from its scene's track, the original's crf 0 master and each model's.

    Raises DfdmError where a frame without a face is not the original's in every model: the videos then are not
    of this track.
    """
    record = of_encoded(track.record)
    rows = {int(frame): row for row, frame in enumerate(track.frame_index)}
    boxes, grown = np.zeros((len(track), 4), np.int32), np.zeros(len(track), np.int32)
    parts: list[np.ndarray] = []
    readers = [read_planes(video, record, whole=True) for video in (original, *masters.values())]
    for number, (before, *after) in enumerate(zip(*readers, strict=True)):
        each = [changed_blocks(before, planes) for planes in after]
        row = rows.get(number)
        if row is None:
            if altered := [model for model, blocks in zip(masters, each) if blocks.any()]:
                raise DfdmError(
                    f"{masters[altered[0]]} differs from {original} in frame {number}, where the track has no face; "
                    "render both again with one track"
                )
            continue
        changed = np.logical_or.reduce(each)
        blocks, grown[row] = grow(outline_blocks(track.landmarks[row], changed.shape), changed)
        ys, xs = np.flatnonzero(blocks.any(1)), np.flatnonzero(blocks.any(0))
        boxes[row] = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
        parts.append(np.packbits(blocks[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]))
    tensors: dict[str, np.ndarray | Streamed] = {
        "frame_index": track.frame_index.astype(np.int32),
        "box": boxes,
        "grown": grown,
        "start": np.cumsum([0, *map(len, parts)], dtype=np.int64),
        "bits": np.concatenate([np.zeros(0, np.uint8), *parts]),
    }
    about = {"clip": clip, "models": list(masters), "grown": int(grown.max(initial=0))}
    write_tensors(path, tensors, {**about, "width": record.width, "height": record.height})


class Region:
    """Reads a region file. `about` gives clip, models, the most blocks that it grew by, and the frames' size."""

    def __init__(self, path: Path) -> None:
        with (
            reading(path, "not a readable region", "run 'dfdm region' for this clip"),
            safe_open(str(path), framework="np") as file,
        ):
            self.about: dict[str, Any] = json.loads(file.metadata()["dfdm"])
            names = ("frame_index", "box", "grown", "start", "bits")
            frames, self._box, self.grown, self._start, self._bits = (file.get_tensor(name) for name in names)
        self._path = path
        self._rows = {int(frame): row for row, frame in enumerate(frames)}

    def blocks(self, frame: int) -> np.ndarray:
        """The region's blocks in a frame of the video with a face, bool [H / 2, W / 2]."""
        if (row := self._rows.get(frame)) is None:
            raise DfdmError(
                f"{self._path} has no face in frame {frame}; make the region and the crops from the same track"
            )
        x0, y0, x1, y1 = (int(value) for value in self._box[row])
        bits = np.unpackbits(self._bits[self._start[row] : self._start[row + 1]], count=(y1 - y0) * (x1 - x0))
        blocks = np.zeros((self.about["height"] // 2, self.about["width"] // 2), bool)
        blocks[y0:y1, x0:x1] = bits.reshape(y1 - y0, x1 - x0)
        return blocks

    def mask(self, frame: int, box: tuple[int, int, int, int], reach: int = 0) -> np.ndarray:
        """The region within a box of a frame (x0, y0, x1, y1 in pixels, even), grown by `reach` blocks: bool [h, w]."""
        x0, y0, x1, y1 = (value // 2 for value in box)
        blocks = self.blocks(frame).astype(np.uint8)
        if reach:
            blocks = cv2.dilate(blocks, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        return blocks[y0:y1, x0:x1].repeat(2, 0).repeat(2, 1).astype(bool)

    def paint(self, frames: np.ndarray, numbers: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Copies of crops, uint8 RGB [k, size, size, 3], with PAINT over the region and a block around it.

        `numbers` [k] are the crops' frames in the video, `corners` [k, 2] where they were cut (x, y). The block more
        is what linear interpolation of chroma carries out of the region when a crop becomes RGB.
        """
        out, size = frames.copy(), frames.shape[1]
        for picture, number, (x, y) in zip(out, numbers, corners.tolist(), strict=True):
            picture[self.mask(int(number), (x, y, x + size, y + size), reach=1)] = PAINT
        return out
