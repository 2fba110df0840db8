"""A swap's masks (dfdm masks, dfdm overlay): on real frames, rendered by a model whose answer is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.commands import dataset, views
from dfdm.dataset.provenance import read_mark, trace
from dfdm.media import colour, detectors
from dfdm.media.encoding import write_quality
from dfdm.media.planes import black_and_white, changed_pixels, is_white, split_planes
from dfdm.media.tracks import FaceTrack, track_faces
from dfdm.media.video import VideoRecord, of_encoded, probe, read_planes
from generators import checkpoint, swap
from generators.blending import Blend
from generators.models import build
from generators.settings import RenderConfig, TrainConfig

pytestmark = pytest.mark.long

NAME = "id0_id1_0000_iae"


class Soft(nn.Module):
    """Gives a face back blurred, in other colours."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = size

    def swap(self, faces: Tensor, to: str) -> Tensor:
        return 0.2 + 0.7 * nn.functional.avg_pool2d(faces, 5, 1, 2)


@pytest.fixture(scope="module")
def track(short: tuple[Path, VideoRecord, list[np.ndarray]], predictor: Path) -> FaceTrack:
    """The face in ten frames of the woman."""
    _, record, planes = short
    rgb = (colour.yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes)
    return track_faces(rgb, detectors.build("dlib", predictor=predictor), record)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"edge": 0.055, "smooth": 1.0, "face_scale": 6.0},
        {"mask": "components", "mask_blur": 9.0, "erosion": 4.0, "convert_crop": "2021"},
        {"mask_threshold": 20.0, "mask_blur": 0.0, "erosion": -6.0},
    ],
    ids=str,
)
@pytest.mark.parametrize(("centering", "coverage"), [("face", 0.875), ("legacy", 0.8)])
def test_a_mask_drawn_from_its_file_is_rendering_s_bit_for_bit(
    short: Any, track: FaceTrack, tmp_path: Path, monkeypatch: Any, size: int, settings: Any, centering, coverage
) -> None:
    used: list[np.ndarray] = []
    lay = swap._lay
    monkeypatch.setattr(swap, "_lay", lambda plane, new, mask: (used.append(mask.copy()), lay(plane, new, mask)))
    planes, render = short[2], RenderConfig(**settings)
    list(swap.Swapper(Soft(size), centering, coverage, "b", render).render(iter(planes), track))
    meta = checkpoint.ModelMeta("iae", 1.0, size, size, centering, coverage, "extended", ("id0", "id1"), 1, "")
    Blend.of(NAME, track, meta, render).write(tmp_path / "blend.safetensors")
    blend = Blend.read(tmp_path / "blend.safetensors")
    assert len(used) == 3 * len(planes) == 30
    for frame in range(len(planes)):
        place, mask = blend.place(frame), blend.mask(frame)
        x0, y0, x1, y1 = place.region
        luma, *chroma = used[3 * frame : 3 * frame + 3]
        np.testing.assert_array_equal(mask[y0:y1, x0:x1], luma)
        assert np.count_nonzero(mask) == np.count_nonzero(luma) > 1000
        for half in chroma:
            np.testing.assert_array_equal(colour.halve(place.frame_mask()), half)


def test_changed_pixels_are_those_with_another_sample_of_their_own_or_their_block() -> None:
    before = np.zeros((6, 4), np.uint8)
    after = before.copy()
    after[0, 3] = 1  # luma
    split_planes(after)[2][1, 0] = 1  # V of the lower left block
    expected = np.array([[0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]], bool)
    np.testing.assert_array_equal(changed_pixels(before, after), expected)
    np.testing.assert_array_equal(is_white(black_and_white(expected)), expected)


