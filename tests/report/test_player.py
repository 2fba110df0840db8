"""The page in a real browser, on made-up videos whose frames carry their number in their pixels."""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from dfdm.catalogue.config import Config
from dfdm.report.build import build
from dfdm.report.pictures import STAMP_RGB
from tests.report.conftest import faults
from tests.report.made_results import BITS, BLOCK, MODELS, made_config, make_results

pytestmark = pytest.mark.slow

FRAMES = 90  # 3.6 s
FIRST = "id0_id1_0001"
SHOWN = f"""(which) => Object.fromEntries([...document.querySelectorAll(`.tile:has(${{which}})`)].map((tile) => {{
  const canvas = document.createElement("canvas"), video = tile.querySelector(which);
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d", {{ willReadFrequently: true }});
  pen.drawImage(video, 0, 0);
  const bits = [...Array({BITS}).keys()].map((bit) =>
    pen.getImageData(bit * {BLOCK} + {BLOCK // 2}, 12, 1, 1).data[0] > 128);
  return [tile.dataset.model, bits.reduce((sum, one, bit) => sum + (one << bit), 0)];
}}))"""
WATCH = """async (seconds) => {
  const seen = [];
  let on = true;
  document.querySelectorAll(".tile").forEach((tile) => {
    const video = tile.querySelector("video");
    const note = (now, frame) => {
      seen.push([frame.expectedDisplayTime, tile.dataset.model, page.player.at(frame.mediaTime + 0.001)]);
      if (on) video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
  });
  await page.player.play();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  on = false;
  await page.player.pause();
  return seen;
}"""
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def cfg() -> Config:
    return made_config()


