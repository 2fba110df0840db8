"""Weights of the original in our models, against the original's models in numpy (docs/architectures.md)."""

import json

import numpy as np
import original
import pytest
import torch
from torch import nn

from dfdm.base.errors import DfdmError
from dfdm.commands import dataset
from dfdm.media import colour, detectors
from dfdm.media.tracks import track_faces
from dfdm.media.video import of_encoded, probe, read_planes
from generators import checkpoint, exchange
from generators.models import blocks, build, names
from generators.settings import train_settings
from tests.commands import dfdm

INPUT = {"faceswap": 64, "lightweight": 64, "iae": 64, "dfaker": 64, "dfl_h128": 128}
WIDTH = 1 / 16


def faces(name: str, count: int = 2) -> np.ndarray:
    """Faces as the original takes them: BGR, [N, S, S, 3] in 0..1, each colour at its own level."""
    rng = np.random.default_rng(1)
    shape = (count, INPUT[name], INPUT[name], 3)
    return (rng.random(shape) * [0.3, 0.6, 1.0]).astype(np.float32)


def ours(model: blocks.Autoencoder, bgr: np.ndarray, side: str, swap: bool = False) -> np.ndarray:
    """What our model makes of the original's faces, given back as the original's pictures."""
    rgb = torch.from_numpy(bgr[..., ::-1].copy()).permute(0, 3, 1, 2)
    with torch.inference_mode():
        picture = model.swap(rgb, to=side) if swap else model.reconstruct(rgb, side)
    return picture.permute(0, 2, 3, 1).numpy()[..., ::-1]


def flat(weights: dict[str, list[np.ndarray]]) -> list[np.ndarray]:
    return [array for arrays in weights.values() for array in arrays]


def compare(name: str, width: float, count: int = 2) -> float:
    """The largest difference between the original and ours with its weights, over sides and the swap."""
    weights, bgr = original.random_weights(name, width), faces(name, count)
    model = exchange.load_original(build(name, width), weights)
    pictures = {side: original.predict(name, weights, bgr, side) for side in "ab"}
    assert all(picture.std() > 0.03 for picture in pictures.values())  # not a grey nothing
    assert np.abs(pictures["a"] - pictures["b"]).max() > 0.1
    found = [np.abs(ours(model, bgr, side, swap) - pictures[side]).max() for side in "ab" for swap in (False, True)]
    with torch.inference_mode():
        rgb = torch.from_numpy(bgr[..., ::-1].copy()).permute(0, 3, 1, 2)
        for side, picture in zip("ab", model(rgb, rgb)):
            found.append(np.abs(picture.permute(0, 2, 3, 1).numpy()[..., ::-1] - pictures[side]).max())
    return float(max(found))


@pytest.mark.parametrize("name", INPUT)
def test_with_the_originals_weights_our_model_makes_the_originals_pictures(name):
    difference = compare(name, WIDTH)
    print(f"{name}: at most {difference:.1e} apart")
    assert difference < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", INPUT)
def test_at_full_width_too(name):
    difference = compare(name, 1, count=1)
    print(f"{name} at width 1: at most {difference:.1e} apart")
    assert difference < 1e-4


@pytest.mark.parametrize("name", INPUT)
def test_our_weights_in_the_originals_model_make_our_pictures(name):
    torch.manual_seed(0)
    model = build(name, WIDTH)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, std=0.1)
    bgr, weights = faces(name), exchange.to_original(model)
    for side in "ab":
        difference = np.abs(ours(model, bgr, side) - original.predict(name, weights, bgr, side)).max()
        print(f"{name} {side}: at most {difference:.1e} apart")
        assert difference < 1e-4


def test_the_reference_knows_every_model_and_the_shapes_of_the_page():
    assert sorted(INPUT) == names()
    for name in names():
        count = sum(int(np.prod(shape)) for list_ in original.shapes(name).values() for shape in list_)
        with torch.device("meta"):
            model = build(name)
        assert count == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("width", [WIDTH, 0.03])
@pytest.mark.parametrize("name", INPUT)
def test_there_and_back_is_the_same_bit_for_bit(name, width):
    weights = original.random_weights(name, width)
    model = exchange.load_original(build(name, width), weights)
    back = exchange.to_original(model)
    assert list(back) == list(original.shapes(name))  # the page's order
    for one, other in zip(flat(weights), flat(back), strict=True):
        assert one.dtype == other.dtype == np.float32
        assert other.flags.c_contiguous
        assert one.tobytes() == other.tobytes()
    again = exchange.load_original(build(name, width), back)
    for one, other in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


