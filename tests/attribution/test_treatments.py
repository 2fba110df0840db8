"""Whole-frame treatments: alike for all frames and versions, drawn from what is given, and never of the face alone."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from attribution import augment
from attribution.clips import Clips, Draw, find_videos
from attribution.treatments import TREATMENTS as TREATMENTS_OF_TESTS
from dfdm.base.errors import DfdmError
from dfdm.media.recode import recode

TREATMENTS = (augment.moved, augment.recoloured, augment.softened, augment.noised, augment.compressed)


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """Three frames of smooth shapes and fine texture, 72 x 90."""
    random = np.random.default_rng(0)
    base = cv2.resize(random.integers(40, 220, (6, 8, 3)).astype(np.uint8), (90, 72), interpolation=cv2.INTER_CUBIC)
    texture = random.normal(0, 12, (72, 90, 1))
    return np.stack([np.clip(base + texture * k, 0, 255).astype(np.uint8) for k in (1, 1.1, 1.2)])


@pytest.mark.parametrize("treatment", TREATMENTS, ids=lambda f: f.__name__)
def test_a_treatment_keeps_the_shape_changes_the_pixels_and_depends_on_its_generator_alone(treatment, clip):
    kept = clip.copy()
    one, again, other = (treatment(clip, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.shape, one.dtype) == (clip.shape, np.uint8)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, clip)
    assert np.array_equal(clip, kept)


def test_all_frames_are_treated_alike(clip):
    still = clip[:1].repeat(3, 0)
    for treatment in (augment.moved, augment.recoloured, augment.softened):
        found = treatment(still, np.random.default_rng(3))
        assert np.array_equal(found[0], found[1])
        assert np.array_equal(found[0], found[2])


def test_a_softened_clip_is_soft_everywhere(clip):
    def sharp(part):
        return cv2.Laplacian(part, cv2.CV_32F).var()

    for seed in range(8):
        found = augment.softened(clip, np.random.default_rng(seed))
        for region in (np.s_[0, :36, :45], np.s_[0, 36:, 45:], np.s_[0, 18:54, 22:68]):
            assert sharp(found[region]) < 0.9 * sharp(clip[region])


def test_large_crops_are_treated_at_256_px_and_some_clips_stay_as_they_are():
    large = np.zeros((2, 300, 400, 3), np.uint8)
    sizes = [augment.augment(large, np.random.default_rng(seed)).shape[1:3] for seed in range(60)]
    assert set(sizes) == {(192, 256), (300, 400)}
    assert 0.2 < sizes.count((300, 400)) / 60 < 0.55


def test_every_treatment_is_drawn_and_none_always(clip, monkeypatch):
    drawn = []
    for treatment in TREATMENTS:
        monkeypatch.setattr(
            augment, treatment.__name__, lambda frames, _, name=treatment.__name__: drawn.append(name) or frames
        )
    for seed in range(60):
        augment.augment(clip, np.random.default_rng(seed))
    assert {name: 0 < drawn.count(name) < 60 for name in (t.__name__ for t in TREATMENTS)} == {
        t.__name__: True for t in TREATMENTS
    }


@pytest.mark.parametrize("size", [(72, 90), (71, 89)])
def test_recoding_loses_little_at_a_high_quality_and_more_at_a_low_one(clip, size):
    frames = np.ascontiguousarray(clip[:, : size[0], : size[1]])
    fine, coarse = (recode(frames, "libx264", crf=crf, preset="veryfast") for crf in (5, 40))
    assert fine.shape == coarse.shape == frames.shape
    errors = [np.abs(found.astype(int) - frames).mean() for found in (fine, coarse)]
    assert errors[0] < 6 < errors[1]


def test_training_clips_are_treated_and_fixed_ones_are_not(crops, classes, settings):
    videos, _ = find_videos(pd.read_parquet(crops / "manifest.parquet"), crops, classes, 2)
    plain, treated = (
        Clips(videos, settings.model_copy(update={"augment": on, "resize": 48, "size": 48})) for on in (False, True)
    )
    draws = treated.training(0, 1)
    assert [(draw.video, draw.start, draw.flip) for draw in draws] == [
        (draw.video, draw.start, draw.flip) for draw in plain.training(0, 1)
    ]
    first = treated.read(draws[0])
    assert np.array_equal(first, treated.read(draws[0]))
    assert not np.array_equal(first, plain.read(plain.training(0, 1)[0]))
    for one, other in zip(plain.fixed(), treated.fixed()):
        assert np.array_equal(plain.read(one), treated.read(other))


@pytest.mark.parametrize("name", sorted(TREATMENTS_OF_TESTS))
def test_a_treatment_of_test_videos_is_fixed_and_changes_what_it_says(name, clip):
    found, again = (TREATMENTS_OF_TESTS[name].apply(clip) for _ in range(2))
    assert np.array_equal(found, again)
    assert found.dtype == np.uint8
    assert len(found) == TREATMENTS_OF_TESTS[name].left(len(clip))
    if name == "half":
        assert np.array_equal(found, clip[[0, 2]])
    elif name == "cut":
        assert np.array_equal(found, clip[:, 4:-4, 4:-4])
    else:
        assert found.shape == clip.shape
        assert not np.array_equal(found, clip)


def test_treated_clips_are_of_the_whole_video_and_half_of_one_has_half_the_frames(crops, classes, settings):
    videos, _ = find_videos(pd.read_parquet(crops / "manifest.parquet"), crops, classes, 2)
    plain, half = (Clips(videos, settings, treatment) for treatment in (None, "half"))
    assert [video.frames for video in half.videos] == [3] * len(videos)  # of five
    assert np.array_equal(half.read(Draw(0, 1)), plain._fitted(videos[0], [2, 4]))
    kept = [replace(video, kept=2) for video in videos]
    with pytest.raises(DfdmError, match=r"crops\.clips: null"):
        Clips(kept, settings, "vp9")
