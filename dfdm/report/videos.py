"""The videos that the page plays: all in the page itself, or, where that grows too large, in a folder beside it.

A page that was opened from a disk may play a file beside it, but not copy its picture into a file: browsers forbid it.
So the folder's files are scripts, each of which hands its video to the page as text.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dfdm.base.files import atomic
from dfdm.base.names import REAL, VideoName
from dfdm.base.progress import progress
from dfdm.base.records import checked
from dfdm.catalogue.config import Config
from dfdm.dataset.sidecar import MASK, ORIGINAL, STATEMENT, Sidecar
from dfdm.media.encoding import provenance_tags, write_quality
from dfdm.media.settings import Preset
from dfdm.report.results import EncodedVideo, Results

MOST_BYTES = 40_000_000  # of the videos in a page of one file
WATCHED_CRF = 4  # how a master is encoded for the page: browsers do not play its High 4:4:4 Predictive profile
_KEYFRAMES = 12  # frames from one to the next: a seek decodes no more
_PRESET: Preset = "veryfast"  # as small there as medium, in half the time
_SCRIPT = re.compile(r"id\d+_(id\d+_)?\d{4}_\w+_(crf\d+|mask)\.js")
_MASK_CRF = 30
_MASK_FILTERS = "scale='min(320,iw)':-2,format=gbrp,lutrgb=b=0,format=yuv420p"  # small, yellow on black

Playable = Mapping[tuple[str, int | None], Path]  # (video's name, crf; None: its mask) -> a file that browsers play


def playable(cfg: Config, found: Results, names: Iterable[VideoName], scratch: Path) -> Playable:
    """A file that a browser plays for each of the videos that is there, at each quality.

    Those of crf 0 are encoded again, into `scratch`. Raises DfdmError for a video that is not what was written.
    """
    wanted = [(str(name), crf) for name in names for crf in cfg.qualities if (str(name), crf) in found.videos]
    files: dict[tuple[str, int | None], Path] = {}
    for key in progress(iter(wanted), len(wanted), "videos of the page", "videos"):
        video = found.videos[key]
        checked(video.path)
        files[key] = video.path if key[1] else _watchable(cfg, video, scratch)
    for name in {name: None for name, _ in wanted}:
        video = found.videos[next(key for key in wanted if key[0] == name)]
        clip, model = video.name.clip, video.name.model
        if model != REAL and (mask := Path(found.layout.changed(clip, model))).is_file():
            checked(mask)
            files[name, None] = scratch / f"{name}_mask.mp4"
            _encode(cfg, mask, files[name, None], _MASK_CRF, {"name": name, "statement": MASK}, _MASK_FILTERS)
    return files


def called(name: str, crf: int | None) -> str:
    """How the page calls a video, or a mask."""
    return f"{name}_mask" if crf is None else f"{name}_crf{crf}"


def _encode(
    cfg: Config, source: Path, path: Path, crf: int, tags: dict[str, str | bool], filters: str | None = None
) -> None:
    settings = cfg.encode.model_copy(update={"preset": _PRESET})
    write_quality(path, source, crf, settings, provenance_tags(tags), _KEYFRAMES, filters)


def _watchable(cfg: Config, video: EncodedVideo, scratch: Path) -> Path:
    path, beside = scratch / video.path.name, video.path.with_suffix(".json")
    tags: dict[str, str | bool] = {"name": str(video.name), "model": video.name.model}
    tags["statement"] = ORIGINAL if video.name.model == REAL else STATEMENT
    if beside.exists():
        sidecar = Sidecar.read(beside)
        tags |= {"statement": sidecar.statement, "synthetic": sidecar.synthetic}
    tags["encoded"] = f"for watching: crf {WATCHED_CRF} of the master"
    _encode(cfg, video.path, path, WATCHED_CRF, tags)
    return path


@dataclass(frozen=True)
class Carried:
    """How the page gets its videos: their text by key (`id0_id1_0000_iae_crf10`), or the folder that has them."""

    inside: dict[str, str]
    folder: str | None
    files: list[Path]
    bytes: int


def carry(out: Path, videos: Playable, single: bool) -> Carried:
    """Put the videos into the page `out`, or write the scripts into the folder of its name (`report` of `report.html`).

    `single`: into the page, however large it becomes. Scripts of an earlier page that are not of this one are removed.
    """
    folder, size = out.with_suffix(""), sum(path.stat().st_size for path in videos.values())
    inside = single or 4 / 3 * size <= MOST_BYTES
    scripts = {} if inside else {folder / f"{called(*key)}.js": path for key, path in videos.items()}
    if folder.is_dir():
        for old in folder.iterdir():
            if _SCRIPT.fullmatch(old.name) and old not in scripts:
                old.unlink()
    if inside:
        texts = {called(*key): _text(path) for key, path in videos.items()}
        return Carried(texts, None, [], size)
    for script, path in scripts.items():
        with atomic(script) as temporary:
            temporary.write_text(f'dfdmVideo("{script.stem}", "{_text(path)}");\n', encoding="ascii")
    return Carried({}, folder.name, list(scripts), size)


def _text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
