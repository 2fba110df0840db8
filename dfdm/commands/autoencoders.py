"""The commands on autoencoders: train one, measure its swaps, exchange its weights with the original program."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dfdm import __version__
from dfdm.base import devices
from dfdm.base.errors import DfdmError
from dfdm.base.files import digest, sha256
from dfdm.base.names import VideoName, pair_of, person_of
from dfdm.base.records import Source, checked, keep

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config


def train(cfg: "Config", model: str, pair: tuple[str, str], tracks: list[Path], out: Path) -> None:
    """Train one autoencoder on the scenes of two people.

    Args:
        model: the autoencoder's name, as config lists it under models
        pair: the two people, in any order
        tracks: the tracks of their scenes
        out: the weights (.safetensors); loss.csv and preview.png are written next to it

    Example:
        dfdm train --model iae --pair id0 id1 --tracks results/faces/id0_*.npz results/faces/id1_*.npz \\
          --out results/train/id0_id1/iae/model.safetensors
    """
    devices.take(cfg.device)
    from dfdm.catalogue import keys
    from dfdm.commands.inputs import check_model, state_dir, tracks_of, video_of
    from dfdm.media.identity import check_person
    from generators import trainer

    check_model(cfg, model)
    pair = pair_of(*pair)
    shown = [(video_of(cfg, track.record), track) for track in tracks_of(tracks, pair)]
    if cfg.faces.person_distance is not None:
        for person in pair:
            of = [track for _, track in shown if person_of(track.record.scene_key) == person]
            check_person(person, [piece for track in of for piece in track.pieces], cfg.faces.person_distance)
    start = cfg.settings(model).start_file(model, pair)
    if start and not start.is_file():
        raise DfdmError(f"train.start_from: {start} is not a file; correct the path or remove the key")
    made_of = {"version": __version__, "keys": keys.state_keys(cfg, model), "pair": pair}
    began = [Source.of(start)] if start else []
    read = {"tracks": [sha256(path) for path in tracks], "start_from": began[0].sha256 if began else None}
    tracks_a, tracks_b = (
        [(path, track) for path, track in shown if person_of(track.record.scene_key) == person] for person in pair
    )
    trainer.train(
        model=model,
        pair=pair,
        tracks_a=tracks_a,
        tracks_b=tracks_b,
        settings=cfg.settings(model),
        seed=cfg.seed,
        device=cfg.device,
        key=digest({**made_of, **read}),
        state_dir=state_dir(cfg),
        out=out,
    )
    keep("train", out, out.with_name("loss.csv"), out.with_name("preview.png"), sources=began)


def evaluate(
    cfg: "Config",
    model: str,
    pair: tuple[str, str],
    tracks: list[Path],
    masters: list[Path],
    checkpoint: Path,
    out: Path,
) -> None:
    """Measure how good the swaps of one training are, on frames that it never saw.

    The table of all trainings is 'dfdm scores --evaluate'.

    Args:
        model: the autoencoder's name
        pair: the two people, in any order
        tracks: the tracks of their scenes
        masters: the crf 0 masters of the model's swaps of them
        checkpoint: the weights
        out: the figures (.json)

    Example:
        dfdm evaluate --model iae --pair id0 id1 --tracks results/faces/*.npz \\
          --masters results/dataset/DFDM_crf0/iae/*.mp4 \\
          --checkpoint results/train/id0_id1/iae/model.safetensors --out iae.json
    """
    devices.take(cfg.device)
    from dfdm.base.compute import resolve_device
    from dfdm.catalogue import keys, sources
    from dfdm.commands.inputs import check_model, detector_of, master_name, tracks_of, video_of
    from dfdm.media.identity import Embedder
    from generators import checkpoint as checkpoints
    from generators.evaluate import Scene, Tools, check_pair, set_threads
    from generators.evaluate import evaluate as measure

    check_model(cfg, model)
    pair = pair_of(*pair)
    set_threads(1)
    device = resolve_device(cfg.device)
    weights, about = checkpoints.load(checkpoint, device)
    check_pair(about, model, pair, checkpoint)
    swaps: dict[str, tuple[VideoName, Path]] = {}
    for master in masters:
        name = master_name(master).name
        if (name.model, name.pair) != (model, pair):
            raise DfdmError(f"{master} is not a swap by {model} of {' and '.join(pair)}; leave it out")
        if swaps.setdefault(name.scene_key, (name, master)) != (name, master):
            raise DfdmError(f"--masters has {swaps[name.scene_key][1]} and {master} of one clip; give each once")
    loaded = {track.record.scene_key: track for track in tracks_of(tracks, pair)}
    if lacking := sorted(swaps.keys() - loaded.keys()):
        raise DfdmError(f"--tracks has no track of {lacking[0]}, which {swaps[lacking[0]][1].name} shows")
    network = sources.locate(cfg.sources, cfg.evaluate.identity) if cfg.evaluate.identity else None
    tools = Tools(weights, about, cfg.render, detector_of(cfg), Embedder(network) if network else None, device)
    scenes = [Scene(video_of(cfg, track.record), track, *swaps.get(key, (None, None))) for key, track in loaded.items()]
    computed_on = {
        "version": __version__,
        "keys": keys.evaluate_keys(cfg, model),
        "checkpoint": sha256(checkpoint),
        "iterations": about.iterations,
        "tracks": {key: sha256(path) for path, key in zip(tracks, loaded)},
        "masters": {master.name: checked(master) for master in masters},
        "identity": sha256(network) if network else None,
    }
    measure(tools, scenes, cfg.settings(model).held_out, cfg.evaluate, computed_on).write(out)
    keep("evaluate", out)
    if network is None:
        print("identity was not measured: the config's evaluate.identity is null")


def import_weights(
    weights: Path,
    /,
    model: str,
    pair: tuple[str, str],
    out: Path,
    width: float | None = None,
    centering: str | None = None,
    coverage: float | None = None,
    mask: str | None = None,
    padding: Literal["zero", "reflect"] | None = None,
    iterations: int | None = None,
    state: Path | None = None,
) -> None:
    """Make a finished model out of the original's weights.

    What the weights do not show is read from the original's state file, or given here.

    Args:
        weights: its model file (.keras, or .h5 of 2021), or arrays (.npz), keys <part>/<number> such as decoder_a/0
        model: the autoencoder's name; the original's own names, original and dfl-h128, are understood
        pair: the people of its sides A and B
        out: the model (.safetensors)
        width: factor on the channel counts; default: 1, the original size
        centering: the centering it was trained with: legacy, face or head
        coverage: the coverage it was trained with, 0 to 1: 0.875 in 2021, 1 today
        mask: the mask it was trained with: components or extended; default: extended
        padding: of its convolutions; reflect is refused, since these models do not have it
        iterations: iterations of its training; default: 0, not known
        state: the original's <model>_state.json; default: the one next to the weights, where there is one

    Example:
        dfdm weights import original.keras --model original --pair id0 id1 --out model.safetensors
    """
    from generators.exchange import described, import_file, known, padding_of, state_of

    model, shown = known(model), padding_of(weights)
    given = {"centering": centering, "coverage": coverage, "mask": mask, "iterations": iterations, "width": width}
    given["padding"] = padding or shown
    settings, done = described(state or state_of(weights, model), given, model)
    meta = import_file(weights, model, pair, settings, done, out)
    print(
        f"{out}: {meta.model} at width {meta.width:g}, side a {meta.pair[0]}, side b {meta.pair[1]}, "
        f"centering {meta.centering}, coverage {meta.coverage:g}, mask {meta.mask}, {meta.iterations} iterations"
    )


def export_weights(model: Path, /, out: Path, into: Path | None = None, pair: tuple[str, str] | None = None) -> None:
    """Write a finished model's weights for the original.

    Args:
        model: the model (.safetensors)
        out: the arrays (.npz, .keras, .h5): an .npz has the keys <part>/<number>, the others are a copy of --into
        into: the original's model file of the same kind; the copy has the model's arrays, all else is as it was
        pair: the people of the original's sides A and B; default: as they are here

    Example:
        dfdm weights export model.safetensors --into original.keras --out swapped/original.keras
    """
    from generators.exchange import export_file

    if out.suffix != (wanted := into.suffix if into else ".npz"):
        raise DfdmError(f"--out is {out}, and is to end in {wanted}, as what is written; correct the name")
    meta = export_file(model, out, pair, into)
    sides = pair or meta.pair
    print(f"{out}: {meta.model} at width {meta.width:g}, side A {sides[0]}, side B {sides[1]}")
