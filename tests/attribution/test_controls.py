"""The controls find what was planted, and nothing where nothing was."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from attribution.clips import Clips, find_videos
from attribution.controls import background, features_of, originals, permute_within, permuted
from attribution.cues import CUES, cues_of, picture_cues, trivial
from attribution.inference import Trained
from attribution.models import build
from attribution.results import OpenSet
from attribution.run import Run
from dfdm.base.errors import DfdmError
from dfdm.base.tensorfile import Streamed, write_tensors
from tests.report.made_up import scores

CLASSES = ["faceswap", "lightweight", "iae"]
SIDE = 40


def many(clusters: int, prefix: int = 0) -> tuple[list[str], np.ndarray, list[str]]:
    """Names, class indices and clusters of a video of every class in many scenes."""
    names = [f"id{prefix}_id1_{scene:04d}_{model}" for scene in range(clusters) for model in CLASSES]
    return names, np.tile(np.arange(3), clusters), [name.rsplit("_", 1)[0] for name in names]


def test_labels_are_permuted_within_their_cluster_alone():
    _, labels, clusters = many(50)
    random = np.random.default_rng(0)
    made = permute_within(labels, clusters, random)
    assert (made != labels).mean() > 0.4
    np.testing.assert_array_equal(np.sort(made.reshape(-1, 3), 1), labels.reshape(-1, 3))  # each scene keeps its three
    uneven = permute_within(np.array([0, 0, 1, 2, 2]), ["a", "b", "a", "b", "b"], random)
    assert sorted(uneven[[0, 2]]) == [0, 1]
    assert sorted(uneven[[1, 3, 4]]) == [0, 2, 2]


@pytest.mark.long
def test_permuted_labels_stay_around_chance_where_the_true_ones_are_learned():
    random = np.random.default_rng(1)
    _, labels, clusters = many(30)
    train, test = (np.eye(3)[labels] * 4 + random.normal(size=(90, 3)) for _ in range(2))
    found = permuted((train, labels), (test, labels), clusters, 20, seed=0)
    assert found.true > 0.9
    assert len(found.accuracies) == found.permutations == 20
    assert found.low < 1 / 3 < found.high < found.true
    assert found == permuted((train, labels), (test, labels), clusters, 20, seed=0)
    assert found.accuracies != permuted((train, labels), (test, labels), clusters, 20, seed=1).accuracies


@pytest.mark.long
def test_features_without_a_signal_leave_the_true_labels_within_the_range():
    random = np.random.default_rng(2)
    _, labels, clusters = many(30)
    train, test = random.normal(size=(2, 90, 3))
    found = permuted((train, labels), (test, labels), clusters, 40, seed=0)
    assert min(found.accuracies) <= found.true <= max(found.accuracies)


@pytest.fixture
def clips(crops, classes, settings) -> Clips:
    rows = pd.read_parquet(crops / "manifest.parquet")
    return Clips(find_videos(rows[rows["split_scene"] == "train"], crops, classes, 2)[0], settings)


@pytest.mark.long
@pytest.mark.parametrize("name", ["dma_sta", "resnet_avg", "meso_inception4", "residual_dct"])
def test_features_are_what_the_last_layer_makes_the_logits_of(name, clips):
    torch.manual_seed(0)
    model = build(name, 3, 18, 2, None, {})
    device = torch.device("cpu")
    features = features_of(model, clips, device)
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear) and layer.out_features == 3][-1]
    logits = last(torch.from_numpy(features).float()).detach().numpy()
    from attribution.inference import video_logits

    np.testing.assert_allclose(logits, video_logits(model, clips, device), rtol=1e-3, atol=1e-4)
    assert features.shape == (6, last.in_features)
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_a_network_without_a_linear_layer_is_named(clips):
    class Plain(nn.Module):
        def forward(self, x):
            return x.mean((1, 3, 4))

    with pytest.raises(DfdmError, match="has no linear layer"):
        features_of(Plain(), clips, torch.device("cpu"))


def parts_of(cue) -> dict:
    """Random cues with one planted: `cue(labels)` as the file's size."""
    random, parts = np.random.default_rng(3), {}
    for prefix, part in ((0, "train"), (2, "validation"), (3, "test")):
        names, labels, _ = many(30, prefix)
        values = random.normal(size=(90, len(CUES)))
        values[:, 0] = cue(labels, random)
        parts[part] = (names, values, labels)
    return parts


@pytest.mark.long
def test_a_trivial_cue_that_gives_the_class_away_is_found():
    found = trivial(parts_of(lambda labels, random: 1000 + labels + random.normal(0, 0.1, 90)), CLASSES, seed=0)
    assert found.figures.accuracy.value > 0.95
    assert found.figures.accuracy.low > found.chance
    assert found.cues == list(CUES)


@pytest.mark.long
def test_cues_that_say_nothing_are_at_chance():
    found = trivial(parts_of(lambda labels, random: random.normal(size=90)), CLASSES, seed=0)
    accuracy = found.figures.accuracy
    assert accuracy.low < found.chance < accuracy.high


@pytest.mark.long
def test_validation_chooses_the_kind_of_classifier():
    def folded(labels, random):  # the middle class on both sides of the others: no line parts it
        return np.where(labels == 1, random.choice([-9, 9], 90), labels * 3.0) + random.normal(0, 0.1, 90)

    found = trivial(parts_of(folded), CLASSES, seed=0)
    assert found.chosen == "gradient boosting"
    accuracies = found.validation_accuracy
    assert accuracies["gradient boosting"] > accuracies["logistic regression"]
    line = trivial(parts_of(lambda labels, random: labels * 10.0), CLASSES, seed=0)
    assert line.chosen == "logistic regression"  # the simpler of two that are equal


