"""Colour matching and blending on real faces, each against an independent formulation."""

import cv2
import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, identity, kron
from scipy.sparse.linalg import spsolve
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import match_histograms

from dfdm.media import alignment, colour, detectors, masks
from dfdm.media.video import probe, read_planes
from generators import colour_match

Faces = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def faces(clips, predictor) -> Faces:
    """The man's face as the new one, the woman's as the old one [64, 64, 3] float32, and her soft mask [64, 64]."""
    detector, found = detectors.build("dlib", predictor=predictor), []
    for name, frame in (("single_face.mp4", 30), ("WolfgangLanger_Pexels.mp4", 320)):
        record = probe(clips / name, "id0_0000", {"path": name}, (frame, frame + 1))
        rgb = colour.yuv_to_rgb(next(read_planes(clips / name, record)), record.matrix, record.full_range)
        landmarks = detector.detect(rgb)[0].landmarks
        found.append(alignment.align(rgb, landmarks, 64, "face", 0.875).astype(np.float32) / 255)
    mask = masks.cut_mask(masks.render_mask(masks.draw_mask(landmarks, "extended", rgb.shape[1::-1])), 64, 0.875)
    assert 0 < mask[mask > 0].min() < 200
    return found[0], found[1], mask.astype(np.float32) / 255


def tensors(*images: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(image.reshape(*image.shape[:2], -1)).permute(2, 0, 1)[None] for image in images]


@pytest.mark.long
def test_reinhard_gives_mean_and_spread_in_lab(faces: Faces) -> None:
    new, old, mask = faces
    found = colour_match.reinhard(new, old, mask)
    lab, wanted = rgb2lab(new).reshape(-1, 3), rgb2lab(old).reshape(-1, 3)
    weight = mask.ravel().astype(float)
    for channel in range(3):
        means, spreads = [], []
        for values in (lab[:, channel], wanted[:, channel]):
            means.append((values * weight).sum() / weight.sum())
            spreads.append(np.sqrt(np.cov(values, aweights=weight, ddof=0)))
        lab[:, channel] = (lab[:, channel] - means[0]) / spreads[0] * spreads[1] + means[1]
    expected = lab2rgb(lab.reshape(64, 64, 3))
    inside = (mask > 0) & (expected > 0.01).all(-1) & (expected < 0.99).all(-1)
    assert inside.sum() > 1000
    assert np.abs(found - expected)[inside].max() < 0.01
    assert np.abs(found - new)[inside].mean() > 0.02


def test_histograms_match_as_when_each_pixel_counts_as_often_as_its_mask_says(faces: Faces) -> None:
    new, old, mask = faces
    found = colour_match.match_histogram(new, old, mask)
    times = np.rint(mask * 255).astype(int).ravel()
    pixels, wanted = (np.repeat(face.reshape(-1, 3), times, axis=0)[:, None] for face in (new, old))
    expected = match_histograms(pixels, wanted, channel_axis=-1)[:, 0]
    np.testing.assert_allclose(np.repeat(found.reshape(-1, 3), times, axis=0), expected, atol=1e-5)


