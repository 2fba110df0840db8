"""Data made elsewhere, brought into the form that classifiers are trained and scored on: crops and a manifest.

Every picture and crop file is read once here, so that a damaged one is found now and not in a training.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfdm.base.errors import DfdmError
from dfdm.base.files import digest, sha256
from dfdm.base.names import REAL, known_name, scene_of
from dfdm.base.progress import Progress
from dfdm.base.records import keep
from dfdm.catalogue import keys
from dfdm.catalogue.config import Config, DataConfig
from dfdm.catalogue.discover import LeftOut, told
from dfdm.catalogue.foreign import Fault, Item, find
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.manifest import add_splits, write_manifest
from dfdm.dataset.crops import CropReader, write_crops
from dfdm.dataset.pictures import FrameFolder
from dfdm.dataset.settings import DataSplits
from dfdm.dataset.splits import account, apply_lists, people_of
from dfdm.media.detectors import Detector
from dfdm.media.tracks import track_planes
from dfdm.media.video import probe, read_planes

READ = 32  # frames of a crop file read at a time


def collect(layout: str, root: Path, out: Path, cfg: Config, detector: Callable[[], Detector]) -> pd.DataFrame:
    """The manifest of all usable videos of `root`; writes `out/manifest.parquet` and one a quality, with CSVs.

    `detector` is called only where videos must be cropped; crops go to `out/crops` and those that are there, of the
    same video and settings, are kept. `crops` is absolute, or relative to `out/crops`. What cannot be used is printed
    on stderr, one line each; with `data.strict: refuse` it is then a DfdmError, and no manifest is written. Files of
    other kinds are left out and counted there by reason.
    """
    items, faults, left_out = find(layout, root, cfg)
    made, rows = Cropper(cfg, out, detector), []
    with Progress(len(items), f"collecting {root}", "videos") as shown:
        for item in items:
            try:
                row, strays = _row(item, made, cfg.attribution.clip)
                rows.append(row)
                faults += strays
            except DfdmError as error:
                faults.append(Fault(item.path, str(error)))
            shown.update()
    _tell(faults, left_out, root, len(items), cfg)
    if not rows:
        raise DfdmError(f"{root} contains no video that can be used; what is wrong with each is printed above")
    table = pd.DataFrame(rows)
    add_splits(table, divided((cfg.data or DataConfig()).splits, list(table["name"])), cfg.seed)
    parts = {Path(Layout(str(out)).manifest(f"crf{crf}")): part for crf, part in table.groupby("crf")}
    for path, part in {out / "manifest.parquet": table, **parts}.items():
        write_manifest(part, path)
        keep("collect", path, path.with_suffix(".csv"))
    return table


def divided(splits: DataSplits, names: list[str]) -> DataSplits:
    """The splits with what their list files name of the videos collected; what these do not have in common is told."""
    people = dict.fromkeys(person for name in names for person in people_of(name))
    try:
        applied = apply_lists(splits, list(dict.fromkeys(map(scene_of, names))), list(people))
    except ValueError as error:
        raise DfdmError(f"data.splits.{error}") from None
    for split in (applied.scene, applied.identity):
        for line in account(split, names) if split else ():
            print(f"collect: {line}", file=sys.stderr)
    return applied


def _tell(faults: list[Fault], left_out: LeftOut, root: Path, items: int, cfg: Config) -> None:
    for fault in faults:
        text = fault.why if str(fault.path) in fault.why else f"{fault.path} {fault.why}"
        print(f"collect: {text}", file=sys.stderr)
    for line in told(left_out):
        print(f"collect: {line}", file=sys.stderr)
    lost = sum(fault.whole for fault in faults)
    if not faults:
        return
    said = f"{lost} videos and {len(faults) - lost} other files of {root} cannot be used"
    if (cfg.data or DataConfig()).strict == "refuse":
        raise DfdmError(f"{said} (printed above); correct them, or leave them out with data.strict: leave_out")
    print(f"collect: {said} and are left out ({items} videos were found by name)", file=sys.stderr)


def _row(item: Item, cropper: "Cropper", clip: int) -> tuple[dict[str, Any], list[Fault]]:
    """A video's line of the manifest, every frame read, and the other files among its frames."""
    strays: list[Fault] = []
    if item.path.is_dir():
        folder = FrameFolder(item.path)
        strays = [Fault(path, "is not a picture by its suffix", whole=False) for path in folder.others]
        crops, hashed, frames, size = str(item.path.resolve()), *_content(folder, 1)
    elif item.path.suffix == ".safetensors":
        reader = CropReader(item.path)
        crops, hashed, frames, size = str(item.path.resolve()), *_content(reader, READ)
    else:
        file, hashed = cropper.crop(item)
        reader = CropReader(file)
        crops, frames, size = str(file.relative_to(cropper.root)), len(reader), (reader.meta["size"],) * 2
    if frames < clip:
        raise DfdmError(f"{item.path} has {frames} frames with a face, fewer than a clip (attribution.clip: {clip})")
    name = known_name(item.name)
    return {
        "name": item.name,
        **{key: getattr(name, key, None) for key in ("video_id", "face_id", "scene")},
        "has_ids": name is not None,
        "model": item.model,
        "crf": item.crf,
        "synthetic": item.model != REAL,
        "path": str(item.path),
        "crops": crops,
        "sha256": hashed,
        "bytes": _bytes(item.path),
        "face_frames": frames,
        "width": size[0],
        "height": size[1],
    }, strays


