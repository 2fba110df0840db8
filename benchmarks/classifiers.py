"""The classifiers' sizes and speeds, DMA-STA against the same network run one frame at a time, and the clips' loader.

Speeds are this machine's, in this run; ratios within a run are what can be compared. Random weights and pictures,
but for the loader, which reads the crops of the config's results.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution import models
from attribution.clips import Clips, find_videos, normalise
from attribution.experiment import read_manifest
from attribution.models import blocks, dma_sta
from benchmarks.timing import in_turn, ratio, seconds
from dfdm.base.compute import amp_dtype, autocast, resolve_device
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.dataset.crops import CropReader
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.lossless import Codec, Packer, Unpacker

SETUPS = {"96 px, 5 frames": (96, 5, 8), "224 px, 10 frames": (224, 10, 2)}  # size, clip, clips a batch
LOOPS = ((18, 96, 5, 8), (50, 224, 10, 2))  # depth, size, clip, clips a batch: against the loop in `make bench`
CHUNKS = [4, 8, 16]
CLASSES = 5
HALF = "half precision"


def pictures(size: int, clip: int, batch: int, device: torch.device) -> Tensor:
    """Random clips `[B, T, 3, H, W]` in the memory order in which the loader gives them (channels last)."""
    return torch.randn(batch, clip, size, size, 3, device=device).permute(0, 1, 4, 2, 3)


def train_step(model: nn.Module, forward: Callable[[Tensor], Tensor], clips: Tensor) -> None:
    """Forward, cross-entropy and backward; no optimizer."""
    model.zero_grad(set_to_none=True)
    F.cross_entropy(forward(clips), torch.zeros(len(clips), dtype=torch.long, device=clips.device)).backward()


def inference(model: Callable[[Tensor], Tensor], clips: Tensor) -> None:
    """Logits without a gradient."""
    with torch.inference_mode():
        model(clips)


def looped(model: nn.Module, clips: Tensor) -> Tensor:
    """DMA-STA as published runs it: a frame position after the other through the backbone."""
    assert isinstance(model, dma_sta.DmaSta)
    features = [model.features(clips[:, i]) for i in range(clips.shape[1])]
    return model.fc(model.ta(torch.stack(features, 1)))


def timed(runs: Mapping[str, Callable[[], None]], budget: float, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each, in turn; the first round warms up and is not counted."""

    def whole(run: Callable[[], None]) -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()

    found = in_turn({name: partial(whole, run) for name, run in runs.items()}, budget, least=2)
    return {name: times[1:] for name, times in found.items()}


