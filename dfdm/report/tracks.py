"""How sure the face tracks are: gaps, jitter and faces left out of each scene, the most doubtful first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from dfdm.base.names import REAL
from dfdm.base.records import checked
from dfdm.dataset.provenance import mark_or_unknown
from dfdm.media.alignment import eye_distance
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import of_encoded
from dfdm.report import pictures
from dfdm.report.results import Results

SHOWN = 4  # of the most doubtful tracks, with a picture
_WIDTH = 420
_POINT_RGB = (60, 220, 60)


@dataclass(frozen=True)
class TrackRow:
    """One scene's track; shares of its frames, `jitter` in distances of the eyes, `picture` a data address."""

    scene: str
    track: FaceTrack
    without: float
    gap: int  # frames of the longest piece without a face
    jitter: float
    doubt: float
    picture: str | None = None


def jitter_of(track: FaceTrack) -> np.ndarray:
    """How far the inner landmarks leave the line of their neighbours in time, in distances of the eyes.

    Float64 [n], a mean over landmarks; 0 where a neighbour is missing.
    """
    found = np.zeros(len(track))
    for row in range(1, len(track) - 1):
        near = track.frame_index[row - 1 : row + 2]
        if near[2] - near[0] == 2 and len(set(track.segment[row - 1 : row + 2].tolist())) == 1:
            before, now, after = track.landmarks[row - 1 : row + 2, 17:].astype(np.float64)
            off = np.linalg.norm(before - 2 * now + after, axis=1).mean() / 2
            found[row] = off / max(eye_distance(track.landmarks[row]), 1e-6)
    return found


def track_rows(found: Results) -> list[TrackRow]:
    """A row for each track, the most doubtful first, those with a picture of their worst frame."""
    rows = []
    for scene, track in found.tracks.items():
        frames = track.counts.frames
        there = np.concatenate([[-1], track.frame_index, [frames]])
        jitter = float(jitter_of(track).mean()) if len(track) else 0.0
        without = 1 - len(track) / frames if frames else 1.0
        rows.append(TrackRow(scene, track, without, int(np.diff(there).max()) - 1, jitter, without + jitter))
    rows.sort(key=lambda row: -row.doubt)
    return [*_with_pictures(rows[:SHOWN], found), *rows[SHOWN:]]


def _with_pictures(rows: list[TrackRow], found: Results) -> Iterator[TrackRow]:
    for row in rows:
        video = found.videos.get((f"{row.scene}_{REAL}", 0))
        if video is None or not len(row.track):
            yield row
            continue
        worst = int(np.argmax(jitter_of(row.track) - row.track.confidence / 1000))  # of still frames, the least sure
        yield replace(row, picture=_picture(video.path, row.track, worst))


def _picture(path: Path, track: FaceTrack, row: int) -> str:
    checked(path)
    rgb = pictures.read_frame(path, of_encoded(track.record), int(track.frame_index[row]))
    scale = min(1.0, _WIDTH / rgb.shape[1])
    small = np.ascontiguousarray(pictures.fit_width(rgb, _WIDTH))
    for x, y in track.landmarks[row] * scale:
        cv2.circle(small, (round(float(x)), round(float(y))), 1, _POINT_RGB, -1, cv2.LINE_AA)
    return pictures.embedded(pictures.jpeg(small, mark_or_unknown(path)))
