"""The command `swap`: from two people's videos to swaps and a page that plays them."""

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any, Literal

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic

CONFIG = "config.yaml"  # in the run's folder, where every command finds it


def swap(
    videos: list[Path],
    /,
    licence: str,
    consent: str,
    out: Path | None = None,
    size: Literal["quick", "long", "full"] = "quick",
    cores: int | None = None,
    no_mark: bool = False,
) -> int:
    """Swap the faces of your own videos, with every model, and make the page that plays the swaps.

    Writes a config into the run's folder, says what it will take, runs the workflow there, and writes copies of the
    swaps that say SYNTHETIC below every frame. A video that is a person's only one is cut into three scenes. The same
    call goes on with a run that was stopped. In the folder, the other commands are about this run.

    Args:
        videos: a video for each of two people or more, or one folder, as for 'dfdm sources scan'
        licence: the licence of the videos
        consent: the basis on which the people shown agreed
        out: the folder of the run; default: swap- and the videos' names
        size: the demo's settings (minutes), wider and longer ones, or the full size (for a GPU)
        cores: jobs at a time; default: as many as processors
        no_mark: write no marked copies

    Example:
        dfdm swap anna.mp4 ben.mp4 --licence 'own recordings' --consent 'signed release'
    """
    from dfdm.catalogue import config
    from dfdm.catalogue.layout import Layout
    from dfdm.report.marked import write_marked

    folder = out or Path(_name(videos))
    _configure(folder, videos, licence, consent, size)
    cores = cores or len(os.sched_getaffinity(0))
    with chdir(folder):
        cfg = config.load(CONFIG)
        print(_takes(cores), file=sys.stderr, flush=True)
        if status := _run(cores):
            print(f"dfdm: the run in {folder} did not end well; the same command goes on with it", file=sys.stderr)
            return status
        copies = [] if no_mark else list(write_marked(cfg, Path(cfg.results), Path("watch")))
        page = Path(Layout(cfg.results).report).resolve()
    if copies:
        print(f"to watch and to show: {len(copies)} marked copies in {folder / 'watch'}")
    print(f"in {folder}: dfdm scores, dfdm plan and dfdm view are about this run")
    print(f"page: {page}")
    if sys.stdout.isatty():
        import webbrowser

        webbrowser.open(page.as_uri())
    return 0


def _name(videos: list[Path]) -> str:
    from dfdm.base.section import plain_folder

    return plain_folder("-".join(["swap", *(video.resolve().stem for video in videos)])[:80])


def _configure(
    folder: Path, videos: list[Path], licence: str, consent: str, size: Literal["quick", "long", "full"]
) -> None:
    """Write the run's config; one that is there is kept, with what was changed in it, where it is of these videos."""
    import yaml

    from dfdm.catalogue import config, sources
    from dfdm.catalogue.parts import check_splits

    values: dict[str, Any]
    if len(videos) == 1 and videos[0].is_dir():
        values, account = sources.scan(videos[0], licence, consent, size)
        root = videos[0]
    else:
        values, account = sources.of_files(videos, licence, consent, size)
        root = Path(values["sources"]["root"])
    values["results"] = "results"
    cfg = config.load(values)
    check_splits(cfg)
    print(account.text(root), file=sys.stderr)
    path = folder / CONFIG
    if path.exists():
        if config.load(path).sources.people != cfg.sources.people:
            raise DfdmError(f"{path} is of other videos, or of another licence or consent; give --out another folder")
        print(f"{path} is there and is kept", file=sys.stderr)
        return
    with atomic(path) as temporary:
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
        temporary.write_text(text, encoding="utf-8")
    print(f"{path} written", file=sys.stderr)


def _takes(cores: int) -> str:
    """What the run in this folder will take on this machine."""
    from dfdm.base import devices
    from dfdm.base.progress import duration
    from dfdm.base.text import size_text
    from dfdm.plan import estimate
    from dfdm.plan.rates import load

    made = estimate.make(estimate.read(Path(CONFIG)), load(None))
    total = made.total()
    hours = total.cpu_hours / cores
    least = max((cost.cpu_hours / max(cost.left, 1) for cost in made.parts.values()), default=0)  # the longest job
    text = f"{total.left} of {total.jobs} jobs to do, {total.videos} videos, {size_text(made.peak_bytes)} of disk, "
    text += f"about {duration(3600 * max(hours, least))} on {cores} processors"
    if devices.usable():
        text += f"; {duration(3600 * total.gpu_hours)} of the work is a GPU's"
    return text


def _run(cores: int) -> int:
    """The workflow in this folder, with its own progress; its status."""
    from dfdm.plan.graph import where

    snakefile = where().absolute()
    words = ["--snakefile", str(snakefile), "--workflow-profile", str(snakefile.parent / "profiles/default")]
    words += ["--configfile", CONFIG, "--cores", str(cores)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return subprocess.run([sys.executable, "-m", "snakemake", *words], env={**os.environ, "PATH": path}).returncode
