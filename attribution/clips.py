"""Clips of consecutive frames of a face: which of which video, read, resized or cut, and put into batches.

Everything random is drawn from (seed, epoch, video) alone: a resumed training draws the same clips.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from attribution.augment import augment
from attribution.frames import face_centre, open_frames
from attribution.region import Region
from attribution.settings import AttributionConfig
from attribution.treatments import TREATMENTS
from dfdm.base.errors import DfdmError
from dfdm.base.names import parse_name
from dfdm.dataset.crops import CropReader, spread

MEAN = (0.643, 0.466, 0.387)  # RGB of DFDM's crops as published (docs/attribution.md)
STD = (0.259, 0.220, 0.203)
TREATED = 1  # tells the treatments' numbers from those of the clip's place
CACHE = 2 * 2**30  # bytes of resized frames a set may keep in memory; a larger set is read clip by clip


@dataclass(frozen=True)
class Video:
    """One video: its name, class (index), crop file or folder of pictures, number of frames, and the clip's region.

    `kept`: its frames are pieces of so many consecutive ones; None where all are there.
    """

    name: str
    label: int
    crops: Path
    frames: int
    region: Path | None = None  # where settings.region is background: what to paint over (attribution/region.py)
    kept: int | None = None


@dataclass(frozen=True)
class Draw:
    """One clip: index of the video in its set, first frame, mirrored or not, and what its treatments are drawn from."""

    video: int
    start: int
    flip: bool = False
    treated: tuple[int, ...] | None = None  # of a numpy generator; None: as it is


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
        opened = open_frames(path) if path else None
        frames, kept = (len(opened), opened.clip) if opened else (0, None)
        if path is None or min(frames, kept or frames) < clip:
            short[name] = min(frames, kept or frames)
        else:
            region = regions / f"{parse_name(name).clip}.safetensors" if regions else None
            videos.append(Video(name, classes.index(model), path, frames, region, kept))
    return videos, short


def possible_starts(frames: int, clip: int, kept: int | None = None) -> np.ndarray:
    """First frames of all clips of `clip` frames of a video, int64 [n]: each within a piece of `kept` frames."""
    starts = np.arange(frames - clip + 1)
    return starts if kept is None else starts[starts % kept + clip <= kept]


def random_key(seed: int, epoch: int, repeat: int, name: str) -> tuple[int, ...]:
    """What everything random of the `repeat`-th training clip of a video in an epoch is drawn from."""
    return seed, epoch, repeat, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


def random_clip(key: tuple[int, ...], starts: np.ndarray) -> tuple[int, bool]:
    """First frame, one of `starts`, and flip (p 0.5) of a training clip."""
    generator = np.random.default_rng(key)
    return int(starts[generator.integers(len(starts))]), bool(generator.random() < 0.5)


def fixed_starts(starts: np.ndarray, count: int) -> list[int]:
    """`count` of the possible first frames, spread evenly over the video; fewer where there are fewer."""
    return [int(starts[place]) for place in spread(len(starts), count)]


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


def as_taken(settings: AttributionConfig, landmarks: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """What brings a video's crops `[k, h, w, 3]` to the model's size; `landmarks` `[n, 68, 2]`: in all its crops."""
    if settings.pixels == "native":
        return partial(cut_native, size=settings.size, centre=face_centre(landmarks))
    return partial(fit, resize=settings.resize, size=settings.size)


def normalise(clips: Tensor, device: torch.device, channels_last: bool) -> Tensor:
    """uint8 RGB `[B, T, H, W, 3]` -> float32 `[B, T, 3, H, W]` by MEAN and STD, on the device."""
    scale = torch.tensor(STD, device=device).mul_(255).reciprocal_()  # [3]
    shift = torch.tensor(MEAN, device=device).mul_(255)  # [3]
    values = clips.to(device).float().sub_(shift).mul_(scale).permute(0, 1, 4, 2, 3)
    return values if channels_last else values.contiguous()  # [B, T, 3, H, W]


@dataclass
class Clips:
    """Videos of one part, read as clips of `settings.clip` frames of `settings.size` pixels.

    `treatment`: one of attribution.treatments for the frames of each whole video; None: as they are.
    """

    videos: list[Video]
    settings: AttributionConfig
    treatment: str | None = None
    _kept: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        if self.treatment and any(video.kept for video in self.videos):
            raise DfdmError(
                "a treatment is of whole videos, and these crops are pieces; make them with crops.clips: null"
            )
        if self.treatment:
            left = TREATMENTS[self.treatment].left
            self.videos = [replace(video, frames=left(video.frames)) for video in self.videos]
        need = sum(video.frames for video in self.videos) * self.settings.size**2 * 3
        self._cached = need <= CACHE
        self._treated: tuple[int, np.ndarray] | None = None

    def read(self, draw: Draw) -> np.ndarray:
        """One clip: uint8 RGB `[T, size, size, 3]`; a flip mirrors all its frames alike."""
        video, stop = self.videos[draw.video], draw.start + self.settings.clip
        if draw.treated:
            frames = self._fitted(video, range(draw.start, stop), np.random.default_rng((*draw.treated, TREATED)))
        elif self.treatment:
            frames = self._treat(draw.video)[draw.start : stop]
        elif self._cached:
            if draw.video not in self._kept:
                self._kept[draw.video] = self._fitted(video, range(video.frames))
            frames = self._kept[draw.video][draw.start : stop]
        else:
            frames = self._fitted(video, range(draw.start, stop))
        return frames[:, :, ::-1] if draw.flip else frames

    def _treat(self, index: int) -> np.ndarray:
        """All frames of a video, treated: the last one is kept, since fixed clips go through the videos in order."""
        with self._lock:
            if self._treated is None or self._treated[0] != index:
                video = self.videos[index]
                self._treated = index, self._fitted(video, range(video.frames))
            return self._treated[1]

    def _fitted(self, video: Video, indices: Iterable[int], random: np.random.Generator | None = None) -> np.ndarray:
        """Frames as the model takes them, treated where `random` is given: uint8 `[k, size, size, 3]`.

        Native pixels are cut at one place in all frames of a video: the crop's box already follows the face, and the
        pixel grid stays the same from frame to frame.
        """
        reader, settings, rows = open_frames(video.crops), self.settings, list(indices)
        cut = as_taken(settings, reader.landmarks if settings.pixels == "native" else None)
        if not isinstance(reader, CropReader):
            if settings.region == "background":
                raise DfdmError(f"{video.name}: the background alone needs crop files, not pictures")
            fitted = np.concatenate([cut(reader.frames([row])) for row in rows])  # pictures' sizes may differ
            return fitted if random is None else cut(augment(fitted, random))
        frames = reader.frames(rows if self.treatment is None else range(len(reader)))
        if self.treatment is not None:
            frames = TREATMENTS[self.treatment].apply(frames)[rows]
        if settings.region == "background":
            if video.region is None:
                raise DfdmError(f"{video.name}: the background alone needs the clip's region; run 'dfdm region' for it")
            frames = Region(video.region).paint(frames, reader.frame_index[rows], reader.boxes[rows])
        return cut(frames if random is None else augment(frames, random))

    def training(self, seed: int, epoch: int) -> list[Draw]:
        """The shuffled clips of an epoch, `clips_per_epoch` of every video."""
        draws = []
        for repeat in range(self.settings.clips_per_epoch):
            for index, (video, starts) in enumerate(zip(self.videos, self._starts())):
                key = random_key(seed, epoch, repeat, video.name)
                draws.append(Draw(index, *random_clip(key, starts), key if self.settings.augment else None))
        order = np.random.default_rng((seed, epoch)).permutation(len(draws))
        return [draws[i] for i in order]

    def fixed(self) -> list[Draw]:
        """The `test_clips` clips of every video, the same ones on every run."""
        count = self.settings.test_clips
        return [Draw(i, start) for i, starts in enumerate(self._starts()) for start in fixed_starts(starts, count)]

    def _starts(self) -> list[np.ndarray]:
        return [possible_starts(video.frames, self.settings.clip, video.kept) for video in self.videos]

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
