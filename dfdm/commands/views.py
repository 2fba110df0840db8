"""The commands that show: what a config asks for, and what the results folder contains."""

from pathlib import Path
from typing import TYPE_CHECKING

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
    from dfdm.catalogue.parts import check_files, check_people, check_splits

    cfg = load(config)
    check_files(cfg)
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


def report(cfg: "Config", out: Path, results: Path | None = None) -> None:
    """Build the report from what the results folder contains.

    Args:
        out: the report (.html)
        results: the folder that contains the results; default: the config's

    Example:
        dfdm report --out results/report.html
    """
    from dfdm.catalogue.migrate import check_version
    from dfdm.report.build import build

    check_version(results or cfg.results)
    build(cfg, results or Path(cfg.results), out)
    keep("report", out)


def verify(folder: Path | None = None, /, *, config: Path) -> int:
    """Compare every file of a results folder with its record, byte by byte.

    Without FOLDER also say what this config would make again. Status: 0 all files are what was written, and current;
    1 some are changed, missing or stale, or were written by no stage.

    Args:
        folder: the folder; default: the config's results

    Example:
        dfdm verify results
    """
    from dfdm.base.progress import progress
    from dfdm.base.records import every, unrecorded
    from dfdm.catalogue.config import load
    from dfdm.catalogue.layout import UNRECORDED

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
    """Say what made a video, and whether the file is the one that was written.

    Status: 0 it is, 1 it is a copy of other bytes, or has no record; 2 it has no mark.

    Args:
        video: the video, under any name, as it was written or encoded again
        results: the folder with the record of it; default: the config's

    Example:
        dfdm provenance results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4
    """
    from dfdm.catalogue.config import load
    from dfdm.dataset.provenance import trace

    lines, whole = trace(video, results or Path(load(config).results))
    print("\n".join(lines))
    return 0 if whole else 1


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
