"""Rendering: a real clip through the whole stage, against the sum of its parts, measured in turn."""

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import in_turn
from dfdm import sources
from dfdm.config import Config
from dfdm.media import detectors
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.encoding import EncodeSettings, write_master
from dfdm.media.tracks import FaceTrack, track_faces
from dfdm.media.video import of_encoded, probe, read_planes
from generators.models import build
from generators.swap import Swapper


def real_clip(cfg: Config, frames: int) -> tuple[Path, FaceTrack]:
    """The first frames of the config's first scene, and the face's track in them."""
    key = cfg.scene_keys[0]
    scene = cfg.scene(key)
    path = sources.locate(cfg.sources, scene)
    start = scene.frames[0] if scene.frames else 0
    record = probe(path, key, {"path": path.name}, (start, start + frames))
    record = replace(record, audio=None)
    pictures = (yuv_to_rgb(f, record.matrix, record.full_range) for f in read_planes(path, record))
    faces = cfg.faces
    detector = detectors.build(
        faces.detector,
        predictor=sources.locate(cfg.sources, faces.predictor) if faces.predictor else None,
        weights=Path(faces.weights).expanduser() if faces.weights else None,
        upsample=faces.upsample,
        confidence=faces.confidence,
        device="cpu",
    )
    return path, track_faces(pictures, detector, record, faces.keep, faces.cut_threshold, faces.max_gap)


def render_row(name: str, width: float, cfg: Config, clip: tuple[Path, FaceTrack], budget: float) -> dict[str, Any]:
    """Frames a second of one model, and its time as a multiple of inference + decoding + encoding."""
    path, track = clip
    record, settings = track.record, cfg.render
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    model = build(name, width).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    swapper = Swapper(model, "face", 0.875, "b", settings)
    encoder = EncodeSettings(cfg.encode.preset, cfg.encode.threads)
    faces = torch.rand(settings.batch, 3, model.input_size, model.input_size)
    with tempfile.TemporaryDirectory() as folder:
        out, ready = Path(folder, "swap.mp4"), Path(folder, "again.mp4")

        def whole() -> None:
            write_master(out, swapper.render(read_planes(path, record), track), record, path, encoder, {})

        @torch.inference_mode()
        def inference() -> None:
            left = len(track)
            while left > 0:
                model.swap(faces[: min(left, settings.batch)], to="b")
                left -= settings.batch

        swapped = [frame.copy() for frame in swapper.render(read_planes(path, record), track)]

        def encode_and_check() -> None:
            write_master(ready, iter(swapped), record, path, encoder, {})

        def check() -> None:
            for _ in read_planes(ready, of_encoded(record), whole=True):
                pass

        def decode() -> None:
            for _ in read_planes(path, record):
                pass

        inference(), encode_and_check()
        runs = {"whole": whole, "inference": inference, "decode": decode, "encode": encode_and_check, "check": check}
        taken = in_turn(runs, budget, least=1)
    taken["encode"] = [both - again for both, again in zip(taken["encode"], taken["check"])]
    middle = {part: statistics.median(values) for part, values in taken.items()}
    parts = [sum(values) for values in zip(taken["inference"], taken["decode"], taken["encode"])]
    return {
        "model": name,
        "width": width,
        "frames": record.frames,
        "frames_per_second": record.frames / middle["whole"],
        **{f"{part}_ms": 1e3 * value / record.frames for part, value in middle.items()},
        "times_parts": statistics.median(a / b for a, b in zip(taken["whole"], parts)),
    }
