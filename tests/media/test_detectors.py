"""The detectors: real faces with dlib, the real loading code of face-alignment, and what is said when a file is
missing.
"""

import shutil
from pathlib import Path

import cv2
import numba
import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN

from dfdm.base.errors import DfdmError
from dfdm.base.section import FileRef
from dfdm.catalogue import sources
from dfdm.media import alignment, detectors

MMOD = "mmod_human_face_detector.dat"
WEIGHTS = ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar")


def read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small networks on a shared machine: one thread is the fastest."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dlib(predictor):
    return detectors.build("dlib", predictor=predictor)


def test_the_names_are_those_of_the_files():
    assert detectors.names() == ["dlib", "dlib_cnn", "face_alignment"]


def test_an_unknown_detector_is_an_error_that_lists_the_known():
    with pytest.raises(DfdmError, match="known are dlib, dlib_cnn, face_alignment"):
        detectors.build("viola")


@pytest.mark.long
def test_a_face_has_a_box_and_landmarks_in_pixels(dlib, clips):
    image = read(clips / "single_face.jpg")
    (face,) = dlib.detect(image)
    assert (face.box.shape, face.box.dtype) == ((4,), np.float32)
    assert (face.landmarks.shape, face.landmarks.dtype) == ((68, 2), np.float32)
    assert face.confidence > 0
    x0, y0, x1, y1 = face.box
    inner = face.landmarks[17:].mean(0)
    assert x0 < inner[0] < x1
    assert y0 < inner[1] < y1
    jaw = face.landmarks[:17]
    assert jaw[0, 0] < jaw[8, 0] < jaw[16, 0]  # the image's left to right
    assert jaw[8, 1] > face.landmarks[57, 1] > face.landmarks[30, 1] > face.landmarks[27, 1]


def test_several_faces_are_all_found_the_surest_first(dlib, clips):
    faces = dlib.detect(read(clips / "multi_face.jpg"))
    assert len(faces) > 1
    scores = [face.confidence for face in faces]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.long
def test_a_picture_without_a_face_gives_an_empty_list(dlib, clips):
    _, frame = cv2.VideoCapture(str(clips / "no_face.mp4")).read()
    assert dlib.detect(frame[:, :, ::-1]) == []


@pytest.mark.long
def test_small_faces_need_the_frame_doubled(dlib, clips, predictor):
    image = read(clips / "single_face.jpg")
    (face,) = dlib.detect(image)
    scale = 50 / (face.box[2] - face.box[0])  # HOG looks for 80 px
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert dlib.detect(small) == []
    (found,) = detectors.build("dlib", predictor=predictor, upsample=1).detect(small)
    error = np.linalg.norm(found.landmarks / scale - face.landmarks, axis=1).mean()
    assert error < 0.06 * alignment.eye_distance(face.landmarks)


@pytest.mark.long
def test_a_higher_confidence_finds_fewer_faces(dlib, clips, predictor):
    image = read(clips / "multi_face.jpg")
    faces = dlib.detect(image)
    middle = float(np.mean([face.confidence for face in faces]))
    strict = detectors.build("dlib", predictor=predictor, confidence=middle).detect(image)
    assert 0 < len(strict) < len(faces)


@pytest.mark.long
@pytest.mark.parametrize(("name", "step"), [("WolfgangLanger_Pexels.mp4", 12), ("single_face.mp4", 3)])
def test_landmarks_agree_with_an_independent_finder(dlib, clips, name, step):
    """MTCNN finds five points of its own; per point the median distance is at most 7 % of the eye distance."""
    mtcnn = MTCNN(keep_all=False, min_face_size=60)
    video = cv2.VideoCapture(str(clips / name))
    distances = []
    for index in range(int(video.get(cv2.CAP_PROP_FRAME_COUNT))):
        _, frame = video.read()
        if index % step:  # dense enough that the median does not hang on single frames
            continue
        rgb = np.ascontiguousarray(frame[:, :, ::-1])
        points = dlib.detect(rgb)[0].landmarks
        five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
        theirs = mtcnn.detect(rgb, landmarks=True)[2]
        assert theirs is not None
        distance = np.linalg.norm(five - np.asarray(theirs[0], np.float32), axis=1)
        distances.append(distance / alignment.eye_distance(points))
    assert (np.median(distances, axis=0) <= 0.07).all()


def test_a_missing_or_wrong_predictor_is_one_sentence(tmp_path):
    with pytest.raises(DfdmError, match=r"no landmark predictor is given; set faces\.predictor"):
        detectors.build("dlib")
    with pytest.raises(DfdmError, match=r"shapes\.dat does not exist; set faces\.predictor"):
        detectors.build("dlib", predictor=tmp_path / "shapes.dat")
    (tmp_path / "shapes.dat").write_bytes(b"not a predictor")
    with pytest.raises(DfdmError, match=r"shapes\.dat is not a dlib shape predictor"):
        detectors.build("dlib", predictor=tmp_path / "shapes.dat")


