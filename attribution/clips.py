"""Clips of consecutive frames of a face: which of which video, read, resized or cut, and put into batches.

Everything random is drawn from (seed, epoch, video) alone: a resumed training draws the same clips.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from attribution.frames import face_centre, open_frames
from attribution.region import Region
from attribution.settings import AttributionConfig
from dfdm.base.errors import DfdmError
from dfdm.base.names import parse_name
from dfdm.dataset.crops import CropReader

MEAN = (0.643, 0.466, 0.387)  # RGB of DFDM's crops as published (docs/attribution.md)
STD = (0.259, 0.220, 0.203)
CACHE = 2 * 2**30  # bytes of resized frames a set may keep in memory; a larger set is read clip by clip


@dataclass(frozen=True)
class Video:
    """One video: its name, class (index), crop file or folder of pictures, number of frames, and the clip's region."""

    name: str
    label: int
    crops: Path
    frames: int
    region: Path | None = None  # where settings.region is background: what to paint over (attribution/region.py)


@dataclass(frozen=True)
class Draw:
    """One clip: index of the video in its set, first frame, mirrored or not."""

    video: int
    start: int
    flip: bool = False


def find_videos(
    rows: pd.DataFrame, crops: Path, classes: Sequence[str], clip: int, regions: Path | None = None
) -> tuple[list[Video], dict[str, int]]:
    """The videos of the rows by name, and those with fewer face frames than a clip: name -> face frames.

    Needs the columns name, model (one of `classes`) and crops: a crop file or a folder of pictures, relative to
    `crops` or absolute; null where no face was found.
    `regions`: the folder of the clips' regions, for classifiers of the background alone.
    """
    videos: list[Video] = []
    short: dict[str, int] = {}
    rows = rows.sort_values("name")
    for name, model, file in zip(rows["name"], rows["model"], rows["crops"]):
        path = crops / file if isinstance(file, str) and file else None
        frames = len(open_frames(path)) if path else 0
        if path is None or frames < clip:
            short[name] = frames
        else:
            region = regions / f"{parse_name(name).clip}.safetensors" if regions else None
            videos.append(Video(name, classes.index(model), path, frames, region))
    return videos, short


