import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from attribution import clips as clips_module
from attribution.clips import (
    MEAN,
    STD,
    Clips,
    Draw,
    Video,
    find_videos,
    fit,
    fixed_starts,
    normalise,
    possible_starts,
    random_clip,
    random_key,
)
from attribution.settings import AttributionConfig
from dfdm.base.errors import DfdmError
from dfdm.dataset.crops import CropReader


@pytest.fixture
def rows(crops) -> pd.DataFrame:
    return pd.read_parquet(crops / "manifest.parquet")


@pytest.fixture
def training(rows, crops, classes, settings) -> Clips:
    return Clips(find_videos(rows[rows["split_scene"] == "train"], crops, classes, 2)[0], settings)


def test_videos_are_found_by_manifest_and_labelled_by_class_order(rows, crops, classes):
    videos, short = find_videos(rows, crops, classes, 5)
    assert len(videos) == 18
    assert short == {}
    assert {(video.name.rsplit("_", 1)[1], video.label) for video in videos} == set(zip(classes, range(3)))
    assert {video.frames for video in videos} == {5}


def test_videos_shorter_than_a_clip_or_without_a_face_are_left_out_by_name(rows, crops, classes):
    rows = rows.copy()
    rows.loc[0, "crops"] = None
    videos, short = find_videos(rows, crops, classes, 5)
    assert len(videos) == 17
    assert short == {rows["name"][0]: 0}
    videos, short = find_videos(rows, crops, classes, 6)
    assert videos == []
    assert len(short) == 18
    assert sorted(set(short.values())) == [0, 5]


def test_a_missing_crop_file_is_an_error(rows, crops, classes):
    rows = rows.copy()
    rows.loc[0, "crops"] = "nowhere.safetensors"
    with pytest.raises(DfdmError, match=r"nowhere\.safetensors"):
        find_videos(rows, crops, classes, 2)


def test_random_clips_depend_on_seed_epoch_repeat_and_video_alone_and_cover_the_video():
    draws = [random_clip(random_key(1, epoch, 0, "a"), np.arange(3)) for epoch in range(200)]
    assert draws == [random_clip(random_key(1, epoch, 0, "a"), np.arange(3)) for epoch in range(200)]
    assert {start for start, _ in draws} == {0, 1, 2}
    assert 0.35 < np.mean([flip for _, flip in draws]) < 0.65
    others = [(2, 0, "a"), (1, 1, "a"), (1, 0, "b")]
    for seed, repeat, name in others:
        assert draws != [random_clip(random_key(seed, epoch, repeat, name), np.arange(3)) for epoch in range(200)]


def test_fixed_clips_spread_from_the_first_to_the_last_and_never_repeat():
    assert fixed_starts(possible_starts(110, 10), 5) == [0, 25, 50, 75, 100]
    assert fixed_starts(possible_starts(12, 10), 5) == [0, 1, 2]
    assert fixed_starts(possible_starts(10, 10), 5) == [0]
    assert fixed_starts(possible_starts(50, 10), 1) == [0]


def test_where_clips_alone_are_kept_no_clip_spans_two_of_them():
    assert possible_starts(12, 4, kept=4).tolist() == [0, 4, 8]
    assert possible_starts(12, 3, kept=4).tolist() == [0, 1, 4, 5, 8, 9]
    assert fixed_starts(possible_starts(12, 4, kept=4), 2) == [0, 8]


def test_fixed_clips_are_the_same_from_run_to_run(training):
    again = Clips(training.videos, training.settings)
    pairs = zip(training.batches(training.fixed()), again.batches(again.fixed()), strict=True)
    assert all(torch.equal(one, other) for first, second in pairs for one, other in zip(first, second))
    assert len(training.fixed()) == 6 * 2


def test_an_epoch_has_clips_per_epoch_clips_of_every_video_shuffled(training, settings):
    several = Clips(training.videos, settings.model_copy(update={"clips_per_epoch": 3}))
    draws = several.training(0, 1)
    assert sorted(draw.video for draw in draws) == sorted(list(range(6)) * 3)
    assert [draw.video for draw in draws] != sorted(draw.video for draw in draws)
    assert draws == several.training(0, 1)
    assert draws != several.training(0, 2)
    sizes = [len(clips) for clips, _, _ in several.batches(draws)]
    assert sizes == [4, 4, 4, 4, 2]  # the last batch is kept


def test_one_flip_mirrors_all_frames_of_a_clip_and_nothing_else(training):
    plain, flipped = training.read(Draw(0, 1)), training.read(Draw(0, 1, flip=True))
    assert plain.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(flipped, plain[:, :, ::-1])


def test_a_clip_holds_consecutive_crops_resized_and_cut_in_the_centre(training, settings):
    clip = training.read(Draw(2, 3))
    for frame, raw in zip(clip, CropReader(training.videos[2].crops).frames([3, 4]), strict=True):
        expected = cv2.resize(raw, (36, 36), interpolation=cv2.INTER_AREA)[2:34, 2:34]
        np.testing.assert_array_equal(frame, expected)


def test_frames_kept_in_memory_equal_frames_read_clip_by_clip(training, monkeypatch):
    monkeypatch.setattr(clips_module, "CACHE", 0)
    direct = Clips(training.videos, training.settings)
    draws = training.training(0, 1)
    for one, other in zip(training.batches(draws), direct.batches(draws), strict=True):
        assert torch.equal(one[0], other[0])
    assert len(training._kept) == 6
    assert direct._kept == {}


def test_fit_keeps_the_aspect_and_leaves_frames_of_the_right_size_untouched():
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)
    np.testing.assert_array_equal(fit(frames, 32, 32), frames[:, :, 8:40])
    assert fit(frames, 64, 50).shape == (2, 50, 50, 3)
    assert fit(frames, 7, 7).shape == (2, 7, 7, 3)


def test_normalisation_is_the_published_one_with_frames_first():
    clips = torch.randint(0, 256, (2, 3, 4, 5, 3), dtype=torch.uint8)
    for channels_last in (True, False):
        values = normalise(clips, torch.device("cpu"), channels_last)
        assert values.shape == (2, 3, 3, 4, 5)
        expected = (clips[1, 2, 3, 4].numpy() / 255 - MEAN) / STD
        np.testing.assert_allclose(values[1, 2, :, 3, 4].numpy(), expected, atol=1e-5)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert values.flatten(0, 1).is_contiguous(memory_format=layout)


def test_a_cut_larger_than_the_resized_crop_is_an_error(settings):
    with pytest.raises(ValidationError, match="size 40 is cut out of a crop resized to 36; make it no larger"):
        AttributionConfig.model_validate({**settings.model_dump(), "size": 40})


def test_labels_and_video_indices_go_with_their_clips(training):
    for _, labels, index in training.batches(training.training(0, 1)):
        assert labels.tolist() == [training.videos[i].label for i in index.tolist()]
    assert list(Clips([], training.settings).batches([])) == []
    assert isinstance(training.videos[0], Video)
