"""The classifiers' stages, as dfdm/commands/stages.py has the others: values and paths in, files out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attribution.run import Run
from attribution.settings import AttributionConfig
from dfdm import __version__
from dfdm.base import devices
from dfdm.base.errors import DfdmError
from dfdm.base.files import digest, read_json, sha256
from dfdm.catalogue import keys
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import scored

if TYPE_CHECKING:
    import pandas as pd

    from attribution.experiment import Places


def train_classifier(
    cfg: Config, run: Run, manifests: Sequence[Path], out: Path, results: Path | None = None, rate: Path | None = None
) -> None:
    """Train a classifier; its files go into the folder `out`.

    `results`: where crops and regions lie, None for the config's folder; `rate`: what `tune_classifier` wrote, which
    goes before the config's lr.
    """
    devices.take(cfg.device)
    from attribution.experiment import train as train_run

    settings = cfg.classifier(run.classifier)
    if rate:
        chosen = read_json(rate)
        if chosen.get("classifier") != run.classifier:
            raise DfdmError(f"{rate} holds no rate of {run.classifier}; give its own, or leave --tune out")
        settings = settings.model_copy(update={"lr": chosen["lr"]})
    places = _places(cfg, manifests, results)
    about = train_run(run, settings, cfg.classes, places, cfg.device, _made_of(cfg, settings), out)
    print(
        f"{run}: epoch {about['epoch']} of {about['epochs']}, validation accuracy {about['validation_accuracy']:.1%}, "
        f"training accuracy {about['training_accuracy']:.1%}" + ("" if about["learned"] else ": not learned")
    )


def tune_classifier(cfg: Config, classifier: str, manifest_file: Path, out: Path, results: Path | None = None) -> None:
    """Choose a classifier's learning rate among `comparison.rates` by validation; written to `out`."""
    devices.take(cfg.device)
    from attribution.experiment import tune

    if cfg.comparison is None or not cfg.comparison.rates:
        raise DfdmError("comparison.rates lists no learning rates; add some, or train at attribution.lr")
    settings, places = cfg.classifier(classifier), _places(cfg, [manifest_file], results)
    run = Run(classifier, "scene", str(cfg.comparison.crf), cfg.comparison.seeds[0])
    found = tune(
        cfg.comparison.rates,
        cfg.comparison.tune_epochs,
        run,
        settings,
        cfg.classes,
        places,
        cfg.device,
        _made_of(cfg, settings),
        out,
    )
    print(f"{classifier}: lr {found['lr']:g}, the best of {len(found['tried'])} by validation")


def score_classifier(
    cfg: Config, model: Path, crf: int, manifest_file: Path, out: Path, results: Path | None = None
) -> None:
    """Score a trained classifier on the test videos of one quality; its files go into the folder `out`."""
    devices.take(cfg.device)
    from attribution.experiment import score_run
    from dfdm.catalogue.seen import autoencoder_saw

    def saw(rows: "pd.DataFrame") -> float | None:
        return autoencoder_saw(rows, cfg, results or Path(cfg.results))

    scores = score_run(model, _places(cfg, [manifest_file], results), crf, cfg.device, out, saw)
    figure = scores["figures"]["accuracy"]
    print(f"crf {crf}: accuracy {figure['value']:.1%} on {scores['videos']} videos, chance {scores['chance']:.1%}")


def compare_classifiers(cfg: Config, out: Path, results: Path | None = None) -> None:
    """Set the classifiers of `comparison` side by side, from what the results folder holds."""
    from dfdm.catalogue.comparing import write_comparison

    if cfg.comparison is None:
        raise DfdmError("this config has no comparison; add the section (docs/attribution.md, Comparison)")
    write_comparison(cfg, results or Path(cfg.results), out)


def scores(cfg: Config) -> str:
    """The score tables: every run that was scored, and the comparison where it was made."""
    from attribution.comparison import format_comparison
    from attribution.score import format_table

    layout = Layout(cfg.results)
    files = [Path(layout.scores(str(run), crf)) for run, crf in scored(cfg)]
    found = [read_json(path) for path in files if path.exists()]
    if not found:
        raise DfdmError(f"{cfg.results} holds no scores; run 'snakemake --cores all attribution' first")
    text = format_table(found)
    compared = Path(layout.comparison)
    return f"{text}\n\n{format_comparison(read_json(compared))}" if cfg.comparison and compared.exists() else text


def _places(cfg: Config, manifests: Sequence[Path], results: Path | None) -> "Places":
    from attribution.experiment import Places

    layout = Layout(str(results or cfg.results))
    state = Path(cfg.state_dir or Path(cfg.results) / "state")
    return Places(manifests, Path(layout.crops_root), Path(layout.regions_root), state)


def _made_of(cfg: Config, settings: AttributionConfig) -> str:
    """The hash of what lies behind a classifier's videos."""
    weights = settings.weights and sha256(Path(settings.weights).expanduser())
    return digest({"version": __version__, "crops": keys.crops_keys(cfg), "weights": weights})
