"""The background region, on six real frames through lossless encoding, with five models whose change is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from attribution.clips import Clips, Draw, find_videos
from attribution.region import PAINT, Region, changed_blocks, grow, outline_blocks, write_region
from attribution.settings import AttributionConfig
from dfdm.base.errors import DfdmError
from dfdm.base.names import VideoName
from dfdm.catalogue.config import Config
from dfdm.commands import attribution
from dfdm.dataset.crops import CropReader, write_crops
from dfdm.dataset.settings import CropsConfig
from dfdm.media import colour, detectors, masks
from dfdm.media.encoding import write_master
from dfdm.media.planes import split_planes
from dfdm.media.settings import EncodeConfig
from dfdm.media.tracks import FaceTrack, track_faces
from dfdm.media.video import of_encoded, probe, read_planes
from generators.settings import RenderConfig
from generators.swap import Swapper

pytestmark = pytest.mark.long

MODELS = ["faceswap", "lightweight", "iae", "dfaker", "dfl_h128"]
CLIP = "id0_id1_0000"


class Tinted(nn.Module):
    """A model of some size that resizes the face and changes its colours, each one its own way."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.input_size, self.output_size = number, 64, 64 * (1 + number % 2)

    def swap(self, faces: torch.Tensor, to: str) -> torch.Tensor:
        size = (self.output_size, self.output_size)
        faces = nn.functional.interpolate(faces, size=size, mode="bilinear")
        return faces.roll(self.number + 1, 1 + self.number % 3) * (0.5 + 0.1 * self.number)


@pytest.fixture(scope="module")
def scene(short, predictor, tmp_path_factory) -> tuple[Path, FaceTrack, dict[str, Path]]:
    """A dataset folder with the masters of the original (`real`) and of five models, their track and their paths."""
    path, record, planes = short
    rgb = (colour.yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes[:6])
    record = probe(path, "id0_0000", {"path": path.name}, (5, 11))
    found = track_faces(rgb, detectors.build("dlib", predictor=predictor), record)
    track = without(found, 2)  # a frame without a face in the middle
    root = tmp_path_factory.mktemp("dataset")
    videos = {}
    for number, model in enumerate(["real", *MODELS]):
        name = VideoName("id0", None if model == "real" else "id1", "0000", model)
        frames = iter(planes[:6])
        if model != "real":
            swapper = Swapper(Tinted(number), "face", 0.875, "b", RenderConfig(color="none"))
            frames = swapper.render(frames, track)
        videos[model] = root / f"DFDM_crf0/{model}/{name}.mp4"
        write_master(videos[model], frames, record, path, EncodeConfig(preset="ultrafast"), {})
    return root, track, videos


def without(track: FaceTrack, row: int) -> FaceTrack:
    from dataclasses import replace

    arrays = {name: np.delete(getattr(track, name), row, 0) for name in
              ("frame_index", "landmarks", "boxes", "confidence", "segment")}  # fmt: skip
    return replace(track, **arrays)


@pytest.fixture(scope="module")
def region(scene, tmp_path_factory) -> Path:
    _, track, videos = scene
    path = tmp_path_factory.mktemp("regions") / f"{CLIP}.safetensors"
    write_region(path, CLIP, track, videos["real"], {model: videos[model] for model in MODELS})
    return path


def planes_of(scene) -> dict[str, list[np.ndarray]]:
    _, track, videos = scene
    return {model: list(read_planes(path, of_encoded(track.record))) for model, path in videos.items()}


def test_outside_the_region_all_models_hold_the_originals_samples_and_every_changed_one_is_inside(scene, region):
    frames, reader, seen = planes_of(scene), Region(region), 0
    height, width = frames["real"][0].shape[0] * 2 // 3, frames["real"][0].shape[1]
    for number in scene[1].frame_index.tolist():
        inside = reader.blocks(number)
        pixels = reader.mask(number, (0, 0, width, height))
        for model in MODELS:
            for first, second in zip(split_planes(frames["real"][number]), split_planes(frames[model][number])):
                where = pixels if first.shape == pixels.shape else inside
                np.testing.assert_array_equal(first[~where], second[~where])
                seen += int((first != second).sum())
    assert seen > 10_000
    assert reader.about["models"] == MODELS
    assert reader.about["clip"] == CLIP


def test_the_region_is_the_outline_grown_by_the_fewest_blocks_that_hold_every_change(scene, region):
    frames, reader, track = planes_of(scene), Region(region), scene[1]
    for row, number in enumerate(track.frame_index.tolist()):
        changed = np.logical_or.reduce([changed_blocks(frames["real"][number], frames[m][number]) for m in MODELS])
        blocks, steps = outline_blocks(track.landmarks[row], changed.shape), 0
        while (changed & ~blocks).any():
            blocks, steps = cv2.dilate(blocks.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool), steps + 1
        assert steps > 0
        np.testing.assert_array_equal(reader.blocks(number), blocks)
        assert reader.grown[row] == steps
    assert reader.about["grown"] == reader.grown.max()
    assert region.stat().st_size < 4000 * len(track)


