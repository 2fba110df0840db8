"""The command `release`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dfdm.base.errors import DfdmError

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config


def release(
    out: Path,
    /,
    cfg: "Config",
    crf: list[int] | None = None,
    models: list[str] | None = None,
    people: list[str] | None = None,
    no_crops: bool = False,
    no_originals: bool = False,
    include: list[str] | None = None,
    because: str | None = None,
    link: bool = False,
    sign: bool = False,
    size: bool = False,
    as_: Literal["deepfakebench"] | None = None,
    frames: int = 32,
    results: Path | None = None,
) -> None:
    """Make a data set to hand over: videos, crops, masks, tables, papers and checksums.

    It is taken from a results folder. Run again after a stop, it makes what is left. People without documented consent,
    and licences that do not say that they allow passing on, are refused.

    Args:
        out: a folder for the release; where it is there, it has nothing else in it
        crf: qualities; default: all
        models: autoencoders; default: all
        people: people; default: all
        no_crops: leave the crops out
        no_originals: leave the original videos out
        include: people who are refused, to be included nevertheless
        because: why they are; the text stands on the card
        link: hard links in place of copies: no space is taken, but to edit a file changes it in the results too
        sign: put content credentials (C2PA) into the videos, by the config's release.key or a self-made one
        size: print how large it will be, and write nothing
        as_: another layout: deepfakebench, of pictures of aligned faces with masks, and a JSON a quality
        frames: frames of a video in that layout, evenly spread; default: 32
        results: the folder that contains the results; default: the config's

    Example:
        dfdm release released --crf 10 23 --no-originals
    """
    from dataclasses import replace

    from dfdm.catalogue.migrate import check_version
    from dfdm.release import build
    from dfdm.release.choice import Choice

    folder = results or Path(cfg.results)
    check_version(folder)
    if frames == 0:
        raise DfdmError("--frames is 0, and a video in it has one or more; give a number above 0")
    if sign and as_:
        raise DfdmError(f"--sign is for videos, and --as {as_} has none; leave one of them out")
    choice = Choice.of(cfg, crf, models, people)
    choice = replace(choice, crops=not no_crops and as_ is None, originals=not no_originals)
    planned = build.plan(cfg, folder, choice, include or [], because)
    said = planned.text if as_ is None else f"{len(planned.rows)} videos, at most {frames} pictures and masks of each"
    print(f"{out}: {said}", file=sys.stdout if size else sys.stderr)
    if size:
        return
    if as_ is None:
        build.write(cfg, planned, out, link, sign)
    else:
        build.write_deepfakebench(cfg, planned, out, folder, frames)
    print(f"{out}: finished; check it with 'dfdm verify {out}', and read {out / 'README.md'} before you upload it")


def shard(file: Path, count: int, /, out: Path | None = None) -> None:
    """Part a config into several, each with whole pairs and results of its own, to run apart.

    The parts make no splits, classifiers or reports: 'dfdm merge' brings their results together for these.

    Args:
        file: the config
        count: the number of parts
        out: the folder for them; default: the config's own

    Example:
        dfdm shard workflow/configs/dfdm.yaml 4 --out shards
    """
    import yaml

    from dfdm.base.files import atomic
    from dfdm.catalogue import config
    from dfdm.catalogue.shards import shards

    cfg = config.load(file)
    for number, values in enumerate(shards(cfg, count), start=1):
        part, path = config.load(values), (out or file.parent) / f"{file.stem}-{number}.yaml"
        with atomic(path) as temporary:
            temporary.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120))
        print(f"{path}: {len(part.sources.people)} people, {len(part.pairs)} pairs, {len(part.clips)} swaps a model")
        print(f"  snakemake --cores all --configfile {path} -- dataset all_evaluate{' all_masks' if cfg.masks else ''}")
    print(f"then: dfdm merge {cfg.results}-* --config {file}")


def merge(folders: list[Path], /, cfg: "Config") -> None:
    """Bring the results of shards together, in the results folder of the whole config.

    Args:
        folders: the shards' results folders

    Example:
        dfdm merge results-1 results-2 --config whole.yaml
    """
    from dfdm.release.merge import merge as bring

    count = bring(cfg, folders)
    print(f"{cfg.results}: {count} files of {len(folders)} folders")
    print("next: the workflow with the whole config, which makes manifests, classifiers and the report")