def test_seamless_cloning_solves_poissons_equation(faces: Faces) -> None:
    """On the box around the mask: the new face's gradients inside, the old one's outside, the old one at the rim."""
    new, old, mask = faces
    found = colour_match.clone(*tensors(new, old, mask))[0].permute(1, 2, 0).numpy()
    inside = (mask > 0).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(inside)
    inner = cv2.erode(np.pad(inside, 3), np.ones((3, 3), np.uint8), iterations=3)[3:-3, 3:-3]
    box = np.s_[y : y + height, x : x + width]
    weight, source, target = inner[box].astype(float), np.rint(new[box] * 255), np.rint(old[box] * 255)

    def second(n: int) -> csr_matrix:
        return csr_matrix(np.diag(np.full(n, -2.0)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1))

    rows, columns = height - 2, width - 2
    laplacian = kron(identity(rows), second(columns)) + kron(second(rows), identity(columns))
    for channel in range(3):
        s, t = source[..., channel], target[..., channel]
        across = np.where(weight > 0, np.diff(s, axis=1, append=0), np.diff(t, axis=1, append=0))
        down = np.where(weight > 0, np.diff(s, axis=0, append=0), np.diff(t, axis=0, append=0))
        right = (across[:, 1:-1] - across[:, :-2])[1:-1] + (down[1:-1] - down[:-2])[:, 1:-1]
        right[0] -= t[0, 1:-1]
        right[-1] -= t[-1, 1:-1]
        right[:, 0] -= t[1:-1, 0]
        right[:, -1] -= t[1:-1, -1]
        solved = spsolve(csr_matrix(laplacian), right.ravel()).reshape(rows, columns).clip(0, 255)
        difference = np.abs(found[box][1:-1, 1:-1, channel] * 255 - solved)
        assert difference.max() <= 2
    assert np.abs(found - new)[inner > 0].mean() > 0.02


def test_an_equal_face_stays_where_it_is_under_every_option(faces: Faces) -> None:
    _, old, mask = faces
    same, before, weight = tensors(old, old, mask)
    for kind in ("avg", "reinhard", "histogram", "none"):
        assert (colour_match.match(kind, same, before, weight) - same).abs().max() < 0.01, kind
    assert (colour_match.clone(same, before, weight) - same).abs().max() < 0.01


def test_empty_tiny_and_full_masks_and_flat_faces_are_harmless(faces: Faces) -> None:
    new, old, mask = faces
    tiny, corner, full = np.zeros_like(mask), np.zeros_like(mask), np.ones_like(mask)
    tiny[30, 30], corner[:20, :20] = 1, 1
    for face in (new, np.full_like(new, 0.5)):
        for weight in (np.zeros_like(mask), tiny, corner, full):
            for kind in ("avg", "reinhard", "histogram", "none"):
                found = colour_match.match(kind, *tensors(face, old, weight))
                assert bool(torch.isfinite(found).all()), kind
                assert weight.any() or torch.equal(found, tensors(face)[0])
            cloned = colour_match.clone(*tensors(face, old, weight))
            assert bool(torch.isfinite(cloned).all())
            assert weight.sum() > 1 or torch.equal(cloned, tensors(face)[0])


def test_the_local_match_moves_each_part_by_the_masked_means_around_it(faces: Faces) -> None:
    new, old, mask = faces
    found = colour_match.match("local", *tensors(new, old, mask))[0].permute(1, 2, 0).numpy()
    shifted = new + ((old - new) * mask[..., None]).sum((0, 1)) / mask.sum()
    apart = (old - shifted) * mask[..., None]
    around, weight = (
        cv2.GaussianBlur(picture.astype(np.float64), (127, 127), 0.045 * 64, borderType=cv2.BORDER_CONSTANT)
        for picture in (apart, mask)
    )
    inside = mask > 0.5
    expected = shifted + around / weight[..., None]
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-3)


def test_the_local_match_takes_blotches_away_and_keeps_detail(faces: Faces) -> None:
    _, old, mask = faces
    y, x = np.mgrid[0:64, 0:64] / 64
    blotched = old + 0.06 * np.dstack([np.sin(6 * x), np.cos(5 * y), np.sin(4 * (x + y))]).astype(np.float32)
    found = colour_match.match("local", *tensors(blotched, old, mask))[0].permute(1, 2, 0).numpy()
    inside = mask > 0.5
    assert np.abs(found - old)[inside].mean() < 0.4 * np.abs(blotched - old)[inside].mean()
    fine = [cv2.Laplacian(picture, cv2.CV_32F)[inside].std() for picture in (found, blotched)]
    assert fine[0] == pytest.approx(fine[1], rel=0.02)


def test_an_empty_mask_leaves_the_face_where_the_match_is_local(faces: Faces) -> None:
    new, old, mask = tensors(*faces)
    assert torch.equal(colour_match.match("local", new, old, torch.zeros_like(mask)), new)
