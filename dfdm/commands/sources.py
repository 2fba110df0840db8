"""The commands on the original videos: find, fetch and probe them, and follow the face in each."""

import re
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal

from dfdm.base import devices
from dfdm.base.errors import DfdmError, shown
from dfdm.base.files import at_home, atomic, sha256, write_json
from dfdm.base.names import ID, person_of
from dfdm.base.records import Source, keep
from dfdm.base.text import size_text

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config


def scan(
    dir: Path,
    /,
    licence: str,
    consent: str,
    out: Path | None = None,
    size: Literal["quick", "long", "full"] | None = None,
) -> None:
    """Write a config for a folder: id0_0000.mp4 files, or a folder per person.

    Every file of the folder is taken, or left out with a reason, which is printed. A config that is there keeps what
    it says: the folder's new videos are added to its people, and the change is printed.

    Args:
        dir: the folder
        licence: the licence of the videos
        consent: the basis on which the people shown agreed
        out: the config to write or to add to; default: print it
        size: write all settings too: the demo's, wider and longer ones, or the full-size plan's; default: none

    Example:
        dfdm sources scan videos --licence 'CC BY 4.0' --consent 'signed release' --out mine.yaml
    """
    import yaml

    from dfdm.catalogue import additions, config, sources
    from dfdm.catalogue.parts import check_splits

    changes: list[str] | None = None
    if out is not None and out.exists():
        if size:
            raise DfdmError(f"{out} is there and keeps its settings; leave --size out, or give --out another name")
        text, account, changes = additions.add(dir, out, licence, consent)
    else:
        values, account = sources.scan(dir, licence, consent, size)
        cfg = config.load(values)
        if size:
            check_splits(cfg)
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    print(account.text(dir), file=sys.stderr)
    if out is None:
        print(text, end="")
        print("next: the same with --out mine.yaml", file=sys.stderr)
        return
    if changes is None or changes:
        with atomic(out) as temporary, open(temporary, "w", encoding="utf-8", newline="") as written:
            written.write(text)
    for line in changes or ():
        print(line, file=sys.stderr)
    did = "written" if changes is None else "added to" if changes else "unchanged, it names all of them"
    print(f"{out} {did}", file=sys.stderr)
    file = quote(str(out))
    print(f"next: dfdm check --config {file}; dfdm plan --config {file}", file=sys.stderr)
    print(f"then: snakemake --cores all --configfile {file}", file=sys.stderr)


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
    from dfdm.base.section import FileRef
    from dfdm.catalogue import sources

    models = (cfg.faces.predictor, cfg.faces.weights)
    files = [sources.fetch(cfg.sources, file) for file in models if isinstance(file, FileRef)]
    if isinstance(cfg.faces.weights, str):
        folder = at_home(cfg.faces.weights)
        if not folder.is_dir():
            raise DfdmError(f"faces.weights: {folder} is not a folder; correct the path or put the weights there")
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
    from dfdm.commands.inputs import detector_of, embedder_of, picture_of, video_of
    from dfdm.dataset.pictures import read_picture
    from dfdm.media.identity import SAME_PERSON, Wanted, check_person
    from dfdm.media.tracks import track_planes
    from dfdm.media.video import VideoRecord, read_planes

    video = VideoRecord.read(record)
    if cfg.faces.detector == "face_alignment":  # the one that computes with torch
        devices.take(cfg.device)
    detector, embedder, picture = detector_of(cfg), embedder_of(cfg), picture_of(cfg, video.scene_key)
    limit, wanted = cfg.faces.person_distance, None
    if picture and embedder:
        wanted = Wanted.of(read_picture(picture), str(picture), detector, embedder, limit or SAME_PERSON)
    planes = progress(read_planes(video_of(cfg, video), video), video.frames, f"faces of {video.scene_key}", "frames")
    track = track_planes(planes, detector, video, cfg.faces, embedder, wanted)
    if len(track) == 0 and cfg.faces.on_missing == "stop":
        raise DfdmError(
            f"{video.scene_key} shows no face that {cfg.faces.detector} finds in {video.frames} frames; take it out of "
            "the config, or set faces.on_missing: leave_out, which leaves it out of the manifests"
        )
    if limit is not None:
        check_person(person_of(video.scene_key), track.pieces, limit)
    track.save(out)
    keep("faces", out, sources=[Source.of(picture)] if picture else [])
    counts = track.counts
    print(
        f"{video.scene_key}: a face in {counts.with_face} of {counts.frames} frames, "
        f"several in {counts.several_faces}, {counts.cuts} cuts, "
        f"{counts.misplaced} faces dropped for landmarks that do not fit"
    )


def forget(person: str, /, cfg: "Config", yes: bool = False, release: list[Path] | None = None) -> None:
    """List everything that was made from a person's recordings; with --yes delete it.

    Classifiers, scores, controls and the report go whole, since everybody's videos are in them. Manifests lose the
    person's rows. An entry in results/forgotten says what went; the workflow then refuses a config with that person.

    Args:
        person: the person, such as id7
        yes: delete what is listed
        release: folders of releases to look into; one that has the person goes

    Example:
        dfdm forget id7 --yes --release ../dfdm-release
    """
    from dfdm.base.lock import exclusive
    from dfdm.catalogue import forget as forgetting
    from dfdm.commands.inputs import state_dir

    if not re.fullmatch(ID, person):
        raise DfdmError(f"'{shown(person)}' is not a person; people are called id0, id1 ...")
    with exclusive(Path(cfg.results)):
        found = forgetting.find(cfg, person, state_dir(cfg), release or [])
        lines = [*map(str, found.gone), *(f"{path} (without the rows of {person})" for path in found.manifests)]
        print("\n".join([*lines, f"{person}: {len(found.gone)} files, {size_text(found.bytes)}"]))
        if not yes:
            print(f"nothing was deleted; 'dfdm forget {person} --yes' does it", file=sys.stderr)
            return
        forgetting.forget(cfg, person, found)
    if person in cfg.sources.people:
        print(f"take {person} out of the config: sources.people, swaps and splits", file=sys.stderr)
    for path in found.own:
        print(f"{path} is a recording of your own; delete it yourself", file=sys.stderr)
