"""The stages, one function each: values and paths in, files out; what the commands and so the rules call.

torch is imported only inside the stages that need it, so that the others start in a third of a second; before it,
those stages take a GPU where there is one.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dfdm import __version__
from dfdm.base import devices
from dfdm.base.errors import DfdmError
from dfdm.base.files import digest, read_json, sha256, write_json
from dfdm.base.names import Encoded, encoded_of, person_of
from dfdm.base.progress import progress
from dfdm.catalogue import keys, sources
from dfdm.catalogue.config import Config
from dfdm.media.encoding import EncodeSettings, provenance_tags, write_master, write_quality
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord, probe, read_planes

if TYPE_CHECKING:
    from dfdm.media.detectors import Detector


def fetch_all(cfg: Config) -> list[Path]:
    """Bring every package file of the config into the cache."""
    return [sources.fetch(cfg.sources, file) for file in sources.files_of(cfg)]


def source(cfg: Config, scene_key: str, out: Path) -> None:
    """Fetch a scene's video where needed, decode it once and write its record."""
    scene = cfg.scene(scene_key)
    path = sources.fetch(cfg.sources, scene)
    record = probe(path, scene_key, keys.reference(cfg, scene), scene.frames)
    write_json(out, {**_plain(record), "notes": record.notes})
    print(
        f"{scene_key}: {record.frames} frames, {record.width}x{record.height}, {record.fps:.3f} a second", *record.notes
    )


def predictor(cfg: Config, out: Path) -> None:
    """Fetch the detector's landmark predictor where it has one; write the hashes of the model files."""
    files = [sources.fetch(cfg.sources, cfg.faces.predictor)] if cfg.faces.predictor else []
    if cfg.faces.weights:
        files += sorted(
            path for path in Path(cfg.faces.weights).expanduser().iterdir() if path.suffix in (".pth", ".tar")
        )
    write_json(out, {path.name: sha256(path) for path in files})


def identity(cfg: Config, out: Path) -> None:
    """Fetch the face recognition network where the config names one; write its hash."""
    files = [sources.fetch(cfg.sources, cfg.evaluate.identity)] if cfg.evaluate.identity else []
    write_json(out, {path.name: sha256(path) for path in files})


def faces(cfg: Config, record_file: Path, out: Path) -> None:
    """Find and follow the face of a scene."""
    from dfdm.media.tracks import track_planes

    record = _record(record_file)
    settings = cfg.faces
    if settings.detector == "face_alignment":  # the one that computes with torch
        devices.take(cfg.device)
    detector = _detector(cfg)
    planes = read_planes(_video_of(cfg, record), record)
    shown = progress(planes, record.frames, f"faces of {record.scene_key}", "frames")
    track = track_planes(shown, detector, record, settings)
    track.save(out)
    counts = track.counts
    print(
        f"{record.scene_key}: a face in {counts.with_face} of {counts.frames} frames, "
        f"several in {counts.several_faces}, {counts.cuts} cuts"
    )


def _detector(cfg: Config) -> "Detector":
    from dfdm.media import detectors

    settings = cfg.faces
    return detectors.build(
        settings.detector,
        predictor=sources.locate(cfg.sources, settings.predictor) if settings.predictor else None,
        weights=Path(settings.weights).expanduser() if settings.weights else None,
        upsample=settings.upsample,
        confidence=settings.confidence,
        device=cfg.device,
    )


