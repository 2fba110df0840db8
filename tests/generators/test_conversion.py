"""The conversion written down plainly, frame by frame in RGB, against what is rendered (docs/architectures.md)."""

import cv2
import formulas
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfdm.media import colour, detectors, masks
from dfdm.media.tracks import track_faces
from dfdm.media.video import probe, read_planes
from generators.colour_match import match_mean
from generators.settings import RenderConfig
from generators.swap import Swapper

TINT = (0.6, 0.8, 0.7)


class Tinted(nn.Module):
    """A model that gives its input back in another colour."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = size

    def swap(self, faces: Tensor, to: str) -> Tensor:
        return faces * torch.tensor(TINT).view(1, 3, 1, 1)


@pytest.fixture(scope="module")
def scene(clips, predictor):
    """Two frames of the woman as planes, and their track."""
    path = clips / "WolfgangLanger_Pexels.mp4"
    record = probe(path, "id0_0001", {"path": path.name}, (320, 322))
    planes = list(read_planes(path, record))
    rgb = (colour.yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes)
    return planes, track_faces(rgb, detectors.build("dlib", predictor=predictor), record)


def mean_matched(new: np.ndarray, old: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """avg-color: [S, S, 3] faces and an [S, S] mask, all 0..1."""
    for _ in range(2):
        for channel in range(3):
            difference = old[..., channel] - new[..., channel]
            new[..., channel] += (difference * mask).sum() / mask.sum()
    return new.clip(0, 1)


def converted(
    rgb: np.ndarray, landmarks: np.ndarray, size: int, crop: str, kind: str, scale: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A frame with the tinted face in it, float RGB 0..255, and the matrix by which the face came back."""
    height, width = rgb.shape[:2]
    matrix = formulas.aligned(landmarks.astype(np.float64), size, "face", 0.875, crop)
    enlarged = np.hypot(*matrix[:, 0]) >= 1
    there, back = (cv2.INTER_CUBIC, cv2.INTER_LINEAR) if enlarged else (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    old = cv2.warpAffine(rgb, matrix, (size, size), flags=there) / 255.0
    mask = masks.draw_mask(landmarks, kind, (width, height))
    mask = np.where(mask < 10.2, 0, np.where(mask > 244.8, 255, mask)).astype(np.uint8)  # 4 %
    for _ in range(4):
        mask = cv2.blur(mask, (3, 3))
    method = cv2.INTER_CUBIC if size > 112 else cv2.INTER_AREA
    mask = cv2.resize(mask[8:120, 8:120], (size, size), interpolation=method) / 255.0
    layers = np.dstack([mean_matched(old * TINT, old, mask), mask]).astype(np.float32)
    matrix = matrix * (1 - scale / 100)  # about the middle of the crop, which stays where it is
    matrix[:, 2] += size / 2 * scale / 100
    flags = back | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(layers, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    alpha = laid[..., 3:].clip(0, 1)
    return (alpha * laid[..., :3] * 255 + (1 - alpha) * rgb).clip(0, 255), matrix


@pytest.mark.long
@pytest.mark.parametrize("kind", ["extended", "components"])
@pytest.mark.parametrize("crop", ["exact", "2021"])
@pytest.mark.parametrize("size", [64, 128, 512])  # at 512 the crop is larger than the face, so the way back shrinks
def test_a_rendered_frame_is_the_conversion_written_plainly(scene, size, crop, kind):
    compare(scene, size, RenderConfig(convert_crop=crop, mask=kind))


@pytest.mark.long
@pytest.mark.parametrize("scale", [-10, 5])
@pytest.mark.parametrize("size", [64, 512])
def test_a_face_may_be_drawn_larger_or_smaller_about_the_middle_of_its_crop(scene, size, scale):
    compare(scene, size, RenderConfig(face_scale=scale))


def compare(scene, size: int, settings: RenderConfig) -> None:
    """What is rendered, against the plain conversion."""
    planes, track = scene
    record = track.record
    out = list(Swapper(Tinted(size), "face", 0.875, "b", settings).render(iter(planes), track))
    worst = []
    for before, after, landmarks in zip(planes, out, track.landmarks):
        rgb = colour.yuv_to_rgb(before, record.matrix, record.full_range)
        height, width = rgb.shape[:2]
        how = settings.convert_crop, settings.mask, settings.face_scale
        expected, matrix = converted(rgb, landmarks, size, *how)
        assert (np.hypot(*matrix[:, 0]) > 1) == (size == 512)
        luma = colour.rgb_to_yuv(np.rint(expected).astype(np.float32), record.matrix, record.full_range)[..., 0]
        untouched = colour.rgb_to_yuv(rgb, record.matrix, record.full_range)[..., 0]
        # Off the crop's edge, where the plain way fades into black, and where RGB can show the old frame at all.
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        place = formulas.apply(matrix, np.stack([x.ravel(), y.ravel()], 1)).reshape(height, width, 2)
        inner = ((place > 3) & (place < size - 4)).all(-1) & (np.abs(untouched - before[:height]) < 0.8)
        assert inner.sum() > 20_000
        changed = np.abs(after[:height].astype(float) - before[:height])[inner]
        assert (changed > 2).mean() > 0.1
        worst.append(np.abs(after[:height] - luma)[inner].max())
    print(f"{size} {how}: at most {max(worst):.1f} levels apart")
    assert max(worst) <= 2


def test_avg_color_is_the_formulas():
    rng = np.random.default_rng(0)
    new, old = (rng.uniform(0, 1, (2, 3, 16, 16)).astype(np.float32) for _ in range(2))
    mask = rng.uniform(0, 1, (2, 1, 16, 16)).astype(np.float32)
    found = match_mean(*(torch.from_numpy(values) for values in (new, old, mask))).clamp(0, 1).numpy()
    for one, other, weight, result in zip(new, old, mask, found):
        expected = mean_matched(one.transpose(1, 2, 0).astype(np.float64), other.transpose(1, 2, 0), weight[0])
        np.testing.assert_allclose(result.transpose(1, 2, 0), expected, atol=1e-6)
