import numpy as np
import pytest
import torch
import torchvision
from torch.nn import functional as F

from attribution import models
from attribution.models import dma_sta
from dfdm.base.errors import DfdmError


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.long
def test_depth_50_with_five_classes_and_clip_10_has_the_published_size_and_prefixes():
    model = models.build("dma_sta", 5, 50, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == 23_519_945
    assert len(model.state_dict()) == 338
    prefixes = {key.split(".")[0] for key in model.state_dict()}
    assert prefixes == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc", "ta"}
    gates = [module for module in model.modules() if isinstance(module, dma_sta.Gate)]
    assert len(gates) == 16
    assert {sum(p.numel() for p in gate.parameters()) for gate in gates} == {98}


@pytest.mark.long
@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_state_of_torchvisions_resnet_is_a_part_of_the_state(depth):
    with torch.device("meta"):
        own = dma_sta.DmaSta(5, depth, 10).state_dict()
        theirs = getattr(torchvision.models, f"resnet{depth}")(num_classes=5).state_dict()
    assert {key: value.shape for key, value in theirs.items()}.items() <= {k: v.shape for k, v in own.items()}.items()


def test_convolutions_start_normal_with_the_published_deviation():
    model = dma_sta.DmaSta(5, 18, 10)
    gates = torch.cat([m.conv.weight.flatten() for m in model.modules() if isinstance(m, dma_sta.Gate)])
    assert gates.std().item() == pytest.approx(0.202, abs=0.015)
    assert model.layer4[1].conv2.weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert torch.equal(model.bn1.weight, torch.ones(64))


def test_gate_multiplies_by_the_sigmoid_of_a_convolution_of_mean_then_max():
    gate = dma_sta.Gate()
    x = torch.randn(2, 6, 9, 9)
    with torch.no_grad():
        for channel, summary in ((0, x.mean(1)), (1, x.max(1).values)):
            gate.conv.weight.zero_()
            gate.conv.weight[0, channel, 3, 3] = 2.0
            assert torch.allclose(gate(x), x * torch.sigmoid(2 * summary)[:, None], atol=1e-6)


@pytest.mark.parametrize(("block", "last"), [(dma_sta.Basic, "2"), (dma_sta.Bottleneck, "3")])
def test_gate_stands_after_the_last_batch_norm_and_before_the_shortcut(block, last):
    module = block(16, 8, 2).eval()
    seen = {}
    getattr(module, f"bn{last}").register_forward_hook(lambda m, i, output: seen.update(branch=output.clone()))
    x = torch.randn(3, 16, 8, 8)
    with torch.no_grad():
        module.gate.conv.weight.zero_()  # a gate of one half everywhere
        output = module(x)
        expected = F.relu(0.5 * seen["branch"] + module.downsample(x))
    assert torch.allclose(output, expected, atol=1e-6)
    assert module.downsample[0].stride == (2, 2)
    strided = module.conv1 if block is dma_sta.Basic else module.conv2
    assert strided.kernel_size == (3, 3)
    assert strided.stride == (2, 2)


def test_temporal_attention_equals_its_formula_in_numpy():
    attention = dma_sta.TemporalAttention(10)
    features = torch.randn(4, 10, 32)
    first, second = attention.squeeze.weight.detach().numpy(), attention.expand.weight.detach().numpy()
    assert first.shape == (5, 10)
    assert second.shape == (10, 5)
    for output, clip in zip(attention(features).detach().numpy(), features.numpy()):
        mean = [frame.sum() / 32 for frame in clip]
        weights = 1 / (1 + np.exp(-(second @ np.maximum(first @ mean, 0))))
        expected = sum(weight * frame for weight, frame in zip(weights, clip)) / weights.sum()
        np.testing.assert_allclose(output, expected, atol=1e-6)


@pytest.mark.long
def test_frames_folded_equal_frames_one_by_one_in_evaluation():
    model = dma_sta.DmaSta(5, 18, 4).eval()
    clips = torch.randn(3, 4, 3, 32, 32)
    with torch.no_grad():
        features = torch.stack([model.features(clips[:, i]) for i in range(4)], 1)
        assert torch.allclose(model.fc(model.ta(features)), model(clips), atol=1e-5)


def test_a_clip_of_another_length_is_an_error_in_training():
    with pytest.raises(DfdmError, match="clips of 4 frames, not 3"):
        dma_sta.DmaSta(5, 18, 4)(torch.zeros(1, 3, 3, 32, 32))


@pytest.mark.parametrize("length", [5, 10, 16])
def test_temporal_weights_are_stretched_over_another_clip_length(length):
    attention = dma_sta.TemporalAttention(10)
    ramp = torch.linspace(0, 1, length)[None, :, None].repeat(1, 1, 8)  # the same course in time at every length
    ten = torch.linspace(0, 1, 10)[None, :, None].repeat(1, 1, 8)
    weights, expected = attention.weights(ramp)[0], attention.weights(ten)[0]
    assert weights.shape == (length,)
    places = np.linspace(0, 9, length)
    stretched = np.interp(places, np.arange(10), expected.detach().numpy())
    np.testing.assert_allclose(weights.detach().numpy(), stretched, atol=1e-6)
    same = torch.randn(1, 1, 8).repeat(1, length, 1)
    assert torch.allclose(attention(same), same[:, 0], atol=1e-6)  # the weights' mean stays a mean


def published_like(state):
    """A state with the names of the published network."""
    return {dma_sta.published_name(key): value for key, value in state.items()}


@pytest.mark.parametrize("form", ["plain", "module.", "state_dict"])
def test_weights_of_a_published_file_are_taken_all_or_not_at_all(form, tmp_path, capsys):
    torch.manual_seed(3)
    trained = dma_sta.DmaSta(5, 18, 10)
    published = published_like(trained.state_dict())
    if form == "module.":
        published = {f"module.{key}": value for key, value in published.items()}
    path = tmp_path / "dma_sta.pth"
    torch.save({"state_dict": published} if form == "state_dict" else published, path)
    model = models.build("dma_sta", 5, 18, 10, path)
    assert all(torch.equal(value, trained.state_dict()[key]) for key, value in model.state_dict().items())
    assert f"all {len(published)} entries" in capsys.readouterr().err
    for classes, depth, clip in ((4, 18, 10), (5, 34, 10), (5, 18, 8)):
        with pytest.raises(DfdmError, match="it is not taken in part"):
            models.build("dma_sta", classes, depth, clip, path)
    torch.save({key: value for key, value in published.items() if "fc.0" not in key}, path)
    with pytest.raises(DfdmError, match="it is not taken in part"):
        models.build("dma_sta", 5, 18, 10, path)


def test_the_published_names_are_those_of_the_code():
    with torch.device("meta"):
        names = set(published_like(dma_sta.DmaSta(5, 50, 10).state_dict()))
    assert len(names) == 338
    assert {"layer1.0.sa.conv1.weight", "layer4.2.sa.conv1.weight", "ta.fc.0.weight", "ta.fc.2.weight"} <= names
    own = {name for name in names if ".sa." not in name and not name.startswith("ta.")}
    assert own == set(torchvision.models.resnet50().state_dict())


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("fc.bias", None, "it has no entry fc.bias"),
        ("head.weight", torch.zeros(5, 512), "its entry head.weight is not one of the network's"),
        ("layer1.0.again", torch.zeros(1, 2, 7, 7), "its entry layer1.0.again is not one of the network's"),
        ("ta.fc.0.weight", torch.zeros(4, 10), "its entry ta.fc.0.weight is 4x10, and should be 5x10"),
        ("fc.bias", torch.zeros(5).half(), "its entry fc.bias is torch.float16, and should be dense torch.float32"),
        ("bn1.running_var", torch.full((64,), torch.nan), "its entry bn1.running_var contains values that are not fin"),
    ],
)
def test_a_state_that_is_not_the_published_one_is_refused_by_the_name_of_its_entry(name, value, sentence):
    model = dma_sta.DmaSta(5, 18, 10)
    published = {**published_like(model.state_dict()), name: value}
    if value is None:
        del published[name]
    with pytest.raises(DfdmError, match=sentence):
        dma_sta.from_published(published, model)


