"""The page of one prediction, and how a page is opened."""

import base64
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from attribution.evidence import Evidence
from attribution.prediction import Prediction, Seen, Source
from attribution.predictor import Telling
from dfdm.base.errors import DfdmError
from dfdm.commands import views
from dfdm.report.predicted import SIDE, faces_of, heat, limits, write_page
from tests.report.conftest import faults

CLASSES = ["faceswap", "iae", "dfaker"]


@pytest.fixture
def prediction() -> Prediction:
    about: dict[str, Any] = {"settings": {"model": "dma_sta"}, "run": "dma_sta/scene/crf10/seed0", "crf": "10"}
    logits = np.log(np.array([0.1, 0.7, 0.2]))
    seen = Seen(frames=50, looked=50, face_frames=40, several=3, pieces=1, side=90)
    source = Source("model.safetensors", "1" * 64, about)
    return Prediction("a/<b> & c.mp4", "0" * 64, seen, CLASSES, logits, 3, 3, 4, 64, source)


@pytest.fixture
def telling() -> Telling:
    """Crops of 90 px, of which the classifier reads the middle half; it looks at the upper left of them."""
    crops = np.full((4, 90, 90, 3), 40, np.uint8)
    crops[:, 22:68, 22:68] = 160
    maps = np.zeros((4, 8, 8))
    maps[:, :3, :3] = 1
    frames = np.full((4, 32, 32, 3), 160, np.uint8)
    evidence = Evidence(np.array([0.4, 0.3, 0.2, 0.1]), maps, "attention")
    return Telling(2, 0.75, frames, crops, 0.5, np.array([20, 21, 22, 23]), evidence)


def test_the_page_says_the_answer_what_decided_and_what_it_cannot_know(
    prediction: Prediction, telling: Telling, tmp_path: Path
) -> None:
    write_page(tmp_path / "new" / "page.html", prediction, telling)
    html = (tmp_path / "new" / "page.html").read_text()
    words = " ".join(re.sub(r"<[^>]*>", " ", html.partition("<body>")[2]).split())
    assert "&lt;b&gt; &amp; c.mp4" in words
    assert "70.0 %" in words.partition("How it weighs")[0]
    assert "iae 70.0 % dfaker 20.0 % faceswap 10.0 %" in words
    assert "Several people in 3 frames" in words
    assert "Clip 2 of 3 speaks most clearly for iae (75.0 %)" in words
    assert "frame 20: 40.0 % frame 21: 30.0 %" in words
    assert all(line.replace("'", "&#39;") in words for line in limits(prediction))
    assert "knows faceswap, iae and dfaker and nothing else" in words
    assert len(re.findall(r'<img src="data:image/(jpeg|png);base64,', html)) == 8
    faces = [base64.b64decode(one) for one in re.findall(r'"data:image/jpeg;base64,([^"]+)"', html)]
    assert len(faces) == 4
    assert all(b'"statement": "Without a mark of this project' in face for face in faces)
    assert not re.search(r'(src|href)="(?!data:|#)', html)


def test_a_frame_is_what_the_classifier_read_as_sharp_as_the_video_has_it(telling: Telling) -> None:
    faces = faces_of(telling)
    assert faces.shape == (4, SIDE, SIDE, 3)
    assert (faces == 160).all()  # the middle half of the crop


def test_the_heat_is_where_the_classifier_looked_and_does_not_hide_the_face(telling: Telling) -> None:
    layer = heat(telling.evidence.maps[0], 0.0, 1.0)
    tinted = layer[..., 3].astype(float) / 255
    assert tinted[20, 20] == pytest.approx(0.22, abs=0.01)
    assert tinted[200, 200] == 0
    assert (tinted > 0.3).mean() < 0.1  # the outlines alone cover
    face = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3)).astype(float)
    seen = face * (1 - tinted[..., None]) + layer[..., :3] * tinted[..., None]
    assert np.corrcoef(face.ravel(), seen.ravel())[0, 1] > 0.75
    flat = heat(np.ones((8, 8)), 1.0, 1.0)  # nowhere more than elsewhere
    assert flat[..., 3].max() == 0


def test_a_page_is_opened_in_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or True)
    page = tmp_path / "a page.html"
    page.touch()
    views.view(page, config=tmp_path / "config.yaml")
    assert opened == [page.as_uri()]
    assert capsys.readouterr().out.strip() == str(page)
    (tmp_path / "config.yaml").write_text((Path(__file__).parents[2] / "config.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DfdmError, match=r"results/report\.html does not exist or is no file; make it: snakemake"):
        views.view(config=Path("config.yaml"))
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(DfdmError, match=r"clip\.mp4 is no page.*'dfdm predict .*clip\.mp4 --page' makes one"):
        views.view(tmp_path / "clip.mp4", config=Path("config.yaml"))
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    with pytest.raises(DfdmError, match="no browser was found"):
        views.view(page, config=Path("config.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(
    scheme: str, prediction: Prediction, telling: Telling, tmp_path: Path, browser: Any, axe: str
) -> None:
    write_page(tmp_path / "page.html", prediction, telling)
    for width in (390, 1100, 1600):
        page = browser.new_page(viewport={"width": width, "height": 850}, bypass_csp=True, color_scheme=scheme)
        page.goto((tmp_path / "page.html").as_uri())
        page.locator("summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert faults(page, axe) == []
        figure = page.locator(".frames div").first
        shots = [cv2.imdecode(np.frombuffer(figure.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)]
        page.get_by_label("Outline where the classifier looked").uncheck()
        shots.append(cv2.imdecode(np.frombuffer(figure.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int))
        assert np.abs(shots[0] - shots[1]).max() > 20
        assert shots[1][20:-20, 20:-20].std() < 3  # the face alone
        page.close()
