"""The commands that show: what a config asks for, and what the results folder contains."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dfdm.base.errors import DfdmError
from dfdm.base.records import keep

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config
    from dfdm.catalogue.layout import Layout


def check(config: Path) -> None:
    """Check a config, its files, splits and results folder, and print how many videos it makes.

    Example:
        dfdm check --config mine.yaml
    """
    from dfdm.catalogue.config import load
    from dfdm.catalogue.layout import videos_of
    from dfdm.catalogue.parts import check_files, check_people, check_results, check_splits, told_lists

    cfg = load(config)
    check_results(cfg)
    check_files(cfg)
    for line in told_lists(cfg):
        print(line, file=sys.stderr)
    check_splits(cfg)
    check_people(cfg)
    videos = videos_of(cfg, "dataset")
    swaps = sum(video.name.face_id is not None for video in videos)
    print(f"{config}: {swaps} swapped videos and {len(videos) - swaps} originals, {len(cfg.models)} models")


def scores(cfg: "Config", evaluate: bool = False) -> None:
    """Print the score table and the path of the report.

    Args:
        evaluate: print how good the swaps of every model are instead, from the files of 'dfdm evaluate'

    Example:
        dfdm scores --config config.yaml
    """
    from dfdm.catalogue.layout import Layout
    from dfdm.catalogue.migrate import check_version

    check_version(cfg.results)
    layout = Layout(cfg.results)
    print(_evaluations(cfg) if evaluate else _scores(cfg, layout))
    report = Path(layout.report)
    print(f"report: {report.resolve()}" if report.exists() else "no report yet: snakemake --cores all report")


def _scores(cfg: "Config", layout: "Layout") -> str:
    from attribution.comparison import format_comparison
    from attribution.results import Comparison, Scores
    from attribution.score import format_table
    from dfdm.catalogue.schedule import scored

    files = [Path(layout.scores(str(run), crf)) for run, crf in scored(cfg)]
    found = [Scores.read(path) for path in files if path.exists()]
    if not found:
        raise DfdmError(f"{cfg.results} contains no scores; run 'snakemake --cores all attribution' first")
    text = format_table(found)
    compared = Path(layout.comparison)
    return f"{text}\n\n{format_comparison(Comparison.read(compared))}" if cfg.comparison and compared.exists() else text


def _evaluations(cfg: "Config") -> str:
    from dfdm.report.evaluation import format_table, read_evaluations

    missing: list[str] = []
    found = read_evaluations(cfg, Path(cfg.results), missing)
    if not found:
        raise DfdmError(f"{cfg.results} contains no evaluation; run 'snakemake --cores all all_evaluate' first")
    return "\n".join([format_table(found), *(f"missing: {line}" for line in missing)])


def report(cfg: "Config", out: Path, results: Path | None = None, single: bool = False) -> None:
    """Build the report from what the results folder contains: a page that plays the videos.

    Videos of more than 40 MB are not in the page but in a folder beside it, of the page's name.

    Args:
        out: the report (.html)
        single: put the videos into the page, however large it becomes
        results: the folder that contains the results; default: the config's

    Example:
        dfdm report --out results/report.html
    """
    from dfdm.catalogue.migrate import check_version
    from dfdm.report.build import build

    check_version(results or cfg.results)
    keep("report", *build(cfg, results or Path(cfg.results), out, single))


def view(page: Path | None = None, /, *, config: Path) -> None:
    """Open a page in the browser: the report, or one of 'dfdm predict --page'.

    Args:
        page: the page (.html); default: the report of the config's results

    Example:
        dfdm view clip.html
    """
    import webbrowser

    from dfdm.catalogue.config import load
    from dfdm.catalogue.layout import Layout

    path = page or Path(Layout(load(config).results).report)
    if not path.is_file():
        make = "correct the path" if page else "make it: snakemake --cores all report"
        raise DfdmError(f"{path} does not exist or is no file; {make}")
    if path.suffix != ".html":
        raise DfdmError(f"{path} is no page: its name does not end in .html; 'dfdm predict {path} --page' makes one")
    print(path.resolve())
    if not webbrowser.open(path.resolve().as_uri()):
        raise DfdmError("no browser was found here; open this file in one, on this machine or another")


def verify(folder: Path | None = None, /, *, config: Path) -> int:
    """Compare every file of a results folder, or of a release, with what was written, byte by byte.

    Without FOLDER also say what this config would make again. Status: 0 all files are what was written, and current;
    1 some are changed, missing or stale, or were written by no stage.

    Args:
        folder: the folder, of results or of 'dfdm release'; default: the config's results

    Example:
        dfdm verify results
    """
    from dfdm.base.progress import progress
    from dfdm.base.records import every, unrecorded
    from dfdm.catalogue.config import load
    from dfdm.catalogue.layout import UNRECORDED
    from dfdm.release import files

    if folder and (folder / files.SUMS).is_file():
        wrong, count = files.faults(folder)
        print("\n".join([*wrong, f"{folder}: a release of {count} files, {len(wrong)} faults"]))
        return 1 if wrong else 0
    if folder and (folder / files.ABOUT).is_file():
        raise DfdmError(f"{folder} is a release that is not finished; run 'dfdm release' again")
    stale = [] if folder else _stale(config)
    folder = folder or Path(load(config).results)
    found = list(every(folder))
    if not found:
        raise DfdmError(f"{folder} has no records of what was written; give a folder of results")
    faults = []
    for path, made in progress(iter(found), len(found), f"verify {folder}", "files"):
        if not path.is_file():
            faults.append(f"missing: {path} (run the stage {made.stage})")
        elif not made.describes(path):
            faults.append(f"changed: {path} (delete it and run the stage {made.stage})")
    faults += [f"written by no stage: {path}" for path in unrecorded(folder, UNRECORDED)] + stale
    print("\n".join([*faults, f"{folder}: {len(found)} files with a record, {len(faults)} faults"]))
    return 1 if faults else 0


def provenance(video: Path, /, config: Path, results: Path | None = None) -> int:
    """Say what made a video or picture, whether the file is as it was written, and who signed it.

    Status: 0 it is, 1 it is a copy of other bytes, has no record, or was changed after it was signed; 2 it has no mark.

    Args:
        video: the video, under any name, as it was written or encoded again
        results: the folder with the record of it; default: the config's

    Example:
        dfdm provenance results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4
    """
    from dfdm.catalogue.config import load
    from dfdm.dataset.provenance import trace
    from dfdm.release.signing import told

    lines, whole = trace(video, results or Path(load(config).results))
    signed, valid = told(video)
    print("\n".join([*lines, *signed]))
    return 0 if whole and valid else 1


def _stale(config: Path) -> list[str]:
    """The finished outputs that are of other settings, inputs or sources than this config's, and why."""
    from dfdm.plan.graph import TARGET, build

    jobs, _ = build(config)
    return [
        f"stale: {path} ({job.reason})"
        for job in jobs
        for path in job.outputs
        if job.reason and job.stage != TARGET and Path(path).exists()
    ]


