from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution.settings import AttributionConfig
from dfdm.base.tensorfile import Streamed, write_tensors

CLASSES = ["faceswap", "lightweight", "iae"]


@pytest.fixture
def classes() -> list[str]:
    return list(CLASSES)


@pytest.fixture(scope="session")
def settings() -> AttributionConfig:
    """A classifier that trains in seconds."""
    given = {
        "depth": 18,
        "resize": 36,
        "size": 32,
        "clip": 2,
        "test_clips": 2,
        "batch": 4,
        "epochs": 2,
        "lr": 0.01,
    }
    return AttributionConfig(**given, real=False, threads=1, save_every=100)


def write_crop_file(path: Path, frames: int, pattern: int, seed: int, size: int = 40) -> None:
    """A crop file of `frames` moving grey pictures with stripes whose width shows the pattern."""
    random = np.random.default_rng(seed)
    stripes = 60 * np.sign(np.sin(np.arange(size) * np.pi / (pattern + 1) + 0.1))[None, :, None]
    luma = 128 + stripes + random.normal(0, 12, (frames, size, size)) + 3 * np.arange(frames)[:, None, None]
    planes = np.full((frames, size * 3 // 2, size), 128, np.uint8)
    planes[:, :size] = luma.clip(20, 230)
    tensors = {
        "frames": Streamed(frames, [one.tobytes() for one in planes]),
        "frame_index": np.arange(frames, dtype=np.int32),
    }
    meta = {
        "size": size,
        "frames": frames,
        "matrix": None,
        "full_range": None,
        "packing": {"codec": "raw", "side": size},
    }
    write_tensors(path, tensors, meta)


@pytest.fixture(scope="session")
def crops(tmp_path_factory) -> Path:
    """A folder of crop files: three models, two directions, three scenes; and `manifest.parquet` for them."""
    root = tmp_path_factory.mktemp("crops")
    rows = []
    for number, (scene, part) in enumerate({"0000": "train", "0001": "validation", "0002": "test"}.items()):
        for pair in ("id0_id1", "id1_id0"):
            for label, model in enumerate(CLASSES):
                name = f"{pair}_{scene}_{model}"
                write_crop_file(root / f"{name}.safetensors", 5, label, seed=len(rows))
                common = {"name": name, "model": model, "crf": 23, "crops": f"{name}.safetensors"}
                rows.append({**common, "split_scene": part, "sha256": f"{number}"})
    pd.DataFrame(rows).to_parquet(root / "manifest.parquet")
    return root