def random_clip(seed: int, epoch: int, repeat: int, name: str, frames: int, clip: int) -> tuple[int, bool]:
    """First frame and flip (p 0.5) of the `repeat`-th training clip of a video in an epoch."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    generator = np.random.default_rng((seed, epoch, repeat, key))
    return int(generator.integers(frames - clip + 1)), bool(generator.random() < 0.5)


def fixed_starts(frames: int, clip: int, count: int) -> list[int]:
    """First frames of `count` clips spread evenly over the video; fewer where the video is shorter."""
    return sorted({int(start) for start in np.linspace(0, frames - clip, count).round()})


def fit(frames: np.ndarray, resize: int, size: int) -> np.ndarray:
    """Bring the shorter side to `resize` and cut the centre: uint8 `[k, h, w, 3]` -> `[k, size, size, 3]`."""
    height, width = frames.shape[1:3]
    scale = resize / min(height, width)
    shape = (max(round(width * scale), size), max(round(height * scale), size))  # cv2 takes width first
    if shape != (width, height):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        frames = np.stack([cv2.resize(frame, shape, interpolation=method) for frame in frames])
    top, left = (shape[1] - size) // 2, (shape[0] - size) // 2
    return np.ascontiguousarray(frames[:, top : top + size, left : left + size])


def cut_native(frames: np.ndarray, size: int, centre: tuple[float, float] | None) -> np.ndarray:
    """A square of the frames' own pixels about a point (x, y; None: the middle): uint8 `[k, size, size, 3]`.

    The corner is on even pixels, as chroma does. A square that does not fit is moved inside the frame; where the
    frame is smaller than the square, it is placed in the middle and mirrored at its borders.
    """
    height, width = frames.shape[1:3]
    x, y = centre or (width / 2, height / 2)
    top, left = (
        int(np.clip(round((middle - size / 2) / 2) * 2, 0, max(side - size, 0)))
        for middle, side in ((y, height), (x, width))
    )
    lack = [max(size - side, 0) for side in (height, width)]
    cut = frames[:, top : top + size, left : left + size]
    if any(lack):
        around = [(missing // 2, missing - missing // 2) for missing in lack]
        cut = np.pad(cut, [(0, 0), *around, (0, 0)], mode="reflect")
    return np.ascontiguousarray(cut)


def normalise(clips: Tensor, device: torch.device, channels_last: bool) -> Tensor:
    """uint8 RGB `[B, T, H, W, 3]` -> float32 `[B, T, 3, H, W]` by MEAN and STD, on the device."""
    scale = torch.tensor(STD, device=device).mul_(255).reciprocal_()  # [3]
    shift = torch.tensor(MEAN, device=device).mul_(255)  # [3]
    values = clips.to(device).float().sub_(shift).mul_(scale).permute(0, 1, 4, 2, 3)
    return values if channels_last else values.contiguous()  # [B, T, 3, H, W]


@dataclass
class Clips:
    """Videos of one part, read as clips of `settings.clip` frames of `settings.size` pixels."""

    videos: list[Video]
    settings: AttributionConfig
    _kept: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        need = sum(video.frames for video in self.videos) * self.settings.size**2 * 3
        self._cached = need <= CACHE

    def read(self, draw: Draw) -> np.ndarray:
        """One clip: uint8 RGB `[T, size, size, 3]`; a flip mirrors all its frames alike."""
        video, stop = self.videos[draw.video], draw.start + self.settings.clip
        if self._cached:
            if draw.video not in self._kept:
                self._kept[draw.video] = self._fitted(video, range(video.frames))
            frames = self._kept[draw.video][draw.start : stop]
        else:
            frames = self._fitted(video, range(draw.start, stop))
        return frames[:, :, ::-1] if draw.flip else frames

    def _fitted(self, video: Video, indices: Iterable[int]) -> np.ndarray:
        """Frames as the model takes them: uint8 `[k, size, size, 3]`.

        Native pixels are cut at one place in all frames of a video: the crop's box already follows the face, and the
        pixel grid stays the same from frame to frame.
        """
        reader, settings, rows = open_frames(video.crops), self.settings, list(indices)
        if settings.pixels == "native":
            cut = partial(cut_native, size=settings.size, centre=face_centre(reader))
        else:
            cut = partial(fit, resize=settings.resize, size=settings.size)
        if not isinstance(reader, CropReader):
            if settings.region == "background":
                raise DfdmError(f"{video.name}: the background alone needs crop files, not pictures")
            return np.concatenate([cut(reader.frames([row])) for row in rows])  # pictures' sizes may differ
        frames = reader.frames(rows)
        if settings.region == "background":
            if video.region is None:
                raise DfdmError(f"{video.name}: the background alone needs the clip's region; run 'dfdm region' for it")
            frames = Region(video.region).paint(frames, reader.frame_index[rows], reader.boxes[rows])
        return cut(frames)

    def training(self, seed: int, epoch: int) -> list[Draw]:
        """The shuffled clips of an epoch, `clips_per_epoch` of every video."""
        clip, repeats = self.settings.clip, self.settings.clips_per_epoch
        draws = [
            Draw(index, *random_clip(seed, epoch, repeat, video.name, video.frames, clip))
            for repeat in range(repeats)
            for index, video in enumerate(self.videos)
        ]
        order = np.random.default_rng((seed, epoch)).permutation(len(draws))
        return [draws[i] for i in order]

    def fixed(self) -> list[Draw]:
        """The `test_clips` clips of every video, the same ones on every run."""
        clip, count = self.settings.clip, self.settings.test_clips
        return [Draw(i, start) for i, v in enumerate(self.videos) for start in fixed_starts(v.frames, clip, count)]

    def batches(self, draws: Sequence[Draw]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches of the draws in order: clips uint8 `[B, T, H, W, 3]`, labels `[B]`, video indices `[B]`.

        `settings.batch` clips each, the last batch kept; the next batch is read while one is used.
        """
        parts = [draws[i : i + self.settings.batch] for i in range(0, len(draws), self.settings.batch)]
        with ThreadPoolExecutor(self.settings.threads) as pool:
            ahead: list[Future[np.ndarray]] = [pool.submit(self.read, draw) for draw in parts[0]] if parts else []
            for part, following in zip(parts, [*parts[1:], []]):
                clips = np.stack([future.result() for future in ahead])
                ahead = [pool.submit(self.read, draw) for draw in following]
                index = [draw.video for draw in part]
                labels = [self.videos[i].label for i in index]
                yield torch.from_numpy(clips), torch.tensor(labels), torch.tensor(index)
