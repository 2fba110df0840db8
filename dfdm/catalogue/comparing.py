"""Which runs of a results folder a config's comparison compares."""

from pathlib import Path

from attribution.comparison import ScoredRun, compare
from attribution.results import Comparison
from attribution.run import Run
from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import matrix_runs, seed_runs


def compare_runs(cfg: Config, results: Path) -> Comparison:
    """The comparison of what the results folder contains; nothing to compare is a DfdmError."""
    chosen, layout = cfg.comparison, Layout(str(results))
    if chosen is None:
        raise DfdmError("this config has no comparison; add the section (docs/attribution.md, Comparison)")

    def scored(run: Run, crf: int) -> ScoredRun:
        name = str(run)
        return ScoredRun(run, crf, Path(layout.scores(name, crf)), Path(layout.run(name, "speed.json")))

    return compare(
        chosen,
        settings={name: cfg.classifier(name) for name in chosen.classifiers},
        seeds=[scored(run, chosen.crf) for run in seed_runs(cfg)],
        matrix=[scored(run, crf) for run in matrix_runs(cfg) for crf in cfg.qualities],
        tunes={name: Path(layout.tune(name)) for name in chosen.classifiers},
        seed=cfg.seed,
    )
