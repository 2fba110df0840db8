import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config, DataConfig
from dfdm.catalogue.foreign import find
from dfdm.dataset.crops import CropReader, boxes_along, export_tree, kept_rows, write_crops
from dfdm.dataset.provenance import read_mark
from dfdm.dataset.settings import CropsConfig
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.encoding import write_master
from dfdm.media.lossless import Codec, Packer, Unpacker
from dfdm.media.settings import EncodeConfig
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import VideoRecord, of_encoded, read_planes

STILL = CropsConfig(smooth=0)

Short = tuple[Path, VideoRecord, list[np.ndarray]]


def track_of(record: VideoRecord, centres: np.ndarray, frames: list[int], side: float = 80) -> FaceTrack:
    """A face of a square outline at the given centres [n, 2] in the given frames."""
    corner = np.random.default_rng(0).uniform(-side / 2, side / 2, (68, 2))
    corner[:4] = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) * side / 2
    landmarks = (centres[:, None] + corner).astype(np.float32)
    boxes = np.concatenate([landmarks.min(1), landmarks.max(1)], 1)
    count = len(frames)
    return FaceTrack(
        record, np.array(frames, np.int32), landmarks, boxes, np.ones(count, np.float32), np.zeros(count, np.int32),
        TrackCounts(record.frames, count, 0, 0),
    )  # fmt: skip


def test_the_box_stands_still_while_the_face_stays_within_the_margin(short: Short) -> None:
    centres = 200 + np.random.default_rng(1).uniform(-5, 5, (10, 2))
    corners, size = boxes_along(track_of(short[1], centres, list(range(10))), margin=0.3, smooth=2)
    assert len(np.unique(corners, axis=0)) == 1
    assert size % 2 == 0 == (corners % 2).sum()


def test_the_box_follows_a_face_that_moves_and_always_holds_it(short: Short) -> None:
    centres = np.stack([np.linspace(100, 400, 10), np.full(10, 150)], 1)
    track = track_of(short[1], centres, list(range(10)))
    corners, size = boxes_along(track, margin=0.3, smooth=1)
    assert corners[-1, 0] - corners[0, 0] > 200
    assert (track.landmarks >= corners[:, None]).all()
    assert (track.landmarks <= corners[:, None] + size).all()


def test_boxes_stay_within_the_frame(short: Short) -> None:
    centres = np.stack([np.linspace(-20, 660, 10), np.linspace(0, 360, 10)], 1)
    corners, size = boxes_along(track_of(short[1], centres, list(range(10))), margin=0.3, smooth=0)
    assert (corners >= 0).all()
    assert (corners + size <= [640, 360]).all()


@pytest.fixture
def crop_file(short: Short, tmp_path: Path) -> tuple[Path, FaceTrack, list[np.ndarray]]:
    path, record, planes = short
    video = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4"
    write_master(video, iter(planes), record, path, EncodeConfig(preset="ultrafast"), {})
    track = track_of(record, np.full((6, 2), 180.0), [0, 1, 2, 5, 8, 9])
    out = tmp_path / "crops.safetensors"
    write_crops(out, video, track, STILL, {"name": "id0_id1_0000_iae", "model": "iae", "crf": 0})
    return out, track, planes


def test_crops_are_the_pixels_of_the_encoded_video(crop_file: tuple[Path, FaceTrack, list[np.ndarray]]) -> None:
    path, track, planes = crop_file
    reader = CropReader(path)
    assert reader.frame_index.tolist() == [0, 1, 2, 5, 8, 9]
    corners, size = boxes_along(track, 0.3, 0)
    x, y = corners[3]
    whole = yuv_to_rgb(planes[5], track.record.matrix, track.record.full_range)
    crop = reader.frames([3])[0]
    assert crop.shape == (size, size, 3)
    inner = (slice(2, -2), slice(2, -2))  # chroma at the very edge has no neighbour outside the crop
    assert np.abs(crop[inner].astype(int) - whole[y : y + size, x : x + size][inner]).max() <= 1
    assert np.allclose(reader.landmarks + corners[:, None], track.landmarks, atol=1e-4)
    assert reader.polygon.shape == (6, 27, 2)


