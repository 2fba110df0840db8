"""The stages of the controls (docs/attribution.md): a clip's region, and what a quality's scores are worth."""

from pathlib import Path

from dfdm.base import devices
from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, encoded_of
from dfdm.base.text import percent
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import background_run, checked_runs
from dfdm.media.tracks import FaceTrack


def region(cfg: Config, clip: str, masters: list[Path], original: Path, track_file: Path, out: Path) -> None:
    """Write the region of a clip: the crf 0 masters of all models of the config, the original's, the scene's track."""
    from attribution.region import Region, write_region

    track = FaceTrack.load(track_file)
    found = {}
    for path in masters:
        video = encoded_of(path)
        if video.name.clip != clip or video.crf != 0:
            raise DfdmError(f"{path} is no crf 0 master of {clip}; leave it out")
        found[video.name.model] = path
    if lacking := [model for model in cfg.models if model not in found]:
        raise DfdmError(f"--masters lacks {lacking[0]} of {clip}; one region stands for all models")
    before = encoded_of(original)
    scene = track.record.scene_key
    if (before.name.model, before.crf, before.name.scene_key) != (REAL, 0, scene):
        raise DfdmError(f"{original} is not the crf 0 original of {scene}, whose track was given")
    if encoded_of(masters[0]).name.scene_key != scene:
        raise DfdmError(f"{track_file} is the track of {scene}, which {clip} does not show; give the right one")
    write_region(out, clip, track, original, {model: found[model] for model in cfg.models})
    print(f"{clip}: {len(track)} frames, the outline grown by at most {Region(out).about['grown']} blocks")


def controls(
    cfg: Config, classifier: str, crf: int, manifest_file: Path, out: Path, results: Path | None = None
) -> None:
    """Write the controls of a classifier's score at one quality.

    `results`: where runs and crops lie, None for the config's folder.
    """
    run = next((run for run in checked_runs(cfg) if (run.classifier, run.crf) == (classifier, str(crf))), None)
    if cfg.controls is None or run is None:
        raise DfdmError(
            f"this config's controls do not hold {classifier} at crf {crf}; add it to controls.classifiers "
            "(docs/attribution.md, Controls)"
        )
    devices.take(cfg.device)
    from attribution.controls import run_controls

    layout, other = Layout(str(results or cfg.results)), background_run(cfg, crf)
    found = run_controls(
        model=Path(layout.run(str(run))),
        scores=Path(layout.scores(str(run), crf)),
        manifest=manifest_file,
        crops=Path(layout.crops_root),
        permutations=cfg.controls.permutations,
        device=cfg.device,
        background_scores=Path(layout.scores(str(other), crf)) if other else None,
        out=out,
    )
    low, high = percent(found.permuted.low, 1), percent(found.permuted.high, 1)
    print(f"{run}: permuted labels {low} to {high}, trivial cues {percent(found.trivial.figures.accuracy.value, 1)}")