@pytest.fixture(scope="module")
def results(cfg: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(cfg, tmp_path_factory.mktemp("results"), FRAMES)


@pytest.fixture(scope="module")
def single(cfg: Config, results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as one file."""
    out = tmp_path_factory.mktemp("single") / "report.html"
    build(cfg, results, out, single=True)
    return out


@pytest.fixture(scope="module")
def beside(cfg: Config, results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with its videos in a folder."""
    out = tmp_path_factory.mktemp("beside") / "a page.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dfdm.report.videos.MOST_BYTES", 1000)
        build(cfg, results, out)
    return out


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Open a page; at the end no script may have failed and nothing may have been asked of a network."""
    told, asked, contexts = [], [], []

    def opened(path: Path, address: str = "", width: int = 1100, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 850}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda line: told.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri() + address)
        page.evaluate("page.begun")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert told == []
    assert [url for url in asked if not re.match("file:|data:|blob:", url)] == []


def idle(page: Any) -> None:
    """Wait until what was chosen is shown."""
    page.wait_for_function("() => !page.player.seeking && !document.querySelector('[aria-busy]')")
    page.wait_for_timeout(100)


@pytest.mark.parametrize("kind", ["single", "beside"])
def test_after_a_seek_every_version_shows_exactly_that_frame(
    kind: str, visit: Open, request: pytest.FixtureRequest
) -> None:
    page = visit(request.getfixturevalue(kind))
    for crf in (23, 0):
        page.evaluate(f"page.set({{crf: {crf}}})")
        for frame in (0, 1, 37, 36, FRAMES - 1, 2, 60):
            page.evaluate(f"page.player.seek({frame})")
            assert page.evaluate(SHOWN, "video") == dict.fromkeys(["real", *MODELS], frame), (crf, frame)


@pytest.mark.parametrize("kind", ["single", "beside"])
def test_the_changed_pixels_lie_over_every_swap_in_step_and_the_address_keeps_them(
    kind: str, visit: Open, request: pytest.FixtureRequest
) -> None:
    page = visit(request.getfixturevalue(kind))
    masks, button = page.locator(".tile .mask"), page.locator("#mask")
    assert (masks.count(), masks.first.is_visible(), button.get_attribute("aria-pressed")) == (5, False, "false")
    page.keyboard.press("m")
    idle(page)
    assert [mask.is_visible() for mask in masks.all()] == [True] * 5
    assert button.get_attribute("aria-pressed") == "true"
    for frame in (0, 37, 36, FRAMES - 1, 2):
        page.evaluate(f"page.player.seek({frame})")
        assert page.evaluate(SHOWN, ".mask") == dict.fromkeys(MODELS, frame)
        assert page.evaluate(SHOWN, "video") == dict.fromkeys(["real", *MODELS], frame)
    page.evaluate("page.set({view: 'difference'})")
    assert not masks.first.is_visible()
    page.evaluate("page.set({view: 'wipe', second: 'iae'})")
    assert page.evaluate("page.player.videos.length") == 3
    page.reload()
    page.evaluate("page.begun")
    assert "mask=1" in page.url
    assert page.locator('[data-model="iae"] .mask').is_visible()
    page.evaluate("page.clip.masks = {}; page.show()")
    assert button.is_disabled()


def test_a_seek_in_a_copy_of_a_master_decodes_few_frames(single: Path, tmp_path: Path) -> None:
    text = re.search(rf'data-video="{FIRST}_iae_crf0">([^<]*)<', single.read_text())[1]
    (tmp_path / "copy.mp4").write_bytes(base64.b64decode(text))
    with av.open(str(tmp_path / "copy.mp4")) as copy:
        keys = [place for place, packet in enumerate(copy.demux(video=0)) if packet.size and packet.is_keyframe]
    assert np.diff([*keys, FRAMES]).max() <= 12


def apart(seen: list[tuple[float, str, int]]) -> np.ndarray:
    """Of every frame that a follower displayed: how many frames from what the first video showed at that moment."""
    clock = sorted((at, frame) for at, model, frame in seen if model == "real")
    times, frames = np.array([at for at, _ in clock]), [frame for _, frame in clock]
    others = [(at, frame) for at, model, frame in seen if model != "real" and at >= times[0]]
    return np.array([abs(frame - frames[np.searchsorted(times, at, "right") - 1]) for at, frame in others])


def test_while_playing_the_versions_are_at_most_a_frame_apart(single: Path, visit: Open) -> None:
    page = visit(single)
    page.evaluate("page.player.seek(0)")
    found = apart(page.evaluate(WATCH, 3.0))
    assert len(found) > 5 * 20
    print(f"{len(found)} frames: {(found <= 1).mean():.1%} at most one apart, {(found == 0).mean():.1%} equal")
    assert (found <= 1).mean() >= 0.95


def test_a_version_that_runs_ahead_is_brought_back(single: Path, visit: Open) -> None:
    page = visit(single)
    page.evaluate("page.player.seek(0).then(() => page.player.play())")
    distance = "(v => v[3].currentTime - v[0].currentTime)(page.player.videos)"
    page.evaluate("page.player.videos[3].currentTime += 0.2")
    assert page.evaluate(distance) > 0.12
    page.wait_for_function(f"() => Math.abs({distance}) < 0.04")
    page.evaluate("page.player.pause()")
    shown = page.evaluate(SHOWN, "video")
    assert len(set(shown.values())) == 1  # a pause is exact too
    assert page.evaluate("page.player.frame") == shown["real"]


def test_it_plays_again_from_the_first_frame(single: Path, visit: Open) -> None:
    page = visit(single)
    page.evaluate(f"page.player.seek({FRAMES - 10}).then(() => page.player.play())")
    page.wait_for_function("() => page.player.frame < 40 && page.player.playing", timeout=10000)
    page.evaluate("page.player.pause()")


def test_the_address_keeps_what_was_chosen(single: Path, visit: Open) -> None:
    page = visit(single)
    page.get_by_label("Direction").select_option("id0’s face on id1")
    idle(page)
    page.get_by_text("crf 0", exact=True).first.click()
    page.get_by_role("button", name="Zoom on the face").click()
    page.get_by_text("Wipe", exact=True).click()
    page.get_by_label("Right").select_option("dfaker")
    idle(page)
    page.keyboard.press("Home")
    for _ in range(3):
        page.locator("#on").click()
    idle(page)
    address = page.evaluate("location.hash")
    assert address == "#clip=id1_id0_0002&crf=0&view=wipe&zoom=1&second=dfaker&frame=3"
    again = visit(single, address)
    assert again.evaluate("location.hash") == address
    assert again.get_by_label("Direction").input_value() == "id1_id0"
    assert again.locator("#zoom").get_attribute("aria-pressed") == "true"
    assert again.locator("#second").input_value() == "dfaker"
    assert again.locator("#where").inner_text() == f"frame 3 of {FRAMES - 1}, 0.12 s"
    other = visit(single, "#clip=gone&crf=7&frame=1e9&view=<b>")  # of another page: what is there
    assert re.fullmatch(rf"#clip={FIRST}&crf=23&frame={FRAMES - 1}", other.evaluate("location.hash"))


def test_the_keyboard_does_all(single: Path, visit: Open) -> None:
    page = visit(single)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    idle(page)
    assert set(page.evaluate(SHOWN, "video").values()) == {1}
    page.keyboard.press("End")
    idle(page)
    assert set(page.evaluate(SHOWN, "video").values()) == {FRAMES - 1}
    chosen = {"q": "crf=0", "z": "zoom=1", "w": "view=wipe", "g": "guess=1", "n": "clip=id1_id0_0002"}
    for key, said in chosen.items():
        page.keyboard.press(key)
        idle(page)
        assert said in page.evaluate("location.hash"), key
    page.keyboard.press(",")
    page.keyboard.press("Space")
    page.wait_for_function("() => page.player.playing && page.player.videos[0].playbackRate === 0.5")
    page.keyboard.press("Space")
    page.wait_for_function("() => !page.player.playing")


def test_the_zoom_shows_the_square_around_the_face(single: Path, visit: Open) -> None:
    page = visit(single, f"#clip={FIRST}&crf=23&zoom=1&frame=50")
    places = page.evaluate("""() => [...document.querySelectorAll(".tile")].map((tile) => {
      const [box, all] = [".picture", "video"].map((part) => tile.querySelector(part).getBoundingClientRect());
      const scale = all.width / 192;
      return [(box.left - all.left) / scale, (box.top - all.top) / scale, box.width / scale, box.height / scale];
    })""")
    for left, top, width, height in places:
        assert width == pytest.approx(height, rel=0.01)
        assert left < 90 - 0.55 * 50 < 90 + 0.55 * 50 < left + width  # the made-up face is 55 px wide around x 90
        assert 0 <= top < 60 - 0.5 * 50 < 60 + 0.55 * 50 < top + height <= 128.5
        assert width < 120


def saved(page: Any, folder: Path) -> tuple[str, np.ndarray]:
    """The name of the picture that the page saves, and the picture."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save picture").click()
    download.value.save_as(folder / "saved.png")
    return download.value.suggested_filename, cv2.imread(str(folder / "saved.png"))[..., ::-1].astype(int)