@pytest.fixture(scope="module")
def run(short: Any, track: FaceTrack, demo: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one swap of the woman by an untrained model, its original and its masks."""
    root = tmp_path_factory.mktemp("masks")
    track.save(root / "results/faces/id0_0000.npz")
    torch.manual_seed(0)
    net = build("iae", 0.03125)
    about = checkpoint.describe(net, "iae", ("id0", "id1"), TrainConfig(width=0.03125), 1, "0" * 64)
    checkpoint.save(root / "model.safetensors", net, about)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dfdm.commands.inputs.video_of", lambda cfg, record: short[0])
        dataset.render(demo, root / "results/faces/id0_0000.npz", root / "model.safetensors", place(root, "video"))
        dataset.original(demo, root / "results/faces/id0_0000.npz", original(root))
    make(demo, root, place(root, "changed"))
    return root


def place(root: Path, kind: str) -> Path:
    layout = Layout(str(root / "results"))
    return Path(getattr(layout, kind)("id0_id1_0000", "iae", *[0] * (kind == "video")))


def original(root: Path) -> Path:
    return Path(Layout(str(root / "results")).video("id0_0000", "real", 0))


def make(cfg: Config, root: Path, out: Path) -> None:
    track, weights = root / "results/faces/id0_0000.npz", root / "model.safetensors"
    dataset.masks(cfg, place(root, "video"), original(root), track, weights, out)


def test_outside_the_changed_pixels_a_master_is_the_original_sample_by_sample(run: Path, track: FaceTrack) -> None:
    record = of_encoded(track.record)
    paths = place(run, "video"), original(run), place(run, "changed")
    blend, shares = Blend.read(place(run, "blend")), []
    for frame, (after, before, planes) in enumerate(zip(*(read_planes(path, record, True) for path in paths))):
        white = is_white(planes)
        assert set(np.unique(split_planes(planes)[0])) == {0, 255}
        kept = ~white
        blocks = kept.reshape(record.height // 2, 2, record.width // 2, 2).any((1, 3))
        for one, other, same in zip(split_planes(after), split_planes(before), (kept, blocks, blocks)):
            np.testing.assert_array_equal(one[same], other[same])
        weight = blend.mask(frame)
        assert not white[cv2.dilate(weight, np.ones((3, 3))) == 0].any()
        assert white[weight > 0.5].mean() > 0.9
        shares.append(white.mean())
    assert len(shares) == 10
    assert 0.02 < min(shares) <= max(shares) < 0.6


def test_two_writes_give_equal_bytes_and_no_sound(run: Path, demo: Config, tmp_path: Path) -> None:
    make(demo, run, tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == place(run, "changed").read_bytes()
    assert (tmp_path / "again.safetensors").read_bytes() == place(run, "blend").read_bytes()
    assert probe(tmp_path / "again.mp4", "id0_0000", {}).audio is None


def test_a_master_that_was_rendered_otherwise_gets_no_masks(run: Path, demo: Config, tmp_path: Path) -> None:
    other = demo.model_copy(update={"render": demo.render.model_copy(update={"erosion": 20.0})})
    with pytest.raises(DfdmError, match=r"id0_id1_0000_iae\.mp4 differs from .*real\.mp4 outside the face in frame 0"):
        make(other, run, tmp_path / "no.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_mask_says_what_it_is_and_whether_it_is_the_file_that_was_written(run: Path, tmp_path: Path) -> None:
    lines, whole = trace(place(run, "changed"), run / "results")
    assert whole
    assert "A mask, no recording" in lines[0]
    assert lines[1].startswith(f"name: {NAME}")
    assert [line.split()[2] for line in lines if line.startswith("made of")] == [
        *("checkpoint", "master", "original", "track")
    ]
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(place(run, "changed").read_bytes())
    assert trace(copy, run / "results")[1]
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert not trace(copy, run / "results")[1]
    lines, whole = trace(copy, tmp_path)
    assert not whole
    assert "no record" in lines[-1]


@pytest.mark.parametrize("show", ["changed", "blend"])
def test_an_overlay_tints_what_the_mask_says_and_is_marked(
    run: Path, demo: Config, track: FaceTrack, tmp_path: Path, show: Any
) -> None:
    video, results = tmp_path / "lossy.mp4", run / "results"
    tags = {"comment": json.dumps(read_mark(place(run, "video")))}
    write_quality(video, place(run, "video"), 23, demo.encode, tags)
    record = probe(video, "id0_0000", {})
    views.overlay(video, Path(), tmp_path / "o.png", show, 3, results)
    picture = cv2.imread(str(tmp_path / "o.png"))[..., ::-1].astype(int)
    plain = list(read_planes(video, record))[3]
    rgb = colour.yuv_to_rgb(plain, record.matrix, record.full_range).astype(int)
    height = len(rgb)
    assert len(picture) > height  # the strip that says SYNTHETIC
    assert tuple(picture[-1, 0]) == (155, 28, 28)
    weight = Blend.read(place(run, "blend")).mask(3)
    if show == "changed":
        weight = is_white(list(read_planes(place(run, "changed"), record))[3]).astype(float)
    assert (picture[:height][weight == 0] == rgb[weight == 0]).all()
    tinted = (picture[:height] != rgb).any(2)
    assert tinted[weight > 0.5].all()
    views.overlay(video, Path(), tmp_path / "o.mp4", show, None, results)
    made = probe(tmp_path / "o.mp4", "id0_0000", {})
    assert (made.frames, made.width, made.fps) == (10, record.width, record.fps)
    assert made.height in (len(picture), len(picture) + 1)
    assert "a copy, not the bytes that were written" in trace(tmp_path / "o.mp4", results)[0][-1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: {"out": Path("o.jpg")}, "is to end in .png or .mp4"),
        (lambda run: {"out": Path("o.mp4"), "frame": 1}, "leave one of them out"),
        (lambda run: {"frame": 10}, "has the frames 0 to 9"),
        (lambda run: {"video": original(run)}, "originals have no mask"),
    ],
)
def test_an_overlay_that_cannot_be_is_refused(
    run: Path, tmp_path: Path, monkeypatch: Any, change: Callable[[Path], dict[str, Any]], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"video": place(run, "video"), "out": Path("o.png"), "results": run / "results", **change(run)}
    with pytest.raises(DfdmError, match=says):
        views.overlay(given.pop("video"), Path(), **given)
    assert not any(tmp_path.iterdir())