def train(cfg: Config, model: str, pair: tuple[str, str], tracks: list[Path], out: Path) -> None:
    """Train one autoencoder on the scenes of two people; loss.csv and preview.png are written beside `out`."""
    devices.take(cfg.device)
    from generators.trainer import train as train_autoencoder

    if model not in cfg.models:
        raise DfdmError(f"'{model}' is no model of this config; known are {', '.join(cfg.models)}")
    loaded = [FaceTrack.load(path) for path in tracks]
    by_person: dict[str, list[tuple[Path, FaceTrack]]] = {person: [] for person in pair}
    for track in loaded:
        person = person_of(track.record.scene_key)
        if person not in by_person:
            raise DfdmError(f"the track of {track.record.scene_key} shows none of {' and '.join(pair)}; leave it out")
        by_person[person].append((_video_of(cfg, track.record), track))
    start = cfg.settings(model).start_file(model, pair)
    if start and not start.is_file():
        raise DfdmError(f"train.start_from: {start} is no file; mend the path or remove the key")
    made_of = {"version": __version__, "keys": keys.state_keys(cfg, model), "pair": pair}
    read = {"tracks": [sha256(path) for path in tracks], "start_from": sha256(start) if start else None}
    key = digest({**made_of, **read})
    state_dir = Path(cfg.state_dir or Path(cfg.results) / "state")
    train_autoencoder(
        model=model,
        pair=pair,
        tracks_a=by_person[pair[0]],
        tracks_b=by_person[pair[1]],
        settings=cfg.settings(model),
        seed=cfg.seed,
        device=cfg.device,
        key=key,
        state_dir=state_dir,
        out=out,
    )


def render(cfg: Config, track_file: Path, checkpoint: Path, out: Path) -> None:
    """Render a swap into its crf 0 master, with sidecar; the video's name says whose face to show."""
    devices.take(cfg.device)
    import torch

    from dfdm.base.training import resolve_device
    from generators.checkpoint import load
    from generators.swap import Swapper

    encoded = _master_name(out)
    name = encoded.name
    if name.pair is None:
        raise DfdmError(f"{out} is the name of an original, nothing to render; use 'dfdm original'")
    track = _track(track_file, name.scene_key)
    side: Literal["a", "b"] = "a" if name.face_id == name.pair[0] else "b"
    torch.set_num_threads(cfg.render.threads)
    model, about = load(checkpoint)
    if (about.model, about.pair) != (name.model, name.pair):
        raise DfdmError(f"{checkpoint} is {about.model} of {' and '.join(about.pair)}, which cannot make {name}")
    swapper = Swapper(model, about.centering, about.coverage, side, cfg.render, resolve_device(cfg.device))
    inputs = {"video": track.record.sha256, "track": sha256(track_file), "checkpoint": sha256(checkpoint)}
    planes = swapper.render(read_planes(_video_of(cfg, track.record), track.record), track)
    _write_master(cfg, encoded, track, planes, keys.render_keys(cfg), inputs, out)


def original(cfg: Config, track_file: Path, out: Path) -> None:
    """Encode an unswapped scene as its crf 0 master, with sidecar."""
    encoded = _master_name(out)
    if encoded.name.pair is not None:
        raise DfdmError(f"{out} is the name of a swap; an original is called like id0_0003_real.mp4")
    track = _track(track_file, encoded.name.scene_key)
    inputs = {"video": track.record.sha256, "track": sha256(track_file)}
    planes = read_planes(_video_of(cfg, track.record), track.record)
    _write_master(cfg, encoded, track, planes, {"encode": keys.encode_keys(cfg)}, inputs, out)


def _write_master(
    cfg: Config,
    encoded: Encoded,
    track: FaceTrack,
    planes: Any,
    determined_by: dict[str, Any],
    inputs: dict[str, str],
    out: Path,
) -> None:
    from dfdm.dataset.sidecar import provenance, write_sidecar

    facts = provenance(encoded, determined_by, inputs, track)
    frames = progress(planes, track.record.frames, f"render {encoded.name}", "frames")
    write_master(out, frames, track.record, _video_of(cfg, track.record), _encoder(cfg), provenance_tags(facts))
    write_sidecar(out, track, facts)


