"""The pictures of each swapped clip: the same frame of the original and of every model, a row a quality."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dfdm.base.names import REAL, VideoName
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
    frame: str | None
    face: str | None


@dataclass(frozen=True)
class QualityRow:
    """One quality's pictures, the original first."""

    crf: int
    cells: list[Cell]

    @property
    def has_faces(self) -> bool:
        """Whether any cell has a close-up."""
        return any(cell.face for cell in self.cells)


@dataclass(frozen=True)
class ClipView:
    """What the report shows of one clip; `frame` counts from the scene's first, `note` says how it was chosen."""

    clip: VideoName
    frame: int
    seconds: float
    note: str
    rows: list[QualityRow]


@dataclass(frozen=True)
class Moment:
    """The frame to show of a scene, its landmarks [68, 2] (None without a face) and why this one."""

    frame: int
    landmarks: np.ndarray | None
    note: str


def chosen_clips(cfg: Config, most: int = MOST_CLIPS) -> list[VideoName]:
    """All clips, or an even choice of `most` of them."""
    clips = cfg.clips
    if len(clips) <= most:
        return clips
    return [clips[round(position)] for position in np.linspace(0, len(clips) - 1, most)]


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
    originals: dict[Path, Cell] = {}  # an original serves every face that is put on it
    for clip in chosen_clips(cfg):
        track = found.tracks.get(clip.scene_key)
        if track is None:
            continue
        record, shown = of_encoded(track.record), moment(cfg, track)
        rows = []
        for crf in cfg.qualities:
            cells = []
            for name in (
                VideoName(clip.video_id, None, clip.scene, REAL),
                *(replace(clip, model=m) for m in cfg.models),
            ):
                video = found.videos.get((str(name), crf))
                if video is None:
                    cells.append(Cell(name.model, None, None))
                    continue
                cell = originals.get(video.path) or _cell(video, record, shown)
                if name.model == REAL:
                    originals[video.path] = cell
                cells.append(cell)
            rows.append(QualityRow(crf, cells))
        if any(cell.frame for row in rows for cell in row.cells):
            yield ClipView(clip, shown.frame, shown.frame / track.record.fps, shown.note, rows)


def _cell(video: EncodedVideo, record: VideoRecord, shown: Moment) -> Cell:
    rgb = pictures.read_frame(video.path, record, shown.frame)
    frame, face = pictures.fit_width(rgb, FRAME_WIDTH), None
    if shown.landmarks is not None:
        face = pictures.close_up(rgb, shown.landmarks, FACE_SIZE)
    if video.name.model != REAL:
        frame = pictures.stamp(frame, video.name.model, share=0.13)
        face = face if face is None else pictures.stamp(face, video.name.model)
    return Cell(
        video.name.model,
        pictures.embedded(pictures.jpeg(frame, 80)),
        face if face is None else pictures.embedded(pictures.jpeg(face, 88)),
    )
