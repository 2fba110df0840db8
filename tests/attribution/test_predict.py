import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from attribution import models
from attribution.clips import Clips, Video, normalise
from attribution.evidence import evidence
from attribution.inference import load, video_logits
from attribution.models.dma_sta import published_name
from attribution.openset import NONE
from attribution.picture import draw, overlay
from attribution.predict import picture_files, predict_all
from attribution.prediction import Prediction, Seen, Source
from attribution.predictor import Predictor, Telling, load_predictor
from attribution.settings import AttributionConfig
from attribution.shipped import MODEL
from dfdm.base.errors import DfdmError
from dfdm.base.tensorfile import write_weights
from dfdm.base.text import percent
from dfdm.commands import attribution
from dfdm.dataset.crops import CropReader, write_crops
from dfdm.dataset.provenance import UNKNOWN, mark_or_unknown
from dfdm.dataset.settings import CropsConfig
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.detectors import Detector
from dfdm.media.detectors import build as build_detector
from dfdm.media.encoding import write_master
from dfdm.media.settings import EncodeConfig, FacesConfig
from dfdm.media.tracks import track_faces
from dfdm.media.video import probe, read_planes
from tests.commands import dfdm, ran

pytestmark = pytest.mark.long

CPU = torch.device("cpu")
CLASSES = ["faceswap", "lightweight", "iae"]
FRAMES = 10


def write_classifier(path: Path, settings: AttributionConfig, classes: list[str] = CLASSES, **about: object) -> Path:
    """A classifier's file as training writes it, of random weights whose statistics fit the faces a little."""
    torch.manual_seed(0)
    model = models.build(settings.model, len(classes), settings.depth, settings.clip, None, settings.options)
    model.train()
    model(torch.randn(8, settings.clip, 3, settings.size, settings.size))  # batch norm leaves its start
    tensors = {key: value.contiguous().numpy() for key, value in model.state_dict().items()}
    write_weights(path, tensors, {"classes": classes, "settings": settings.model_dump(), "crf": "10", **about})
    return path


@pytest.fixture(scope="session")
def video(clips, tmp_path_factory) -> Path:
    """Ten frames of the woman, encoded again, under a name that says nothing."""
    source = clips / "WolfgangLanger_Pexels.mp4"
    record = probe(source, "id0_0000", {"path": source.name}, (300, 300 + FRAMES))
    out = tmp_path_factory.mktemp("predict") / "somebody.mp4"
    write_master(out, read_planes(source, record), record, source, EncodeConfig(preset="ultrafast"), {})
    return out


@pytest.fixture(scope="session")
def detector(predictor) -> Detector:
    return build_detector("dlib", predictor=predictor)


@pytest.fixture(scope="module")
def classifier(settings, tmp_path_factory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("classifier") / "model.safetensors", settings)


@pytest.fixture
def tools(classifier, detector) -> Predictor:
    return load_predictor(classifier, detector, FacesConfig(), CropsConfig(), CPU)


@pytest.fixture
def given(settings) -> Prediction:
    """A whole, sure prediction."""
    about = {
        "run": "dma_sta/scene/crf10/seed0",
        "crf": "10",
        "settings": settings.model_dump(),
        "open_set": {
            "score": "energy",
            "threshold": -1.5,
            "accepted": 0.95,
            "videos": 80,
            "real": {"threshold": 1.5, "videos": 6, "people": 3},
        },
    }
    logits = np.array([0.0, 3.0, 1.0, -1.0])
    return Prediction("a.mp4", "00", Seen(90, 90, 90, 0, 1, 200), [*CLASSES, "real"], logits, 3, 3, 5, 256,
                  Source("m", "11", about))  # fmt: skip


def test_a_video_is_read_as_the_crops_stage_and_the_training_read_it(tools, video, detector, tmp_path) -> None:
    record = probe(video, "id0_0000", {"path": "x"})
    frames = (yuv_to_rgb(planes, record.matrix, record.full_range) for planes in read_planes(video, record))
    track = track_faces(frames, detector, record)
    write_crops(tmp_path / "c.safetensors", video, track, CropsConfig(), {})
    trained = load(Path(tools.source.path), CPU)
    set_of_clips = Clips([Video("a", 0, tmp_path / "c.safetensors", FRAMES)], trained.settings)
    prediction, _ = tools.predict(video)
    assert prediction.logits == pytest.approx(video_logits(trained.model, set_of_clips, CPU)[0], abs=1e-6)
    assert prediction.seen.frames == prediction.seen.face_frames == FRAMES
    assert prediction.seen.side == CropReader(tmp_path / "c.safetensors").meta["size"]
    assert prediction.clips == 2
    assert prediction.probabilities.sum() == pytest.approx(1)


