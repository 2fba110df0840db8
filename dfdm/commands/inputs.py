"""What the stages read: the files that a command names, checked against each other."""

from collections.abc import Sequence
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.names import Encoded, encoded_of, person_of
from dfdm.base.records import doubt
from dfdm.base.section import FileRef
from dfdm.catalogue import sources
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.media import detectors
from dfdm.media.identity import Embedder
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord


def video_of(cfg: Config, record: VideoRecord) -> Path:
    """Where the video of a record is on this machine; DfdmError where it is not the video that was probed."""
    path = sources.locate(cfg.sources, cfg.scene(record.scene_key))
    if sha256(path) != record.sha256:
        doubt(Layout(cfg.results).source(record.scene_key), f"{path} has other content")
        raise DfdmError(
            f"{path} is not the video that {record.scene_key} was probed from: it was replaced or damaged; put the "
            "first one back, or run the workflow again, which then probes this one"
        )
    return path


def track_of(path: Path, scene_key: str) -> FaceTrack:
    """The track in a file, which must be of the scene."""
    track = FaceTrack.load(path)
    if track.record.scene_key != scene_key:
        raise DfdmError(f"{path} is the track of {track.record.scene_key}, not of {scene_key}; give the right one")
    return track


def master_name(path: Path) -> Encoded:
    """What the path of a crf 0 master means."""
    encoded = encoded_of(path)
    if encoded.crf != 0:
        raise DfdmError(f"{path}: only the crf 0 master is rendered; the other qualities are made by 'dfdm encode'")
    return encoded


def check_model(cfg: Config, model: str) -> None:
    """Refuse an autoencoder that the config does not have."""
    if model not in cfg.models:
        raise DfdmError(f"'{model}' is not a model of this config; known are {', '.join(cfg.models)}")


def tracks_of(paths: Sequence[Path], pair: Sequence[str]) -> list[FaceTrack]:
    """The tracks in files, which must show one of the two people each."""
    loaded = [FaceTrack.load(path) for path in paths]
    for track in loaded:
        if person_of(track.record.scene_key) not in pair:
            raise DfdmError(f"the track of {track.record.scene_key} shows none of {' and '.join(pair)}; leave it out")
    scenes = [track.record.scene_key for track in loaded]
    if twice := [scene for scene in scenes if scenes.count(scene) > 1]:
        raise DfdmError(f"two of the tracks are of {twice[0]}; give each scene once")
    return loaded


def detector_of(cfg: Config) -> detectors.Detector:
    """The face detector that the config asks for."""
    settings = cfg.faces
    return detectors.build(
        settings.detector,
        predictor=sources.locate(cfg.sources, settings.predictor) if settings.predictor else None,
        weights=sources.weights_of(cfg),
        upsample=settings.upsample,
        confidence=settings.confidence,
        device=cfg.device,
        rotate=settings.rotate,
    )


def embedder_of(cfg: Config) -> Embedder | None:
    """The face recognition network that compares the people of the scenes; None where they are not compared."""
    if cfg.evaluate.identity is None or (cfg.faces.person_distance is None and cfg.faces.keep != "person"):
        return None
    return Embedder(sources.locate(cfg.sources, cfg.evaluate.identity))


def picture_of(cfg: Config, scene_key: str) -> Path | None:
    """The picture of the person to follow in a scene, for faces.keep: person."""
    cfg.scene(scene_key)  # which says so where the config has none
    picture = cfg.sources.people[person_of(scene_key)].picture
    return sources.locate(cfg.sources, FileRef(path=picture)) if cfg.faces.keep == "person" and picture else None


def state_dir(cfg: Config) -> Path:
    """Where trainings keep their state."""
    return Path(cfg.state_dir or Path(cfg.results) / "state")
