"""`dfdm release`: a folder that one can upload, made from a results folder."""

import datetime
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dfdm import __version__
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, read_json, sha256, sweep, write_json
from dfdm.base.lock import exclusive
from dfdm.base.names import REAL
from dfdm.base.progress import progress
from dfdm.base.records import checked
from dfdm.base.text import size_text
from dfdm.catalogue.config import Config
from dfdm.dataset.provenance import read_mark
from dfdm.media.encoding import provenance_tags, write_tags
from dfdm.release import deepfakebench, papers, tables
from dfdm.release.choice import Choice, File, files_of, rows_of
from dfdm.release.croissant import croissant
from dfdm.release.files import ABOUT, SUMS, others, put, write_sums
from dfdm.release.signing import MASK, ORIGINAL, SWAP, Signer
from dfdm.release.terms import check_people

_TEXTS = ("README.md", "DATASHEET.md", "config.yaml", ABOUT)


@dataclass(frozen=True)
class Plan:
    """What a release will have: the manifest's lines, the files of the line, and why some people are in it."""

    choice: Choice
    rows: pd.DataFrame
    files: list[File]
    included: dict[str, str]

    @property
    def bytes(self) -> int:
        """Bytes of the files of the line."""
        return sum(file.source.stat().st_size for file in self.files)

    @property
    def text(self) -> str:
        """What it will have, in words."""
        return f"{len(self.rows)} videos, {len(self.files) - len(self.rows)} other files, {size_text(self.bytes)}"


def plan(cfg: Config, results: Path, choice: Choice, include: list[str], because: str | None) -> Plan:
    """What a release will have; DfdmError where something is not made, or a person may not be handed on."""
    rows = rows_of(cfg, results, choice)
    people = [person for person in cfg.sources.people if person in {*rows["video_id"], *rows["face_id"]}]
    included = check_people(cfg, people, include, because)
    return Plan(replace(choice, people=tuple(people)), rows, files_of(rows, results, choice), included)


def write(cfg: Config, planned: Plan, out: Path, link: bool = False, sign: bool = False) -> None:
    """Make the release, or what of it is not there yet. Its checksums come last: without them it is not finished.

    `link`: hard links in place of copies; `sign`: videos are signed, and are copies. Raises DfdmError where `out` has
    files of something else, or its disk has no room.
    """
    signer = Signer(cfg.release) if sign else None
    about = _about(planned, out, signer.text if signer else "")
    beside = {_sidecar(file.target) for file in planned.files if file.is_video}
    made = {*tables.contents(planned.rows), *beside, *(file.target for file in planned.files)}
    if not link:
        _check_room(planned, out)
    with _making(out, {*made, "croissant.json", *_TEXTS}, about) as sums:
        for file in progress(iter(planned.files), len(planned.files), f"release {out}", "files"):
            sums |= _bring(file, out, link, signer)
        rows = planned.rows.assign(line_sha256=planned.rows["sha256"])
        rows["sha256"] = [sums[path] for path in rows["path"]]
        rows["bytes"] = [(out / path).stat().st_size for path in rows["path"]]
        for name, content in tables.contents(rows).items():
            tables.write(out / name, content)
            sums[name] = sha256(out / name)
        masks = any(file.target.startswith("masks/") for file in planned.files)
        facts = papers.Facts(cfg, rows, planned.included, about["date"], about["signed"], masks)
        write_json(out / "croissant.json", croissant(papers.about(facts), papers.responsible(facts), rows, sums))
        sums["croissant.json"] = sha256(out / "croissant.json")
        sums |= _write_texts(out, facts, papers.text(facts, "card.md"))


