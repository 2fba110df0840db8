"""The report and the README's picture, on a small made-up results folder."""

import base64
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.base.names import VideoName
from dfdm.base.progress import duration
from dfdm.base.text import multiples, percent, size_text
from dfdm.catalogue import config
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.media.alignment import eye_distance
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.report import pictures
from dfdm.report.build import build
from dfdm.report.clips import chosen_clips, moment
from dfdm.report.readme import SIZE, readme_picture
from dfdm.report.times import RuleTime, bytes_written, read_times
from dfdm.report.tracks import jitter_of
from tests.report.made_results import (
    FRAMES,
    HEIGHT,
    HOSTILE,
    MODELS,
    WIDTH,
    face_points,
    made_config,
    make_results,
    video_path,
)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cfg() -> Config:
    return made_config()


@pytest.fixture(scope="module")
def results(cfg: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(cfg, tmp_path_factory.mktemp("results"))


class Page(HTMLParser):
    """Collects tags, the addresses a browser would load, and pictures by their alternative text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.pictures: dict[str, str] = {}
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = {name: value or "" for name, value in attrs}
        if tag == "meta" and "http-equiv" in values:
            self.policy = values["content"]
        self.addresses += [values[name] for name in ("src", "href", "srcset", "action", "data") if name in values]
        if tag == "img":
            assert values["alt"] not in self.pictures, "two pictures with one description"
            self.pictures[values["alt"]] = values["src"]

    def handle_data(self, data: str) -> None:
        self.words += f" {data}"


@pytest.fixture(scope="module")
def html(cfg: Config, results: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "deep" / "report.html"
    build(cfg, results, out)
    return out.read_text()


def decode(address: str) -> np.ndarray:
    data = base64.b64decode(address.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def is_stamped(rgb: np.ndarray) -> bool:
    """Whether the lowest twentieth is a strip of the stamp's colour, letters aside."""
    strip = rgb[-max(2, len(rgb) // 20) :].astype(int)
    near = (np.abs(strip - np.array(pictures.STAMP_RGB)) < 40).all(-1)
    return bool(near.mean() > 0.6)


def player(html: str) -> dict:
    """What the page's script is given."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


def carried(html: str) -> dict[str, bytes]:
    """The videos in the page."""
    found = re.findall(r'<script type="text/plain" data-video="([^"]*)">([^<]*)</script>', html)
    return {key: base64.b64decode(text) for key, text in found}


def test_the_page_loads_nothing_from_anywhere(html: str) -> None:
    page = Page(html)
    assert page.addresses
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert not page.tags & {"link", "iframe", "object", "embed", "base"}
    assert "@import" not in html
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= {f"#{one}" for one in re.findall(r'id="([^"]*)"', html)}
    assert page.policy.startswith("default-src 'none'")  # what the browser is told to refuse
    assert not re.search("http|self|file:|\\*", page.policy)


def test_the_player_has_the_original_and_every_model_at_each_quality(cfg: Config, html: str) -> None:
    told = player(html)
    assert told["models"] == ["real", *MODELS]
    assert [clip["clip"] for clip in told["clips"]] == ["id0_id1_0001", "id1_id0_0002"]
    for clip in told["clips"]:
        assert set(clip["videos"]) == {"0", "23"}
        for crf, keys in clip["videos"].items():
            assert set(keys) == {"real", *MODELS}
            assert keys["iae"] == f"{clip['clip']}_iae_crf{crf}"
        assert clip["masks"] == {model: f"{clip['clip']}_{model}_mask" for model in MODELS}
    assert len(carried(html)) == len(videos_of(cfg, "dataset")) + 2 * 5
    assert told["folder"] is None
    scene = told["scenes"]["id0_0001"]
    assert (scene["width"], scene["height"], scene["start"]) == (WIDTH, HEIGHT, 2 + 7)
    assert scene["times"] == pytest.approx([at / 25 for at in range(FRAMES)])
    assert "frame 9 at 0.36 s" in Page(html).words


def test_videos_are_played_as_they_are_but_the_masters(results: Path, html: str, tmp_path: Path) -> None:
    name, videos = VideoName("id0", "id1", "0001", "iae"), carried(html)
    assert videos[f"{name}_crf23"] == video_path(results, name, 23).read_bytes()
    (tmp_path / "watched.mp4").write_bytes(videos[f"{name}_crf0"])
    with av.open(str(tmp_path / "watched.mp4")) as watched, av.open(str(video_path(results, name, 0))) as master:
        assert watched.streams.video[0].codec_context.profile == "High"
        frames, truth = (
            np.stack([frame.to_ndarray(format="gray") for frame in one.decode(video=0)]) for one in (watched, master)
        )
        assert "Synthetic" in watched.metadata["comment"]
        assert watched.metadata["dfdm_encoded"] == "for watching: crf 4 of the master"
    assert frames.shape == truth.shape
    assert np.abs(frames.astype(int) - truth).mean() < 2
    assert "crf 0 is shown encoded again at crf 4" in " ".join(Page(html).words.split())


def test_above_a_size_the_videos_are_in_a_folder_beside_the_page(
    cfg: Config, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfdm.report.videos.MOST_BYTES", 1000)
    out, folder = tmp_path / "report.html", tmp_path / "report"
    folder.mkdir()
    (folder / "id0_id1_0009_gone_crf23.js").touch()  # of an earlier page
    (folder / "notes.txt").touch()
    written = build(cfg, results, out)
    html = out.read_text()
    assert carried(html) == {}
    assert player(html)["folder"] == "report"
    assert "in the folder report beside this page" in " ".join(Page(html).words.split())
    assert {path.name for path in folder.iterdir()} == {path.name for path in written[1:]} | {"notes.txt"}
    assert len(written) == 1 + 2 * 2 * 6 + 2 * 5
    name = VideoName("id0", "id1", "0001", "iae")
    call = re.fullmatch(r'dfdmVideo\("(.*)", "(.*)"\);\n', (folder / f"{name}_crf23.js").read_text())
    assert call[1] == f"{name}_crf23"
    assert base64.b64decode(call[2]) == video_path(results, name, 23).read_bytes()
    assert build(cfg, results, out, single=True) == [out]
    assert len(carried(out.read_text())) == 2 * 2 * 6 + 2 * 5
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("width", "height"), [(720, 1280), (96, 160), (3840, 2160)])
def test_the_stamps_words_are_whole_on_a_picture_of_any_shape(width: int, height: int) -> None:
    strip = pictures.stamp(np.zeros((height, width, 3), np.uint8), "face swap")[height:]
    columns = np.flatnonzero((strip.min(2) > 200).any(0))
    left, right = columns[0], width - 1 - columns[-1]
    assert min(left, right) >= 0.03 * width
    assert abs(left - right) <= 0.01 * width + 2


def test_the_answer_of_each_video_and_the_score_of_each_direction(html: str) -> None:
    words, told = " ".join(Page(html).words.split()), player(html)
    assert told["answers"]["23"]["classes"] == MODELS
    assert told["answers"]["23"]["shares"]["id1_id0_0002_iae"] == [0.05, 0.05, 0.05, 0.8, 0.05]
    assert "90 of 100 named rightly By the likeliest class. Guessing would name 20; the 95 % interval is" in words
    assert "With its thresholds, of 10 swaps 4 are named rightly, 5 wrongly and 1 “none of these”." in words
    assert "id1’s face on id0 5 of 5 57 % to 100 % id0’s face on id1 0 of 5 0 % to 43 %" in words


def test_the_words_count_the_models_that_are_there(cfg: Config, results: Path, tmp_path: Path) -> None:
    assert "Two people, five face-swap generators" in Page(html_of(cfg, results, tmp_path)).words
    values = cfg.model_dump(exclude_unset=True)
    few = config.load({**values, "models": {"iae": None, "dfaker": None}, "crf": [23], "swaps": ["id0_id1_0001"]})
    words = " ".join(Page(html_of(few, results, tmp_path)).words.split())
    assert "Two people, two face-swap generators" in words
    assert "One clip swapped by two autoencoders at crf 23" in words
    assert "five" not in words.lower()


def html_of(cfg: Config, results: Path, folder: Path) -> str:
    build(cfg, results, folder / "page.html")
    return (folder / "page.html").read_text()


def test_every_generated_picture_is_stamped_and_no_original_is(html: str) -> None:
    synthetic = [src for alt, src in Page(html).pictures.items() if "synthetic" in alt]
    original = [src for alt, src in Page(html).pictures.items() if "original" in alt]
    assert len(synthetic) == 2 * 5 + 5  # clips, models; preview sheets
    assert all(is_stamped(decode(src)) for src in synthetic)
    assert len(original) == 2
    assert not any(is_stamped(decode(src)) for src in original)


def test_the_page_tells_scores_statistics_sources_and_times(html: str) -> None:
    words = " ".join(Page(html).words.split())
    assert "the 95 % interval is 70 % to 100 %." in words
    assert "are shown without their controls" in words
    assert "render 2 1 min 05 s 32 s 1 min 02 s 262 MB" in words
    assert re.search(r"id0_0001 192x128 25.000 12 2 0 2 [0-9.]+ % 1 0", words)
    assert HOSTILE in words


def test_each_stage_shows_jobs_time_memory_and_the_bytes_that_it_wrote(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "results"))
    clip = ("id0_id1_0001", "iae")
    sizes = {
        layout.source("id0_0001"): ("sources_probe", 1),
        layout.predictor: ("sources_predictor", 2),
        layout.track("id0_0001"): ("faces", 4),
        layout.checkpoint("id0_id1", "iae"): ("train", 8),
        layout.training_file("id0_id1", "iae", "loss.csv"): ("train", 16),
        layout.video(*clip, 0): ("render", 32),
        layout.sidecar(*clip, 0): ("render", 64),
        layout.video("id0_0001", "real", 0): ("original", 128),
        layout.video(*clip, 23): ("encode", 256),
        layout.video("id0_0001", "real", 23): ("encode", 512),
        layout.crops(*clip, 23): ("crops", 1024),
        layout.manifest("dataset"): ("manifest", 2048),
        layout.run("dma_sta/scene/crf23/seed0"): ("attribution_train", 4096),
        layout.run("dma_sta/scene/crf23/seed0", "log.csv"): ("attribution_train", 1),
        layout.scores("dma_sta/scene/crf23/seed0", 23): ("attribution_score", 3),
        layout.scores("dma_sta/scene/crf23/seed0", 23, "predictions.parquet"): ("attribution_score", 5),
        layout.tune("dma_sta"): ("attribution_tune", 7),
        layout.scores("dma_sta/id0_id1/crf10/seed0", 10, treatment="vp9"): ("attribution_treated", 17),
        layout.unseen: ("attribution_unseen", 19),
        layout.comparison: ("attribution_comparison", 9),
        layout.region("id0_id1_0001"): ("region", 11),
        layout.controls("dma_sta", 23): ("controls", 13),
        layout.evaluate("id0_id1", "iae"): ("evaluate", 15),
        layout.report: ("report", 8192),
        f"{layout.results}/report/id0_id1_0001_iae_crf23.js": ("report", 16384),
        layout.log("render", "x"): ("render", 0),
        f"{layout.results}/state/abc/state.pt": ("", 0),
    }
    expected: Counter[str] = Counter()
    for path, (stage, size) in sizes.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(bytes(size or 77))  # logs and states are not outputs
        expected[stage] += size
    assert bytes_written(layout) == +expected
    for name, seconds, memory in (("a", 60.0, "250.0"), ("b", 5.5, "-")):
        bench = Path(layout.benchmark("render", name))
        bench.parent.mkdir(parents=True, exist_ok=True)
        bench.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:01:00\t{memory}\n")
    assert read_times(layout) == [RuleTime("render", 2, 65.5, 60.0, 250.0, 96)]


def test_text_from_the_config_is_escaped(html: str) -> None:
    assert HOSTILE not in html
    assert "<script>alert" not in html
    assert "a <note>" not in html
    assert "a &lt;note&gt;" in html


def test_a_partial_run_gives_a_page_that_lists_what_is_missing(cfg: Config, results: Path, tmp_path: Path) -> None:
    partial = tmp_path / "results"
    for folder in ("faces", "dataset"):
        (partial / folder).parent.mkdir(exist_ok=True)
        (partial / folder).symlink_to(results / folder)
    (tmp_path / "hidden").mkdir()
    path = video_path(results, VideoName("id0", "id1", "0001", "iae"), 23)
    hidden = path.rename(tmp_path / "hidden" / path.name)
    try:
        build(cfg, partial, tmp_path / "page.html")
    finally:
        hidden.rename(path)
    words = Page((tmp_path / "page.html").read_text()).words
    assert "videos of iae at crf 23 (stage dataset): id0_id1_0001_iae" in words
    assert "scores of dma_sta at crf 0 (stage attribution_score)" in words
    assert "loss log of dfaker for id0_id1 (stage train)" in words
    assert "No scores yet" in words


def test_an_empty_results_folder_gives_a_page_too(cfg: Config, tmp_path: Path) -> None:
    build(cfg, tmp_path / "nothing", tmp_path / "page.html")
    words = Page((tmp_path / "page.html").read_text()).words
    assert "No swapped videos yet" in words
    assert "face track of id0_0001 (stage faces)" in words


def test_the_frame_shown_is_one_that_no_model_was_trained_on(cfg: Config, results: Path) -> None:
    track = FaceTrack.load(Layout(str(results)).track("id0_0001"))  # 10 faces, from frame 2 on
    shown = moment(cfg, track)
    assert (shown.frame, shown.note) == (2 + 7, "the middle face of the frames that no training saw")
    values = cfg.model_dump(exclude_unset=True)
    own = config.load({**values, "models": {**dict.fromkeys(MODELS), "iae": {"held_out": 0.19}}})
    assert track.trained_count(0.19) == 9  # a share of a face is trained on
    assert moment(own, track).frame == 2 + 9
    none = config.load({**values, "models": {**dict.fromkeys(MODELS), "iae": {"held_out": 0}}})
    assert (moment(none, track).frame, moment(none, track).note) == (2 + 5, "the middle frame with a face")


def test_many_clips_are_shown_by_an_even_choice_those_with_an_answer_first(cfg: Config) -> None:
    assert chosen_clips(cfg, 24) == cfg.clips
    assert chosen_clips(cfg, 1) == cfg.clips[:1]
    assert chosen_clips(cfg, 1, {"id1_id0_0002"}) == cfg.clips[1:]


@pytest.mark.parametrize("turn", [-50, -20, 0, 15, 40])
def test_the_bar_covers_brows_eyes_and_temples(turn: float) -> None:
    points = face_points(turn, centre=(100, 100), size=80)
    covered = pictures.cover_eyes(np.full((200, 200, 3), 200, np.uint8), points)
    for x, y in points[[*range(17, 27), *range(36, 48), 0, 16]]:
        around = covered[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
        assert (around == pictures.BAR_RGB[0]).all()
    mouth = points[62]
    assert (covered[round(mouth[1]), round(mouth[0])] == 200).all()


def test_the_readme_picture_covers_every_face_and_stamps_every_swap(cfg: Config, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "images" / "swaps.jpg"
    readme_picture(cfg, results, out, ["id0_id1_0001", "id1_id0_0002"])
    sheet = cv2.imread(str(out))[..., ::-1]
    columns = len(MODELS) + 1
    cell_width = (sheet.shape[1] + 6) // columns
    for row in range(2):
        bottom = len(sheet) - 6 - (1 - row) * (SIZE + round(0.11 * SIZE) + 6)
        for column in range(columns):
            cell = sheet[bottom - SIZE - round(0.11 * SIZE) : bottom, column * cell_width : column * cell_width + SIZE]
            dark = (cell.astype(int).max(-1) < 40).mean()
            assert 0.1 < dark < 0.5
            assert is_stamped(cell) == (column > 0)


def test_a_picture_of_a_missing_video_is_an_error(cfg: Config, results: Path, tmp_path: Path) -> None:
    with pytest.raises(DfdmError):
        readme_picture(cfg, results, tmp_path / "x.jpg", ["id0_id1_0002"])


def test_sizes_and_times_read_well() -> None:
    assert [multiples(n) for n in (12, 28_683, 1_666_000_000)] == ["12", "28.7 k", "1.67 G"]
    assert [size_text(n) for n in (12, 3_200, 53_700_000_000, 999_999)] == [
        "12 B",
        "3.2 kB",
        "53.7 GB",
        "1.0 MB",
    ]
    assert [percent(share) for share in (None, 0.0, 0.831, 1.0)] == ["–", "0 %", "83 %", "100 %"]
    assert [duration(s) for s in (3.42, 61.5, 10_920)] == ["3.4 s", "1 min 02 s", "3 h 02 min"]


def test_jitter_is_what_leaves_the_line_of_its_neighbours_within_a_segment() -> None:
    still = np.tile(np.random.default_rng(0).uniform(0, 40, (68, 2)), (6, 1, 1))
    moving = still + np.arange(6)[:, None, None] * 3.0
    rows = np.arange(6, dtype=np.int32)

    def track(landmarks: np.ndarray, index: np.ndarray = rows, segment: list[int] | None = None) -> FaceTrack:
        counts = TrackCounts(6, 6, 0, 0)
        plain = np.zeros((6, 4), np.float32), np.ones(6, np.float32), np.array(segment or [0] * 6, np.int32)
        return FaceTrack(None, index, landmarks.astype(np.float32), *plain, counts)  # type: ignore[arg-type]

    assert jitter_of(track(moving)).max() < 1e-5  # a steady motion is none
    shaken = moving.copy()
    shaken[3] += 4
    found = jitter_of(track(shaken))
    assert found.argmax() == 3
    assert found[0] == found[-1] == 0
    assert found[3] == pytest.approx(np.hypot(4, 4) / eye_distance(shaken[3]), rel=1e-3)
    assert jitter_of(track(shaken, segment=[0, 0, 0, 1, 2, 2])).max() < 1e-5
    assert jitter_of(track(shaken, np.array([0, 1, 2, 9, 20, 21], np.int32))).max() < 1e-5
