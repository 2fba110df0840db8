"""The pictures of each swapped clip: the same frame of the original and of every model, a row a quality."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dfdm.base.names import REAL, VideoName
from dfdm.base.records import checked
from dfdm.catalogue.config import Config
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord, of_encoded
from dfdm.report import pictures
from dfdm.report.results import EncodedVideo, Results

MOST_CLIPS = 24  # shown; beyond that an even choice, so that the report stays small
FRAME_WIDTH = 560
FACE_SIZE = 224


@dataclass(frozen=True)
class Cell:
    """One video's frame: its column's name and the pictures as data addresses (None: the video is missing)."""

    model: str
    frame: str | None = None
    face: str | None = None


@dataclass(frozen=True)
class Moment:
    """The frame to show of a scene, its landmarks [68, 2] (None without a face) and why this one."""

    frame: int  # counts from the scene's first
    landmarks: np.ndarray | None
    note: str


@dataclass(frozen=True)
class ClipView:
    """What the report shows of one clip: which frame, and by quality its pictures, the original's first."""

    clip: VideoName
    shown: Moment
    seconds: float
    rows: dict[int, list[Cell]]


def chosen_clips(cfg: Config, most: int = MOST_CLIPS) -> list[VideoName]:
    """All clips, or an even choice of `most` of them."""
    clips = cfg.clips
    return clips if len(clips) <= most else [clips[round(at)] for at in np.linspace(0, len(clips) - 1, most)]


def moment(cfg: Config, track: FaceTrack) -> Moment:
    """The frame of a scene that the report shows: the middle face that no model was trained on, else of all."""
    if not len(track):
        return Moment(track.record.frames // 2, None, "no face was found in this scene: the middle frame")
    start = max(track.trained_count(cfg.settings(model).held_out) for model in cfg.models)
    where = "the middle face of the frames that no training saw"
    if start == len(track):  # a model saw them all
        start, where = 0, "the middle frame with a face"
    face = (start + len(track)) // 2
    return Moment(int(track.frame_index[face]), track.landmarks[face], where)


def clip_views(cfg: Config, found: Results) -> Iterator[ClipView]:
    """The pictures of every chosen clip whose scene has a face track and whose videos exist in part at least."""
    made: dict[Path, Cell] = {}  # by video: an original serves every face that is put on it
    for clip in chosen_clips(cfg):
        track = found.tracks.get(clip.scene_key)
        if track is None:
            continue
        record, shown = of_encoded(track.record), moment(cfg, track)
        names = [replace(clip, face_id=None, model=REAL), *(replace(clip, model=model) for model in cfg.models)]
        rows: dict[int, list[Cell]] = {}
        for crf in cfg.qualities:
            rows[crf] = []
            for name in names:
                if (video := found.videos.get((str(name), crf))) and video.path not in made:
                    made[video.path] = _cell(video, record, shown)
                rows[crf].append(made[video.path] if video else Cell(name.model))
        if any(cell.frame for cells in rows.values() for cell in cells):
            yield ClipView(clip, shown, shown.frame / track.record.fps, rows)


def _cell(video: EncodedVideo, record: VideoRecord, shown: Moment) -> Cell:
    checked(video.path)
    rgb = pictures.read_frame(video.path, record, shown.frame)
    kept = [(pictures.fit_width(rgb, FRAME_WIDTH), 0.13, 80)]  # picture, the stamp's share, quality of the JPEG
    if shown.landmarks is not None:
        kept.append((pictures.close_up(rgb, shown.landmarks, FACE_SIZE), 0.11, 88))
    model, addresses = video.name.model, []
    for picture, share, quality in kept:
        stamped = picture if model == REAL else pictures.stamp(picture, model, share)
        addresses.append(pictures.embedded(pictures.jpeg(stamped, quality)))
    return Cell(model, *addresses)