KERAS = {"iae": ["encoder", "inter_a", "inter_both", "inter_b", "decoder"]}  # its own order of a whole model's arrays


@pytest.mark.parametrize("name", ["iae", "dfaker"])
def test_one_flat_list_in_keras_order_is_the_same_as_a_list_for_each_part(name):
    weights = original.random_weights(name, WIDTH)
    one = exchange.load_original(build(name, WIDTH), weights)
    ordered = {part: weights[part] for part in KERAS.get(name, weights)}
    other = exchange.load_original(build(name, WIDTH), flat(ordered))
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_channels_last_models_take_and_give_the_same_weights():
    weights = original.random_weights("dfaker", WIDTH)
    model = build("dfaker", WIDTH).to(memory_format=torch.channels_last)
    back = exchange.to_original(exchange.load_original(model, weights))
    for one, other in zip(flat(weights), flat(back), strict=True):
        np.testing.assert_array_equal(one, other)


class Sixth(blocks.TwoDecoders):
    """A model that no code but the shared blocks knows of."""

    input_size = output_size = 8

    def __init__(self) -> None:
        super().__init__(1.0)
        self.encoder = nn.Sequential(blocks.C(3, 4), blocks.R(4))
        self.decoder_a, self.decoder_b = blocks.UO(4, 5), blocks.UO(4, 5)


def test_a_model_of_the_shared_blocks_needs_no_table():
    rng = np.random.default_rng(0)
    shapes = [(5, 5, 3, 4), (4,), *[(3, 3, 4, 4), (4,)] * 2, *[(3, 3, 4, 20), (20,), (5, 5, 5, 3), (3,)] * 2]
    weights = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]
    model = exchange.load_original(Sixth(), weights)
    bgr = rng.random((2, 8, 8, 3)).astype(np.float32)
    w = iter(weights)
    code = original.residual(original.down(bgr.astype(np.float64), w), w)
    for side in "ab":
        expected = original.picture(original.up(code, w), w)
        assert np.abs(ours(model, bgr, side) - expected).max() < 1e-5


class Normed(Sixth):
    def __init__(self) -> None:
        super().__init__()
        self.encoder.append(nn.BatchNorm2d(4))


def test_a_layer_that_the_original_has_not_is_refused_by_name():
    with pytest.raises(DfdmError, match=r"encoder\.2 \(BatchNorm2d\)"):
        exchange.to_original(Normed())


def broken(**changes: object) -> dict[str, list]:
    """iae's weights, with `part_number=value` put in place."""
    weights: dict[str, list] = original.random_weights("iae", WIDTH)
    for place, value in changes.items():
        part, _, number = place.rpartition("_")
        weights[part][int(number)] = value
    return weights


def nan_in(shape: tuple[int, ...]) -> np.ndarray:
    array = np.zeros(shape, np.float32)
    array.flat[3] = np.nan
    return array


