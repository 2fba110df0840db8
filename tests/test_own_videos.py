"""dfdm swap: the config of one's own videos, and the marked copies."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import yaml

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import load
from dfdm.commands import swap
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.encoding import write_master
from dfdm.media.settings import EncodeConfig
from dfdm.media.video import probe, read_planes
from dfdm.report import marked
from dfdm.report.pictures import STAMP_RGB

FAST = EncodeConfig(preset="ultrafast")


@pytest.fixture
def pair(clips: Path, tmp_path: Path) -> list[Path]:
    found = [tmp_path / "in" / "anna.mp4", tmp_path / "other" / "ben.mp4"]
    for path, name in zip(found, ("WolfgangLanger_Pexels.mp4", "single_face.mp4")):
        path.parent.mkdir()
        path.symlink_to(clips / name)
    return found


def test_a_clip_a_person_is_cut_into_a_scene_for_each_part(pair: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    swap._configure(out, pair, "own", "signed", "quick")
    cfg = load(out / "config.yaml")
    assert cfg.results == "results"
    assert [cfg.scene(f"id0_000{place}").frames for place in range(3)] == [(0, 157), (157, 314), (314, 472)]
    assert [cfg.scene(f"id1_000{place}").frames for place in range(3)] == [(0, 24), (24, 48), (48, 72)]
    assert (cfg.sources.people["id1"].licence, cfg.sources.people["id1"].consent) == ("own", "signed")
    assert len(cfg.clips) == 6


def test_a_config_that_is_there_keeps_its_settings_and_its_videos(pair: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    swap._configure(out, pair, "own", "signed", "quick")
    values = yaml.safe_load((out / "config.yaml").read_text()) | {"crf": [0, 30]}
    (out / "config.yaml").write_text(yaml.safe_dump(values))
    swap._configure(out, pair, "own", "signed", "quick")
    assert load(out / "config.yaml").crf == [0, 30]
    with pytest.raises(DfdmError, match=r"of other videos, or of another licence or consent; give --out"):
        swap._configure(out, pair[::-1], "own", "signed", "quick")


def test_one_person_twice_and_one_alone_are_refused(pair: list[Path], tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"
    again.symlink_to(pair[0])
    for videos, sentence in (([pair[0], again], "is given twice"), (pair[:1], "at least two")):
        with pytest.raises(DfdmError, match=sentence):
            swap._configure(tmp_path / "run", videos, "own", "signed", "quick")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("size", [(48, 64), (320, 180)])
def test_a_marked_copy_shows_the_whole_picture_with_a_red_strip_below(size, clips: Path, tmp_path: Path) -> None:
    source = clips / "single_face.mp4"
    record = probe(source, "id0_0000", {}, (0, 4)).model_copy(
        update={"width": size[0], "height": size[1], "audio": None}
    )
    planes = [np.full((size[1] * 3 // 2, size[0]), 126, np.uint8) for _ in range(4)]
    master = tmp_path / "m.mp4"
    write_master(master, iter(planes), record, source, FAST, {})
    out = tmp_path / "marked.mp4"
    marked.encode(out, master, size, FAST, {"dfdm_synthetic": "true"})
    found = probe(out, "id0_0000", {})
    assert found.frames == 4
    assert found.width == size[0]
    assert size[1] + 14 <= found.height <= 1.2 * size[1] + 14
    for frame in islice(read_planes(out, found), 4):
        rgb = yuv_to_rgb(frame, found.matrix, found.full_range).astype(int)
        assert np.abs(rgb[: size[1] - 2] - rgb[0, 0]).max() < 12
        assert np.abs(np.median(rgb[size[1] :].reshape(-1, 3), axis=0) - STAMP_RGB).max() < 12
        assert (rgb[size[1] :].min(axis=2) > 150).any()  # letters
