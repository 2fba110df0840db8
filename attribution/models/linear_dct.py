"""One linear layer on pooled log DCT energies: this project's own design for few people.

With two or three people in training whatever a network can learn of a person it takes for a model. This one can learn
little: how much energy each frequency has in each place of the crop, on a logarithmic scale, weighed linearly. Five
classes: 30,725 parameters. There are no ImageNet weights.

- Log energies of the 8x8 DCT of Y, Cb and Cr every 4 pixels, as in residual_dct.
- The same of the crop shrunk to `base` pixels and enlarged again, subtracted: what a sharp and a soft face have in
  common falls out, and what lies above that size is left.
- Both averaged in each of `grid` x `grid` cells and over the frames, brought to mean 0 and deviation 1, and weighed.

It is solved, not descended: after each epoch a logistic regression (scikit-learn) is fitted to the features of all
clips so far, so with `attribution.augment` each epoch adds newly treated ones. Rate, optimizer, schedule, mixup and
label smoothing do not matter. Features, treatments and `c` were chosen on three people (docs/attribution.md, Unseen
people).
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution.models.blocks import need, per_frame, refuse_weights
from attribution.models.residual_dct import BAND, PLANES, LocalDct, full_precision
from dfdm.base.errors import DfdmError

SOLVER_STEPS = 2000
TOLERANCE = 1e-3  # of the gradient
ABSENT = -20.0  # logit of a class without a clip so far


class LinearDct(LocalDct):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int, grid: int, base: int, c: float) -> None:
        super().__init__()
        self.grid, self.base = grid, base
        features = 2 * PLANES * BAND * grid**2
        self.norm = nn.BatchNorm1d(features, affine=False)  # holds mean and variance; `solve` sets them
        self.head = nn.Linear(features, classes)
        self.c = c

    def pooled(self, ycc: Tensor) -> Tensor:
        """Log energies averaged by cell, `[N, 192, grid, grid]`."""
        return F.adaptive_avg_pool2d(self.energies(ycc), self.grid)

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> `[N, 384 * grid * grid]`."""
        with full_precision(frames.device):
            ycc = self.ycc(frames)  # [N, 3, H, W]
            small = F.interpolate(ycc, size=(self.base, self.base), mode="area")
            soft = F.interpolate(small, size=ycc.shape[-2:], mode="bicubic", align_corners=False)
            own = self.pooled(ycc)  # [N, 192, grid, grid]
            return torch.cat((own, own - self.pooled(soft)), 1).flatten(1)

    def features(self, clips: Tensor) -> Tensor:
        """What the linear layer weighs, `[B, 384 * grid * grid]`: nothing in it is trained."""
        return per_frame(self.frame, clips, whole=False).mean(1)

    def classify(self, features: Tensor) -> Tensor:
        """Features `[B, F]` -> logits `[B, classes]`."""
        with full_precision(features.device):
            mean, variance = self.norm.running_mean, self.norm.running_var
            return self.head(F.batch_norm(features.float(), mean, variance, eps=self.norm.eps))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return self.classify(self.features(clips))

    @torch.no_grad()
    def solve(self, features: Tensor, labels: Tensor) -> None:
        """Set mean, variance and the linear layer to the logistic regression of features `[n, F]`, labels `[n]`."""
        from sklearn.linear_model import LogisticRegression  # a second to import, which only a training needs

        variance, mean = torch.var_mean(features, 0, correction=0)
        values = ((features - mean) / (variance + self.norm.eps).sqrt()).double().cpu().numpy()
        found = LogisticRegression(C=self.c, max_iter=SOLVER_STEPS, tol=TOLERANCE).fit(values, labels.cpu().numpy())
        weights, shifts = torch.from_numpy(found.coef_).float(), torch.from_numpy(found.intercept_).float()
        if len(weights) == 1:  # of two classes it gives the second's against the first's
            weights, shifts = torch.cat((-weights, weights)) / 2, torch.cat((-shifts, shifts)) / 2
        self.norm.running_mean, self.norm.running_var = mean, variance
        self.head.weight.zero_()
        self.head.bias.fill_(ABSENT)
        present = torch.from_numpy(found.classes_).to(self.head.weight.device)
        self.head.weight[present] = weights.to(self.head.weight.device)
        self.head.bias[present] = shifts.to(self.head.weight.device)


def build(
    classes: int, clip: int, weights: Path | None, *, grid: int = 4, base: int = 48, c: float = 0.01
) -> LinearDct:
    """Build it with `grid` x `grid` cells over the crop, `base` px below which nothing is compared, and the inverse
    strength `c` of the weights' penalty.
    """
    refuse_weights("linear_dct", weights)
    need("grid", grid, 1, 16)
    need("base", base, 8, 512)
    if not c > 0:
        raise DfdmError(f"attribution.options: c is {c:g}, but should be above 0")
    return LinearDct(classes, grid, base, c)