FAULTS = {
    "our layout": (broken(encoder_0=np.zeros((8, 3, 5, 5), np.float32)),
                   r"encoder/0 has the shape \(8, 3, 5, 5\); this model needs a float32 array of \(5, 5, 3, 8\)"),
    "type": (broken(inter_both_3=np.zeros(512)), r"inter_both/3 is of type float64; .* float32 array of \(512,\)"),
    "list": (broken(decoder_1=[0.0]), r"decoder/1 is a list; .* float32 array of \(128,\)"),
    "nan": (broken(inter_a_1=nan_in((64,))), "inter_a/1 contains 1 values that are not finite numbers"),
    "short part": ({**broken(), "decoder": broken()["decoder"][:-1]}, "decoder contains 9 arrays, this model's has 10"),
    "wrong parts": ({"encoder": []}, "of the parts encoder, this model has encoder, inter_a, inter_b, inter_both, dec"),
    "short list": (flat(broken())[:-1], "the list contains 29 arrays, this model has 30"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_one_sentence_and_changes_nothing(fault):
    weights, sentence = FAULTS[fault]
    model = build("iae", WIDTH)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DfdmError, match=sentence) as caught:
        exchange.load_original(model, weights)
    assert "\n" not in str(caught.value)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def saved(path, **changes):
    weights = original.random_weights("iae", WIDTH)
    arrays = {f"{part}/{number}": array for part, list_ in weights.items() for number, array in enumerate(list_)}
    np.savez(path, **{key: value for key, value in {**arrays, **changes}.items() if value is not None})
    return weights


@pytest.mark.long
def test_imported_by_command_it_is_a_finished_model_and_exports_the_same_arrays(tmp_path):
    weights = saved(tmp_path / "iae.npz")
    done = dfdm("weights", "import", tmp_path / "iae.npz", "--model", "iae", "--pair", "id0", "id1", "--width", WIDTH,
                "--coverage", 0.75, "--centering", "face", "--padding", "zero",
                "--out", tmp_path / "model.safetensors")  # fmt: skip
    assert done.status == 0, done
    assert "centering face, coverage 0.75, mask extended, 0 iterations" in done.out
    model, meta = checkpoint.load(tmp_path / "model.safetensors")
    assert (meta.model, meta.pair, meta.coverage, meta.centering, meta.mask) == (
        "iae", ("id0", "id1"), 0.75, "face", "extended")  # fmt: skip
    bgr = faces("iae", 1)
    assert np.abs(ours(model, bgr, "b", swap=True) - original.predict("iae", weights, bgr, "b")).max() < 1e-4
    done = dfdm("weights", "export", tmp_path / "model.safetensors", "--out", tmp_path / "back.npz")
    assert done.status == 0, done
    assert (tmp_path / "back.npz").read_bytes() == (tmp_path / "iae.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.npz", "iae.npz", "model.safetensors"]


def test_where_side_a_has_the_higher_number_the_sides_are_exchanged(tmp_path):
    weights = saved(tmp_path / "iae.npz")
    out, settings = tmp_path / "model.safetensors", train_settings({"width": WIDTH})
    exchange.import_file(tmp_path / "iae.npz", "iae", ("id10", "id2"), settings, 0, out)
    model, meta = checkpoint.load(out)
    assert meta.pair == ("id2", "id10")
    bgr = faces("iae", 1)
    for side, theirs in (("a", "b"), ("b", "a")):  # id2 is our side a, and was the original's B
        assert np.abs(ours(model, bgr, side) - original.predict("iae", weights, bgr, theirs)).max() < 1e-4


@pytest.mark.long
def test_an_imported_model_renders_as_a_trained_one_does(tmp_path, demo, clips, predictor):
    record = probe(clips / "single_face.mp4", "id1_0000", {"path": "single_face.mp4"}, (30, 33))
    planes = list(read_planes(clips / "single_face.mp4", record))
    frames = (colour.yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes)
    track = track_faces(frames, detectors.build("dlib", predictor=predictor), record)
    track.save(tmp_path / "track.npz")
    saved(tmp_path / "iae.npz")
    settings = train_settings({"width": WIDTH})
    exchange.import_file(tmp_path / "iae.npz", "iae", ("id0", "id1"), settings, 0, tmp_path / "model.safetensors")
    out = tmp_path / "DFDM_crf0/iae/id1_id0_0000_iae.mp4"
    dataset.render(demo, tmp_path / "track.npz", tmp_path / "model.safetensors", out)
    rendered = list(read_planes(out, of_encoded(record)))
    assert len(rendered) == 3
    for before, after, landmarks in zip(planes, rendered, track.landmarks):
        x, y = np.rint(landmarks[30]).astype(int)  # the nose
        assert (before[y - 20 : y + 20, x - 20 : x + 20] != after[y - 20 : y + 20, x - 20 : x + 20]).mean() > 0.5
        np.testing.assert_array_equal(before[:20], after[:20])


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({"encoder/2": None}, {}, "has no encoder/2"),
        ({"weights": np.zeros(1)}, {}, "its key 'weights' does not look like encoder/0"),
        ({"encoder/0": np.array([{}], object)}, {}, "not a readable .npz"),
        ({"decoder/9": np.zeros(4, np.float32)}, {}, "does not fit iae at width 0.0625: decoder/9 has the shape (4,)"),
        ({}, {"--width": 1}, "does not fit iae at width 1: encoder/0 has the shape (5, 5, 3, 8)"),
        ({}, {"--width": 0}, "width: input should be greater than 0"),
        ({}, {"--model": "gan"}, "no autoencoder 'gan'"),
        ({}, {"--centering": "nose"}, "centering: input should be"),
        ({}, {"--pair": ("id0", "ann")}, "'ann' is not a person"),
        ({}, {"--pair": ("id0", "id0")}, "both sides are id0"),
        ({}, {"--iterations": -1}, "--iterations: -1 is below 0"),
        ({}, {"--padding": "reflect"}, "trained with reflect padding, which this project's models do not have"),
    ],
)
def test_a_bad_import_is_one_sentence_and_leaves_no_file(tmp_path, changes, options, sentence):
    saved(tmp_path / "iae.npz", **changes)
    out = tmp_path / "model.safetensors"
    told = {"--coverage": 1, "--centering": "face", "--padding": "zero"}
    values = {"--model": "iae", "--pair": ("id0", "id1"), "--width": WIDTH, "--out": out, **told, **options}
    words = [
        word for key, value in values.items() for word in (key, *(value if isinstance(value, tuple) else (value,)))
    ]
    done = dfdm("weights", "import", tmp_path / "iae.npz", *words)
    assert done.status == 2
    assert sentence in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["iae.npz"]