@pytest.mark.parametrize("kind", ["single", "beside"])
def test_a_saved_sheet_is_marked_in_its_pixels(
    kind: str, visit: Open, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page = visit(request.getfixturevalue(kind), f"#clip={FIRST}&crf=23&frame=5")
    name, sheet = saved(page, tmp_path)
    assert name == f"{FIRST}_crf23_frame5_SYNTHETIC.png"
    red = (np.abs(sheet - np.array(STAMP_RGB)) < 12).all(-1)
    wide, high, strip, gap = 640, round(640 * 128 / 192), 30, 8
    for place in range(6):
        x, y = gap + place % 3 * (wide + gap), gap + place // 3 * (high + strip + gap)
        share = red[y + high + 1 : y + high + strip - 1, x : x + wide].mean()
        assert share > 0.8 if place else share == 0, place
        level = sheet[y + high // 2, x + wide // 2].mean()
        assert level == pytest.approx(60 + 20 * place, abs=6)


def test_a_wipe_shows_one_version_left_and_the_other_right(single: Path, visit: Open, tmp_path: Path) -> None:
    page = visit(single, f"#clip={FIRST}&crf=23&view=wipe&first=iae&second=dfl_h128&frame=5")
    page.locator("#share").fill("30")
    shot = cv2.imdecode(np.frombuffer(page.locator("#stage").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    row = shot[len(shot) // 2].mean(-1)
    left, right = (np.median(row[int(a * len(row)) : int(b * len(row))]) for a, b in ((0.05, 0.27), (0.33, 0.95)))
    assert (left, right) == (pytest.approx(60 + 20 * 3, abs=8), pytest.approx(60 + 20 * 5, abs=8))
    _, sheet = saved(page, tmp_path)
    row = sheet[300].mean(-1)
    assert row[100] == pytest.approx(120, abs=6)
    assert row[600] == pytest.approx(160, abs=6)
    red = (np.abs(sheet - np.array(STAMP_RGB)) < 12).all(-1)
    assert red[8 + round(1280 * 128 / 192) + 3, 8 : 8 + 1280].all()  # both are swaps
    stage = page.locator("#stage").bounding_box()
    page.mouse.move(stage["x"] + 0.5 * stage["width"], stage["y"] + 50)
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.7 * stage["width"], stage["y"] + 60)
    page.mouse.up()
    assert float(page.locator("#share").input_value()) == pytest.approx(70, abs=1)


def test_the_difference_of_two_versions_is_what_differs(single: Path, visit: Open, tmp_path: Path) -> None:
    page = visit(single, f"#clip={FIRST}&crf=23&view=difference&first=real&second=iae&frame=5")
    shot = cv2.imdecode(np.frombuffer(page.locator("#stage").screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert shot[len(shot) // 2].mean() == pytest.approx(3 * 60, abs=12)  # three levels of 20 apart, 3 times brighter
    assert shot[10].mean() < 12  # the frame's number is the same in both
    assert (np.abs(shot[-4, :, ::-1] - np.array(STAMP_RGB)) < 12).all(-1).mean() > 0.9
    _, sheet = saved(page, tmp_path)
    assert sheet[430, 100:1200].mean() == pytest.approx(3 * 60, abs=12)
    assert sheet[30, 100:1200].mean() < 12
    page.locator("#second").select_option("original")  # nothing differs from itself: they change sides
    idle(page)
    assert (page.locator("#first").input_value(), page.locator("#second").input_value()) == ("iae", "real")


VIEWS = ["", "&zoom=1", "&mask=1", "&view=wipe&first=iae&second=dfaker", "&guess=1", "&view=difference"]


@pytest.mark.parametrize("address", VIEWS)
def test_the_mark_is_seen_on_every_swap_whatever_is_chosen(address: str, single: Path, visit: Open) -> None:
    page = visit(single, f"#clip={FIRST}&crf=23{address}")
    tiles = page.locator(".tile:visible")
    assert tiles.count() == (2 if "view" in address else 6)
    for tile in tiles.all()[: 1 if "difference" in address else None]:  # one strip for both
        original = tile.get_attribute("data-model") == "real" and "difference" not in address
        assert tile.locator(".mark").inner_text().startswith("ORIGINAL" if original else "SYNTHETIC")
        assert tile.locator(".mark").is_visible()
        assert tile.locator("video").first.get_attribute("controls") is None  # no full screen without it


def test_guess_first_hides_names_and_answers_until_a_guess(single: Path, visit: Open) -> None:
    page = visit(single, f"#clip={FIRST}&crf=23&guess=1")
    captions = page.locator(".tile .name").all_inner_texts()
    assert sorted(captions) == ["original", *(f"swap {letter}" for letter in "ABCDE")]
    assert "named" not in page.locator("#stage").inner_text()
    tile = page.locator('.tile[data-model="iae"]')
    tile.get_by_role("button", name="iae", exact=True).click()
    assert tile.locator(".name").inner_text() == "iae"
    assert "✓ named iae, 80 %" in tile.inner_text()
    page.locator('.tile[data-model="dfaker"]').get_by_role("button", name="iae", exact=True).click()
    note = page.locator("#note").inner_text()
    assert note == "You named 1 of 2 right; guessing names one in 5. The classifier named 2 of 2."


def test_below_each_version_is_the_answer(single: Path, visit: Open) -> None:
    page = visit(single, "#clip=id1_id0_0002&crf=23")
    said = dict(zip(["real", *MODELS], page.locator(".tile .said").all_inner_texts()))
    assert said["real"] == "no generator made it"
    assert said["iae"] == "✗ named dfaker, 80 %"


def test_a_page_whose_folder_is_gone_says_so(beside: Path, visit: Open, browser: Any, tmp_path: Path) -> None:
    (tmp_path / "moved.html").write_text(beside.read_text())
    page = browser.new_page()
    page.goto((tmp_path / "moved.html").as_uri())
    page.evaluate("page.begun")
    assert re.search(r"a page/id0_.*\.js is not beside this page\. Copy the folder a page", page.inner_text("#note"))
    page.close()


@pytest.mark.parametrize("width", [390, 768, 1024, 1100, 1600])
def test_no_width_needs_sideways_scrolling(width: int, single: Path, visit: Open) -> None:
    page = visit(single, width=width)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for address in ("", "&zoom=1", "&view=wipe", "&view=difference"):
        page.evaluate(f"location.hash = '#clip={FIRST}&crf=23{address}'")
        idle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    boxes = page.evaluate("""[...document.querySelectorAll("main *")]
      .filter((one) => !one.closest(".scroll, svg, .picture")).map((one) => one.getBoundingClientRect().right)""")
    assert max(boxes) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(scheme: str, single: Path, visit: Open, axe: str) -> None:
    page = visit(single, f"#clip={FIRST}&crf=23", bypass_csp=True, color_scheme=scheme)
    assert faults(page, axe) == []
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.evaluate("page.set({view: 'wipe', guess: 1})")
    idle(page)
    assert faults(page, axe) == []


def test_print_shows_what_is_folded_and_no_player(single: Path, visit: Open, tmp_path: Path) -> None:
    page = visit(single)
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").stat().st_size > 50_000
    assert not page.locator("#sources table").is_visible()  # folded again
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator("#player").is_visible()
    assert page.locator("#stills img").first.is_visible()
    assert page.locator("#sources table").is_visible()
