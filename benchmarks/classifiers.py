"""The attribution models' sizes and speeds; and DMA-STA against the same network run one frame at a time in a loop.

    python -m benchmarks.classifiers models     # parameters, multiply-adds, clips a second of every model
    python -m benchmarks.classifiers loop       # DMA-STA's ratio to the loop, in one run

`python -m benchmarks loop` is the second in both setups of LOOPS, in turn, as a table (`--quick`: the first).

Speeds are this machine's, in this run; ratios within a run are what can be compared. Random weights and pictures;
reading clips is not timed. `--budget` bounds the seconds of every figure: where the warm-up shows that three repeats
would take longer, the figure is "skipped". On a machine that others use too, `--clock cpu --threads 1` counts this
process' own seconds, which hardly depend on the others.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution import models
from attribution.models import blocks, dma_sta
from benchmarks.timing import in_turn, ratio
from dfdm.base.compute import amp_dtype, autocast, resolve_device

SETUPS = {"96 px, 5 frames": (96, 5, 8), "224 px, 10 frames": (224, 10, 2)}  # size, clip, clips a batch
LOOPS = ((18, 96, 5, 8), (50, 224, 10, 2))  # depth, size, clip, clips a batch: against the loop in `make bench`
CHUNKS = [4, 8, 16]
CLASSES = 5
HALF = "half precision"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Clock = Callable[[], float]


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


def seconds(action: Callable[[], None], device: torch.device, clock: Clock, repeats: int = 3) -> float:
    """The shortest of some runs after one to warm up."""

    def once() -> float:
        start = clock()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    once()
    return min(once() for _ in range(repeats))


def looped(model: nn.Module, clips: Tensor) -> Tensor:
    """DMA-STA as published runs it: a frame position after the other through the backbone."""
    assert isinstance(model, dma_sta.DmaSta)
    features = [model.features(clips[:, i]) for i in range(clips.shape[1])]
    return model.fc(model.ta(torch.stack(features, 1)))


def show_models(device: torch.device, clock: Clock, budget: float, only: list[str], depth: int) -> None:
    """One line a model and setting: parameters, multiply-adds of a clip, clips a second in training and inference."""
    print(f"| model (ResNets: depth {depth}) | setting | parameters | multiply-adds a clip | training | inference |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name in only or models.names():
        for title, (size, clip, batch) in SETUPS.items():
            model = models.place(models.build(name, CLASSES, depth, clip), device, channels_last=True)
            cost = blocks.cost(model, clip, size)
            clips = pictures(size, clip, batch, device)
            with torch.inference_mode():  # one clip tells how long the rest will take: training is about 3 forwards
                start = clock()
                model.eval()(clips[:1])
                guess = (clock() - start) * batch * 4
            speeds = ["skipped", "skipped"]
            if guess * 4 <= budget:
                fused = blocks.fused(model)
                model.train()
                actions = (partial(train_step, model, model, clips), partial(inference, fused, clips))
                speeds = [f"{batch / seconds(action, device, clock):.2f}" for action in actions]
            work = f"{cost.multiply_adds / 1e9:.2f} G"
            print(f"| {name} | {title} | {cost.parameters:,} | {work} | {' | '.join(speeds)} |", flush=True)


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


def loop_rows(
    depth: int, size: int, clip: int, batch: int, chunks: list[int], budget: float, device: torch.device
) -> list[dict[str, Any]]:
    """DMA-STA against its loop, in turn: seconds of a pass of each and the ratio; a line a way.

    `own` marks the chunk that `blocks.frames_at_once` chooses on this device. `budget`: seconds for the rounds of
    training and of inference each; there are at least two rounds, of which the first warms up and is not counted.
    """
    rows: list[dict[str, Any]] = []
    own = f"chunks of {blocks.frames_at_once(device)}"
    for what, runs in ways(depth, pictures(size, clip, batch, device), chunks).items():
        times = {name: found[1:] for name, found in in_turn(_synced(runs, device), budget, least=2).items()}
        for name in list(runs)[1:]:
            rows.append(
                {
                    "DMA-STA": f"depth {depth}, {size} px, {clip} frames, {batch} clips",
                    "pass": what,
                    "ours": name + (" (own)" if name in (own, "all frames") else ""),
                    "loop_s": statistics.median(times["loop"]),
                    "ours_s": statistics.median(times[name]),
                    "times_loop": ratio(times["loop"], times[name]),
                }
            )
    return rows


def _synced(runs: dict[str, Callable[[], None]], device: torch.device) -> dict[str, Callable[[], None]]:
    def whole(run: Callable[[], None]) -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return {name: partial(whole, run) for name, run in runs.items()}


def show_loop(
    device: torch.device, clock: Clock, depth: int, size: int, clip: int, batch: int, chunks: list[int]
) -> None:
    """Clips a second of the loop and of this project's ways, and each one's ratio to the loop."""
    print(f"DMA-STA depth {depth}, {size} px, {clip} frames, {batch} clips a batch, {torch.get_num_threads()} threads")
    for what, runs in ways(depth, pictures(size, clip, batch, device), chunks).items():
        base = 0.0
        for name, run in runs.items():
            speed = batch / seconds(run, device, clock, 2)
            base = base or speed
            print(f"  {what + ', ' + name:32s} {speed:7.2f} clips/s   {speed / base:.2f} x the loop", flush=True)


def chunked(model: nn.Module, clips: Tensor, chunk: int) -> None:
    """Inference with another chunk size than the device's own."""
    own = blocks.frames_at_once
    blocks.frames_at_once = lambda device: chunk
    try:
        inference(model.eval(), clips)
    finally:
        blocks.frames_at_once = own


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["models", "loop"])
    parser.add_argument("--only", nargs="*", default=[], help="models (all of them unless given)")
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--clip", type=int, default=5)
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--chunks", type=int, nargs="*", default=CHUNKS)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget", type=float, default=60, help="seconds a figure may take")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = resolve_device(args.device)
    if args.what == "models":
        show_models(device, CLOCKS[args.clock], args.budget, args.only, args.depth)
    else:
        for batch in args.batch:
            show_loop(device, CLOCKS[args.clock], args.depth, args.size, args.clip, batch, args.chunks)


if __name__ == "__main__":
    main()
