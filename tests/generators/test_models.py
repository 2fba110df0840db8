"""The five autoencoders against docs/architectures.md, Architectures."""

import pytest
import torch
import torch.nn.functional as F

from dfdm.base.errors import DfdmError
from generators.models import build, names
from generators.models.blocks import UO, C, R, shuffle

# encoder, intermediate (each), decoder (each), total, forward multiply-adds in G, input, output
TABLE = {
    "faceswap": (69_662_976, 0, 6_199_747, 82_062_470, 1.900, 64, 64),
    "lightweight": (29_806_336, 0, 10_630_019, 51_066_374, 3.283, 64, 64),
    "iae": (17_214_720, 25_175_040, 25_076_163, 117_816_003, 1.917, 64, 64),
    "dfaker": (69_662_976, 0, 21_833_923, 113_330_822, 8.905, 64, 128),
    "dfl_h128": (77_018_880, 0, 15_348_611, 107_716_102, 15.447, 128, 128),
}
SMALL = 1 / 64


def parameters(module):
    return sum(value.numel() for value in module.parameters())


def test_all_five_are_found_by_name():
    assert names() == sorted(TABLE)
    with pytest.raises(DfdmError, match="faceswap"):
        build("nonesuch")


@pytest.mark.parametrize("name", TABLE)
def test_full_width_has_the_originals_parameter_counts(name):
    encoder, intermediate, decoder, total, *_ = TABLE[name]
    with torch.device("meta"):
        model = build(name)
    parts = {part: parameters(module) for part, module in model.named_children()}
    assert parts.pop("encoder") == encoder
    assert {parts.pop(part) for part in list(parts) if part.startswith("inter")} == ({intermediate} - {0})
    assert set(parts.values()) == {decoder}
    assert parameters(model) == total


@pytest.mark.parametrize("name", TABLE)
def test_the_model_counts_its_own_multiply_adds(name):
    with torch.device("meta"):
        model = build(name)
    assert round(model.multiply_adds() / 1e9, 3) == TABLE[name][4]


@pytest.mark.parametrize("name", TABLE)
def test_shapes_ranges_and_a_gradient_for_every_parameter(name):
    torch.manual_seed(0)
    model = build(name, SMALL)
    size, out = TABLE[name][5:]
    assert (model.input_size, model.output_size) == (size, out)
    faces_a, faces_b = torch.rand(2, 3, size, size), torch.rand(3, 3, size, size)
    pictures = model(faces_a, faces_b)
    assert [picture.shape for picture in pictures] == [(2, 3, out, out), (3, 3, out, out)]
    assert all(picture.min() >= 0 and picture.max() <= 1 for picture in pictures)
    (pictures[0].square().mean() + pictures[1].square().mean()).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("name", TABLE)
def test_a_swap_is_the_other_sides_decoding_of_the_shared_code(name):
    torch.manual_seed(0)
    model = build(name, SMALL).eval()
    faces = torch.rand(2, 3, model.input_size, model.input_size)
    calls = []
    model.encoder.register_forward_hook(lambda *_: calls.append(1))
    both = model(faces, faces)
    assert len(calls) == 1
    for side, picture in zip("ab", both):
        assert torch.allclose(model.reconstruct(faces, side), picture, atol=1e-6)
        assert torch.equal(model.swap(faces, to=side), model.reconstruct(faces, side))
    assert not torch.allclose(*both, atol=1e-3)


def test_width_scales_every_hidden_layer():
    widths = {name: parameters(build(name, 1 / 16)) / TABLE[name][3] for name in TABLE}
    assert all(1 / 256 < share < 1.1 / 256 for share in widths.values())


def test_stride_two_pads_one_before_and_two_after():
    block = C(3, 4)
    x = torch.rand(1, 3, 8, 8)
    padded = torch.zeros(1, 3, 11, 11)
    padded[:, :, 1:9, 1:9] = x
    expected = F.leaky_relu(F.conv2d(padded, block.conv.weight, block.conv.bias, stride=2), 0.1)
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_shuffle_has_tensorflows_channel_order():
    x = torch.arange(2 * 12 * 9.0).view(2, 12, 3, 3)
    y = shuffle(x)
    for row in range(6):
        for column in range(6):
            block = (row % 2 * 2 + column % 2) * 3
            assert torch.equal(y[:, :, row, column], x[:, block : block + 3, row // 2, column // 2])


def test_the_picture_equals_a_5x5_convolution_of_the_shuffled_map():
    torch.manual_seed(0)
    block = UO(6, 5)
    torch.nn.init.uniform_(block.picture.bias)
    x = torch.randn(2, 6, 8, 8)
    plain = F.conv2d(block.upscale(x), block.picture.weight, block.picture.bias, padding=2)
    assert torch.allclose(block(x), torch.sigmoid(plain), atol=1e-6)


def test_the_picture_stays_float32_under_mixed_precision():
    torch.manual_seed(0)
    block = UO(6, 5)
    x = torch.randn(1, 6, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert block.upscale(x).dtype == torch.bfloat16
        picture = block(x)
    assert picture.dtype == torch.float32
    assert torch.allclose(picture, block(x), atol=0.02)


def test_initial_weights_follow_the_page():
    torch.manual_seed(0)
    residual, down = R(64), C(32, 64)
    assert residual.first.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert residual.second.weight.var().item() == pytest.approx(0.2 / (9 * 64), rel=0.05)
    assert down.conv.weight.abs().max().item() == pytest.approx((6 / (25 * 32)) ** 0.5, rel=0.01)
    assert not down.conv.bias.any()