def test_missing_weights_of_face_alignment_are_named(tmp_path):
    with pytest.raises(DfdmError, match=r"faces\.weights"):
        detectors.build("face_alignment")
    with pytest.raises(DfdmError, match=f"has no {WEIGHTS[0]} and {WEIGHTS[1]}"):
        detectors.build("face_alignment", weights=tmp_path)
    (tmp_path / WEIGHTS[0]).write_bytes(b"")
    with pytest.raises(DfdmError, match=f"has no {WEIGHTS[1]};"):
        detectors.build("face_alignment", weights=tmp_path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weight files of the right names and shapes: S3FD finds one face in its coarsest cell, FAN is random."""
    numba.config.DISABLE_JIT = True  # compiling takes half a minute, two faces no time
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    with torch.no_grad():
        finder = s3fd()
        for name, parameter in finder.named_parameters():
            if "_mbox_conf" in name:
                parameter.zero_()
                if name.endswith("bias"):
                    parameter[0] = 3  # background
                    if name.startswith("conv7_2"):
                        parameter[1] = 6  # face: a probability of 95 %
            elif "_mbox_loc" in name:
                parameter.zero_()
    torch.save(finder.state_dict(), folder / WEIGHTS[0])
    torch.save(FAN(4).state_dict(), folder / WEIGHTS[1])
    return folder


@pytest.mark.long
def test_face_alignment_loads_its_weights_from_the_folder_and_finds_points(weights, clips, tmp_path):
    """The same faces as the library finds by itself where the two files are in torch's own folder."""
    import face_alignment

    image = cv2.resize(read(clips / "single_face.jpg"), (96, 96), interpolation=cv2.INTER_AREA)
    faces = detectors.build("face_alignment", weights=weights, confidence=0.9, device="auto").detect(image)
    assert len(faces) == 1
    assert faces[0].confidence == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-4)
    assert (faces[0].landmarks.shape, faces[0].landmarks.dtype) == ((68, 2), np.float32)

    shutil.copytree(weights, tmp_path / "checkpoints", copy_function=lambda a, b: Path(b).symlink_to(a))
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    try:
        library = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, device="cpu", compile=False)
    finally:
        torch.hub.set_dir(before)
    landmarks, _, boxes = library.get_landmarks_from_image(image, return_bboxes=True)
    np.testing.assert_allclose(faces[0].landmarks, landmarks[0], atol=1e-3)
    np.testing.assert_allclose(faces[0].box, boxes[0][:4], atol=1e-3)


@pytest.mark.long
def test_face_alignment_gives_an_empty_list_where_no_face_is_sure_enough(weights):
    image = np.full((64, 64, 3), 128, np.uint8)
    assert detectors.build("face_alignment", weights=weights, confidence=0.99).detect(image) == []


@pytest.mark.long
def test_damaged_weights_of_face_alignment_are_one_sentence(weights, tmp_path):
    for name in WEIGHTS:
        (tmp_path / name).write_bytes((weights / name).read_bytes()[:5000])
    with pytest.raises(DfdmError, match="cannot be loaded") as told:
        detectors.build("face_alignment", weights=tmp_path)
    assert "\n" not in str(told.value)


@pytest.fixture(scope="module")
def cnn(demo, predictor):
    network = FileRef(package="face_recognition_models", member=f"face_recognition_models/models/{MMOD}")
    return detectors.build("dlib_cnn", predictor=predictor, weights=sources.fetch(demo.sources, network))


@pytest.mark.long
def test_the_cnn_finds_a_turned_face_that_the_other_does_not(cnn, dlib, clips):
    picture = read(clips / "single_face.jpg")
    picture = cv2.resize(picture, None, fx=400 / max(picture.shape), fy=400 / max(picture.shape))
    (face,), (other,) = cnn.detect(picture), dlib.detect(picture)
    assert np.linalg.norm(face.landmarks - other.landmarks, axis=1).mean() < 0.1 * (other.box[2] - other.box[0])
    height, width = picture.shape[:2]
    turned = cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), 45, 1), (width, height))
    assert len(cnn.detect(turned)) == 1
    assert dlib.detect(turned) == []


def test_without_its_network_the_cnn_says_what_it_needs(predictor, tmp_path):
    with pytest.raises(DfdmError, match=r"no network is given; set faces\.weights to mmod_human_face_detector\.dat"):
        detectors.build("dlib_cnn", predictor=predictor)
    (tmp_path / MMOD).write_bytes(b"no network")
    with pytest.raises(DfdmError, match="is not dlib's CNN face detector"):
        detectors.build("dlib_cnn", predictor=predictor, weights=tmp_path / MMOD)