def test_an_imported_checkpoint_of_the_published_code_predicts(video, detector, tmp_path) -> None:
    checkpoint, out = tmp_path / "60_0.71.pth", tmp_path / "model.safetensors"
    network = models.build("dma_sta", 3, 18, 10)
    torch.save({f"module.{published_name(key)}": value for key, value in network.state_dict().items()}, checkpoint)
    sides = ("--depth", "18", "--size", "64", "--resize", "72")
    ran("attribution", "import", checkpoint, "--classes", *CLASSES, *sides, "--out", out)
    prediction, _ = load_predictor(out, detector, FacesConfig(), CropsConfig(), CPU).predict(video)
    assert prediction.verdict in CLASSES
    assert "classifier dma_sta, imported\n" in prediction.text()
    assert any("never gives this answer" in warning for warning in prediction.warnings)


def test_fused_inference_gives_the_logits_of_the_model_as_trained(tools, crops) -> None:
    """In evaluation, averaged over the clips of each video, and the model itself is not touched."""
    videos = [Video(path.stem, 0, path, 5) for path in sorted(crops.glob("*iae.safetensors"))]
    clips, model = Clips(videos, tools.trained.settings), tools.trained.model
    sums, counts = np.zeros((len(videos), len(CLASSES))), np.zeros(len(videos))
    with torch.no_grad():
        for frames, _, index in clips.batches(clips.fixed()):
            np.add.at(sums, index.numpy(), model(normalise(frames, CPU, True)).double().numpy())
            np.add.at(counts, index.numpy(), 1)
    expected = sums / counts[:, None]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    found = video_logits(model, clips, CPU)
    assert np.abs(found - expected).max() < 1e-4 * max(1, np.abs(expected).max())
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("text", "cannot be opened as a video"),
        ("absent", "does not exist or is not a file"),
        ("folder", "does not exist or is not a file"),
        ("faceless", "shows no face that dlib finds"),
        ("short", "is too short: 10 frames show a face, and the classifier takes clips of 11"),
    ],
)
def test_a_video_without_an_answer_is_one_sentence(kind, sentence, tools, settings, video, clips, tmp_path) -> None:
    path = tmp_path / "v.mp4"
    if kind == "text":
        path.write_text("no video\n")
    elif kind == "folder":
        path.mkdir()
    elif kind == "faceless":
        source = clips / "no_face.mp4"
        record = probe(source, "id0_0000", {}, (0, 4))
        write_master(path, read_planes(source, record), record, source, EncodeConfig(preset="ultrafast"), {})
    elif kind == "short":
        path = video
        trained = dataclasses.replace(tools.trained, settings=settings.model_copy(update={"clip": 11}))
        tools = dataclasses.replace(tools, trained=trained)
    with pytest.raises(DfdmError, match=sentence) as caught:
        tools.predict(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_video_is_tried_and_the_status_tells_how_many_have_an_answer(tools, video, tmp_path, capsys) -> None:
    bad, out = tmp_path / "bad.mp4", tmp_path / "predictions.json"
    bad.write_text("no video\n")
    assert predict_all(tools, [bad, video], out, None) == 3
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{video}: most like ")
    assert f"dfdm: {bad} cannot be opened as a video" in printed.err
    found = json.loads(out.read_text())
    assert [entry["video"] for entry in found["videos"]] == [str(video)]
    assert [entry["video"] for entry in found["failures"]] == [str(bad)]
    assert predict_all(tools, [bad], out, None) == 2
    assert json.loads(out.read_text())["videos"] == []


def test_json_on_stdout_stands_alone_and_says_all_that_the_text_does(tools, video, tmp_path, capsys) -> None:
    assert predict_all(tools, [video], Path("-"), tmp_path / "out.png") == 0
    (entry,) = json.loads(capsys.readouterr().out)["videos"]
    assert set(entry) == {
        *(
            "video",
            "sha256",
            "frames",
            "looked_at",
            "face_frames",
            "several_faces",
            "crop_side",
            "clips",
            "clip_frames",
            "classes",
        ),
        *(
            "probabilities",
            "logits",
            "verdict",
            "sentence",
            "real",
            "energy",
            "swap_evidence",
            "threshold",
            "warnings",
            "classifier",
        ),
    }
    assert set(entry["classifier"]) == {"path", "sha256", "run", "crf"}
    assert entry["verdict"] == max(entry["probabilities"], key=entry["probabilities"].get)
    assert entry["threshold"] is None
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture.shape[1] > picture.shape[0] > 500
    assert picture.std() > 20
    assert mark_or_unknown(tmp_path / "out.png")["statement"] == UNKNOWN  # the video has no mark


@pytest.mark.parametrize("model", ["dma_sta", "resnet_avg"])
def test_the_picture_has_two_panels_a_frame_weights_a_scale_and_the_classes(model, settings, given) -> None:
    settings = settings.model_copy(update={"model": model})
    net = models.build(model, 4, 18, settings.clip).eval()
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (settings.clip, 32, 32, 3), np.uint8)
    found = evidence(net, normalise(torch.from_numpy(frames)[None], CPU, False)[0], 1)
    assert found.kind == ("attention" if model == "dma_sta" else "saliency")
    assert found.weights.sum() == pytest.approx(1)
    assert found.maps.shape[0] == settings.clip
    assert found.maps.min() >= 0
    figure = draw(given, Telling(1, 0.8, frames, frames, 0.5, np.arange(settings.clip), found))
    assert len(figure.axes) == 2 * settings.clip + 3
    words = " ".join(text.get_text() for text in figure.texts)
    assert "most like lightweight" in words
    assert ("temporal attention" in words) == (model == "dma_sta")


