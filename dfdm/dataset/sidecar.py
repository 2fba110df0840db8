"""The JSON beside each video: what made it, and what the file is; split parts are not in it.

The provenance part is what also stands in the video file's own metadata.
"""

from pathlib import Path
from typing import Any

from dfdm import __version__
from dfdm.base.errors import DfdmError
from dfdm.base.files import digest, read_json, sha256, write_json
from dfdm.base.machine import cpu_model
from dfdm.base.names import REAL, Encoded
from dfdm.media.encoding import count_packets, ffmpeg_version
from dfdm.media.tracks import FaceTrack

STATEMENT = "Synthetic: a neural network replaced the face in this video. Made for research on deepfake detection."
FACELESS = "Meant as a synthetic video, but its scene shows no face: no frame was changed."
ORIGINAL = "Not synthetic: the face in this video was not replaced; encoded like the synthetic videos beside it."


def provenance(video: Encoded, keys: dict[str, Any], inputs: dict[str, str], track: FaceTrack) -> dict[str, Any]:
    """What a video file says of itself: synthetic or not, model, ids, version, and the hash of what made it.

    `keys` are the config keys and `inputs` the sha256 of the files that determine this file.
    """
    name = video.name
    return {
        "synthetic": name.model != REAL,
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
    """Describe a finished video file in the JSON beside it."""
    record = track.record
    facts = {
        "file": path.name,
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "frames": record.frames,
        "face_frames": len(track),
        "width": record.width,
        "height": record.height,
        "fps": record.fps,
        "variable_rate": record.pts is not None,
        "audio": record.audio,
        "decoding": record.notes,
        "ffmpeg": ffmpeg_version(),
        "cpu": cpu_model(),
    }
    packets = count_packets(path)
    if packets != record.frames:
        raise DfdmError(f"{path} holds {packets} frames, its scene {record.scene_key} has {record.frames}")
    write_json(path.with_suffix(".json"), {**provenance, **facts})


def read_sidecar(video: Path) -> dict[str, Any]:
    """The sidecar of a video, by the video's path."""
    values: dict[str, Any] = read_json(video.with_suffix(".json"))
    return values
