"""The commands on classifiers: train, tune, score, compare, predict, controls (dfdm/commands/cli.py has the rest)."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.commands.cli_common import RESULTS_HELP, load_config

Add = Callable[..., argparse.ArgumentParser]
EXAMPLES = {
    "attribution train": "attribution train --crf 23 --manifest results/manifests/crf23.parquet "
    "--out results/attribution/dma_sta/scene/crf23/seed0",
    "attribution tune": "attribution tune --classifier dma_sta --manifest results/manifests/crf10.parquet "
    "--out results/attribution/dma_sta/tune.json --config workflow/configs/five_people.yaml",
    "attribution score": "attribution score --model results/attribution/dma_sta/scene/crf23/seed0/model.safetensors "
    "--crf 10 --manifest results/manifests/crf10.parquet --out scores",
    "attribution comparison": "attribution comparison --out comparison.json --config workflow/configs/five_people.yaml",
    "predict": "predict clip.mov --classifier results/attribution/dma_sta/scene/crf23/seed0/model.safetensors "
    "--picture clip.png",
    "region": "region --clip id0_id1_0000 --masters results/dataset/DFDM_crf0/*/id0_id1_0000_*.mp4 --original "
    "results/dataset/DFDM_crf0/real/id0_0000_real.mp4 --track results/faces/id0_0000.npz "
    "--out results/regions/id0_id1_0000.safetensors",
    "controls": "controls --classifier dma_sta --crf 23 --manifest results/manifests/crf23.parquet --out controls.json",
}


def add_commands(stages: object, add: Add, with_config: Callable[..., argparse.ArgumentParser]) -> None:
    """Add them to the parser's sub-commands `stages`."""
    _attribution_commands(stages, add, with_config)
    command = with_config(add("predict", _predict, "Name the model that made a video, for any videos."))
    command.epilog = f"{command.epilog}\n\nstatus: 0 every video has an answer, 2 none has, 3 some have"
    command.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="video files, of any name")
    command.add_argument("--classifier", type=Path, required=True, help="a trained classifier (model.safetensors)")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the answers as JSON; -: to stdout, alone")
    command.add_argument("--picture", type=Path, metavar="PATH", help="a .png for one video, or a folder for any")
    _control_commands(add, with_config)


def _attribution_commands(stages: object, add: Add, with_config: Callable[..., object]) -> None:
    text = "Train, score and compare classifiers that name the model of a swap."
    group = stages.add_parser("attribution", help=text, description=text).add_subparsers(  # type: ignore[attr-defined]
        metavar="WHAT", required=True
    )
    manifest, results = "the manifest of that quality", RESULTS_HELP
    command = add("train", _attribution_train, "Train a classifier; the test videos are not read.", group)
    with_config(command, "the folder for weights, log and figures of the training")
    command.add_argument("--crf", required=True, help="the quality; all: every quality together")
    command.add_argument(
        "--manifest", type=Path, nargs="+", required=True, help="its manifest; with all: one a quality"
    )
    command.add_argument("--classifier", help="a name in comparison.classifiers; default: attribution.model")
    command.add_argument("--split", choices=("scene", "identity"), help="default: attribution.split")
    command.add_argument("--seed", type=int, help="default: the config's")
    command.add_argument("--tune", type=Path, help="the learning rate, from 'dfdm attribution tune'")
    command.add_argument("--results", type=Path, help=results)
    command = add("tune", _attribution_tune, "Choose a classifier's learning rate by validation.", group)
    with_config(command, "the choice (.json)")
    command.add_argument("--classifier", required=True, help="a name in comparison.classifiers")
    command.add_argument("--manifest", type=Path, required=True, help="the manifest of comparison.crf")
    command.add_argument("--results", type=Path, help=results)
    command = add("score", _attribution_score, "Score a trained classifier on the test videos of a quality.", group)
    with_config(command, "the folder for scores and predictions")
    command.add_argument("--model", type=Path, required=True, help="the trained classifier (.safetensors)")
    command.add_argument("--crf", type=int, required=True, help="the quality")
    command.add_argument("--manifest", type=Path, required=True, help=manifest)
    command.add_argument("--results", type=Path, help=results)
    command = add("comparison", _attribution_compare, "Set the config's classifiers side by side.", group)
    with_config(command, "the comparison (.json)")
    command.add_argument("--results", type=Path, help=results)


def _control_commands(add: Add, with_config: Callable[..., object]) -> None:
    command = add("region", _region, "Find what any model changed of a clip's frames.")
    with_config(command, "the region (.safetensors)")
    command.add_argument("--clip", required=True, help="the clip, such as id0_id1_0000")
    command.add_argument("--masters", type=Path, nargs="+", required=True, help="its crf 0 masters, one of every model")
    command.add_argument("--original", type=Path, required=True, help="the crf 0 master of the unswapped scene")
    command.add_argument("--track", type=Path, required=True, help="the track of the scene")
    command = add("controls", _controls, "Find what a classifier's score at one quality is worth.")
    with_config(command, "the controls (.json)")
    command.add_argument("--classifier", required=True, help="one of the config's controls.classifiers")
    command.add_argument("--crf", type=int, required=True, help="the quality")
    command.add_argument("--manifest", type=Path, required=True, help="the manifest of that quality")
    command.add_argument("--results", type=Path, help=RESULTS_HELP)


def _attribution_train(a: argparse.Namespace) -> None:
    from attribution.run import ALL, Run
    from dfdm.commands import classifier_stages

    cfg = load_config(a)
    if a.crf != ALL and not a.crf.isdigit():
        raise DfdmError(f"--crf is '{a.crf}'; give a number, or all")
    seed = cfg.seed if a.seed is None else a.seed
    run = Run(a.classifier or cfg.attribution.model, a.split or cfg.attribution.split, a.crf, seed)
    classifier_stages.train_classifier(cfg, run, a.manifest, a.out, a.results, a.tune)


def _attribution_tune(a: argparse.Namespace) -> None:
    from dfdm.commands import classifier_stages

    classifier_stages.tune_classifier(load_config(a), a.classifier, a.manifest, a.out, a.results)


def _attribution_score(a: argparse.Namespace) -> None:
    from dfdm.commands import classifier_stages

    classifier_stages.score_classifier(load_config(a), a.model, a.crf, a.manifest, a.out, a.results)


def _attribution_compare(a: argparse.Namespace) -> None:
    from dfdm.commands import classifier_stages

    classifier_stages.compare_classifiers(load_config(a), a.out, a.results)


def _predict(a: argparse.Namespace) -> None:
    from dfdm.commands import stages

    sys.exit(stages.predict(load_config(a), a.videos, a.classifier, a.json, a.picture))


def _region(a: argparse.Namespace) -> None:
    from dfdm.commands import control_stages

    control_stages.region(load_config(a), a.clip, a.masters, a.original, a.track, a.out)


def _controls(a: argparse.Namespace) -> None:
    from dfdm.commands import control_stages

    control_stages.controls(load_config(a), a.classifier, a.crf, a.manifest, a.out, a.results)