def test_equal_crops_are_equal_bytes(crop_file: tuple[Path, FaceTrack, list[np.ndarray]], tmp_path: Path) -> None:
    path, track, _ = crop_file
    video = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4"
    write_crops(tmp_path / "b.safetensors", video, track, STILL, {"name": "id0_id1_0000_iae", "model": "iae", "crf": 0})
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("codec", ["utvideo", "ffv1", "raw"])
def test_every_frame_comes_back_bit_for_bit_and_alone(codec: Codec) -> None:
    draw = np.random.default_rng(0)
    for side in (2, 46, 130):
        smooth = np.add.outer(np.arange(side * 3 // 2), np.arange(side)) % 256
        frames = [smooth.astype(np.uint8), *draw.integers(0, 256, (3, side * 3 // 2, side), np.uint8)]
        packer = Packer(codec, side)
        packed = list(packer.pack(iter(frames)))
        assert packed == list(Packer(codec, side).pack(iter(frames)))
        unpacker = Unpacker(packer.about)
        for index in (3, 0, 2, 0):
            np.testing.assert_array_equal(unpacker.unpack(packed[index]), frames[index])


@pytest.mark.parametrize("codec", ["utvideo", "ffv1"])
def test_packed_crops_hold_the_pixels_of_raw_ones_in_less(
    codec: Codec, crop_file: tuple[Path, FaceTrack, list[np.ndarray]], tmp_path: Path
) -> None:
    _, track, _ = crop_file
    video, sizes = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4", []
    pictures = []
    for name in (codec, "raw"):
        settings = CropsConfig(codec=name, smooth=0)  # type: ignore[arg-type]
        write_crops(tmp_path / f"{name}.safetensors", video, track, settings, {"model": "iae"})
        pictures.append(CropReader(tmp_path / f"{name}.safetensors").frames(range(6)))
        sizes.append((tmp_path / f"{name}.safetensors").stat().st_size)
    np.testing.assert_array_equal(*pictures)
    assert sizes[0] < 0.5 * sizes[1]


def test_threads_read_one_file_at_once(crop_file: tuple[Path, FaceTrack, list[np.ndarray]]) -> None:
    reader = CropReader(crop_file[0])
    whole = reader.frames(range(6))
    with ThreadPoolExecutor(8) as pool:
        for index, found in enumerate(pool.map(lambda place: reader.frames([place % 6])[0], range(96))):
            np.testing.assert_array_equal(found, whole[index % 6])


def test_one_flipped_bit_is_found_where_its_frame_is_read(
    crop_file: tuple[Path, FaceTrack, list[np.ndarray]],
) -> None:
    path = crop_file[0]
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    reader = CropReader(path)
    reader.frames(range(5))
    with pytest.raises(DfdmError, match="crop 5 is not what was written; make it again"):
        reader.frames([5])


def test_clips_alone_are_kept_evenly_spread() -> None:
    assert kept_rows(100, 3, 10).tolist() == [*range(10), *range(45, 55), *range(90, 100)]
    assert kept_rows(25, 3, 10).tolist() == list(range(25))  # they would overlap
    assert kept_rows(30, 3, 10).tolist() == list(range(30))
    assert kept_rows(5, 3, 10).tolist() == list(range(5))
    assert kept_rows(100, None, 10).tolist() == list(range(100))


def test_a_crop_file_of_clips_says_so_and_holds_their_frames(
    crop_file: tuple[Path, FaceTrack, list[np.ndarray]], tmp_path: Path
) -> None:
    path, track, _ = crop_file
    video, some = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4", tmp_path / "some.safetensors"
    write_crops(some, video, track, CropsConfig(smooth=0, clips=2), {"model": "iae"}, clip=2)
    reader, whole = CropReader(some), CropReader(path)
    assert (reader.clip, whole.clip) == (2, None)
    assert reader.frame_index.tolist() == [0, 1, 8, 9]
    np.testing.assert_array_equal(reader.frames(range(4)), whole.frames([0, 1, 4, 5]))
    np.testing.assert_array_equal(reader.boxes, whole.boxes[[0, 1, 4, 5]])


def test_crops_are_written_as_they_are_cut(short: Short, tmp_path: Path) -> None:
    path, record, planes = short
    video = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4"
    longer = record.model_copy(update={"stop": record.start + 90})
    write_master(video, iter(planes * 9), longer, path, EncodeConfig(preset="ultrafast"), {})
    track = track_of(longer, np.full((90, 2), 180.0), list(range(90)), side=200)
    tracemalloc.start()
    write_crops(tmp_path / "c.safetensors", video, track, STILL, {"model": "iae"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.1 * 90 * 1.5 * int(CropReader(tmp_path / "c.safetensors").meta["size"]) ** 2


@pytest.fixture
def three_clips(crop_file: tuple[Path, FaceTrack, list[np.ndarray]], tmp_path: Path) -> list[Path]:
    """Crop files of two clips by `iae` and of an original, at crf 23."""
    _, track, _ = crop_file
    video = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4"
    about = [("id0_id1_0003_iae", "iae"), ("id1_id0_0002_iae", "iae"), ("id0_0003_real", "real")]
    for name, model in about:
        meta = {"name": name, "model": model, "crf": 23}
        write_crops(tmp_path / f"{name}.safetensors", video, track, STILL, meta)
    return [tmp_path / f"{name}.safetensors" for name, _ in about]


def test_crops_become_a_tree_of_pngs_called_by_their_clip(
    three_clips: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export_tree(three_clips, tmp_path / "tree", ["faceswap", "iae"]) == 2
    assert sorted(path.name for path in (tmp_path / "tree/DF_class2").iterdir()) == ["id0_id1_0003", "id1_id0_0002"]
    files = sorted((tmp_path / "tree/DF_class2/id0_id1_0003").iterdir())
    assert [file.name for file in files] == [f"Frame{number}.png" for number in range(1, 7)]
    assert np.array_equal(cv2.imread(str(files[3]))[:, :, ::-1], CropReader(three_clips[0]).frames([3])[0])
    mark = read_mark(files[3])
    assert (mark["synthetic"], mark["name"], mark["crf"]) == (True, "id0_id1_0003_iae", 23)
    assert mark["statement"].startswith("Synthetic: a neural network replaced the face")
    assert "id0_0003_real.safetensors is left out: real is not one of the classes" in capsys.readouterr().err


def test_an_exported_tree_is_collected_under_the_same_names(
    three_clips: list[Path], tmp_path: Path, demo: Config
) -> None:
    export_tree(three_clips, tmp_path / "crf23", ["faceswap", "iae"])
    cfg = demo.model_copy(update={"data": DataConfig.model_validate({"classes": {"DF_class2": "iae"}})})
    items, faults, _ = find("frames", tmp_path / "crf23", cfg)
    assert [(item.name, item.model, item.crf) for item in items] == [
        ("id0_id1_0003_iae", "iae", 23),
        ("id1_id0_0002_iae", "iae", 23),
    ]
    assert faults == []


def test_a_numbered_tree_has_an_index(three_clips: list[Path], tmp_path: Path) -> None:
    export_tree(three_clips, tmp_path / "tree", ["faceswap", "iae"], numbered=True)
    index = pd.read_csv(tmp_path / "tree/index.csv")
    assert index[["folder", "name", "crf"]].to_numpy().tolist() == [
        ["DF_class2/Video1", "id0_id1_0003_iae", 23],
        ["DF_class2/Video2", "id1_id0_0002_iae", 23],
    ]
    assert len(list((tmp_path / "tree/DF_class2/Video2").iterdir())) == 6


def test_qualities_are_not_mixed_in_a_tree_and_nothing_is_written_over(
    three_clips: list[Path], crop_file: tuple[Path, FaceTrack, list[np.ndarray]], tmp_path: Path
) -> None:
    with pytest.raises(DfdmError, match="crf 0, 23"):
        export_tree([*three_clips, crop_file[0]], tmp_path / "tree", ["iae"])
    with pytest.raises(DfdmError, match="one video"):
        export_tree([three_clips[0], Path(shutil.copy(three_clips[0], tmp_path / "again"))], tmp_path / "tree", ["iae"])
    assert not (tmp_path / "tree").exists()
    export_tree(three_clips, tmp_path / "tree", ["iae"])
    with pytest.raises(DfdmError, match="id0_id1_0003 exists already"):
        export_tree(three_clips, tmp_path / "tree", ["iae"])


def test_a_video_of_another_length_is_refused(short: Short, tmp_path: Path) -> None:
    path, record, planes = short
    video = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4"
    write_master(video, iter(planes), record, path, EncodeConfig(preset="ultrafast"), {})
    longer = record.model_copy(update={"stop": record.stop + 1})
    with pytest.raises(DfdmError, match="gave 10 of the 11 frames"):
        write_crops(tmp_path / "c", video, track_of(longer, np.full((1, 2), 180.0), [0]), STILL, {})


def test_a_truncated_crop_file_is_named(crop_file: tuple[Path, FaceTrack, list[np.ndarray]], tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(crop_file[0].read_bytes()[:5000])
    with pytest.raises(DfdmError, match="not a readable crop file"):
        CropReader(tmp_path / "cut.safetensors")


def test_a_scene_without_a_face_gives_an_empty_crop_file(short: Short, tmp_path: Path) -> None:
    path, record, planes = short
    video = tmp_path / "DFDM_crf0/real/id0_0000_real.mp4"
    write_master(video, iter(planes), record, path, EncodeConfig(preset="ultrafast"), {})
    nothing = track_of(record, np.zeros((0, 2)), [])
    write_crops(tmp_path / "none.safetensors", video, nothing, CropsConfig(), {"model": "real"})
    assert len(CropReader(tmp_path / "none.safetensors")) == 0
    assert of_encoded(record).frames == len(list(read_planes(video, of_encoded(record))))