@pytest.mark.long
@pytest.mark.parametrize("depth", [18, 50])
def test_a_gradient_reaches_every_parameter(depth):
    model = dma_sta.DmaSta(5, depth, 4)
    F.cross_entropy(model(torch.randn(2, 4, 3, 32, 32)), torch.tensor([0, 3])).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.long
def test_imagenet_weights_fill_all_but_fc_gates_and_temporal_attention(tmp_path):
    theirs = torchvision.models.resnet18().state_dict()
    path = tmp_path / "resnet18.pth"
    torch.save(theirs, path)
    torch.manual_seed(1)
    fresh = models.build("dma_sta", 3, 18, 4).state_dict()
    torch.manual_seed(1)
    filled = models.build("dma_sta", 3, 18, 4, path).state_dict()
    for key, value in filled.items():
        given = key.split(".")[0] not in ("fc", "ta") and "gate" not in key
        assert torch.equal(value, theirs[key] if given else fresh[key]), key


@pytest.mark.long
def test_weights_that_do_not_fit_are_errors_that_name_the_file(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(DfdmError, match="does not exist"):
        models.build("dma_sta", 5, 18, 4, path)
    path.write_bytes(b"no weights")
    with pytest.raises(DfdmError, match=r"weights\.pth is not a state dict"):
        models.build("dma_sta", 5, 18, 4, path)
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(DfdmError, match=r"another network .* check attribution\.depth"):
        models.build("dma_sta", 5, 34, 4, path)