STATE = {"iterations": 1200, "config": {"coverage": 100.0, "centering": "head", "reflect_padding": False}}


def test_what_the_weights_do_not_show_is_read_from_the_state_file(tmp_path):
    path = tmp_path / "iae_state.json"
    path.write_text(json.dumps(STATE))
    settings, iterations = exchange.described(path, {"coverage": None, "mask": "components"}, "iae")
    assert (settings.coverage, settings.centering, settings.mask, iterations) == (1.0, "head", "components", 1200)


@pytest.mark.parametrize(
    ("state", "given", "sentence"),
    [
        (None, {}, "the weights do not show coverage, centering and padding; give --coverage and --centering and"),
        (None, {"coverage": 1.0, "centering": "face"}, "do not show padding; give --padding"),
        ({**STATE, "config": {}}, {}, "do not show coverage, centering and padding"),
        (STATE, {"coverage": 0.875}, r"says coverage 1\.0, the command line 0\.875"),
        ({**STATE, "config": {**STATE["config"], "reflect_padding": True}}, {}, "the model has reflect padding"),
        ({**STATE, "config": {**STATE["config"], "learn_mask": True}}, {}, "the model has a learned mask"),
        ({"lowmem": True, **STATE}, {}, "the model has the smaller encoder 'lowmem'"),
        ({**STATE, "config": {**STATE["config"], "vertical_offset": -5}}, {}, r"face \(vertical_offset -5\)"),
        ({**STATE, "config": {**STATE["config"], "output_size": 256}}, {}, r"its pictures \(output_size 256\)"),
        ({**STATE, "config": {**STATE["config"], "coverage": 45.0}}, {}, r"iae_state\.json: coverage: input should be"),
        (
            {**STATE, "config": {**STATE["config"], "centering": "nose"}},
            {},
            r"iae_state\.json: centering: input should",
        ),
        ({**STATE, "config": {**STATE["config"], "mask_type": "unet-dfl"}}, {}, "says mask_type unet-dfl, which this"),
        ({**STATE, "name": "original"}, {}, "is of the model original, and iae is asked for"),
        ([], {}, "not a readable state file"),
    ],
)
def test_a_training_that_is_not_wholly_known_or_not_ours_is_refused(tmp_path, state, given, sentence):
    path = None if state is None else tmp_path / "iae_state.json"
    if path:
        path.write_text(json.dumps(state))
    with pytest.raises(DfdmError, match=sentence):
        exchange.described(path, given, "iae")


def test_a_missing_or_truncated_file_is_one_sentence(tmp_path):
    with pytest.raises(DfdmError, match=r"none\.npz does not exist"):
        exchange.read_npz(tmp_path / "none.npz")
    saved(tmp_path / "iae.npz")
    whole = (tmp_path / "iae.npz").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "iae.npz").write_bytes(whole[:size])
        with pytest.raises(DfdmError, match="not a readable") as caught:
            exchange.read_npz(tmp_path / "iae.npz")
        assert "\n" not in str(caught.value)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DfdmError, match="not a readable"):
        exchange.read_npz(tmp_path / "one.npy")