def test_a_change_of_one_sample_of_any_plane_changes_its_block():
    before = np.zeros((12, 8), np.uint8)  # 8 x 8 pixels
    for plane, (y, x), block in ((0, (5, 2), (2, 1)), (1, (3, 0), (3, 0)), (2, (1, 2), (1, 2))):
        after = before.copy()
        split_planes(after)[plane][y, x] = 1
        assert list(zip(*np.nonzero(changed_blocks(before, after)))) == [block]


def test_growth_takes_diagonals_as_one_and_stays_where_nothing_lies_outside():
    blocks = np.zeros((9, 9), bool)
    blocks[4, 4] = True
    changed = np.zeros((9, 9), bool)
    changed[2, 5] = True
    grown, steps = grow(blocks, changed)
    assert steps == 2
    assert grown.sum() == 25
    same, none = grow(blocks, blocks)
    assert none == 0
    np.testing.assert_array_equal(same, blocks)


def test_a_face_beyond_the_frame_still_starts_somewhere(scene):
    assert outline_blocks(scene[1].landmarks[0] + 10_000, (180, 320)).any()
    outline = masks.extended_polygon(scene[1].landmarks[0])
    inside = outline_blocks(scene[1].landmarks[0], (180, 320))
    assert all(inside[int(y) // 2, int(x) // 2] for x, y in outline)


def crops_of(scene, folder: Path) -> dict[str, Path]:
    _, track, videos = scene
    for model, video in videos.items():
        write_crops(folder / f"{model}.safetensors", video, track, CropsConfig(smooth=0), {"model": model})
    return {model: folder / f"{model}.safetensors" for model in videos}


def test_the_background_of_all_models_at_crf_0_is_one_and_the_same_and_the_whole_crops_are_not(scene, region, tmp_path):
    import pandas as pd

    crops_of(scene, tmp_path)
    rows = pd.DataFrame([{"name": f"{CLIP}_{m}", "model": m, "crops": f"{m}.safetensors"} for m in MODELS])
    videos, _ = find_videos(rows, tmp_path, MODELS, 4, region.parent)
    settings = AttributionConfig(resize=36, size=32, clip=4, region="background", real=False)
    clips = Clips(videos, settings)
    whole = Clips(videos, settings.model_copy(update={"region": "all"}))
    for index in range(1, len(MODELS)):
        np.testing.assert_array_equal(clips.read(Draw(index, 0)), clips.read(Draw(0, 0)))
        assert (whole.read(Draw(index, 0)) != whole.read(Draw(0, 0))).any()
    assert clips.read(Draw(0, 0)).std() > 10  # the background itself is still there
    with pytest.raises(DfdmError, match="needs the clip's region"):
        Clips(find_videos(rows, tmp_path, MODELS, 4)[0], settings).read(Draw(0, 0))


def test_paint_covers_the_region_and_a_block_more_and_leaves_the_rest(scene, region, tmp_path):
    reader = CropReader(crops_of(scene, tmp_path)["iae"])
    frames, rows = reader.frames([0, 1]), [0, 1]
    painted = Region(region).paint(frames, reader.frame_index[rows], reader.boxes[rows])
    size = frames.shape[1]
    for row in rows:
        x, y = reader.boxes[row].tolist()
        box = (x, y, x + size, y + size)
        inside = Region(region).mask(int(reader.frame_index[row]), box, reach=1)
        assert inside.sum() > Region(region).mask(int(reader.frame_index[row]), box).sum()
        assert (painted[row][inside] == PAINT).all()
        np.testing.assert_array_equal(painted[row][~inside], frames[row][~inside])
        assert 0.1 < inside.mean() < 0.95


def test_a_change_where_the_track_has_no_face_is_an_error_that_names_the_frame(scene, tmp_path):
    _, track, videos = scene
    with pytest.raises(DfdmError, match="in frame 0, where the track has no face"):
        write_region(tmp_path / "r.safetensors", CLIP, without(track, 0), videos["real"], {"iae": videos["iae"]})
    assert not list(tmp_path.iterdir())


def test_a_frame_without_a_face_and_a_damaged_file_are_named(region, tmp_path):
    with pytest.raises(DfdmError, match="has no face in frame 2"):
        Region(region).blocks(2)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(DfdmError, match="not a readable region"):
        Region(tmp_path / "bad.safetensors")
    with pytest.raises(DfdmError, match="does not exist"):
        Region(tmp_path / "none.safetensors")


def test_the_stage_wants_every_model_once_of_this_clip_at_crf_0(scene, demo: Config, tmp_path):
    _, track, videos = scene
    track.save(tmp_path / "t.npz")
    out = tmp_path / "r.safetensors"
    masters = [videos[model] for model in MODELS]

    def make(masters, original=videos["real"], clip=CLIP):
        attribution.region(demo, clip, masters, original, tmp_path / "t.npz", out)

    with pytest.raises(DfdmError, match="--masters has no dfl_h128"):
        make(masters[:4])
    with pytest.raises(DfdmError, match="is not a crf 0 master of id0_id1_0001"):
        make(masters, clip="id0_id1_0001")
    with pytest.raises(DfdmError, match="is not the crf 0 original of id0_0000"):
        make(masters, original=videos["iae"])
    assert not out.exists()
    make(masters[::-1])  # any order
    assert Region(out).about["models"] == MODELS
