"""Which runs of a results folder a config's comparison compares, and which are of people nobody saw."""

from pathlib import Path

import pandas as pd

from attribution.comparison import ScoredRun, compare
from attribution.results import Comparison, Unseen
from attribution.run import Run
from attribution.unseen import gather, predictions, summarise
from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import matrix_runs, seed_runs, unseen_scores, unseen_treated
from generators.models import output_size


def compare_runs(cfg: Config, results: Path) -> Comparison:
    """The comparison of what the results folder contains; nothing to compare is a DfdmError."""
    chosen, layout = cfg.comparison, Layout(str(results))
    if chosen is None:
        raise DfdmError("this config has no comparison; add the section (docs/attribution.md, Comparison)")

    return compare(
        chosen,
        settings={name: cfg.classifier(name) for name in chosen.classifiers},
        seeds=[_scored(layout, run, chosen.crf) for run in seed_runs(cfg)],
        matrix=[_scored(layout, run, crf) for run in matrix_runs(cfg) for crf in cfg.qualities],
        tunes={name: Path(layout.tune(name)) for name in chosen.classifiers},
        seed=cfg.seed,
    )


def unseen_people(cfg: Config, results: Path) -> tuple[Unseen, pd.DataFrame]:
    """The scores of every fold together, and every prediction behind them."""
    layout = Layout(str(results))
    if cfg.unseen is None:
        raise DfdmError("this config has no section unseen; add it (docs/attribution.md, Unseen people)")
    plain = [_scored(layout, run, crf) for run, crf in unseen_scores(cfg)]
    columns = gather([*plain, *(_scored(layout, *treated) for treated in unseen_treated(cfg))])
    sizes: dict[str, list[str]] = {}
    for model in cfg.models:
        sizes.setdefault(f"{output_size(model)} px", []).append(model)
    groups = {size: models for size, models in sizes.items() if len(models) > 1}
    return summarise(columns, cfg.classes, groups), predictions(columns)


def _scored(layout: Layout, run: Run, crf: int, treatment: str | None = None) -> ScoredRun:
    scores, speed = layout.scores(str(run), crf, treatment=treatment), layout.run(str(run), "speed.json")
    return ScoredRun(run, crf, Path(scores), Path(speed), treatment)
