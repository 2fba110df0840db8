"""The commands that make the dataset: render, encode, cut crops, list what is there; and data made elsewhere."""

import sys
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any, Literal

from dfdm.base import devices
from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.names import REAL, encoded_of
from dfdm.base.records import checked, keep
from dfdm.base.text import size_text

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config
    from dfdm.media.tracks import FaceTrack


def render(cfg: "Config", track: Path, checkpoint: Path, out: Path) -> None:
    """Render a swap as its crf 0 master; the video's name says whose face to show.

    Args:
        track: the track of the scene
        checkpoint: the weights
        out: the video, as DFDM_crf0/<model>/<name>.mp4; its sidecar is written next to it

    Example:
        dfdm render --track results/faces/id0_0000.npz --checkpoint results/train/id0_id1/iae/model.safetensors \\
          --out results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4
    """
    devices.take(cfg.device)
    import torch

    from dfdm.base.compute import resolve_device
    from dfdm.catalogue import keys
    from dfdm.commands.inputs import master_name, track_of, video_of
    from dfdm.media.video import read_planes
    from generators.checkpoint import load
    from generators.swap import Swapper

    name = master_name(out).name
    if name.pair is None:
        raise DfdmError(f"{out} is the name of an original, nothing to render; use 'dfdm original'")
    scene = track_of(track, name.scene_key)
    torch.set_num_threads(cfg.render.threads)
    model, about = load(checkpoint)
    if (about.model, about.pair) != (name.model, name.pair):
        raise DfdmError(f"{checkpoint} is {about.model} of {' and '.join(about.pair)}, which cannot make {name}")
    side: Literal["a", "b"] = "a" if name.face_id == name.pair[0] else "b"
    swapper = Swapper(model, about.centering, about.coverage, side, cfg.render, resolve_device(cfg.device))
    video = video_of(cfg, scene.record)
    planes = swapper.render(read_planes(video, scene.record), scene)
    inputs = {"track": sha256(track), "checkpoint": sha256(checkpoint)}
    _write_master(cfg, "render", video, scene, planes, keys.render_keys(cfg), out, **inputs)


def original(cfg: "Config", track: Path, out: Path) -> None:
    """Encode an unswapped scene as its crf 0 master.

    Args:
        track: the track of the scene
        out: the video, as DFDM_crf0/real/<name>.mp4; its sidecar is written next to it

    Example:
        dfdm original --track results/faces/id0_0000.npz --out results/dataset/DFDM_crf0/real/id0_0000_real.mp4
    """
    from dfdm.catalogue import keys
    from dfdm.commands.inputs import master_name, track_of, video_of
    from dfdm.media.video import read_planes

    name = master_name(out).name
    if name.pair is not None:
        raise DfdmError(f"{out} is the name of a swap; an original is called like id0_0003_real.mp4")
    scene = track_of(track, name.scene_key)
    video = video_of(cfg, scene.record)
    made_by = {"encode": keys.encode_keys(cfg)}
    _write_master(cfg, "original", video, scene, read_planes(video, scene.record), made_by, out, track=sha256(track))


def _write_master(
    cfg: "Config",
    stage: str,
    video: Path,
    scene: "FaceTrack",
    planes: Any,
    made_by: dict[str, Any],
    out: Path,
    **inputs: str,
) -> None:
    from dfdm.base.progress import progress
    from dfdm.dataset.sidecar import provenance, write_sidecar
    from dfdm.media.encoding import provenance_tags, write_master

    record = scene.record
    facts = provenance(encoded_of(out), made_by, {"video": record.sha256, **inputs}, scene)
    frames = progress(planes, record.frames, f"render {out.stem}", "frames")
    write_master(out, frames, record, video, cfg.encode, provenance_tags(facts))
    write_sidecar(out, scene, facts)
    keep(stage, out, out.with_suffix(".json"))


def encode(cfg: "Config", master: Path, track: Path, out: Path) -> None:
    """Encode a master at another crf, the one that the path of the new video names.

    Args:
        master: the crf 0 master
        track: the track of the scene
        out: the video, as DFDM_crf<n>/<model>/<name>.mp4; its sidecar is written next to it

    Example:
        dfdm encode --master results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 --track results/faces/id0_0000.npz \\
          --out results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4
    """
    from dfdm.catalogue import keys
    from dfdm.commands.inputs import track_of
    from dfdm.dataset.sidecar import Sidecar, provenance, write_sidecar
    from dfdm.media.encoding import provenance_tags, write_quality

    encoded, source = encoded_of(out), encoded_of(master)
    if encoded.name != source.name or source.crf != 0 or encoded.crf == 0:
        raise DfdmError(f"{master} at crf {source.crf} cannot give {out}; encode from the crf 0 of the same name")
    scene = track_of(track, encoded.name.scene_key)
    made_by = Sidecar.of_video(master)
    inputs = {**made_by.inputs, "master": checked(master)}
    facts = provenance(encoded, {"encode": keys.encode_keys(cfg)}, inputs, scene)
    write_quality(out, master, encoded.crf, cfg.encode, provenance_tags(facts))
    write_sidecar(out, scene, facts)
    keep("encode", out, out.with_suffix(".json"))


def crops(cfg: "Config", video: Path, track: Path, out: Path) -> None:
    """Cut the face crops of an encoded video along its scene's track.

    Args:
        video: the encoded video
        track: the track of its scene
        out: the crop file (.safetensors)

    Example:
        dfdm crops --video results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 --track results/faces/id0_0000.npz \\
          --out results/crops/crf23/iae/id0_id1_0000_iae.safetensors
    """
    from dfdm.commands.inputs import track_of
    from dfdm.dataset.crops import write_crops

    encoded = encoded_of(video)
    scene = track_of(track, encoded.name.scene_key)
    about = {"name": str(encoded.name), "model": encoded.name.model, "crf": encoded.crf, "video": checked(video)}
    write_crops(out, video, scene, cfg.crops, about, cfg.attribution.clip)
    keep("crops", out)