def encode(cfg: Config, master: Path, track_file: Path, out: Path) -> None:
    """Encode a master at the crf that the path of `out` names, with sidecar."""
    from dfdm.dataset.sidecar import provenance, read_sidecar, write_sidecar

    encoded, source_video = encoded_of(out), encoded_of(master)
    if encoded.name != source_video.name or source_video.crf != 0 or encoded.crf == 0:
        raise DfdmError(f"{master} at crf {source_video.crf} cannot give {out}; encode from the crf 0 of the same name")
    track = _track(track_file, encoded.name.scene_key)
    made_by = read_sidecar(master)
    if not isinstance(made_by.get("inputs"), dict) or "origin" not in made_by:
        raise DfdmError(f"{master.with_suffix('.json')} is no sidecar of a master; delete it and render again")
    inputs = {**made_by["inputs"], "master": sha256(master)}
    facts = provenance(encoded, {"encode": keys.encode_keys(cfg)}, inputs, track)
    write_quality(out, master, encoded.crf, _encoder(cfg), provenance_tags(facts))
    write_sidecar(out, track, facts)


def evaluate(
    cfg: Config,
    model: str,
    pair: tuple[str, str],
    tracks: list[Path],
    masters: list[Path],
    checkpoint: Path,
    out: Path,
) -> None:
    """Measure how good one training's swaps are, from their crf 0 masters, on frames it never saw."""
    devices.take(cfg.device)
    from dfdm.base.training import resolve_device
    from dfdm.media.identity import Embedder
    from generators.checkpoint import load
    from generators.evaluate import Scene, Tools, check_pair, set_threads
    from generators.evaluate import evaluate as measure

    if model not in cfg.models:
        raise DfdmError(f"'{model}' is no model of this config; known are {', '.join(cfg.models)}")
    set_threads(1)
    device = resolve_device(cfg.device)
    weights, about = load(checkpoint, device)
    check_pair(about, model, pair, checkpoint)
    swaps = {}
    for master in masters:
        name = _master_name(master).name
        if (name.model, name.pair) != (model, pair):
            raise DfdmError(f"{master} is no swap by {model} of {' and '.join(pair)}; leave it out")
        swaps[name.scene_key] = (name, master)
    loaded = {track.record.scene_key: track for track in map(FaceTrack.load, tracks)}
    if strangers := [key for key in loaded if person_of(key) not in pair]:
        raise DfdmError(f"the track of {strangers[0]} shows none of {' and '.join(pair)}; leave it out")
    if lacking := sorted(swaps.keys() - loaded.keys()):
        raise DfdmError(f"--tracks lacks the track of {lacking[0]}, which {swaps[lacking[0]][1].name} shows")
    network = sources.locate(cfg.sources, cfg.evaluate.identity) if cfg.evaluate.identity else None
    embedder = Embedder(network) if network else None
    tools = Tools(weights, about, cfg.render, _detector(cfg), embedder, device)
    scenes = [
        Scene(_video_of(cfg, track.record), track, *swaps.get(key, (None, None))) for key, track in loaded.items()
    ]
    found = measure(tools, scenes, cfg.settings(model).held_out, cfg.evaluate)
    made_on = {
        "version": __version__,
        "keys": keys.evaluate_keys(cfg, model),
        "checkpoint": sha256(checkpoint),
        "iterations": about.iterations,
        "tracks": {track.record.scene_key: sha256(path) for path, track in zip(tracks, loaded.values())},
        "masters": {master.name: sha256(master) for master in masters},
        "identity": sha256(network) if network else None,
    }
    write_json(out, {"model": model, "pair": list(pair), "computed_on": made_on, **found})
    if network is None:
        print("identity was not measured: the config's evaluate.identity is null")


def evaluation(cfg: Config) -> str:
    """The table of how good every model's swaps are, from what the results folder holds."""
    from dfdm.report.evaluation import format_table, read_evaluations

    missing: list[str] = []
    found = read_evaluations(cfg, Path(cfg.results), missing)
    if not found:
        raise DfdmError(f"{cfg.results} holds no evaluation; run 'snakemake --cores all evaluation' first")
    return "\n".join([format_table(found), *(f"missing: {line}" for line in missing)])


