"""Clips a second of the loader alone and of the model's training step beside it, in one run.

python -m benchmarks.loader --manifest results/manifests/crf10.parquet --crops results/crops --config config.yaml
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from attribution import models
from attribution.clips import Clips, find_videos, normalise
from benchmarks.timing import seconds
from dfdm.base.compute import resolve_device
from dfdm.catalogue import config


def main() -> None:
    """Read the training clips of one epoch without and with the model; the first round fills the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    parser.add_argument("--batches", type=int, default=4, help="that the model trains on")
    args = parser.parse_args()
    cfg = config.load(args.config)
    settings, classes, device = cfg.attribution, cfg.classes, resolve_device(cfg.device)
    rows = pd.read_parquet(args.manifest)
    rows = rows[rows["model"].isin(classes) & (rows[f"split_{settings.split}"] == "train")]
    clips = Clips(find_videos(rows, args.crops, classes, settings.clip)[0], settings)
    draws = clips.training(0, 1)
    torch.set_num_threads(settings.threads)
    model = models.build(settings.model, len(classes), settings.depth, settings.clip, None, settings.options)
    model = models.place(model, device, settings.channels_last).train()

    def read() -> None:
        for _ in clips.batches(draws):
            pass

    batches = [batch for batch, _ in zip(clips.batches(draws), range(args.batches))]

    def step() -> None:
        for frames, labels, _ in batches:
            model.zero_grad(set_to_none=True)
            logits = model(normalise(frames, device, settings.channels_last))  # [B, classes]
            torch.nn.functional.cross_entropy(logits, labels.to(device)).backward()
        if device.type == "cuda":
            torch.cuda.synchronize()

    first, again = seconds(read), seconds(read)
    step()
    trained = sum(len(labels) for _, labels, _ in batches)
    print(f"{len(draws)} clips of {settings.clip} frames, {settings.size} px, {settings.threads} threads, {device}")
    print(f"loader, first round: {len(draws) / first:.1f} clips/s; from then on: {len(draws) / again:.1f} clips/s")
    print(f"{settings.model}, forward and backward: {trained / seconds(step):.1f} clips/s")


if __name__ == "__main__":
    main()
