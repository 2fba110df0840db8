import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from attribution import sampling
from attribution.many import Table, side_by_side
from attribution.predict import predict_all
from attribution.prediction import Prediction, Seen, Source
from attribution.sampling import sample
from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.dataset.settings import CropsConfig
from dfdm.media.detectors import Face
from dfdm.media.settings import FacesConfig
from tests.media.test_tracks import RECORD, face_at

CLASSES = ["iae", "real"]


@dataclass
class Scripted:
    """A predictor that answers by a video's name: `bad` fails, `fatal` ends the process."""

    classifier: str = "11"

    @property
    def trained(self) -> SimpleNamespace:
        return SimpleNamespace(classes=CLASSES)

    @property
    def source(self) -> Source:
        return Source("m", self.classifier, {"run": "r", "settings": {}})

    def predict(self, video: Path, telling: bool = False) -> tuple[Prediction, None]:
        if video.stem == "fatal":
            os._exit(1)
        if video.stem == "bad":
            raise ValueError("no such plane")
        seen = Seen(90, 40, 40, 0, 1, 200)
        return Prediction(
            str(video), sha256(video), seen, CLASSES, np.array([1.0, 0.0]), 3, 3, 5, 96, self.source
        ), None


@pytest.fixture
def videos(tmp_path) -> list[Path]:
    found = [tmp_path / f"{name}.mp4" for name in ("a", "bad", "c")]
    for path in found:
        path.write_text(path.stem)
    return found


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_table_has_a_row_a_video_and_a_later_call_does_only_what_it_lacks(suffix, videos, tmp_path, capsys) -> None:
    table = tmp_path / f"table{suffix}"
    call = partial(predict_all, Scripted(), videos, None, None, table=table)
    assert call() == 3
    if suffix == ".csv":
        rows = pd.read_csv(table).set_index("video")
        assert list(rows.index) == [str(videos[0]), str(videos[2]), str(videos[1])]
        assert rows.p_iae[str(videos[0])] == pytest.approx(0.731, abs=1e-3)
        assert "no such plane" in rows.error[str(videos[1])]
    else:
        found = json.loads(table.read_text())
        assert [row["video"] for row in found["videos"]] == [str(videos[0]), str(videos[2])]
        assert "no such plane" in found["failures"][0]["error"]
    assert str(videos[2]) in capsys.readouterr().out
    videos[2].write_text("another video of the same name")
    videos[1].rename(videos[1].with_name("good.mp4"))
    videos[1] = videos[1].with_name("good.mp4")
    assert call() == 0
    told = capsys.readouterr()
    assert f"{table} has 1 of the 3 videos already" in told.err
    assert str(videos[0]) not in told.out
    assert str(videos[2]) in told.out
    assert call() == 0


@pytest.mark.parametrize(("suffix", "content"), [(".csv", "name,age\na,1\n"), (".json", "{}"), (".json", "[]")])
def test_a_file_that_is_no_table_is_kept_and_named(suffix, content, tmp_path) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_text(content)
    with pytest.raises(DfdmError, match="not a table of predictions"):
        Table(path, "11", CLASSES)
    assert path.read_text() == content


def test_a_table_of_another_classifier_is_refused(videos, tmp_path) -> None:
    predict_all(Scripted("22"), videos[:1], None, None, table=tmp_path / "t.csv")
    with pytest.raises(DfdmError, match="answers of another classifier"):
        Table(tmp_path / "t.csv", "11", CLASSES)
    with pytest.raises(DfdmError, match=r"end in \.csv or \.json"):
        Table(tmp_path / "t.txt", "11", CLASSES)


@pytest.mark.long
def test_a_video_that_ends_its_process_costs_the_others_nothing(videos) -> None:
    fatal = videos[0].with_name("fatal.mp4")
    asked = [videos[0], fatal, *videos[1:]]
    found = dict(side_by_side(Scripted, asked, False, 2))
    assert list(found) == asked
    assert "ends the process that reads it" in found[fatal]
    assert "no such plane" in found[videos[1]]
    assert [found[video][0].verdict for video in (videos[0], videos[2])] == ["iae", "iae"]


class Sometimes:
    """A detector that finds one still face in some of the frames, counted as they come."""

    def __init__(self, shows) -> None:
        self.shows, self.looked = shows, list[int]()

    def detect(self, rgb: np.ndarray) -> list[Face]:
        number = int(rgb[0, 0, 0])
        self.looked.append(number)
        return [face_at(160, 120)] if self.shows(number) else []


@pytest.fixture
def long_video(monkeypatch):
    """A video of 200 frames whose brightness is its number, never on disk."""
    record = RECORD.model_copy(update={"start": 0, "stop": 200, "full_range": True})
    read = list[int]()

    def planes(path, record, only=None, whole=False):
        for number in range(record.frames) if only is None else only:
            read.append(number)
            frame = np.full((record.height * 3 // 2, record.width), 128, np.uint8)
            frame[: record.height] = number
            yield frame

    monkeypatch.setattr(sampling, "read_planes", planes)
    return record, read


def test_a_face_is_looked_for_at_fixed_places_and_around_them_only(long_video) -> None:
    record, read = long_video
    detector = Sometimes(lambda number: True)
    found = sample(Path("v"), record, detector, FacesConfig(), CropsConfig(smooth=1), 5, 3, False)
    clips = [0, 98, 195]  # the first frame, the middle and the last that has four after it
    assert [int(found.track.frame_index[start]) for start in found.starts] == clips
    around = {n for start in clips for n in range(start - 4, start + 9) if 0 <= n < 200}
    assert detector.looked == sorted(around) == read
    assert found.clip(1, 5)[:, 0, 0, 0].tolist() == [98, 99, 100, 101, 102]


def test_where_a_place_shows_no_face_those_between_are_tried_and_then_every_frame(long_video) -> None:
    record, _ = long_video
    half = Sometimes(lambda number: number >= 90)
    found = sample(Path("v"), record, half, FacesConfig(), CropsConfig(smooth=1), 5, 3, False)
    assert [int(found.track.frame_index[start]) for start in found.starts] == [98, 146, 195]
    few = Sometimes(lambda number: 60 <= number < 66)
    found = sample(Path("v"), record, few, FacesConfig(), CropsConfig(smooth=1), 5, 3, False)
    assert [int(found.track.frame_index[start]) for start in found.starts] == [60, 61]
    assert set(few.looked) == set(range(200))
    none = sample(Path("v"), record, Sometimes(lambda _: False), FacesConfig(), CropsConfig(smooth=1), 5, 3, False)
    assert (len(none.track), none.starts) == (0, [])
