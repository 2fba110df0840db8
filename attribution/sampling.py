"""The clips of one video at fixed places by frame number: the face is looked for there, and no crop goes to disk.

A place's frames are looked at with those that the crops' smoothing needs around them. Where a place shows no face, the
places between are tried, and in the end every frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfdm.base.progress import progress
from dfdm.dataset.crops import boxes_along, spread
from dfdm.dataset.settings import CropsConfig
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.detectors import Detector
from dfdm.media.settings import FacesConfig
from dfdm.media.tracks import FaceTrack, track_planes
from dfdm.media.video import VideoRecord, read_planes

HELD = 256 * 2**20  # bytes of whole frames that are held for their crops; with more the video is read once more


@dataclass(frozen=True)
class Sampled:
    """The face of a video where it was looked for, and the crops of its clips.

    `track`: of the frames that were looked at; `landmarks` float32 [n, 68, 2]: all of its faces, in crop pixels;
    `starts`: the first row of each clip in the track; `crops`: RGB uint8 [side, side, 3] by row, of the clips alone.
    """

    track: FaceTrack
    side: int
    landmarks: np.ndarray
    starts: list[int]
    crops: dict[int, np.ndarray]

    def clip(self, number: int, length: int) -> np.ndarray:
        """The crops of a clip, uint8 [length, side, side, 3]."""
        return np.stack([self.crops[row] for row in range(self.starts[number], self.starts[number] + length)])


def sample(
    video: Path,
    record: VideoRecord,
    detector: Detector,
    faces: FacesConfig,
    crops: CropsConfig,
    clip: int,
    count: int,
    shown: bool = True,
) -> Sampled:
    """`count` clips of `clip` frames with the face, evenly spread over a video; fewer where there are fewer.

    `shown`: with progress on stderr. Memory: HELD and the crops, however long the video is.
    """
    around, places = int(4 * crops.smooth + 0.5), count  # where a Gaussian is cut off (FaceTrack.smoothed)
    while True:
        first = spread(record.frames - clip + 1, places)
        only = _windows(first, clip, around, record.frames)
        own = {frame for start in first for frame in range(start, start + clip)} if places == count else set[int]()
        if len(own) * record.height * record.width * 3 // 2 > HELD:
            own = set()
        held: dict[int, np.ndarray] = {}
        planes: Iterable[np.ndarray] = _holding(read_planes(video, record, only=only), only, own, held)
        if shown:
            planes = progress(planes, len(only), f"faces of {video.name}", "frames")
        track = track_planes(planes, detector, record, faces, only=only)
        if len(only) == record.frames:
            starts = spread(len(track) - clip + 1, count)
            break
        starts = _whole_clips(track.frame_index, first, clip, around)
        if len(starts) >= count:
            starts = [starts[place] for place in spread(len(starts), count)]
            break
        places = max(2 * places - 1, places + 1)  # the same ones and those between them
    corners, side = boxes_along(track, crops.margin, crops.smooth)
    rows = sorted({row for start in starts for row in range(start, start + clip)})
    wanted = {int(track.frame_index[row]): row for row in rows}
    again = [frame for frame in wanted if frame not in held]
    found: dict[int, np.ndarray] = {}
    for source in (held.items(), zip(again, read_planes(video, record, only=again)) if again else ()):
        for frame, whole in source:
            if (row := wanted.get(frame)) is not None:
                x, y = (int(value) for value in corners[row])
                found[row] = yuv_to_rgb(whole, record.matrix, record.full_range, (x, y, x + side, y + side))
    return Sampled(track, side, (track.landmarks - corners[:, None, :]).astype(np.float32), starts, found)


def _windows(starts: Sequence[int], clip: int, around: int, frames: int) -> Sequence[int]:
    """The frames of the clips and so many around them, rising; all where that is more than half of them."""
    found = {frame for start in starts for frame in range(start - around, start + clip + around)}
    within = sorted(frame for frame in found if 0 <= frame < frames)
    return within if within and 2 * len(within) <= frames else range(frames)


def _holding(
    planes: Iterable[np.ndarray], numbers: Sequence[int], own: set[int], held: dict[int, np.ndarray]
) -> Iterator[np.ndarray]:
    """Pass frames on, and hold those with a number in `own`."""
    for number, frame in zip(numbers, planes):
        if number in own:
            held[number] = frame
        yield frame


def _whole_clips(index: np.ndarray, starts: Sequence[int], clip: int, around: int) -> list[int]:
    """The rows of a track at which a place's clip starts, where the place shows enough of the face; each once."""
    rows = [int(row) for row in np.searchsorted(index, starts)]
    fits = [
        row
        for row, start in zip(rows, starts)
        if row + clip <= len(index) and index[row + clip - 1] < start + clip + around
    ]
    return list(dict.fromkeys(fits))