def _bytes(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _content(frames: FrameFolder | CropReader, step: int) -> tuple[str, int, tuple[int, int]]:
    """Hash of a video's pixels, whatever its files are called; how many frames, and the first one's width and height.

    Raises DfdmError for a picture that cannot be read.
    """
    total, size = hashlib.sha256(), (0, 0)
    for start in range(0, len(frames), step):
        pixels = frames.frames(np.arange(start, min(start + step, len(frames))))  # [k, h, w, 3]
        size = size if start else (pixels.shape[2], pixels.shape[1])
        total.update(f"{pixels.shape[1:]}".encode())
        total.update(np.ascontiguousarray(pixels).tobytes())
    return total.hexdigest(), len(frames), size


class Cropper:
    """Makes the crop files of videos, below `out/crops`; the detector is built when the first one is needed."""

    def __init__(self, cfg: Config, out: Path, detector: Callable[[], Detector]) -> None:
        self.cfg, self.layout, self.root = cfg, Layout(str(out)), out / "crops"
        self._detector = cache(detector)
        self._key = digest({"faces": keys.faces_keys(cfg), "crops": keys.crops_keys(cfg)})

    def crop(self, item: Item) -> tuple[Path, str]:
        """The crop file of a video and the video's hash; made again unless it is there for the same video and settings.

        The face is found in the video itself, since its original is not available. DfdmError for a video that cannot
        be decoded or shows no face.
        """
        name = known_name(item.name)
        assert name is not None, item  # the layouts of videos give no others
        path, hashed = Path(self.layout.crops(name.clip, name.model, item.crf)), sha256(item.path)
        if path.exists() and _made_of(path, hashed, self._key):
            return path, hashed
        record = probe(item.path, name.scene_key, {"path": item.path.name})
        track = track_planes(read_planes(item.path, record), self._detector(), record, self.cfg.faces)
        if not len(track):
            raise DfdmError(f"{item.path} shows no face")
        about = {"name": item.name, "model": item.model, "crf": item.crf, "video": hashed, "cut_with": self._key}
        write_crops(path, item.path, track, self.cfg.crops, about, self.cfg.attribution.clip)
        keep("collect", path)
        return path, hashed


def _made_of(path: Path, video: str, key: str) -> bool:
    """Is this the whole crop file of that video, cut with these settings? A damaged one is not."""
    try:
        meta = CropReader(path).meta
    except DfdmError:
        return False
    return (meta.get("video"), meta.get("cut_with")) == (video, key)
