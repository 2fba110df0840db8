"""What a training is fed, from real frames, against the page's formulas (docs/architectures.md, Faces and Masks)."""

import cv2
import formulas
import numpy as np
import pytest

from dfdm.media import colour, detectors, masks
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import probe, read_planes
from generators.faces import load_faces
from generators.settings import TrainConfig

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def scene(clips, predictor):
    """Sixteen frames of the woman: file and track (the first frame's landmarks), her first frame, the landmarks."""
    path = clips / "WolfgangLanger_Pexels.mp4"
    record = probe(path, "id0_0000", {"path": path.name}, (5, 21))
    rgb = colour.yuv_to_rgb(next(iter(read_planes(path, record))), record.matrix, record.full_range)
    landmarks = detectors.build("dlib", predictor=predictor).detect(rgb)[0].landmarks
    track = FaceTrack(
        record=record,
        frame_index=np.arange(16, dtype=np.int32),
        landmarks=np.repeat(landmarks[None].astype(np.float32), 16, 0),
        boxes=np.zeros((16, 4), np.float32),
        confidence=np.ones(16, np.float32),
        segment=np.zeros(16, np.int32),
        counts=TrackCounts(16, 16, 0, 0),
    )
    return (path, track), rgb, landmarks.astype(np.float64)


def cut(image: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(image[24:360, 24:360], (size, size), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(("augment", "size"), [("384", 384), ("model", 64), ("model", 128)])
@pytest.mark.parametrize("kind", ["extended", "components"])
def test_faces_and_face_masks_are_made_at_384_and_then_cut_and_reduced(scene, augment, size, kind):
    source, rgb, landmarks = scene
    settings = TrainConfig(augment_size=augment, held_out=0, mask=kind)
    found = load_faces("id0", [source], settings, min(size, 128))
    matrix = formulas.aligned(landmarks, 384, "face")
    enlarged = np.hypot(*matrix[:, 0]) > 1
    face = cv2.warpAffine(rgb, matrix, (384, 384), flags=cv2.INTER_CUBIC if enlarged else cv2.INTER_LINEAR)
    stored = masks.draw_mask(landmarks, kind, (rgb.shape[1], rgb.shape[0])).astype(float)
    stored = np.where(stored < 10.2, 0, np.where(stored > 244.8, 255, stored))  # 4 %
    mask = np.rint(formulas.gaussian(stored, 3)).astype(np.uint8)
    mask = cv2.resize(mask, (384, 384), interpolation=cv2.INTER_CUBIC)
    if size != 384:
        face, mask = cut(face, size), cut(mask, size)
    apart = np.abs(found.faces[0].astype(int) - face)
    print(f"{size}: face at most {apart.max()}, mask {np.abs(found.masks[0, ..., 0].astype(int) - mask).max()} levels")
    assert apart.max() <= 2
    assert np.abs(found.masks[0, ..., 0].astype(int) - mask).max() <= 2


@pytest.mark.parametrize(("percent", "blur"), [(3, 9), (-3, 3), (0, 0)])
def test_a_researchers_mask_is_grown_or_shrunk_and_then_blurred(scene, percent, blur):
    source, rgb, landmarks = scene
    settings = TrainConfig(held_out=0, mask_dilation=percent, mask_blur=blur)
    found = load_faces("id0", [source], settings, 64)
    stored = masks.draw_mask(landmarks, "extended", (rgb.shape[1], rgb.shape[0]))
    stored = np.where(stored < 10.2, 0, np.where(stored > 244.8, 255, stored)).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))  # 3 % of 128 px each way
    if percent:
        stored = (cv2.dilate if percent > 0 else cv2.erode)(stored, disc, borderType=cv2.BORDER_REPLICATE)
    mask = np.rint(formulas.gaussian(stored.astype(float), blur)).astype(np.uint8) if blur else stored
    mask = cut(cv2.resize(mask, (384, 384), interpolation=cv2.INTER_CUBIC), 64)
    assert np.abs(found.masks[0, ..., 0].astype(int) - mask).max() <= 2
    plain = load_faces("id0", [source], TrainConfig(held_out=0), 64)
    np.testing.assert_array_equal(found.faces, plain.faces)
    np.testing.assert_array_equal(found.masks[..., 1:], plain.masks[..., 1:])  # eyes and mouth
    grown = found.masks[0, ..., 0].sum(dtype=int) - plain.masks[0, ..., 0].sum(dtype=int)
    assert percent == 0 or np.sign(grown) == np.sign(percent)


@pytest.mark.parametrize(
    ("augment", "size", "widen", "blur"), [("384", 384, 12, 25), ("model", 64, 2, 5), ("model", 128, 3, 9)]
)
def test_eyes_and_mouth_lie_where_the_reduced_face_has_them(scene, augment, size, widen, blur):
    source, _, landmarks = scene
    found = load_faces("id0", [source], TrainConfig(augment_size=augment, held_out=0), min(size, 128))
    points = formulas.apply(formulas.aligned(landmarks, 384, "face"), landmarks)
    if size != 384:
        points = (points - 24 + 0.5) * size / 336 - 0.5  # reduced by area: the pixels' edges lie on each other
    for channel, regions in ((1, [points[36:42], points[42:48]]), (2, [points[48:60]])):
        low, high = formulas.region_bounds(regions, size, widen, blur)
        mask = found.masks[0, ..., channel] / 255
        assert (mask >= low - 1 / 255).all()
        assert (mask <= high + 1 / 255).all()
