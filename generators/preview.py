"""The preview sheet: held-out faces, rebuilt and swapped, marked as synthetic."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from dfdm import __version__
from dfdm.base.files import atomic
from dfdm.media.comments import commented
from generators.faces import FaceSet
from generators.models.blocks import Autoencoder

SHEET = "Synthetic but for the rows called original: a neural network made these faces. For research on detection."
TILE = 128  # px
LABEL = 20  # px above a row


@torch.inference_mode()
def sheet(model: Autoencoder, side_a: FaceSet, side_b: FaceSet, device: torch.device) -> np.ndarray:
    """Rows of originals, their reconstructions and their swaps for side a, then for side b; RGB uint8 [H, W, 3]."""
    model.eval()
    rows = []
    for person, other, side, to in ((side_a, side_b, "a", "b"), (side_b, side_a, "b", "a")):
        size = model.input_size
        fed = np.stack([cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face in person.shown])
        faces = torch.from_numpy(fed).to(device).permute(0, 3, 1, 2).float() / 255  # [n, 3, in, in]
        rebuilt, swapped = _pictures(model.reconstruct(faces, side)), _pictures(model.swap(faces, to=to))
        rows.append(_row(f"{person.person}: original", person.shown))
        rows.append(_row(f"{person.person}: rebuilt, SYNTHETIC", rebuilt))
        rows.append(_row(f"{person.person} with the face of {other.person}, SYNTHETIC", swapped))
    model.train()
    width = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def write(path: Path, picture: np.ndarray, model: str, pair: tuple[str, str], key: str) -> None:
    """Write a sheet as PNG; its comment says what made it. `key`: the hash of what determines the training."""
    mark = {
        **{"synthetic": True, "statement": SHEET, "name": f"{'_'.join(pair)}_{model}", "model": model},
        **{"video_id": pair[0], "face_id": pair[1], "version": __version__, "config_hash": key},
    }
    with atomic(path) as temporary:
        temporary.write_bytes(commented(cv2.imencode(".png", picture[..., ::-1])[1].tobytes(), mark))


def _pictures(faces: Tensor) -> np.ndarray:
    return (faces.float().permute(0, 2, 3, 1) * 255).round().byte().cpu().numpy()  # [n, out, out, 3]


def _row(title: str, faces: np.ndarray) -> np.ndarray:
    tiles = [cv2.resize(face, (TILE, TILE), interpolation=cv2.INTER_CUBIC) for face in faces]
    label = np.zeros((LABEL, TILE * len(tiles), 3), np.uint8)
    cv2.putText(label, title, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate([label, np.concatenate(tiles, 1)])
