"""What the player knows: the clips and their videos, the times of the frames, where the face is, the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dfdm.base.names import REAL, VideoName
from dfdm.catalogue.config import Config
from dfdm.media.tracks import FaceTrack
from dfdm.report.answers import Answers
from dfdm.report.clips import moment, versions_of
from dfdm.report.results import Results
from dfdm.report.videos import WATCHED_CRF, Playable, called

STEADY = 4.0  # frames: Gaussian along which the zoom's window follows the face
AROUND = 1.9  # side of that window in sizes of the face


def player_data(
    cfg: Config, found: Results, clips: Sequence[VideoName], answers: Sequence[Answers], videos: Playable
) -> dict[str, Any]:
    """What the page's script reads, as plain values."""
    shown = [clip for clip in clips if clip.scene_key in found.tracks]
    tracks = {clip.scene_key: found.tracks[clip.scene_key] for clip in shown}
    parts = _parts(cfg, found)
    return {
        "models": [REAL, *cfg.models],
        "qualities": [{"crf": crf, "note": "" if crf else f"encoded at crf {WATCHED_CRF}"} for crf in cfg.qualities],
        "scenes": {key: {**timing(track), **window(track), **_start(cfg, track)} for key, track in tracks.items()},
        "clips": [
            {
                "clip": clip.clip,
                "video": clip.video_id,
                "face": clip.face_id,
                "scene": clip.scene,
                "part": parts.get(str(replace(clip, model=next(iter(cfg.models))))),
                "videos": {crf: _keys(cfg, clip, crf, videos) for crf in cfg.qualities},
                "masks": _keys(cfg, clip, None, videos),
            }
            for clip in shown
            if any(_keys(cfg, clip, crf, videos) for crf in cfg.qualities)
        ],
        "answers": {one.score.crf: {"classes": one.score.classes, "shares": _rounded(one.shares)} for one in answers},
    }


def timing(track: FaceTrack) -> dict[str, Any]:
    """When each frame of a scene is shown (s), and the shape of the picture."""
    record = track.record
    unit = record.time_base[0] / record.time_base[1]
    times = [at * unit for at in record.pts] if record.pts else [at / record.fps for at in range(record.frames)]
    across, down = record.pixel_aspect
    return {
        "times": [round(at, 5) for at in times],
        "width": round(record.width * across / down),
        "height": record.height,
    }


def window(track: FaceTrack) -> dict[str, Any]:
    """The square around the face that the zoom shows: its side, and for each frame its corner, in parts of the picture.

    `zoom`: picture width to the square's side; `at` [frames][2]: left of the width, top of the height. A frame without
    the face has the place of the last one with it. No keys for a scene without a face.
    """
    if not len(track):
        return {}
    record, steady = track.record, track.smoothed(STEADY).landmarks
    low, high = steady.min(axis=1), steady.max(axis=1)  # [n, 2]
    frame = np.array([record.width, record.height], np.float64)
    side = min(float(np.quantile((high - low).max(axis=1), 0.9)) * AROUND, *frame)
    corner = (low + high) / 2 - side * np.array([0.5, 0.56])  # landmarks end at the brows
    corner = corner.clip(0, frame - side) / frame
    rows = np.searchsorted(track.frame_index, np.arange(record.frames), side="right") - 1
    return {"zoom": round(record.width / side, 4), "at": corner[rows.clip(0)].round(4).tolist()}


def _start(cfg: Config, track: FaceTrack) -> dict[str, int]:
    return {"start": moment(cfg, track).frame}


def _keys(cfg: Config, clip: VideoName, crf: int | None, videos: Playable) -> dict[str, str]:
    names = [name for name in versions_of(cfg, clip) if (str(name), crf) in videos]
    return {name.model: called(str(name), crf) for name in names}


def _parts(cfg: Config, found: Results) -> Mapping[str, str | None]:
    """The part of the classifier's split by the video's name."""
    column = f"split_{cfg.attribution.split}"
    if found.manifest is None or column not in found.manifest:
        return {}
    rows = found.manifest.astype({column: object})
    return dict(zip(rows["name"], rows[column].where(rows[column].notna(), None)))


def _rounded(shares: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {name: [round(share, 3) for share in row] for name, row in shares.items()}