def model_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row a classifier and setting: parameters, multiply-adds of a clip, clips a second in training and inference.

    ResNets have depth 50. A speed that would take ten times `args.seconds` or longer is left out.
    """
    torch.set_num_threads(args.threads)
    device = resolve_device(cfg.device)
    for name in args.classifiers:
        for title, (size, clip, batch) in SETUPS.items():
            model = models.place(models.build(name, CLASSES, 50, clip), device, channels_last=True)
            cost = blocks.cost(model, clip, size)
            clips = pictures(size, clip, batch, device)
            row: dict[str, Any] = {"model": name, "setting": title, "parameters": f"{cost.parameters:,}"}
            row["multiply_adds_g"] = cost.multiply_adds / 1e9
            # one clip shows how long the rest will take: training is about 3 forwards
            if 16 * batch * seconds(partial(inference, model.eval(), clips[:1])) <= 10 * args.seconds:
                fused = blocks.fused(model)
                model.train()
                training, testing = partial(train_step, model, model, clips), partial(inference, fused, clips)
                times = timed({"training": training, "inference": testing}, args.seconds, device)
                row |= {f"{what}_clips_per_second": batch / min(found) for what, found in times.items()}
            yield row


def ways(depth: int, clips: Tensor, chunks: list[int]) -> dict[str, dict[str, Callable[[], None]]]:
    """What runs against the loop, by `inference` and `training`: a name -> one pass over `[B, T, 3, H, W]` clips.

    The loop is the published way: standard memory format, nothing fused. Ours in inference: chunks, channels last,
    fused. Ours in training: all frames in the batch, channels last (batch normalisation should see them all).
    Where the device computes in half precision, both also with it (`attribution.amp`); the loop stays float32.
    """
    clip, device = clips.shape[1], clips.device
    plain = models.build("dma_sta", CLASSES, depth, clip).to(device)
    last = models.place(models.build("dma_sta", CLASSES, depth, clip), device, channels_last=True)
    fused, standard = blocks.fused(last), clips.contiguous()
    found: dict[str, dict[str, Callable[[], None]]] = {"inference": {}, "training": {}}
    found["inference"]["loop"] = partial(inference, lambda x: looped(plain.eval(), x), standard)
    for chunk in chunks:
        found["inference"][f"chunks of {chunk}"] = partial(chunked, fused, clips, chunk)
    found["training"]["loop"] = partial(train_step, plain, lambda x: looped(plain.train(), x), standard)
    found["training"]["all frames"] = partial(train_step, last, lambda x: last.train()(x), clips)
    if amp_dtype(device):
        own = blocks.frames_at_once(device)
        found["inference"][f"chunks of {own}, {HALF}"] = partial(chunked, Halved(fused, device), clips, own)
        found["training"][f"all frames, {HALF}"] = partial(train_step, last, Halved(last.train(), device), clips)
    return found


class Halved(nn.Module):
    """A model in half precision, as `attribution.amp` runs it; its logits are float32 again."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.model, self.device = model, device

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]` of clips `[B, T, 3, H, W]`."""
        with autocast(self.device, True):
            return self.model(clips).float()


def chunked(model: nn.Module, clips: Tensor, chunk: int) -> None:
    """Inference with another chunk size than the device's own."""
    own = blocks.frames_at_once
    blocks.frames_at_once = lambda device: chunk
    try:
        inference(model.eval(), clips)
    finally:
        blocks.frames_at_once = own


def loops(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """DMA-STA in training and inference against the same network run one frame at a time."""
    torch.set_num_threads(args.threads)
    for setup in LOOPS[: 1 if args.quick else None]:
        yield from loop_rows(*setup, CHUNKS, args.seconds, resolve_device(cfg.device))


def loop_rows(
    depth: int, size: int, clip: int, batch: int, chunks: list[int], budget: float, device: torch.device
) -> Iterator[dict[str, Any]]:
    """DMA-STA against its loop, in turn: seconds of a pass of each and the ratio; a line a way.

    `own` marks the chunk that `blocks.frames_at_once` chooses on this device. `budget`: seconds for the rounds of
    training and of inference each; there are at least two rounds.
    """
    own = f"chunks of {blocks.frames_at_once(device)}"
    for what, runs in ways(depth, pictures(size, clip, batch, device), chunks).items():
        times = timed(runs, budget, device)
        for name in list(runs)[1:]:
            yield {
                "DMA-STA": f"depth {depth}, {size} px, {clip} frames, {batch} clips",
                "pass": what,
                "ours": name + (" (own)" if name in (own, "all frames") else ""),
                "loop_s": statistics.median(times["loop"]),
                "ours_s": statistics.median(times[name]),
                "times_loop": ratio(times["loop"], times[name]),
            }


def packing_rows(crops: Path, seconds_each: float) -> Iterator[dict[str, Any]]:
    """Frames a second that each codec of crops writes and reads in one thread, of one crop file, and its size."""
    reader = CropReader(crops)
    size, frames = int(reader.meta["size"]), list(reader.planes())
    raw = sum(planes.nbytes for planes in frames)
    about: dict[str, dict[str, Any]] = {}
    packed: dict[Codec, list[bytes]] = {}
    codecs: tuple[Codec, ...] = get_args(Codec)
    for codec in codecs:
        packer = Packer(codec, size)
        packed[codec], about[codec] = list(packer.pack(frames)), packer.about

    def write(codec: Codec) -> None:
        list(Packer(codec, size).pack(frames))

    def read(codec: Codec) -> None:
        unpacker = Unpacker(about[codec])
        for one in packed[codec]:
            yuv_to_rgb(unpacker.unpack(one), reader.meta["matrix"], reader.meta["full_range"])

    for what, run in (("written and compared", write), ("read as RGB", read)):
        times = in_turn({codec: partial(run, codec) for codec in packed}, seconds_each, 3)
        for codec in codecs:
            yield {
                "what": f"crops of {size} px in {codec}, {what}",
                "frames_per_second": len(frames) / statistics.median(times[codec]),
                "times_smaller": raw / sum(map(len, packed[codec])),
            }


def loader_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Speeds of the crops' codecs; clips a second of the loader, and how many the classifier's training takes."""
    settings, classes, device, layout = cfg.attribution, cfg.classes, resolve_device(cfg.device), Layout(cfg.results)
    rows = read_manifest(Path(layout.manifest(f"crf{cfg.qualities[0]}")), classes, settings.split)
    videos, _ = find_videos(rows[rows["part"] == "train"], Path(layout.crops_root), classes, settings.clip)
    yield from packing_rows(videos[0].crops, args.seconds)
    clips = Clips(videos, settings)
    draws = clips.training(0, 1)
    torch.set_num_threads(settings.threads)
    for what in ("loader, first round", "loader, from then on"):  # the first round fills the memory
        yield {"what": what, "clips_per_second": len(draws) / seconds(lambda: list(clips.batches(draws)))}
    model = models.build(settings.model, len(classes), settings.depth, settings.clip, None, settings.options)
    model = models.place(model, device, settings.channels_last).train()
    frames, labels, _ = next(clips.batches(draws))
    step = partial(train_step, model, model, normalise(frames, device, settings.channels_last))
    taken = statistics.median(timed({"step": step}, args.seconds, device)["step"])
    yield {"what": f"{settings.model}, forward and backward", "clips_per_second": len(labels) / taken}
