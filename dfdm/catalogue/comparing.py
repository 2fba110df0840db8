"""The comparison of a config's classifiers, gathered from a results folder (docs/attribution.md, Comparison)."""

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attribution.comparison import Entrant, beats, pooled
from attribution.intervals import Answers
from attribution.run import Run
from dfdm.base.errors import DfdmError
from dfdm.base.files import read_json, write_json
from dfdm.base.names import cluster_of
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import comparison_scores, seed_runs


def compare(cfg: Config, results: Path) -> dict[str, Any]:
    """The content of comparison.json; scores and rates that are not there yet are listed in `missing`."""
    comparison = cfg.comparison
    if comparison is None:
        raise DfdmError("this config has no comparison; add the section (docs/attribution.md, Comparison)")
    layout, missing = Layout(str(results)), list[str]()
    held: dict[tuple[Run, int], dict[str, Any]] = {}
    for run, crf in comparison_scores(cfg):
        if (path := Path(layout.scores(str(run), crf))).exists():
            held[run, crf] = read_json(path)
        else:
            missing.append(f"scores of {run} on crf {crf}")
    table, entrants = [], []
    for name in comparison.classifiers:
        runs = [run for run in seed_runs(cfg) if run.classifier == name and (run, comparison.crf) in held]
        rate = Path(layout.tune(name))
        if comparison.rates and not rate.exists():
            missing.append(f"learning rate of {name}")
        if runs:
            scores = [held[run, comparison.crf] for run in runs]
            line, entrant = _entry(layout, runs, scores, read_json(rate) if rate.exists() else None, cfg.seed)
            table.append(line)
            entrants.append(entrant)
    return {
        "crf": comparison.crf,
        "split": "scene",
        "budget": _budget(cfg, [held[key] for key in held if key[1] == comparison.crf]),
        "table": table,
        "beats": [beats(a, b, cfg.seed) for a, b in permutations(entrants, 2)],
        "matrix": [
            {
                **{"classifier": run.classifier, "split": run.split, "train": run.crf, "test": crf},
                "accuracy": scores["figures"]["accuracy"],
            }
            for (run, crf), scores in held.items()
            if run.classifier in comparison.matrix and run.seed == comparison.seeds[0]
        ],
        "missing": missing,
    }


def _entry(
    layout: Layout, runs: Sequence[Run], scores: Sequence[dict[str, Any]], rate: dict[str, Any] | None, seed: int
) -> tuple[dict[str, Any], Entrant]:
    """A classifier's line of the table, and what `beats` needs of it."""
    crf, classes, trainings = scores[0]["crf"], scores[0]["classes"], [entry["training"] for entry in scores]
    tables = [_predictions(Path(layout.scores(str(run), crf, "predictions.parquet")), classes) for run in runs]
    names = tables[0]["name"].tolist()
    for run, other in zip(runs, tables):
        if other["name"].tolist() != names:
            raise DfdmError(f"{run} was scored on other videos than {runs[0]}; score it again")
    clusters = [cluster_of(name) for name in names]
    _, index = np.unique(clusters, return_inverse=True)
    tests = [_test(table, classes, index) for table in tables]
    accuracy, macro_f1 = pooled(tests, seed)
    learned = all(training["learned"] for training in trainings)
    speeds = [_speed(layout, run, training) for run, training in zip(runs, trainings)]
    known = [speed for speed in speeds if speed is not None]
    line = {
        "classifier": runs[0].classifier,
        "model": trainings[0]["model"],
        "learned": learned,
        "rate": trainings[0]["lr"],
        "seeds": [run.seed for run in runs],
        "accuracies": [entry["figures"]["accuracy"]["value"] for entry in scores],
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "parameters": trainings[0]["parameters"],
        "multiply_adds": trainings[0]["multiply_adds"],
        "clips_per_second": float(np.mean(known)) if known else None,
    }
    tuned = (rate["epochs"], sorted(tried["lr"] for tried in rate["tried"])) if rate else None
    right = np.stack([test.truth == test.predicted for test in tests])
    at = (runs[0].classifier, learned, line["seeds"], names, clusters, right, tuned)
    return line, Entrant(*at, low=accuracy["low"], chance=scores[0]["chance"])


def _predictions(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, columns=["name", "truth", *(f"p_{name}" for name in classes)])
    except (OSError, ValueError) as error:
        raise DfdmError(f"{path} cannot be read ({' '.join(str(error).split())[:150]}); score again") from None
    return table.sort_values("name", ignore_index=True)


def _test(table: pd.DataFrame, classes: Sequence[str], index: np.ndarray) -> Answers:
    probabilities = table[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    truth = np.array([list(classes).index(name) for name in table["truth"]])
    return Answers(truth, probabilities.argmax(1), probabilities, index)


def _speed(layout: Layout, run: Run, training: dict[str, Any]) -> float | None:
    """Clips a second of a training, from speed.json beside it; None where it was not measured."""
    path = Path(layout.run(str(run), "speed.json"))
    found = read_json(path) if path.exists() else training
    return found.get("clips_per_second")


def _budget(cfg: Config, scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What every classifier was given; a value that differs between them is listed with all that occur."""
    assert cfg.comparison is not None
    trainings = [entry["training"] for entry in scores if entry["run"]["crf"] == str(cfg.comparison.crf)]
    found = {"steps": {training["steps"] for training in trainings if training["run"].split("/")[1] == "scene"}}
    for key in ("batch", "clip", "size", "epochs"):
        found[key] = {getattr(cfg.classifier(name), key) for name in cfg.comparison.classifiers}
    each = {key: min(values) if len(values) == 1 else sorted(values) for key, values in found.items() if values}
    return {**each, "rates": list(cfg.comparison.rates), "tune_epochs": cfg.comparison.tune_epochs}


def write_comparison(cfg: Config, results: Path, out: Path) -> dict[str, Any]:
    """Compare what the results folder holds and write it to `out`; nothing to compare is a DfdmError."""
    found = compare(cfg, results)
    if not found["table"]:
        raise DfdmError(f"{results} holds no scores of the comparison; run its trainings first")
    write_json(out, found)
    return found