def masks(cfg: "Config", master: Path, original: Path, track: Path, checkpoint: Path, out: Path) -> None:
    """Make a swap's masks: the pixels that it changed, and what was blended over them.

    Args:
        master: the crf 0 master of the swap
        original: the crf 0 master of the unswapped scene
        track: the track of the scene
        checkpoint: the weights that rendered the swap
        out: the changed pixels as a video (.mp4); the blending (.safetensors) is written next to it

    Example:
        dfdm masks --master results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 \\
          --original results/dataset/DFDM_crf0/real/id0_0000_real.mp4 --track results/faces/id0_0000.npz \\
          --checkpoint results/train/id0_id1/iae/model.safetensors --out results/masks/iae/id0_id1_0000_iae.mp4
    """
    from dfdm.base.progress import progress
    from dfdm.catalogue import keys
    from dfdm.commands.inputs import master_name, track_of
    from dfdm.dataset.sidecar import MASK, provenance
    from dfdm.media.encoding import provenance_tags, write_master
    from dfdm.media.planes import black_and_white
    from dfdm.media.video import of_encoded
    from generators.blending import Blend, changed_by
    from generators.checkpoint import load

    swap, before = master_name(master), master_name(original).name
    scene = track_of(track, swap.name.scene_key)
    if swap.name.pair is None or (before.model, before.scene_key) != (REAL, swap.name.scene_key):
        raise DfdmError(f"{master} and {original} are no swap and the original of its scene; give the right ones")
    _, about = load(checkpoint)
    if (about.model, about.pair) != (swap.name.model, swap.name.pair):
        raise DfdmError(f"{checkpoint} is {about.model} of {' and '.join(about.pair)}, which did not make {swap.name}")
    blend, blending = Blend.of(str(swap.name), scene, about, cfg.render), out.with_suffix(".safetensors")
    inputs = {"master": checked(master), "original": checked(original), "track": sha256(track)}
    inputs["checkpoint"] = sha256(checkpoint)
    facts = provenance(swap, {"masks": keys.mask_keys(cfg)}, inputs, scene)
    tags = provenance_tags({**facts, "statement": MASK, "mask": "changed"})
    record = of_encoded(scene.record).model_copy(update={"audio": None})
    pixels = map(black_and_white, changed_by(master, original, record, blend))
    frames = progress(pixels, record.frames, f"masks {out.stem}", "frames")
    write_master(out, frames, record, original, cfg.encode, tags)
    blend.write(blending)
    keep("masks", out, blending)


def manifest(cfg: "Config", out: Path, target: str = "dataset", results: Path | None = None) -> None:
    """Merge the sidecars of a target's videos.

    Args:
        out: the table (.parquet; the .csv is written next to it)
        target: dataset, crf23, iae, iae_crf23 ...; default: dataset
        results: the folder that contains the results; default: the config's

    Example:
        dfdm manifest --target crf23 --out results/manifests/crf23.parquet
    """
    from dfdm.catalogue.manifest import build_manifest, write_manifest

    table = build_manifest(cfg, target, results or Path(cfg.results))
    write_manifest(table, out)
    keep("manifest", out, out.with_suffix(".csv"))
    print(f"{target}: {len(table)} videos, {size_text(table['bytes'].sum())}")


def collect(
    root: Path, /, *, config: Path, layout: Literal["crops", "frames", "videos", "faceforensics"], out: Path
) -> None:
    """Convert data made elsewhere to the form that classifiers are trained on.

    Every file of the folder is taken, or left out with a reason, which is printed.

    Args:
        root: the folder of the data (docs/data.md, Other data)
        layout: the layout of the data
        out: a folder for the manifests and, of videos, the crops

    Example:
        dfdm collect --layout videos /data/DFDM --out collected --config mine.yaml
    """
    from dfdm.catalogue.config import load

    cfg = load(config)
    if layout in ("videos", "faceforensics") and cfg.faces.detector == "face_alignment":
        devices.take(cfg.device)
    from attribution.run import Run
    from dfdm.catalogue.collect import collect
    from dfdm.catalogue.layout import Layout
    from dfdm.commands.inputs import detector_of

    table = collect(layout, root, out, cfg, lambda: detector_of(cfg))
    counts = ", ".join(f"{model} {count}" for model, count in table["model"].value_counts(sort=False).items())
    print(f"{out / 'manifest.parquet'}: {len(table)} videos ({counts})")
    made = Layout(str(out))
    run = Run(cfg.attribution.model, cfg.attribution.split, str(table["crf"].min()), cfg.seed)
    command = ["dfdm", "attribution", "train", "--crf", run.crf, "--manifest", made.manifest(f"crf{run.crf}")]
    command += ["--results", str(out), "--out", str(Path(made.run(str(run))).parent), "--config", str(config)]
    print(f"next: {join(command)}", file=sys.stderr)


def export(crops: list[Path], /, cfg: "Config", out: Path, numbered: bool = False) -> None:
    """Write crop files of one quality as DF_class*/id0_id1_0003/Frame1.png trees.

    Args:
        crops: crop files
        out: an empty folder
        numbered: call the folders Video1, Video2 ... and write what each one is to index.csv

    Example:
        dfdm export results/crops/crf23/*/*.safetensors --out exported
    """
    from dfdm.dataset.crops import export_tree

    print(f"{export_tree(crops, out, list(cfg.models), numbered)} videos in {out}")
