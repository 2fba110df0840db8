"""The controls of a classifier's score: the same question where no information is left, or only trivial cues.

Docs: docs/attribution.md, Controls.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from torch import Tensor, nn

from attribution.clips import Clips, Video, find_videos
from attribution.cues import cues_of, logistic, trivial
from attribution.inference import Trained, load, mean_by_video, over_clips, video_logits
from attribution.openset import NONE, verdict
from attribution.results import Background, Controls, OpenSet, Originals, Permuted, Scores
from dfdm.base.compute import resolve_device
from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, cluster_of
from dfdm.dataset.splits import PARTS, read_rows

Labelled = tuple[np.ndarray, np.ndarray]  # features [n, C] and class indices [n]
FEATURES = "input of the classifier's last linear layer, mean over a video's fixed clips"


@torch.no_grad()
def features_of(model: nn.Module, clips: Clips, device: torch.device) -> np.ndarray:
    """What the last linear layer that runs is given, mean over each video's fixed clips: float64 [videos, C].

    Rows of one clip (frames, where the layer runs on frames) are averaged too. Sets eval mode.
    """
    seen: list[tuple[nn.Module, Tensor]] = []

    def features(frames: Tensor) -> Tensor:
        seen.clear()
        model(frames)
        if not seen:
            raise DfdmError(f"{clips.settings.model} has no linear layer to take features from")
        given = torch.cat([value for layer, value in seen if layer is seen[-1][0]])
        return given.reshape(len(frames), -1, given.shape[-1]).mean(1)  # [B, C]

    with ExitStack() as hooks:
        for layer in model.eval().modules():
            if isinstance(layer, nn.Linear):
                hook = layer.register_forward_pre_hook(lambda module, given: seen.append((module, given[0].detach())))
                hooks.enter_context(hook)
        return mean_by_video(*over_clips(features, clips, device))


def permute_within(labels: np.ndarray, clusters: Sequence[str], random: np.random.Generator) -> np.ndarray:
    """Labels [n] in a random order within each cluster: each keeps the labels it had."""
    out = labels.copy()
    for members in pd.Series(range(len(labels))).groupby(list(clusters)).indices.values():
        out[members] = random.permutation(labels[members])
    return out


def permuted(train: Labelled, test: Labelled, clusters: Sequence[str], permutations: int, seed: int) -> Permuted:
    """A cheap head on frozen features: learned with permuted labels, scored with true ones.

    `clusters` [n] of the training videos: labels are permuted within each.
    """

    def accuracy(labels: np.ndarray) -> float:
        return float(logistic().fit(train[0], labels).score(*test))

    random = np.random.default_rng(seed)
    accuracies = [accuracy(permute_within(train[1], clusters, random)) for _ in range(permutations)]
    low, high = np.quantile(accuracies, (0.025, 0.975)).tolist()
    true = accuracy(train[1])
    return Permuted(accuracies=accuracies, low=low, high=high, true=true, features=FEATURES, permutations=permutations)


def originals(trained: Trained, videos: list[Video], bounds: OpenSet, device: torch.device) -> Originals:
    """What a classifier says of unswapped videos."""
    logits = video_logits(trained.model, Clips(videos, trained.settings), device)
    counts = Counter(trained.classes[index] for index in logits.argmax(1))
    said = [verdict(each, trained.classes, bounds) for each in logits]
    return Originals(
        videos=len(videos),
        predicted={name: counts[name] for name in trained.classes},
        none_of_these=said.count(NONE) / len(said),
        accused=sum(answer != REAL for answer in said) / len(said),
        confidence=float(softmax(logits, axis=1).max(1).mean()),
    )


def background(scores: Scores) -> Background:
    """The scores of a classifier that saw the background alone, and what they say.

    At crf 0 its pixels are the same for all models, so it must be at chance: anything else is a fault of the
    control. At a lossy crf what the model changed also changes how the rest is coded.
    """
    above = scores.figures.accuracy.low > scores.chance
    if scores.crf:
        finding = "codec coupling: coding carries the model out of the region" if above else "at chance"
    else:
        finding = (
            "above chance although no pixel differs: the control is broken" if above else "at chance, as it must be"
        )
    return Background(
        figures=scores.figures,
        chance=scores.chance,
        expected="codec coupling" if scores.crf else "chance",
        above_chance=above,
        finding=finding,
    )


def run_controls(
    model: Path, scores: Path, manifest: Path, crops: Path, permutations: int, device: str, of_background: Path | None
) -> Controls:
    """The controls of a score (scores.json) at its training's own quality.

    `model`: the trained classifier. `manifest`: the table of the quality, originals included; `crops`: the folder its
    column `crops` is relative to; `of_background`: scores.json of the background's classifier at this quality.
    """
    own, place = Scores.read(scores), resolve_device(device)
    column, crf, seed = f"split_{own.run.split}", own.crf, own.run.seed
    trained = load(model, place)
    rows = read_rows(manifest, ("name", "model", "crf", "crops", column))
    if set(rows["crf"]) != {crf}:
        raise DfdmError(f"{manifest} is not the table of crf {crf} alone; give the manifest of that quality")
    real, swaps = rows[rows["model"] == REAL], rows[rows["model"].isin(trained.classes)]
    features, labels, names, cues = {}, {}, {}, {}
    for part in PARTS:
        videos, _ = find_videos(swaps[swaps[column] == part], crops, trained.classes, trained.settings.clip)
        if not videos:
            raise DfdmError(f"the {part} part has no video long enough for a clip; correct splits in the config")
        names[part] = [video.name for video in videos]
        labels[part] = np.array([video.label for video in videos])
        features[part] = features_of(trained.model, Clips(videos, trained.settings), place)
        cues[part] = cues_of(swaps.set_index("name").loc[names[part]].reset_index(), real, crops)
    unswapped, _ = find_videos(real[real[column] == "test"], crops, [REAL], trained.settings.clip)
    clusters = [cluster_of(name) for name in names["train"]]
    train, test = ((features[part], labels[part]) for part in ("train", "test"))
    parts = {part: (names[part], cues[part], labels[part]) for part in PARTS}
    return Controls(
        classifier=own.run.classifier,
        crf=crf,
        split=own.run.split,
        accuracy=own.figures.accuracy,
        permuted=permuted(train, test, clusters, permutations, seed),
        trivial=trivial(parts, trained.classes, seed),
        background=background(Scores.read(of_background)) if of_background else None,
        originals=originals(trained, unswapped, own.training.open_set, place) if unswapped else None,
    )
