"""How much of the videos that a classifier is tested on their autoencoders were trained on."""

from pathlib import Path

import numpy as np
import pandas as pd

from dfdm.base.names import known_name, person_of
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.media.tracks import FaceTrack
from generators.faces import trained_faces


def autoencoder_saw(rows: pd.DataFrame, cfg: Config, results: Path) -> float | None:
    """Share of the swaps' face frames that the swap's autoencoder was trained on; None where nobody knows it.

    `rows`: the manifest's lines of the videos (name, model; config_hash where this project made them). None for data
    made elsewhere and for originals alone. A training sees all scenes of its two people but the last
    `train.held_out` of each, so the answer does not depend on the split. Reads the tracks below `results`.
    """
    if "config_hash" not in rows or rows["config_hash"].isna().any():
        return None
    seen: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    trained = total = 0
    for text, model in zip(rows["name"], rows["model"]):
        name = known_name(text)
        if name is None or name.face_id is None:
            continue
        key = (name.video_id, model)
        if key not in seen:
            scenes = [scene for scene in cfg.scene_keys if person_of(scene) == name.video_id]
            tracks = [FaceTrack.load(Layout(str(results)).track(scene)) for scene in scenes]
            seen[key] = dict(zip(scenes, trained_faces(tracks, cfg.settings(model))))
        faces = seen[key][name.scene_key]
        trained, total = trained + int(faces.sum()), total + len(faces)
    return trained / total if total else None
