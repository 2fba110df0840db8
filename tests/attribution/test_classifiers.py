"""Every attribution model against its interface, its published size, and what its design promises."""

from importlib import import_module

import numpy as np
import pytest
import torch
import torchvision
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from attribution import models
from attribution.models import blocks, meso_inception4, residual_dct, vgg_capsule
from dfdm.base.errors import DfdmError

SIZE, CLIP, CLASSES = 32, 4, 5
HEAVY = {"r3d_18", "vgg_bilstm", "vgg_capsule", "xception"}
ANY_ORDER = {
    "resnet_avg",
    "meso_inception4",
    "efficientnet_b0",
    "xception",
    "vgg_capsule",
    "residual_dct",
    "linear_dct",
}
PARAMETERS = {  # depth 50, five classes, clip 10
    "dma_sta": 23_519_945,  # published
    "resnet_avg": 25_557_032 - 2_049_000 + 5 * 2049,  # torchvision's ResNet-50 with another head
    "efficientnet_b0": 5_288_548 - 1_281_000 + 5 * 1281,  # torchvision's
    "r3d_18": 33_371_472 - 400 * 513 + 5 * 513,  # torchvision's
    "meso_inception4": 28_615 - 17 + 5 * 17,  # the paper's
    "xception": 22_855_952 - 2_049_000 + 5 * 2049,  # Keras', after the paper's figure
    "vgg_bilstm": 10_585_152 + 8 * 256 * (512 + 256 + 2) + 512 * 128 + 128 + 128 + 5 * 513,
    "vgg_capsule": 13_639_697,  # by its own docstring
    "residual_dct": 182_731,  # by its own docstring
    "linear_dct": 30_725,  # by its own docstring
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def make(name: str, clip: int = CLIP) -> nn.Module:
    return models.build(name, CLASSES, 18, clip)


def settle(model: nn.Module) -> nn.Module:
    """Running figures of batch normalisation and affine weights that are not neutral; then evaluation mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


def heavy(*names: str):
    return [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in names]


def test_models_are_found_by_name_without_the_shared_blocks():
    assert models.names() == sorted(PARAMETERS)
    with pytest.raises(DfdmError, match="there is no classifier 'oracle'; known are dma_sta, eff"):
        models.build("oracle", 5, 18, 4)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_torchvision_or_the_paper_says(name):
    with torch.device("meta"):
        model = models.build(name, 5, 50, 10)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    told = import_module(f"attribution.models.{name}").__doc__
    assert f"{PARAMETERS[name]:,}" in told


def test_truncated_vgg_is_torchvisions_first_26_layers():
    with torch.device("meta"):
        theirs, ours = torchvision.models.vgg19().features[:26].state_dict(), blocks.VggFront(None).state_dict()
    assert {key: value.shape for key, value in theirs.items()} == {key: value.shape for key, value in ours.items()}


@pytest.mark.long
@pytest.mark.parametrize("name", PARAMETERS)
def test_logits_have_the_right_shape_and_a_gradient_reaches_every_parameter(name):
    model = make(name).train()
    logits = model(torch.randn(2, CLIP, 3, SIZE, SIZE))
    assert logits.shape == (2, CLASSES)
    F.cross_entropy(logits, torch.tensor([0, 3])).backward()
    without = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.long
@pytest.mark.parametrize("name", PARAMETERS)
@torch.no_grad()
def test_chunks_fused_and_other_memory_formats_equal_the_whole_in_evaluation(name, monkeypatch):
    model = settle(make(name))
    clips = torch.randn(2, CLIP, 3, SIZE, SIZE)
    whole = model(clips)
    tolerance = 1e-4 * whole.abs().max().item()
    fused = blocks.fused(model)
    left = [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
    assert len(left) <= 4  # those that follow no convolution
    assert torch.allclose(fused(clips), whole, atol=tolerance)
    assert torch.allclose(model(clips), whole, atol=0)  # the original is not touched
    monkeypatch.setattr(blocks, "frames_at_once", lambda device: 3)  # across the clips' borders
    assert torch.allclose(model(clips), whole, atol=tolerance)
    placed = models.place(model, torch.device("cpu"), channels_last=True)
    assert torch.allclose(placed(clips), whole, atol=tolerance)


@pytest.mark.long
@pytest.mark.parametrize("name", PARAMETERS)
@torch.no_grad()
def test_the_frames_order_matters_only_where_the_design_has_an_order(name):
    model = settle(make(name))
    clips = torch.randn(2, 4, 3, SIZE, SIZE)
    clips *= torch.tensor([0.2, 0.7, 1.5, 4.0])[:, None, None, None]
    here, there = model(clips), model(clips[:, [2, 0, 3, 1]])
    assert torch.allclose(here, there, atol=1e-5 * here.abs().max().item()) == (name in ANY_ORDER)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(PARAMETERS))
@torch.no_grad()
def test_any_clip_length_works_in_evaluation(name):
    model = settle(make(name))
    for length in (1, 2, 5):
        assert model(torch.randn(1, length, 3, SIZE, SIZE)).isfinite().all()


@pytest.mark.long
@pytest.mark.parametrize("name", heavy(*PARAMETERS))
def test_one_batch_can_be_learned_by_heart(name):
    model = make(name, 2).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    clips, labels = torch.randn(5, 2, 3, SIZE, SIZE), torch.arange(5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-4 if name in HEAVY else 2e-3)
    for _ in range(80):
        loss = F.cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.2:
            break
    assert loss.item() < 0.2
    assert (model(clips).argmax(1) == labels).all()


def test_costs_count_convolutions_linear_layers_and_lstms():
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flat, self.deep = nn.Conv2d(3, 4, 3, padding=1), nn.Conv3d(4, 2, 3, padding=1)
            self.lstm, self.out = nn.LSTM(2, 6, batch_first=True, bidirectional=True), nn.Linear(12, 7)

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            x = blocks.per_frame(self.flat, clips, whole=False)  # [B, T, 4, H, W]
            states, _ = self.lstm(self.deep(x.transpose(1, 2)).mean((3, 4)).transpose(1, 2))  # [B, T, 12]
            return self.out(states[:, -1])

    frames, places = 5, 8 * 8
    expected = frames * places * (9 * 3 * 4 + 27 * 4 * 2) + frames * 2 * 4 * 6 * (2 + 6) + 12 * 7
    small = Small()
    small.out.bias.requires_grad_(False)
    assert blocks.cost(small, 5, 8) == blocks.Cost(sum(p.numel() for p in small.parameters()) - 7, expected)


@pytest.mark.long
@pytest.mark.parametrize(
    ("depth", "per_picture"), [(18, 1_814_073_344 - 512_000), (50, 4_089_184_256 - 2_048_000)]
)  # torchvision's own figures, without the head
def test_a_resnets_multiply_adds_are_torchvisions(depth, per_picture):
    with torch.device("meta"):
        model = models.build("resnet_avg", 5, depth, 10)
    features = 512 if depth == 18 else 2048
    assert blocks.cost(model, 10, 224).multiply_adds == 10 * per_picture + 5 * features


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("resnet_avg", {"hidden": 3}, "'hidden' is not an option of resnet_avg; it has none"),
        ("vgg_bilstm", {"width": 3}, "'width' is not an option of vgg_bilstm; it has hidden"),
        ("vgg_bilstm", {"hidden": "big"}, "hidden of vgg_bilstm is 'big', but should be of type int"),
        ("vgg_capsule", {"routings": 0}, "routings is 0, but should be 1 to 10"),
        ("residual_dct", {"grid": 0}, "grid is 0, but should be 1 to 16"),
        ("linear_dct", {"base": 4}, "base is 4, but should be 8 to 512"),
        ("linear_dct", {"c": 0.0}, "c is 0, but should be above 0"),
    ],
)
def test_an_option_that_the_model_does_not_take_is_told_in_one_sentence(name, options, sentence):
    with pytest.raises(DfdmError, match=sentence):
        models.check_options(name, 18, 4, options)


def test_options_reach_the_model_and_an_unknown_depth_is_told():
    with torch.device("meta"):
        assert models.build("residual_dct", 5, 18, 4, None, {"grid": 3}).mix[1].weight.shape == (128, 9 * 64)
        for name in ("dma_sta", "resnet_avg"):
            with pytest.raises(DfdmError, match="there is no ResNet-19; known are 18, 34, 50, 101"):
                models.build(name, 5, 19, 4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "source", "key"),
    [
        ("resnet_avg", lambda: torchvision.models.resnet18(), "backbone.layer3.0.conv1.weight"),
        ("efficientnet_b0", lambda: torchvision.models.efficientnet_b0(), "features.3.0.block.0.0.weight"),
    ],
)
def test_weights_of_torchvisions_file_are_taken_but_for_the_head(name, source, key, tmp_path):
    theirs = source().state_dict()
    torch.save(theirs, tmp_path / "weights.pth")
    ours = models.build(name, 5, 18, 4, tmp_path / "weights.pth").state_dict()
    assert torch.equal(ours[key], theirs[key.removeprefix("backbone.")])
    other = "efficientnet_b0" if name == "resnet_avg" else "resnet_avg"
    with pytest.raises(DfdmError, match="is of another network"):
        models.build(other, 5, 18, 4, tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["meso_inception4", "xception", "residual_dct"])
def test_weights_for_a_model_without_a_file_are_refused(name, tmp_path):
    with pytest.raises(DfdmError, match=f"{name} has no weights file in torchvision; set null"):
        models.build(name, 5, 18, 4, tmp_path / "weights.pth")


def test_mesoinception_at_its_own_size_pools_nothing_away():
    maps = meso_inception4.MesoInception4(5).eval().features[:-1](torch.zeros(1, 3, 256, 256))
    assert maps.shape == (1, 16, 8, 8)


def test_routing_gives_agreeing_capsules_more_weight():
    routing = vgg_capsule.Routing(2, 3)
    with torch.no_grad():
        routing.weight.zero_()
        for i in range(vgg_capsule.PRIMARY):
            routing.weight[0, i, 0, 0] = 4.0  # all agree on class 0
            routing.weight[1, i, i % 16, 0] = 4.0  # each says something else of class 1
        lengths = routing(torch.ones(1, vgg_capsule.PRIMARY, vgg_capsule.PRIMARY_SIZE)).norm(dim=2)[0]
    assert lengths[0] > 0.9
    assert lengths[1] < lengths[0] - 0.1
    assert torch.allclose(vgg_capsule.squash(torch.tensor([[3.0, 4.0]])), torch.tensor([[0.6, 0.8]]) * 25 / 26)


def test_local_energies_are_scipys_dct_and_flat_colour_has_none_but_the_first():
    from scipy.fft import dctn

    model = residual_dct.ResidualDct(5, 4)
    block = torch.rand(1, 3, 8, 8)
    energies = model.energies(block).reshape(3, 8, 8)
    for plane, energy in zip(block[0], energies):
        expected = dctn(plane.double().numpy(), norm="ortho") ** 2 + residual_dct.NOISE
        assert torch.allclose(energy.double(), torch.from_numpy(expected).log(), atol=1e-2)
    flat = model.energies(torch.full((1, 3, 8, 8), 0.7)).reshape(3, 64)
    assert torch.allclose(flat[:, 0].exp(), torch.tensor((0.7 * 8) ** 2), rtol=1e-4)
    assert torch.allclose(flat[:, 1:].exp(), torch.tensor(residual_dct.NOISE), rtol=1e-2)


def test_more_contrast_moves_the_level_of_the_spectrum_and_not_its_shape():
    model = residual_dct.ResidualDct(5, 4)
    picture = 1e4 * torch.rand(1, 3, 16, 16)  # far above NOISE
    here, there = (residual_dct.shape_and_level(model.energies(x)) for x in (picture, 2 * picture))
    assert here.shape == (1, 3 * 64 + 3, 3, 3)
    assert torch.allclose(here[:, :192], there[:, :192], atol=1e-2)
    assert torch.allclose(here[:, 192:] + torch.tensor(4.0).log(), there[:, 192:], atol=1e-2)


def test_residual_dct_sees_pixels_in_video_axes():
    from attribution.clips import MEAN, STD

    model = residual_dct.ResidualDct(5, 4)
    rgb = torch.rand(1, 3, 4, 4)
    given = (rgb - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    luma, blue, _ = F.conv2d(given, model.to_ycc, model.shift)[0]
    red_, green, blue_ = rgb[0]
    expected = 0.299 * red_ + 0.587 * green + 0.114 * blue_
    assert torch.allclose(luma, expected, atol=1e-5)
    assert torch.allclose(blue, (blue_ - expected) / 1.772, atol=1e-5)


@torch.no_grad()
def test_linear_dct_is_the_logistic_regression_of_its_features():
    model = models.build("linear_dct", 4, 18, CLIP).eval()
    labels = torch.tensor([0, 1, 2] * 12)  # the fourth class has no clip
    features = torch.randn(36, model.head.in_features) + labels[:, None] * torch.randn(model.head.in_features)
    model.solve(features, labels)
    found = model.classify(features).softmax(1)
    scaled = StandardScaler().fit_transform(features.double())
    theirs = LogisticRegression(C=0.01, max_iter=5000, tol=1e-6).fit(scaled, labels).predict_proba(scaled)
    assert np.abs(found[:, :3].numpy() - theirs).max() < 0.01
    assert found[:, 3].max() < 1e-6
    pair = models.build("linear_dct", 2, 18, CLIP).eval()
    pair.solve(features[labels < 2], labels[labels < 2])
    assert (pair.classify(features[labels < 2]).argmax(1) == labels[labels < 2]).all()


@torch.no_grad()
def test_what_linear_dct_compares_with_a_softer_crop_is_nothing_in_a_flat_one():
    model = models.build("linear_dct", 5, 18, CLIP)
    flat = torch.full((1, 3, 96, 96), 0.3)
    own, compared = model.frame(flat)[0].unflatten(0, (2, -1))
    assert compared.abs().max() < 1e-3
    sharp = model.frame(torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)))[0].unflatten(0, (2, -1))[
        1
    ]
    assert sharp.mean() > 1  # noise has far more above 48 px than its softened self
    assert own.shape == compared.shape == (192 * 16,)
