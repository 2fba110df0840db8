"""The commands on the original videos: find, fetch and probe them, and follow the face in each."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dfdm.base import devices
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, sha256, write_json
from dfdm.base.records import Source, keep

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config


def scan(dir: Path, /, licence: str, consent: str, out: Path | None = None) -> None:
    """Write a config for a folder: id0_0000.mp4 files, or a folder per person.

    Every file of the folder is taken, or left out with a reason, which is printed.

    Args:
        dir: the folder
        licence: the licence of the videos
        consent: the basis on which the people shown agreed
        out: the config to write; default: print it

    Example:
        dfdm sources scan videos --licence 'CC BY 4.0' --consent 'signed release' --out mine.yaml
    """
    import yaml

    from dfdm.catalogue import config, sources

    values, account = sources.scan(dir, licence, consent)
    config.load(values)
    print(account, file=sys.stderr)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    if out is None:
        print(text, end="")
        return
    if out.exists():
        raise DfdmError(f"{out} exists already; give another name or remove it")
    with atomic(out) as temporary:
        temporary.write_text(text)
    print(f"{out} written; next: dfdm check --config {out}, then dfdm plan --config {out}", file=sys.stderr)


def fetch(cfg: "Config") -> None:
    """Fetch the config's package files into the cache and check their hashes.

    Example:
        dfdm sources fetch --config config.yaml
    """
    from dfdm.catalogue import sources

    for file in sources.files_of(cfg):
        print(sources.fetch(cfg.sources, file))


def placeholders(path: Path | None = None, /, *, config: Path) -> None:
    """Write empty files for absent videos, for dry runs.

    Args:
        path: the config, instead of --config

    Example:
        dfdm sources placeholders workflow/configs/dfdm.yaml
    """
    from dfdm.catalogue.config import load
    from dfdm.catalogue.sources import placeholders

    print(f"{placeholders(load(path or config))} empty files written")


def probe(cfg: "Config", scene: str, out: Path) -> None:
    """Fetch a scene's video where needed, decode it once and write its record.

    Args:
        scene: the scene, such as id0_0003
        out: the record (.json)

    Example:
        dfdm sources probe --scene id0_0000 --out results/sources/id0_0000.json
    """
    from dfdm.catalogue import keys, sources
    from dfdm.media import video

    file = cfg.scene(scene)
    path = sources.fetch(cfg.sources, file)
    source = Source.of(path)
    record = video.probe(path, scene, keys.reference(cfg, file), file.frames)
    if source != Source.of(path, source) or source.sha256 != record.sha256:
        raise DfdmError(f"{path} changed while it was read; run again when it is copied")
    record.write(out)
    keep("sources_probe", out, sources=[source] if file.path is not None else [])
    print(f"{scene}: {record.frames} frames, {record.width}x{record.height}, {record.fps:.3f} a second", *record.notes)


def predictor(cfg: "Config", out: Path) -> None:
    """Fetch the landmark predictor, and write the hashes of the detector's model files.

    Args:
        out: the hashes (.json)

    Example:
        dfdm sources predictor --out results/sources/predictor.json
    """
    from dfdm.catalogue import sources

    files = [sources.fetch(cfg.sources, cfg.faces.predictor)] if cfg.faces.predictor else []
    if cfg.faces.weights:
        folder = Path(cfg.faces.weights).expanduser()
        files += sorted(path for path in folder.iterdir() if path.suffix in (".pth", ".tar"))
    write_json(out, {path.name: sha256(path) for path in files})
    keep("sources_predictor", out)


def identity(cfg: "Config", out: Path) -> None:
    """Fetch the face recognition network, and write its hash.

    Args:
        out: the hash (.json)

    Example:
        dfdm sources identity --out results/sources/identity.json
    """
    from dfdm.catalogue import sources

    files = [sources.fetch(cfg.sources, cfg.evaluate.identity)] if cfg.evaluate.identity else []
    write_json(out, {path.name: sha256(path) for path in files})
    keep("sources_identity", out)


def faces(cfg: "Config", record: Path, out: Path) -> None:
    """Find and follow the face of a scene.

    Args:
        record: the scene's record, from 'dfdm sources probe'
        out: the track (.npz)

    Example:
        dfdm faces --record results/sources/id0_0000.json --out results/faces/id0_0000.npz
    """
    from dfdm.base.progress import progress
    from dfdm.commands.inputs import detector_of, video_of
    from dfdm.media.tracks import track_planes
    from dfdm.media.video import VideoRecord, read_planes

    video = VideoRecord.read(record)
    if cfg.faces.detector == "face_alignment":  # the one that computes with torch
        devices.take(cfg.device)
    detector = detector_of(cfg)
    planes = progress(read_planes(video_of(cfg, video), video), video.frames, f"faces of {video.scene_key}", "frames")
    track = track_planes(planes, detector, video, cfg.faces)
    if len(track) == 0 and cfg.faces.on_missing == "stop":
        raise DfdmError(
            f"{video.scene_key} shows no face that {cfg.faces.detector} finds in {video.frames} frames; take it out of "
            "the config, or set faces.on_missing: leave_out, which leaves it out of the manifests"
        )
    track.save(out)
    keep("faces", out)
    counts = track.counts
    print(
        f"{video.scene_key}: a face in {counts.with_face} of {counts.frames} frames, "
        f"several in {counts.several_faces}, {counts.cuts} cuts"
    )