def test_attention_finds_the_open_gate_and_the_heavier_frame() -> None:
    net = models.build("dma_sta", 3, 18, 2).eval()
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "gate" in name:
                value.zero_()  # every gate half open
    weights, maps = net.attention(torch.randn(3, 2, 3, 64, 64))
    assert maps.shape == (3, 2, 16, 16)
    assert torch.allclose(maps, torch.full_like(maps, 0.5))
    with torch.no_grad():
        net.ta.squeeze.weight.fill_(1.0)
        net.ta.expand.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    weights, _ = net.attention(torch.randn(3, 2, 3, 64, 64))
    assert (weights[:, 0] > weights[:, 1]).all()
    assert torch.allclose(weights.sum(1), torch.ones(3))


def test_saliency_lies_where_the_class_comes_from() -> None:
    class Corner(torch.nn.Module):
        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            return torch.stack((clips[:, 1, :, :8, :8].sum((1, 2, 3)), clips[:, 0].sum((1, 2, 3))), 1)

    found = evidence(Corner(), torch.ones(2, 3, 32, 32), 0)
    assert found.weights == pytest.approx([0, 1])
    assert found.maps[1, :4, :4].min() > 0
    assert found.maps[1].sum() == pytest.approx(found.maps[1, :4, :4].sum())


def test_an_overlay_is_hottest_where_the_map_is_highest() -> None:
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0] = 1.0
    out = overlay(np.full((1, 40, 40, 3), 100, np.uint8), maps, 0.0, 1.0)[0].astype(int)
    assert out[2, 2].sum() > out[20, 20].sum() + 200
    flat = overlay(np.full((1, 8, 8, 3), 100, np.uint8), np.ones((1, 4, 4)), 1.0, 1.0)
    assert np.ptp(flat.reshape(-1, 3), axis=0).max() == 0


def test_the_verdict_is_a_class_until_the_energy_passes_the_threshold(given) -> None:
    assert given.verdict == "lightweight"
    assert "most like lightweight (84.4 %)" in given.text()  # among the models
    assert "swap evidence 4.17, above the bound 1.50 by 6 real videos of 3 people, so few" in given.text()
    assert "may be above it with a chance of up to 25.0 %" in given.text()
    assert given.accused
    assert given.warnings == []
    stranger = dataclasses.replace(given, logits=np.array([0.0, 0.0, 0.05, -5.0]))  # energy -1.1
    assert stranger.verdict == NONE == stranger.plain()["verdict"]
    assert "a swap, by none of these: too little evidence for any known model (nearest: iae" in stranger.text()
    assert stranger.accused
    real = dataclasses.replace(given, logits=np.array([0.0, 0.0, 0.0, 9.0]))
    assert real.verdict == "real"
    assert "real or unknown" in real.text()
    assert not real.accused
    doubtful = dataclasses.replace(given, logits=np.array([0.0, 1.0, 0.0, 0.5]))  # log-odds 1.05: below the bound
    assert doubtful.verdict == "real"
    assert doubtful.probabilities.argmax() == 1
    assert real.plain()["real"] == pytest.approx(real.probabilities[3])


