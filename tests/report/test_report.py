"""The report and the README's picture, on a small made-up results folder."""

import base64
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from dfdm.base.errors import DfdmError
from dfdm.base.names import VideoName
from dfdm.base.progress import duration
from dfdm.base.text import multiples, percent, size_text
from dfdm.catalogue import config
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, originals_of, videos_of
from dfdm.catalogue.schedule import main_runs
from dfdm.dataset.sidecar import provenance, write_sidecar
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import probe
from dfdm.report import pictures
from dfdm.report.build import build
from dfdm.report.clips import chosen_clips, moment
from dfdm.report.readme import SIZE, readme_picture
from dfdm.report.times import RuleTime, bytes_written, read_times
from tests.report.made_up import write_score

pytestmark = pytest.mark.long

MODELS = ["faceswap", "lightweight", "iae", "dfaker", "dfl_h128"]
FRAMES, WIDTH, HEIGHT = 12, 192, 128
HOSTILE = "<script>alert('consent')</script> & \"so\""


def person(note: str = "") -> dict:
    return {
        "licence": "made by the test",
        "consent": HOSTILE,
        "note": note,
        "scenes": {"0001": {"path": "a.mp4"}, "0002": {"path": "b.mp4"}},
    }


@pytest.fixture(scope="module")
def cfg() -> Config:
    return config.load(
        {
            "sources": {"people": {"id0": person(), "id1": person("a <note>")}},
            "swaps": ["id0_id1_0001", "id1_id0_0002"],
            "faces": {"predictor": {"path": "landmarks.dat"}},
            "crf": [0, 23],
            "models": dict.fromkeys(MODELS),
            "train": {"held_out": 0.5},
        }
    )


def face_points(turn: float = 0.0, centre: tuple[float, float] = (90, 60), size: float = 50) -> np.ndarray:
    """68 landmarks of an upright face about `size` px wide, turned by `turn` degrees."""
    angles = np.linspace(math.pi, 0, 17)
    jaw = np.stack([0.5 + 0.55 * np.cos(angles), 0.3 + 0.75 * np.sin(angles)], 1)
    brows = [(x, 0.05) for x in (0.03, 0.12, 0.22, 0.32, 0.41, 0.59, 0.68, 0.78, 0.88, 0.97)]
    nose = [(0.5, y) for y in (0.2, 0.3, 0.4, 0.5)] + [(x, 0.6) for x in (0.38, 0.44, 0.5, 0.56, 0.62)]
    eye = [(-0.1, 0), (-0.04, -0.04), (0.04, -0.04), (0.1, 0), (0.04, 0.03), (-0.04, 0.03)]
    eyes = [(cx + x, 0.22 + y) for cx in (0.22, 0.78) for x, y in eye]
    mouth = [(0.5 + 0.2 * math.cos(a), 0.82 + 0.08 * math.sin(a)) for a in np.linspace(0, 6, 20)]
    points = (np.concatenate([jaw, brows, nose, eyes, mouth]) - 0.5) * size
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return (points @ np.array([[cos, sin], [-sin, cos]]) + centre).astype(np.float32)


def video_path(results: Path, name: VideoName, crf: int) -> Path:
    return Path(Layout(str(results)).video(name.clip, name.model, crf))


