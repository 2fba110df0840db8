"""Rendering: a real clip through the whole stage, against the sum of its parts, measured in turn."""

import argparse
import statistics
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.timing import cpu_seconds, in_turn, ratio
from dfdm.catalogue import sources
from dfdm.catalogue.config import Config
from dfdm.commands.inputs import detector_of
from dfdm.media.encoding import ffmpeg_binary, planes_hash, write_master
from dfdm.media.settings import EncodeConfig
from dfdm.media.tracks import FaceTrack, track_planes
from dfdm.media.video import VideoRecord, of_encoded, probe, read_planes
from generators.models import build
from generators.models.blocks import Autoencoder
from generators.swap import Swapper

PARTS = ("inference", "decode", "encode")  # what rendering cannot do without


def real_clip(cfg: Config, frames: int) -> tuple[Path, FaceTrack]:
    """The first frames of the config's first scene, and the face's track in them."""
    key = cfg.scene_keys[0]
    scene = cfg.scene(key)
    path = sources.locate(cfg.sources, scene)
    start = scene.frames[0] if scene.frames else 0
    record = probe(path, key, {"path": path.name}, (start, start + frames))
    record = record.model_copy(update={"audio": None})
    return path, track_planes(read_planes(path, record), detector_of(cfg), record, cfg.faces)


class Nothing(nn.Module):
    """In a model's place: grey faces at once, so that what remains is cropping, masks, colours and the blend."""

    def __init__(self, like: Autoencoder) -> None:
        super().__init__()
        self.input_size, self.output_size = like.input_size, like.output_size

    def swap(self, faces: Tensor, to: str) -> Tensor:
        """Faces [B, 3, in, in] to [B, 3, out, out]."""
        return torch.full((len(faces), 3, self.output_size, self.output_size), 0.5)


def render_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A real clip through each model, at full size and at the config's width."""
    clip = real_clip(cfg, args.frames)
    for name in args.models:
        for width in dict.fromkeys((args.width, cfg.settings(name).width)):
            yield render_row(name, width, cfg, clip, args.seconds / 2)


def render_row(name: str, width: float, cfg: Config, clip: tuple[Path, FaceTrack], budget: float) -> dict[str, Any]:
    """Frames a second of one model, and its time and CPU time as multiples of inference + decoding + encoding."""
    path, track = clip
    record, settings = track.record, cfg.render
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)  # speed does not ask whether the weights are trained
    model = build(name, width).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    swapper = Swapper(model, "face", 0.875, "b", settings)
    empty = Swapper(cast(Autoencoder, Nothing(model)), "face", 0.875, "b", settings)
    faces = torch.rand(settings.batch, 3, model.input_size, model.input_size)
    planes = list(read_planes(path, record))
    with tempfile.TemporaryDirectory() as folder:
        master, raw = Path(folder, "swap.mp4"), Path(folder, "swap.yuv")

        def whole() -> None:
            write_master(master, swapper.render(read_planes(path, record), track), record, path, cfg.encode, {})

        @torch.inference_mode()
        def inference() -> None:
            for done in range(0, len(track), settings.batch):
                model.swap(faces[: len(track) - done], to="b")

        def unpack() -> None:
            with raw.open("wb") as file:
                for frame in read_planes(master, of_encoded(record), whole=True):
                    file.write(frame.data)

        runs: dict[str, Callable[[], object]] = {
            "whole": whole,
            "inference": inference,
            "decode": lambda: deque(read_planes(path, record), 0),
            "unpack": unpack,  # the frames that `whole` made, for `encode`
            "encode": lambda: encode_alone(raw, record, cfg.encode),
            "faces": lambda: deque(empty.render(iter(planes), track), 0),
            "check": lambda: planes_hash(read_planes(master, of_encoded(record), whole=True)),
        }
        used: dict[str, list[float]] = {part: [] for part in runs}

        def counted(part: str) -> None:
            before = cpu_seconds()
            runs[part]()
            used[part].append(cpu_seconds() - before)

        with torch.inference_mode():
            model.swap(faces, to="b")
        taken = in_turn({part: partial(counted, part) for part in runs}, budget)
    shown = [part for part in runs if part != "unpack"]
    return {
        "model": name,
        "width": width,
        "frames_per_second": record.frames / statistics.median(taken["whole"]),
        **{f"{part}_ms": 1e3 * statistics.median(taken[part]) / record.frames for part in shown},
        "times_parts": times_parts(taken),
        "whole_cpu_ms": 1e3 * statistics.median(used["whole"]) / record.frames,
        "cpu_times_parts": times_parts(used),
    }


def times_parts(rounds: dict[str, list[float]]) -> float:
    """The whole as a multiple of inference + decoding + encoding, the median of the rounds."""
    return ratio(rounds["whole"], [sum(parts) for parts in zip(*(rounds[part] for part in PARTS))])


def encode_alone(raw: Path, record: VideoRecord, settings: EncodeConfig) -> None:
    """ffmpeg's own time for the crf 0 of frames that are in memory, I420 one after another."""
    picture = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", f"{record.width}x{record.height}"]
    codec = ["-c:v", "libx264", "-crf", "0", "-preset", settings.preset, "-threads", str(settings.threads)]
    command = [ffmpeg_binary(), "-y", "-loglevel", "error", *picture, "-framerate", "{}/{}".format(*record.rate)]
    subprocess.run([*command, "-i", raw, *codec, raw.with_suffix(".mp4")], check=True, stdin=subprocess.DEVNULL)