def write_face(path, luma: np.ndarray, first: int = 0) -> None:
    """A crop file of grey frames [n, side, side] with a square outline from 10 to 30."""
    n = len(luma)
    planes = np.full((n, SIDE * 3 // 2, SIDE), 128, np.uint8)
    planes[:, :SIDE] = luma
    outline = np.float32([[10, 10], [30, 10], [30, 30], [10, 30]])
    polygon = np.tile(np.concatenate([outline, np.tile(outline[-1], (23, 1))]), (n, 1, 1))
    index = np.arange(first, first + n, dtype=np.int32)
    tensors = {
        "frames": Streamed(n, [one.tobytes() for one in planes]),
        "polygon": polygon,
        "frame_index": index,
        "boxes": np.zeros((n, 2), np.int32),
    }
    write_tensors(
        path, tensors, {"size": SIDE, "matrix": None, "full_range": True, "packing": {"codec": "raw", "side": SIDE}}
    )


def test_picture_cues_look_at_the_face_alone(tmp_path):
    random = np.random.default_rng(0)
    old = random.integers(60, 190, (3, SIDE, SIDE))
    write_face(tmp_path / "old.safetensors", old)
    same = old.copy()
    same[:, :, 37:] = 255  # far from the face
    write_face(tmp_path / "same.safetensors", same)
    flat = old.copy()
    flat[:, 8:33, 8:33] = 100
    write_face(tmp_path / "flat.safetensors", flat)
    side, *colours, sharp, alike = picture_cues(tmp_path / "same.safetensors", tmp_path / "old.safetensors")
    assert side == SIDE
    assert colours == pytest.approx([old[:, 10:31, 10:31].mean()] * 3, abs=1)
    assert alike == pytest.approx(1, abs=1e-6)
    assert sharp > 1000
    _, *colours, sharp, alike = picture_cues(tmp_path / "flat.safetensors", tmp_path / "old.safetensors")
    assert colours == pytest.approx([100, 100, 100], abs=1)
    assert sharp == 0
    assert alike < 0.5


def test_cues_take_size_and_rate_from_the_manifest_and_the_original_from_the_same_scene(tmp_path):
    old = np.random.default_rng(0).integers(60, 190, (3, SIDE, SIDE))
    for name, luma in (("real", old), ("swap", old // 2 + 50)):
        write_face(tmp_path / f"{name}.safetensors", luma)
    rows = pd.DataFrame([{"name": "id0_id1_0000_iae", "bytes": 5000, "frames": 50, "fps": 25.0,
                          "crops": "swap.safetensors"}])  # fmt: skip
    real = pd.DataFrame([{"name": "id0_0000_real", "crops": "real.safetensors"}])
    found = dict(zip(CUES, cues_of(rows, real, tmp_path)[0]))
    assert found["bytes"] == 5000
    assert found["bits_per_second"] == 20_000
    assert found["ssim"] < 0.99
    with pytest.raises(DfdmError, match="has no original of id0_id1_0000_iae"):
        cues_of(rows, real.assign(name="id1_0000_real"), tmp_path)
    write_face(tmp_path / "real.safetensors", old, first=1)
    with pytest.raises(DfdmError, match="not cut along the same track"):
        cues_of(rows, real, tmp_path)


@pytest.mark.parametrize(
    ("crf", "low", "expected", "finding"),
    [
        (0, 0.1, "chance", "at chance, as it must be"),
        (0, 0.3, "chance", "the control is broken"),
        (23, 0.3, "codec coupling", "codec coupling: "),
        (23, 0.1, "codec coupling", "at chance"),
    ],
)
def test_the_background_must_be_at_chance_at_crf_0_and_is_codec_coupling_elsewhere(crf, low, expected, finding):
    given = scores(Run("hidden", "scene", str(crf), 0), crf, CLASSES, accuracy=0.4, half=0.4 - low)
    found = background(given)
    assert found.expected == expected
    assert finding in found.finding
    assert found.above_chance == (low > 0.2)
    assert found.figures == given.figures


def test_originals_count_every_class_and_those_that_are_none_of_them(clips, settings):
    class Sure(nn.Module):
        """Calls every clip the second class, with evidence that sets its energy."""

        def forward(self, x):
            return torch.tensor([[0.0, 5.0, 0.0]]).repeat(len(x), 1)

    trained = Trained(Sure(), CLASSES, settings, {})
    bounds = OpenSet(score="energy", threshold=-5.5, accepted=0.95, videos=6)
    found = originals(trained, clips.videos, bounds, torch.device("cpu"))
    assert found.predicted == {"faceswap": 0, "lightweight": 6, "iae": 0}
    assert found.videos == 6
    assert found.confidence == pytest.approx(np.exp(5) / (np.exp(5) + 2))
    assert found.none_of_these == 1  # an energy of -5.01 is above -5.5
    assert found.accused == 1  # without a class real every answer accuses
    bounds = OpenSet(score="energy", threshold=-5.0, accepted=0.95, videos=6)
    assert originals(trained, clips.videos, bounds, torch.device("cpu")).none_of_these == 0
