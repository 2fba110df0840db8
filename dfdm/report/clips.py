"""Which clips the page shows, and a still of each: the same frame of the original and of every model."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from dfdm.base.names import REAL, VideoName
from dfdm.base.records import checked
from dfdm.catalogue.config import Config
from dfdm.dataset.provenance import mark_or_unknown
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import of_encoded
from dfdm.report import pictures
from dfdm.report.results import EncodedVideo, Results

MOST_CLIPS = 24  # shown; beyond that an even choice, so that the page stays small
FACE_SIZE = 224


@dataclass(frozen=True)
class Moment:
    """The frame to show of a scene, its landmarks [68, 2] (None without a face) and why this one."""

    frame: int  # counts from the scene's first
    landmarks: np.ndarray | None
    note: str


@dataclass(frozen=True)
class Still:
    """One clip's frame at one quality: which, and by model its picture as a data address (None: no video)."""

    clip: VideoName
    crf: int
    shown: Moment
    seconds: float
    pictures: dict[str, str | None]


def chosen_clips(cfg: Config, most: int = MOST_CLIPS, answered: Collection[str] = ()) -> list[VideoName]:
    """All clips, or an even choice of `most` of them: first of those with an answer (clips by name), then of others."""
    clips = cfg.clips
    if len(clips) <= most:
        return clips
    first = _even([clip for clip in clips if clip.clip in answered], most)
    rest = _even([clip for clip in clips if clip.clip not in answered], most - len(first))
    kept = {clip.clip for clip in [*first, *rest]}
    return [clip for clip in clips if clip.clip in kept]


def versions_of(cfg: Config, clip: VideoName) -> list[VideoName]:
    """A clip's videos in the order of the page: the original, then every model's."""
    return [replace(clip, face_id=None, model=REAL), *(replace(clip, model=model) for model in cfg.models)]


def _even(clips: list[VideoName], most: int) -> list[VideoName]:
    places = np.linspace(0, len(clips) - 1, most) if len(clips) > most else range(len(clips))
    return [clips[round(at)] for at in places]


def moment(cfg: Config, track: FaceTrack) -> Moment:
    """The frame of a scene that the page shows first: the middle face that no model was trained on, else of all."""
    if not len(track):
        return Moment(track.record.frames // 2, None, "no face was found in this scene: the middle frame")
    start = max(track.trained_count(cfg.settings(model).held_out) for model in cfg.models)
    where = "the middle face of the frames that no training saw"
    if start == len(track):  # a model saw them all
        start, where = 0, "the middle frame with a face"
    face = (start + len(track)) // 2
    return Moment(int(track.frame_index[face]), track.landmarks[face], where)


def stills(cfg: Config, found: Results, clips: list[VideoName]) -> Iterator[Still]:
    """A still of every clip whose scene has a face, at the best quality at which any of its videos is there."""
    made: dict[tuple[str, int], str] = {}  # an original serves every face that is put on it
    for clip in clips:
        track = found.tracks.get(clip.scene_key)
        if track is None or not len(track):
            continue
        names = versions_of(cfg, clip)
        there = [crf for crf in cfg.qualities if any((str(name), crf) in found.videos for name in names)]
        if not there:
            continue
        crf, shown, shot = min(there), moment(cfg, track), dict[str, str | None]()
        for name in names:
            key = str(name), crf
            if key in found.videos and key not in made:
                made[key] = _picture(found.videos[key], track, shown)
            shot[name.model] = made.get(key)
        yield Still(clip, crf, shown, shown.frame / track.record.fps, shot)


def _picture(video: EncodedVideo, track: FaceTrack, shown: Moment) -> str:
    checked(video.path)
    assert shown.landmarks is not None
    rgb = pictures.read_frame(video.path, of_encoded(track.record), shown.frame)
    face, model = pictures.close_up(rgb, shown.landmarks, FACE_SIZE), video.name.model
    shot = face if model == REAL else pictures.stamp(face, model)
    return pictures.embedded(pictures.jpeg(shot, mark_or_unknown(video.path), 88))