def write_deepfakebench(cfg: Config, planned: Plan, out: Path, results: Path, frames: int) -> None:
    """Make a release in DeepfakeBench's layout, or what of it is not there yet, of at most `frames` frames a video."""
    clips = deepfakebench.clips_of(cfg, planned.rows, results, frames)
    made = deepfakebench.tables(cfg, clips)
    about = _about(planned, out, "")
    pictures = [file for clip in clips for kind in ("frames", "masks") for file in clip.files(kind)]
    with _making(out, {*made, *pictures, *_TEXTS}, about) as sums:
        for clip in progress(iter(clips), len(clips), f"release {out}", "videos"):
            deepfakebench.write_clip(clip, out)
        for name, content in made.items():
            write_json(out / name, content)
        sums |= {name: sha256(out / name) for name in [*made, *pictures]}
        masks = all(clip.mask for clip in clips if clip.model != REAL)
        facts = papers.Facts(cfg, planned.rows, planned.included, about["date"], "", masks)
        names = [deepfakebench.label(model) for model in (REAL, *cfg.models)]
        of_it = {"real_label": names[0], "model_labels": names[1:], "datasets": [Path(name).stem for name in made]}
        counts = {"pictures": len(pictures) // 2, "frames": frames, "side": deepfakebench.SIDE}
        sums |= _write_texts(out, facts, papers.text(facts, "deepfakebench.md", **of_it, **counts))


@contextmanager
def _making(out: Path, own: set[str], about: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Hold the folder, in which only `own` files may be, for the block, which gives the checksums."""
    with exclusive(out), _unlocked(out):
        sweep(out)
        for partial in [path for path in out.rglob(".*.tmp") if path.is_dir()]:
            shutil.rmtree(partial)
        if strange := others(out, own | {SUMS}):
            raise DfdmError(
                f"{out} has {len(strange)} files that are not of this release, such as {strange[0]}; "
                "delete them, or name an empty folder"
            )
        (out / SUMS).unlink(missing_ok=True)
        write_json(out / ABOUT, about)
        sums: dict[str, str] = {}
        yield sums
        write_sums(out, sums)


@contextmanager
def _unlocked(out: Path) -> Iterator[None]:
    """Leave no lock behind, which names the machine; nor the folder, where nothing came into it."""
    try:
        yield
    finally:
        (out / ".lock").unlink(missing_ok=True)
        if not any(out.iterdir()):
            out.rmdir()


def _check_room(planned: Plan, out: Path) -> None:
    needed = sum(file.source.stat().st_size for file in planned.files if not (out / file.target).exists())
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if needed > (free := shutil.disk_usage(there).free):
        raise DfdmError(
            f"{out} needs {size_text(needed)} and its disk has {size_text(free)} free; free some, or --link"
        )


def _sidecar(video: str) -> str:
    return f"{video.removesuffix('.mp4')}.json"


def _bring(file: File, out: Path, link: bool, signer: Signer | None) -> Iterator[tuple[str, str]]:
    """Have a file of the line, and the JSON of a video, in the release; their names and sha256."""
    path, origin = out / file.target, dict(file.sidecar.origin)
    origin |= {"path": papers.portable(origin["path"])} if "path" in origin else {}
    private = origin != file.sidecar.origin  # a path of this machine is in its metadata
    if file.target.endswith(".mp4") and (private or signer):
        mark = {**read_mark(file.source), "origin": origin}
        line = checked(file.source)
        if not signer or not signer.has_signed(path, line):
            if private:
                write_tags(path, file.source, provenance_tags(mark))
            if signer:
                known = file.sidecar.plain() if file.is_video else mark
                kind = MASK if not file.is_video else SWAP if file.sidecar.synthetic else ORIGINAL
                signer.sign(path if private else file.source, path, kind, {**known, "origin": origin, "sha256": line})
        found = sha256(path)
    else:
        found = put(file.source, path, link)
    yield file.target, found
    if file.is_video:
        about = {"sha256": found, "bytes": path.stat().st_size, "origin": origin}
        name = _sidecar(file.target)
        file.sidecar.model_copy(update=about).write(out / name)
        yield name, sha256(out / name)


def _write_texts(out: Path, facts: papers.Facts, card: str) -> dict[str, str]:
    """Write the papers that every release has; their checksums."""
    texts = {
        "README.md": card,
        "DATASHEET.md": papers.text(facts, "datasheet.md"),
        "config.yaml": papers.config(facts.cfg),
    }
    for name, text in texts.items():
        with atomic(out / name) as temporary:
            temporary.write_text(text)
    return {name: sha256(out / name) for name in _TEXTS}


def _about(planned: Plan, out: Path, signed: str) -> dict[str, Any]:
    """What release.json says. The date is today's, or the one that is there where all else is as it was."""
    choice = {key: list(one) if isinstance(one, tuple) else one for key, one in asdict(planned.choice).items()}
    about = {"version": __version__, "chosen": choice, "included": planned.included, "signed": signed}
    before = read_json(out / ABOUT) if (out / ABOUT).is_file() else {}
    if isinstance(before, dict) and {**about, "date": before.get("date")} == before:
        return before
    return {**about, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
