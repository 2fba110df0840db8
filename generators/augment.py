"""Augmentation of a whole batch on the training device (docs/architectures.md, Augmentation).

Order: colour (picture only, 8-bit LAB, OpenCV) -> geometry -> flip -> target -> warp of the input. Everything random
is drawn from numpy's generator first, so a batch is the same on every device.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generators.faces import FULL, face_size, square_size
from generators.settings import TrainConfig

ROTATION, ZOOM, SHIFT, FLIP = 10.0, 0.05, 0.05, 0.5  # degrees, shares, chance
LIGHT, TINT = 0.30, 0.08  # LAB: L, and a and b
GRID = 5  # points of the warp, each way


@dataclass(frozen=True)
class Batch:
    """float32 in 0..1: `inputs` [N, 3, in, in] warped, `targets` [N, 3, out, out], `masks` [N, 3, out, out]."""

    inputs: Tensor
    targets: Tensor
    masks: Tensor


class Augmenter:
    """Turns kept faces into training batches for one model's sizes."""

    def __init__(self, settings: TrainConfig, input_size: int, output_size: int, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.input_size, self.output_size = input_size, output_size
        self.size = face_size(settings, max(input_size, output_size))
        self.whole = settings.augment_size == "384"  # as of 2021
        self.square = square_size(settings.coverage) if self.whole else self.size
        given = settings.warp_sigma  # by default 5 px at 384, and 5/256 of a model's size
        self.sigma = given if given is not None else 5 / (FULL if self.whole else 256)
        # the warp's map: 5x5 points enlarged to 1.25 times the size, a tenth cut off each side
        warped = input_size if self.whole else self.size
        spread = torch.from_numpy(linear_weights(GRID, int(1.25 * warped)))
        edge = len(spread) // 10
        self.spread = spread[edge : edge + warped].to(device)  # [warped, 5]

    def __call__(self, faces: np.ndarray, masks: np.ndarray, rng: np.random.Generator) -> Batch:
        """Augment faces and masks, both uint8 [N, S, S, 3]."""
        if self.settings.color_augment:
            faces = self.colour(faces, rng)
        stacked = torch.from_numpy(np.concatenate((faces, masks), -1)).to(self.device)  # [N, S, S, 6]
        x = stacked.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        x = self.geometry(x, rng)
        return Batch(self.warp(x[:, :3], rng), *self.targets(x))

    def colour(self, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shift LAB and equalise L locally, RGB uint8 [N, S, S, 3]; today's order, or 2021's at 384."""
        base = max(2, self.size // 128)
        shifts = rng.uniform(-1, 1, (len(faces), 3)) * (LIGHT, TINT, TINT)
        equalised = rng.random(len(faces)) < self.settings.clahe_chance
        steps = np.rint(rng.uniform(0, 4, len(faces))) if self.whole else rng.integers(0, 5, len(faces))
        out = np.empty_like(faces)
        for face, shift, equalise, step, result in zip(faces, shifts, equalised, steps, out):
            lab = cv2.cvtColor(face, cv2.COLOR_RGB2LAB)
            tiles = base + int(step) * (base // 2)
            if equalise and self.whole:
                _equalise(lab, tiles)
            lab = cv2.LUT(lab, shift_table(shift))
            if equalise and not self.whole:
                _equalise(lab, tiles)
            cv2.cvtColor(lab, cv2.COLOR_LAB2RGB, dst=result)
        return out

    def geometry(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Rotate, zoom, shift and flip pictures with their masks, [N, C, S, S]; the border is replicated."""
        n, size = len(x), self.size
        centre = size // 2 if self.whole else (size - 1) / 2
        angles = rng.uniform(-ROTATION, ROTATION, n)
        zooms = 1 + rng.uniform(-ZOOM, ZOOM, n)
        shifts = rng.uniform(-SHIFT, SHIFT, (n, 2)) * size
        flips = rng.random(n) < FLIP
        theta = np.stack(
            [
                sampling_matrix(size, rotation_matrix(centre, *values), flip)
                for *values, flip in zip(angles, zooms, shifts, flips)
            ]
        )
        grid = F.affine_grid(torch.from_numpy(theta).float().to(self.device), list(x.shape), align_corners=True)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=True)

    def targets(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The coverage square at the output size: pictures and masks, [N, 3, out, out] each."""
        if self.whole:
            edge = (FULL - self.square) // 2
            x = x[:, :, edge : edge + self.square, edge : edge + self.square]
        if x.shape[-1] != self.output_size:
            how = {"mode": "bilinear", "align_corners": False} if self.whole else {"mode": "area"}
            x = F.interpolate(x, (self.output_size, self.output_size), **how)
        return x[:, :3], x[:, 3:]

    def warp(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Warp the coverage square by a jittered 5x5 grid, [N, 3, S, S] -> [N, 3, in, in], black outside."""
        edge = (self.size - self.square) / 2
        points = np.linspace(edge, self.size - edge, GRID)
        grid = np.stack([*np.meshgrid(points, points)])  # [2, 5, 5]: x, y
        grid = grid + rng.normal(0, self.sigma * self.size, (len(x), 2, GRID, GRID))
        grid = grid * (2 / (self.size - 1)) - 1
        coarse = torch.from_numpy(grid).float().to(self.device)
        maps = self.spread @ coarse @ self.spread.T  # [N, 2, warped, warped]
        warped = F.grid_sample(x, maps.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=True)
        if warped.shape[-1] != self.input_size:
            warped = F.interpolate(warped, (self.input_size, self.input_size), mode="area")
        return warped


def _equalise(lab: np.ndarray, tiles: int) -> None:
    lab[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(tiles, tiles)).apply(lab[..., 0])


def shift_table(shift: np.ndarray) -> np.ndarray:
    """The 8-bit table [1, 256, 3] that moves each LAB channel by a share of the way to 255, or to 0 below it."""
    values = np.arange(256.0)[:, None]
    moved = np.where(shift >= 0, values + (255 - values) * shift, values * (1 + shift))
    return moved.astype(np.uint8)[None]


def linear_weights(count: int, size: int) -> np.ndarray:
    """The matrix [size, count] that enlarges `count` values linearly, pixel centres as in OpenCV's resize."""
    place = ((np.arange(size) + 0.5) * count / size - 0.5).clip(0, count - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(count))).astype(np.float32)


def rotation_matrix(centre: float, angle: float, zoom: float, shift: np.ndarray) -> np.ndarray:
    """Rotation (degrees, counter-clockwise) and zoom about the centre, then a shift (px), as [2, 3]."""
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, zoom)
    matrix[:, 2] += shift
    return matrix


def sampling_matrix(size: int, matrix: np.ndarray, flip: bool) -> np.ndarray:
    """Where each place of the result is sampled, [2, 3] over -1..1 (corners aligned), for a px matrix [2, 3]."""
    to_px = np.array([[(size - 1) / 2, 0, (size - 1) / 2], [0, (size - 1) / 2, (size - 1) / 2], [0, 0, 1]])
    mirror = np.diag([-1.0 if flip else 1.0, 1, 1])
    forward = np.vstack([matrix, [0, 0, 1]])
    return (np.linalg.inv(to_px) @ np.linalg.inv(forward) @ to_px @ mirror)[:2]
