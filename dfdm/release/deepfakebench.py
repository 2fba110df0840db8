"""DeepfakeBench's layout: 256 px pictures of aligned faces with masks, and one JSON a quality.

Its loader takes `frames` in a path for `masks`, groups frames to videos by the folder's name alone, and reads zeros
where a video has no landmarks; its 81 landmarks are not made here, of which 13 would have to be invented.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, parse_name
from dfdm.base.records import checked
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.dataset.crops import spread
from dfdm.dataset.provenance import read_mark
from dfdm.dataset.splits import PARTS
from dfdm.media.alignment import aligned_matrix, transform, warp
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.comments import commented
from dfdm.media.masks import extended_polygon
from dfdm.media.planes import is_white
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import of_encoded, read_planes

SIDE = 256
JSONS = "preprocessing/dataset_json"  # where its config looks for them
_PARTS = dict(zip(PARTS, ("train", "val", "test")))


@dataclass(frozen=True)
class Clip:
    """A video's chosen faces: its name, quality, class and part, and the track's rows that are shown, int64 [n]."""

    name: str
    crf: int
    model: str
    part: str
    video: Path
    mask: Path | None  # the pixels that were changed, white; None: the outline of the face is drawn
    track: FaceTrack
    rows: np.ndarray

    @property
    def dataset(self) -> str:
        """The name of its data set there."""
        return f"DFDM_crf{self.crf}"

    def folder(self, kind: str) -> str:
        """Where its pictures (frames) or masks are."""
        return f"datasets/rgb/{self.dataset}/{self.model}/{kind}/{self.name}"

    def files(self, kind: str) -> list[str]:
        """Their names, in the order of time."""
        return [f"{self.folder(kind)}/{self.track.frame_index[row]:03d}.png" for row in self.rows]


def clips_of(cfg: Config, rows: pd.DataFrame, results: Path, frames: int) -> list[Clip]:
    """The clips of a manifest's rows that are in a part of the split that the classifiers use."""
    layout, found, tracks = Layout(str(results)), list[Clip](), dict[str, FaceTrack]()
    for row in rows[rows[f"split_{cfg.attribution.split}"].notna()].to_dict("records"):
        name, crf = parse_name(row["name"]), int(row["crf"])
        scene = name.scene_key
        if scene not in tracks:
            tracks[scene] = FaceTrack.load(layout.track(scene))
        mask = Path(layout.changed(name.clip, name.model))
        shown = np.array(spread(len(tracks[scene]), frames), np.int64)
        part = _PARTS[row[f"split_{cfg.attribution.split}"]]
        video = Path(layout.video(name.clip, name.model, crf))
        drawn = mask if mask.is_file() else None
        found.append(Clip(str(name), crf, name.model, part, video, drawn, tracks[scene], shown))
    if strange := [clip.name for clip in found if clip.folder("frames").count("frames") > 1]:
        raise DfdmError(f"{strange[0]}: DeepfakeBench cannot read a path with 'frames' in it twice; rename the model")
    return found


def label(model: str) -> str:
    """The label of a class: no other data set of DeepfakeBench has it."""
    return f"DFDM_{model}"


def tables(cfg: Config, clips: list[Clip]) -> dict[str, Any]:
    """What its JSON files say, by their names here: all three parts stand under every label."""
    models = [REAL, *cfg.models]
    made: dict[str, Any] = {}
    for clip in clips:
        empty: dict[str, Any] = {label(model): {part: {} for part in _PARTS.values()} for model in models}
        labels = made.setdefault(f"{JSONS}/{clip.dataset}.json", {clip.dataset: empty})[clip.dataset]
        paths = [f"./{file}" for file in clip.files("frames")]
        labels[label(clip.model)][clip.part][clip.name] = {"label": label(clip.model), "frames": paths}
    return made


def write_clip(clip: Clip, out: Path) -> None:
    """Write a clip's pictures and masks, unless they are there. Each folder appears only when it is complete."""
    mark = read_mark(clip.video)
    marks = {"frames": mark, "masks": {**mark, "mask": "changed" if clip.mask else "outline"}}
    if all(_is_there(clip, kind, out, one) for kind, one in marks.items()):
        return
    for path in filter(None, (clip.video, clip.mask)):
        checked(path)
    folders = {kind: out / clip.folder(kind) for kind in marks}
    partial = {kind: folder.with_name(f".{folder.name}.tmp") for kind, folder in folders.items()}
    for path in partial.values():
        path.mkdir(parents=True)
    for number, picture, mask in _faces(clip):
        for kind, image in (("frames", picture[..., ::-1]), ("masks", mask)):
            coded = cv2.imencode(".png", image)[1].tobytes()
            (partial[kind] / f"{number:03d}.png").write_bytes(commented(coded, marks[kind]))
    for kind, folder in folders.items():
        shutil.rmtree(folder, ignore_errors=True)
        partial[kind].rename(folder)


def _is_there(clip: Clip, kind: str, out: Path, mark: dict[str, Any]) -> bool:
    """Whether pictures of this video, and of these frames, are there."""
    files = [out / file for file in clip.files(kind)]
    there = {str(path) for path in (out / clip.folder(kind)).glob("*")}
    return bool(files) and there == set(map(str, files)) and read_mark(files[0]) == mark


def _faces(clip: Clip) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Of each chosen face its frame's number, picture [SIDE, SIDE, 3] RGB and mask [SIDE, SIDE], uint8 both."""
    record = of_encoded(clip.track.record)
    numbers = clip.track.frame_index[clip.rows].tolist()
    changed = read_planes(clip.mask, record, only=numbers) if clip.mask else repeat(None)
    frames = zip(numbers, clip.track.landmarks[clip.rows], read_planes(clip.video, record, only=numbers), changed)
    for number, landmarks, planes, white in frames:
        matrix = aligned_matrix(landmarks, SIDE, "face")
        mask = np.zeros((SIDE, SIDE), np.uint8)
        if white is not None:
            warped = warp(255 * is_white(white).astype(np.uint8), matrix, SIDE)
            mask = np.where(warped > 127, 255, 0).astype(np.uint8)
        elif clip.model != REAL:
            outline = transform(extended_polygon(landmarks), matrix)
            cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(outline).astype(np.int32)), 255.0)
        yield number, warp(yuv_to_rgb(planes, record.matrix, record.full_range), matrix, SIDE), mask
