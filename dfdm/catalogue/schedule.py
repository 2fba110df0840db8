"""The trainings of classifiers that a config asks for, and the qualities on which each is scored."""

from attribution.run import ALL, Run
from dfdm.catalogue.config import Config
from dfdm.dataset.splits import made


def main_runs(cfg: Config) -> list[Run]:
    """What `attribution` asks for: one training a quality, scored on that quality; none where no split is made."""
    settings = cfg.attribution
    if not made(cfg.splits):
        return []
    return [Run(settings.model, settings.split, str(crf), cfg.seed) for crf in cfg.qualities]


def seed_runs(cfg: Config) -> list[Run]:
    """Every classifier of `comparison`, every seed, at one quality of the scene split."""
    if cfg.comparison is None:
        return []
    crf, hidden = str(cfg.comparison.crf), cfg.controls and cfg.controls.background
    names = [name for name in cfg.comparison.classifiers if name != hidden]  # a control is not a contender
    return [Run(name, "scene", crf, seed) for name in names for seed in cfg.comparison.seeds]


def matrix_runs(cfg: Config) -> list[Run]:
    """`comparison.matrix`: trained on every quality and on all together, one seed, each split."""
    if cfg.comparison is None:
        return []
    rows = [*map(str, cfg.qualities), ALL]
    one, seed = cfg.comparison, cfg.comparison.seeds[0]
    return [Run(name, split, crf, seed) for name in one.matrix for split in one.splits for crf in rows]


def checked_runs(cfg: Config) -> list[Run]:
    """The trainings whose scores get controls: each of `controls.classifiers` at every quality."""
    names = cfg.controls.classifiers if cfg.controls else []
    return [Run(name, cfg.attribution.split, str(crf), cfg.seed) for name in names for crf in cfg.qualities]


def background_run(cfg: Config, crf: int | str) -> Run | None:
    """The training on the background alone at a quality, where `controls` names one."""
    name = cfg.controls.background if cfg.controls else None
    return Run(name, cfg.attribution.split, str(crf), cfg.seed) if name else None


def control_runs(cfg: Config) -> list[Run]:
    """What `controls` reads: its classifiers, and the one of the background alone, at every quality."""
    hidden = [run for crf in cfg.qualities if (run := background_run(cfg, crf))] if cfg.controls else []
    return [*checked_runs(cfg), *hidden]


def scored(cfg: Config) -> list[tuple[Run, int]]:
    """Every run that any target asks for, with the qualities that it is scored on, each once."""
    own = [(run, int(run.crf)) for run in [*main_runs(cfg), *control_runs(cfg)]]
    return list(dict.fromkeys([*own, *comparison_scores(cfg), *unseen_scores(cfg)]))


def unseen_runs(cfg: Config) -> list[Run]:
    """Every training of `unseen`: each classifier, fold, quality and seed."""
    if cfg.unseen is None:
        return []
    one, folds = cfg.unseen, cfg.splits.folds
    return [
        Run(name, fold, str(crf), seed)
        for name in one.classifiers
        for crf in one.train
        for seed in one.seeds
        for fold in folds
    ]


def unseen_scores(cfg: Config) -> list[tuple[Run, int]]:
    """The trainings of `unseen`, each with every quality that it is scored on."""
    return [(run, crf) for run in unseen_runs(cfg) for crf in cfg.qualities]


def unseen_treated(cfg: Config) -> list[tuple[Run, int, str]]:
    """The trainings of `unseen`, each with every treatment that it is scored on, and of which quality."""
    one = cfg.unseen
    return [(run, one.treated, name) for run in unseen_runs(cfg) for name in one.treatments] if one else []


def comparison_runs(cfg: Config) -> list[Run]:
    """Every training of the comparison, each once."""
    return list(dict.fromkeys([*seed_runs(cfg), *matrix_runs(cfg)]))


def comparison_scores(cfg: Config) -> list[tuple[Run, int]]:
    """The comparison's runs and the qualities that each is scored on, each once."""
    found = [(run, cfg.comparison.crf) for run in seed_runs(cfg)] if cfg.comparison else []
    found += [(run, crf) for run in matrix_runs(cfg) for crf in cfg.qualities]
    return list(dict.fromkeys(found))