def write_video(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FRAMES):
            rgb = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
            rgb[:, : 10 * index] = 180
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def results(cfg: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("results")
    for video in videos_of(cfg, "dataset"):
        path = video_path(root, video.name, video.crf)
        write_video(path, 60 + 20 * ["real", *MODELS].index(video.name.model))
    tracks = {}
    for key in ("id0_0001", "id1_0002"):
        source = video_path(root, originals_of(cfg)[0], 0)
        index = np.arange(2, FRAMES, dtype=np.int32)
        points = np.stack([face_points()] * len(index))
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        ones = np.ones(len(index), np.float32)
        counts = TrackCounts(frames=FRAMES, with_face=len(index), several_faces=1, cuts=0)
        segment = np.zeros(len(index), np.int32)
        record = probe(source, key, {"path": "a.mp4"})
        tracks[key] = FaceTrack(record, index, points, boxes, ones, segment, counts)
        tracks[key].save(root / "faces" / f"{key}.npz")
    for video in videos_of(cfg, "dataset"):
        track, inputs = tracks[video.name.scene_key], dict.fromkeys(("video", "track", "checkpoint", "master"), "0")
        write_sidecar(video_path(root, video.name, video.crf), track, provenance(video, {}, inputs, track))
    for model in MODELS:
        folder = root / "train" / "id0_id1" / model
        folder.mkdir(parents=True)
        steps = np.arange(1, 101)
        log = pd.DataFrame({"iteration": steps, "loss_a": 1 / steps, "loss_b": 2 / steps})
        log.to_csv(folder / "loss.csv", index=False)
        cv2.imwrite(str(folder / "preview.png"), np.full((64, 320, 3), 90, np.uint8))
    for run in main_runs(cfg):
        write_score(root, run, int(run.crf), MODELS, accuracy=0.9)
    bench = root / "benchmarks" / "render"
    bench.mkdir(parents=True)
    (bench / "x.tsv").write_text("s\th:m:s\tmax_rss\n61.5\t0:01:01\t250.0\n")
    (bench / "y.tsv").write_text("s\th:m:s\tmax_rss\n3.5\t0:00:03\t-\n")
    return root


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


def test_the_page_loads_nothing_from_anywhere(html: str) -> None:
    page = Page(html)
    assert page.addresses
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base"}
    assert "url(" not in html
    assert "@import" not in html
    for address in page.addresses:
        if address.startswith("data:image/svg"):
            svg = base64.b64decode(address.partition(",")[2]).decode()
            assert not re.search(r'(href|src)="(?!#|data:)', svg)


def test_each_clip_shows_the_original_and_every_model_at_each_quality(cfg: Config, html: str) -> None:
    shown = Page(html).pictures
    for clip in ("id0_id1_0001", "id1_id0_0002"):
        for kind in ("face", "frame"):
            for crf in cfg.qualities:
                assert f"{kind} of {clip}, original, crf {crf}" in shown
                for model in MODELS:
                    assert f"{kind} of {clip}, synthetic, {model}, crf {crf}" in shown


def test_every_generated_picture_is_stamped_and_no_original_is(html: str) -> None:
    synthetic = [src for alt, src in Page(html).pictures.items() if "synthetic" in alt]
    original = [src for alt, src in Page(html).pictures.items() if "original" in alt]
    assert len(synthetic) == 2 * 2 * 2 * 5 + 5  # kinds, clips, qualities, models; preview sheets
    assert all(is_stamped(decode(src)) for src in synthetic)
    assert len(original) == 2 * 2 * 2
    assert not any(is_stamped(decode(src)) for src in original)


def test_the_same_frame_of_every_video_is_shown(html: str) -> None:
    # Faces lie in frames 2..11; of their last half (7..11) the middle one is 9: 90 columns are bright.
    assert "frame 9 at 0.36 s" in Page(html).words
    for alt, src in Page(html).pictures.items():
        if alt.startswith("frame of"):
            row = decode(src)[4].mean(-1)
            assert abs(int((row > 170).sum()) - 90) <= 4, alt


def test_the_page_tells_scores_statistics_sources_and_times(html: str) -> None:
    words = " ".join(Page(html).words.split())
    assert "70 % – 100 %" in words
    assert "are shown without their controls" in words
    assert "render 2 1 min 05 s 32 s 1 min 02 s 262 MB" in words
    assert "id0_0001 192x128 25.000 12 10 2 1 0" in words
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
        layout.comparison: ("attribution_comparison", 9),
        layout.region("id0_id1_0001"): ("region", 11),
        layout.controls("dma_sta", 23): ("controls", 13),
        layout.evaluate("id0_id1", "iae"): ("evaluate", 15),
        layout.report: ("report", 8192),
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
    assert "<script" not in html
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


def test_many_clips_are_shown_by_an_even_choice(cfg: Config) -> None:
    assert chosen_clips(cfg, 24) == cfg.clips
    assert chosen_clips(cfg, 1) == cfg.clips[:1]


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