def test_what_weakens_an_answer_is_said(given) -> None:
    weak = dataclasses.replace(given, seen=Seen(90, 90, 12, 7, 2, 80), classes=[*CLASSES, "dfaker"])
    about = {**given.source.about, "learned": False, "open_set": {**given.source.about["open_set"], "videos": 9}}
    text = dataclasses.replace(weak, source=dataclasses.replace(given.source, about=about)).text()
    for part in (
        "short: 12 frames with a face",
        "only 13 % of the frames show a face",
        "several people in 7 frames; only the one followed",
        "lost or cut 1 times",
        "crop of 80 px is enlarged to 256 px",
        "did not learn",
        "rests on 9 validation videos only",
        "was not trained on real videos",
    ):
        assert part in text
    about = {key: value for key, value in about.items() if key != "open_set"}
    silent = dataclasses.replace(weak, source=dataclasses.replace(given.source, about=about))
    assert silent.verdict != NONE
    assert "has no threshold for 'none of these'" in silent.text()


def test_a_probability_is_never_rounded_to_certainty() -> None:
    assert [percent(share, 1) for share in (1.0, 0.9996, 0.831, 0.0004, 0.0)] == [
        *("100.0 %", "> 99.9 %", "83.1 %", "< 0.1 %", "0.0 %")
    ]


def test_pictures_go_to_the_file_or_into_the_folder(tmp_path) -> None:
    one, two = Path("a/v.mp4"), Path("b/w.mov")
    assert picture_files([one], tmp_path / "p.png") == {one: tmp_path / "p.png"}
    assert picture_files([one, two], tmp_path) == {one: tmp_path / "v.mp4.png", two: tmp_path / "w.mov.png"}
    assert picture_files([one], None) == {}
    with pytest.raises(DfdmError, match="is one file for 2 videos; give a folder"):
        picture_files([one, two], tmp_path / "p.png")
    with pytest.raises(DfdmError, match="two of the videos have the same name"):
        picture_files([one, Path("c/v.mp4")], tmp_path)
    (tmp_path / "t.txt").touch()
    with pytest.raises(DfdmError, match=r"is a file and no \.png"):
        picture_files([one], tmp_path / "t.txt")


def test_a_classifier_of_the_background_is_refused(settings, detector, tmp_path) -> None:
    path = write_classifier(tmp_path / "m.safetensors", settings.model_copy(update={"region": "background"}))
    with pytest.raises(DfdmError, match="give a classifier of whole faces"):
        load_predictor(path, detector, FacesConfig(), CropsConfig(), CPU)


def test_the_command_ends_with_the_status(classifier, video, tmp_path) -> None:
    """With the config's own detector and settings."""
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video\n")
    for videos, status in (([bad], 2), ([video, bad], 3)):
        done = dfdm("predict", *videos, "--classifier", classifier)
        assert (done.status, done.escaped) == (status, None)
        assert f"dfdm: {bad} cannot be opened as a video" in done.err


def test_a_file_that_is_no_classifier_is_one_sentence(demo, tmp_path) -> None:
    (tmp_path / "m.safetensors").write_text("no weights\n")
    with pytest.raises(DfdmError, match="is not a classifier of this pipeline"):
        attribution.predict([tmp_path / "v.mp4"], demo, tmp_path / "m.safetensors")


def test_the_shipped_classifier_does_not_accuse_a_real_video(video, detector) -> None:
    found, _ = load_predictor(MODEL, detector, FacesConfig(), CropsConfig(), CPU).predict(video)
    assert not found.accused
    assert "real or unknown" in found.sentence
    assert "linear_dct/scene/crfall/seed0, shipped with dfdm, trained on all qualities" in found.text()
    assert not any("no better than chance" in warning for warning in found.warnings)
    swap = dataclasses.replace(found, logits=np.array([9.0, 0, 0, 0, 0, 0]))
    assert any("names models no better than chance" in warning for warning in swap.warnings)
