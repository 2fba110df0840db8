"""The JSON next to each video: what made it, and what the file is; split parts are not in it.

The provenance part is also in the video file's own metadata.
"""

from dataclasses import astuple
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from dfdm import __version__
from dfdm.base.errors import DfdmError
from dfdm.base.files import digest, sha256
from dfdm.base.machine import cpu_model
from dfdm.base.names import REAL, Encoded, encoded_of, known_name
from dfdm.base.stored import OPEN, Stored
from dfdm.media.encoding import count_packets, ffmpeg_version
from dfdm.media.tracks import FaceTrack

STATEMENT = "Synthetic: a neural network replaced the face in this video. Made for research on deepfake detection."
FACELESS = "Meant as a synthetic video, but its scene shows no face: no frame was changed."
MASK = "A mask, no recording: white are the pixels that a swap changed against the original's lossless master."
ORIGINAL = "Not synthetic: the face in this video was not replaced; encoded like the synthetic videos beside it."


class Sidecar(Stored):
    """What made a video (`provenance`), and what its file is.

    `synthetic`: a face was swapped in, in some frame. `inputs` are the sha256 of the files that it was made of,
    `decoding` the notes of its scene's record.
    """

    keyed: ClassVar = {"inputs": "made_of"}

    synthetic: bool
    statement: str
    name: str
    model: str
    video_id: str
    face_id: str | None
    scene: str
    crf: int = Field(ge=0, le=51)
    version: str
    config_hash: str
    inputs: dict[str, str]
    origin: Annotated[dict[str, str], OPEN]  # dfdm.catalogue.keys.reference
    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    frames: int = Field(gt=0)
    face_frames: int = Field(ge=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    fps: float = Field(gt=0)
    variable_rate: bool
    audio: str | None
    decoding: list[str]
    ffmpeg: str
    cpu: str

    @model_validator(mode="after")
    def _agrees(self) -> "Sidecar":
        own = (self.video_id, self.face_id, self.scene, self.model)
        if (name := known_name(self.name)) is None or own != astuple(name):
            raise ValueError("name does not say what model, video_id, face_id and scene say")
        if self.face_frames > self.frames:
            raise ValueError("face_frames is larger than frames")
        return self

    @classmethod
    def of_video(cls, path: Path) -> "Sidecar":
        """The sidecar of a video of the dataset; DfdmError for one that describes another video."""
        video, beside = encoded_of(path), path.with_suffix(".json")
        found = cls.read(beside)
        if (found.name, found.crf) != (str(video.name), video.crf):
            raise DfdmError(f"{beside} describes another video; delete it and make it again")
        return found

    @property
    def made_of(self) -> list[str]:
        """The names of the inputs."""
        swap = self.model != REAL
        return ["video", "track", *(["checkpoint"] if swap else []), *(["master"] if self.crf else [])]


def provenance(video: Encoded, keys: dict[str, Any], inputs: dict[str, str], track: FaceTrack) -> dict[str, Any]:
    """What a video file says of itself: synthetic or not, model, ids, version, and the hash of what made it.

    `keys` are the config keys and `inputs` the sha256 of the files that determine this file.
    """
    name = video.name
    return {
        "synthetic": name.model != REAL and len(track) > 0,
        "statement": ORIGINAL if name.model == REAL else STATEMENT if len(track) else FACELESS,
        "name": str(name),
        "model": name.model,
        "video_id": name.video_id,
        "face_id": name.face_id,
        "scene": name.scene,
        "crf": video.crf,
        "version": __version__,
        "config_hash": digest({"keys": keys, "inputs": inputs, "crf": video.crf}),
        "inputs": inputs,
        "origin": track.record.reference,
    }


def write_sidecar(path: Path, track: FaceTrack, provenance: dict[str, Any]) -> None:
    """Describe a finished video file in the JSON next to it."""
    record = track.record
    sidecar = Sidecar(
        **provenance,
        file=path.name,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        frames=record.frames,
        face_frames=len(track),
        width=record.width,
        height=record.height,
        fps=record.fps,
        variable_rate=record.pts is not None,
        audio=record.audio,
        decoding=record.notes,
        ffmpeg=ffmpeg_version(),
        cpu=cpu_model(),
    )
    packets = count_packets(path)
    if packets != record.frames:
        raise DfdmError(f"{path} contains {packets} frames, its scene {record.scene_key} has {record.frames}")
    sidecar.write(path.with_suffix(".json"))