def crops(cfg: Config, video: Path, track_file: Path, out: Path) -> None:
    """Cut the face crops of an encoded video along its scene's track."""
    from dfdm.dataset.crops import write_crops

    encoded = encoded_of(video)
    track = _track(track_file, encoded.name.scene_key)
    about = {"name": str(encoded.name), "model": encoded.name.model, "crf": encoded.crf, "video": sha256(video)}
    write_crops(out, video, track, cfg.crops.margin, cfg.crops.smooth, about)


def collect(cfg: Config, layout: str, root: Path, out: Path) -> None:
    """Bring data made elsewhere into crops and manifests; videos are cropped first."""
    if layout in ("videos", "faceforensics") and cfg.faces.detector == "face_alignment":
        devices.take(cfg.device)
    from dfdm.catalogue.collect import collect as bring

    table = bring(layout, root, out, cfg, lambda: _detector(cfg))
    counts = ", ".join(f"{model} {count}" for model, count in table["model"].value_counts(sort=False).items())
    print(f"{out / 'manifest.parquet'}: {len(table)} videos ({counts})")


def manifest(cfg: Config, target: str, out: Path, results: Path | None = None) -> None:
    """Merge the sidecars of a target's videos; `results`: where they lie, None for the config's folder."""
    from dfdm.catalogue.manifest import build_manifest, write_manifest

    table = build_manifest(cfg, target, results or Path(cfg.results))
    write_manifest(table, out)
    print(f"{target}: {len(table)} videos, {table['bytes'].sum() / 1e6:.1f} MB")


def predict(
    cfg: Config, videos: list[Path], classifier: Path, json_out: Path | None = None, picture: Path | None = None
) -> int:
    """Say which model made each video, on stdout; `json_out` (`-`: stdout, and nothing else there) for machines.

    `picture`: a .png for a single video, or a folder, where each video gets one. A video without an answer is one
    line on stderr and does not stop the others. Returns the exit status: 0 all answered, 2 none, 3 some.
    """
    devices.take(cfg.device)
    from attribution.predict import predict_all
    from attribution.predictor import identifier
    from dfdm.base.training import resolve_device

    if cfg.faces.predictor:
        sources.fetch(cfg.sources, cfg.faces.predictor)
    tools = identifier(classifier, _detector(cfg), cfg.faces, cfg.crops, resolve_device(cfg.device))
    return predict_all(tools, videos, json_out, picture)


def report(cfg: Config, out: Path, results: Path | None = None) -> None:
    """Build the report from what the results folder holds; `results`: that folder, None for the config's."""
    from dfdm.report.build import build

    build(cfg, results or Path(cfg.results), out)


def _plain(record: VideoRecord) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(record)


def _record(path: Path) -> VideoRecord:
    values = read_json(path)
    if not isinstance(values, dict):
        raise DfdmError(f"{path} is no record of a video; delete it and run the sources stage again")
    return VideoRecord.from_dict({key: value for key, value in values.items() if key != "notes"})


def _video_of(cfg: Config, record: VideoRecord) -> Path:
    """Where the video of a record lies on this machine."""
    return sources.locate(cfg.sources, cfg.scene(record.scene_key))


def _track(path: Path, scene_key: str) -> FaceTrack:
    track = FaceTrack.load(path)
    if track.record.scene_key != scene_key:
        raise DfdmError(f"{path} is the track of {track.record.scene_key}, not of {scene_key}; give the right one")
    return track


def _master_name(out: Path) -> Encoded:
    encoded = encoded_of(out)
    if encoded.crf != 0:
        raise DfdmError(f"{out}: only the crf 0 master is rendered; the other qualities are made by 'dfdm encode'")
    return encoded


def _encoder(cfg: Config) -> EncodeSettings:
    return EncodeSettings(cfg.encode.preset, cfg.encode.threads)