def migrate(cfg: "Config") -> None:
    """Give a results folder of an earlier version today's names; nothing is made again.

    Example:
        dfdm migrate --config config.yaml
    """
    from dfdm.catalogue.migrate import migrate

    print(migrate(cfg))


def picture(clips: list[str], /, cfg: "Config", out: Path, crf: int | None = None) -> None:
    """Make the README's picture: five swaps side by side, eyes covered.

    Args:
        clips: clips, such as id0_id1_0000
        out: the picture (.jpg)
        crf: the quality; default: the config's best

    Example:
        dfdm picture id0_id1_0000 id1_id0_0001 --out swaps.jpg
    """
    from dfdm.report.readme import readme_picture

    readme_picture(cfg, Path(cfg.results), out, clips, crf)


def overlay(
    video: Path,
    /,
    config: Path,
    out: Path,
    show: Literal["changed", "blend"] = "changed",
    frame: int | None = None,
    results: Path | None = None,
) -> None:
    """Lay a mask over a swap: the pixels that were changed, or how much of each is the new face.

    Args:
        video: the swap at any quality, under any name
        out: the video of all frames, ending in .mp4, or the picture of one, ending in .png
        show: changed, or blend; default: changed
        frame: the frame of a picture, counted from 0; default: the middle one
        results: the folder that contains the masks; default: the config's

    Example:
        dfdm overlay results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 --show blend --out overlay.png
    """
    from dfdm.catalogue.config import load
    from dfdm.catalogue.layout import Layout
    from dfdm.report.overlay import PICTURE, VIDEO, write_overlay

    if out.suffix not in (PICTURE, VIDEO):
        raise DfdmError(f"--out is {out}, and is to end in {PICTURE} or {VIDEO}; correct the name")
    if frame is not None and out.suffix == VIDEO:
        raise DfdmError(f"--frame is for a picture, and {out} is a video of all frames; leave one of them out")
    write_overlay(video, Layout(str(results or load(config).results)), show, out, frame)
