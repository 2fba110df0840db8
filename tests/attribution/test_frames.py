from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attribution.clips import Clips, Draw, Video, cut_native, find_videos
from attribution.frames import open_frames
from attribution.settings import AttributionConfig
from dfdm.base.errors import DfdmError
from dfdm.dataset.pictures import read_picture


def write_frames(folder: Path, numbers: list[int], size: tuple[int, int] = (20, 24), name: str = "Frame{}.png") -> None:
    """Pictures whose red is their number and whose other channels are noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        pixels[..., 0] = number
        Image.fromarray(pixels).save(folder / name.format(number))


def test_pictures_are_sorted_by_number_and_not_as_strings(tmp_path):
    write_frames(tmp_path, list(range(1, 12)))
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "notes.txt").write_text("")
    reader = open_frames(tmp_path)
    assert len(reader) == 11
    assert reader.frame_index.tolist() == list(range(1, 12))
    assert reader.frames([0, 1, 9, 10])[:, 0, 0, 0].tolist() == [1, 2, 10, 11]
    assert reader.frames([3]).dtype == np.uint8


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "RGB"])
def test_any_mode_becomes_rgb(tmp_path, mode):
    grey = np.tile(np.array([0, 255], np.uint8), (8, 4))
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray((grey.astype(np.uint16) << 8) + 7)
    elif mode == "RGBA":
        image = image.convert("RGBA")
        image.putalpha(Image.fromarray(grey))
    else:
        image = image.convert(mode)
    path = tmp_path / ("Frame1.tif" if mode == "CMYK" else "Frame1.png")
    image.save(path)
    np.testing.assert_array_equal(read_picture(path), np.repeat(grey[:, :, None], 3, 2))


def test_a_picture_that_is_none_or_ends_early_is_named(tmp_path):
    write_frames(tmp_path, [1])
    whole = (tmp_path / "Frame1.png").read_bytes()
    (tmp_path / "Frame1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DfdmError, match=r"Frame1\.png is damaged"):
        read_picture(tmp_path / "Frame1.png")
    (tmp_path / "Frame2.png").write_text("text")
    with pytest.raises(DfdmError, match=r"Frame2\.png is not a picture"):
        read_picture(tmp_path / "Frame2.png")


def test_a_gap_a_doubled_number_and_a_picture_without_one_are_named(tmp_path):
    write_frames(tmp_path / "gap", [1, 3])
    with pytest.raises(DfdmError, match="gap has no frame 2"):
        open_frames(tmp_path / "gap")
    write_frames(tmp_path / "double", [1])
    write_frames(tmp_path / "double", [1], name="Frame0{}.png")
    with pytest.raises(DfdmError, match="both frame 1"):
        open_frames(tmp_path / "double")
    write_frames(tmp_path / "none", [1], name="face.png")
    with pytest.raises(DfdmError, match="has no frame number"):
        open_frames(tmp_path / "none")


def test_clips_read_folders_of_pictures_of_several_sizes(tmp_path):
    write_frames(tmp_path / "DF_class1/Video1", [1, 2])
    write_frames(tmp_path / "DF_class1/Video1", [3, 4], size=(30, 26))
    rows = pd.DataFrame({"name": ["DF_class1/Video1"], "model": ["iae"], "crops": [str(tmp_path / "DF_class1/Video1")]})
    videos, _ = find_videos(rows, tmp_path / "elsewhere", ["iae"], 2)
    assert videos[0].frames == 4
    clip = Clips(videos, AttributionConfig(resize=20, size=16, clip=2)).read(Draw(0, 1))
    assert clip.shape == (2, 16, 16, 3)
    assert clip[:, 0, 0, 0].tolist() == [2, 3]


def test_native_pixels_are_the_frames_own_at_one_place_of_all_frames(tmp_path):
    write_frames(tmp_path, [1, 2, 3])
    settings = AttributionConfig(size=16, clip=3, pixels="native", resize=2)
    clips = Clips([Video("a", 0, tmp_path, 3)], settings)
    raw = open_frames(tmp_path).frames([0, 1, 2])
    np.testing.assert_array_equal(clips.read(Draw(0, 0)), raw[:, 2:18, 4:20])
    np.testing.assert_array_equal(clips.read(Draw(0, 0, flip=True)), raw[:, 2:18, 4:20][:, :, ::-1])


def test_a_native_cut_stays_on_even_pixels_inside_the_frame_and_is_mirrored_where_the_frame_is_small():
    frames = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), np.uint8)
    np.testing.assert_array_equal(cut_native(frames, 8, (11.7, 9.2)), frames[:, 6:14, 8:16])
    np.testing.assert_array_equal(cut_native(frames, 8, (0, 20)), frames[:, 12:20, 0:8])
    small = cut_native(frames, 30, None)
    np.testing.assert_array_equal(small[:, 5:25, 3:27], frames)
    np.testing.assert_array_equal(small[:, 4, 3:27], frames[:, 1])
    assert cut_native(frames[:, :3, :3], 40, None).shape == (2, 40, 40, 3)
