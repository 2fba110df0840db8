"""The right face of the right person: misplaced landmarks, two people in one scene, heads on their side."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.catalogue import config, sources
from dfdm.media import colour, detectors
from dfdm.media.alignment import eye_distance, misfit
from dfdm.media.detectors import Detector, Face
from dfdm.media.identity import SAME_PERSON, Embedder, Seen, Wanted, check_person
from dfdm.media.looking import fits
from dfdm.media.settings import FacesConfig
from dfdm.media.tracks import FaceTrack, track_faces, track_planes
from dfdm.media.video import VideoRecord, probe, read_planes

WOMAN, MAN = ("WolfgangLanger_Pexels.mp4", 300), ("single_face.mp4", 10)
pytestmark = pytest.mark.long


def frames_of(clips: Path, who: tuple[str, int], count: int = 12) -> list[np.ndarray]:
    name, start = who
    record = probe(clips / name, "id0_0000", {"path": name}, (start, start + count))
    return [colour.yuv_to_rgb(planes, None, None) for planes in read_planes(clips / name, record)]


@pytest.fixture(scope="module")
def woman(clips: Path) -> list[np.ndarray]:
    return frames_of(clips, WOMAN)


@pytest.fixture(scope="module")
def man(clips: Path) -> list[np.ndarray]:
    return frames_of(clips, MAN)


class Remembering:
    """A detector that looks at a frame once."""

    def __init__(self, inner: Detector) -> None:
        self.inner = inner
        self.found: dict[tuple[tuple[int, ...], bytes], list[Face]] = {}

    def detect(self, rgb: np.ndarray) -> list[Face]:
        key = rgb.shape, rgb.tobytes()
        if key not in self.found:
            self.found[key] = self.inner.detect(rgb)
        return list(self.found[key])


@pytest.fixture(scope="module")
def detector(predictor: Path) -> Detector:
    return Remembering(detectors.build("dlib", predictor=predictor))


@pytest.fixture(scope="module")
def embedder(demo: config.Config) -> Embedder:
    assert demo.evaluate.identity is not None
    return Embedder(sources.fetch(demo.sources, demo.evaluate.identity))


@pytest.fixture(scope="module")
def record(clips: Path) -> VideoRecord:
    return probe(clips / MAN[0], "id0_0000", {"path": MAN[0]})


def follow(frames: list[np.ndarray], detector: Detector, record: VideoRecord, **more: object) -> FaceTrack:
    return track_faces(iter(frames), detector, record, **more)  # type: ignore[arg-type]


def test_landmarks_of_upright_faces_fit(woman: list[np.ndarray], man: list[np.ndarray], detector: Detector) -> None:
    for frame in [*woman, *man]:
        (face,) = detector.detect(frame)
        assert fits(face)
        assert face.spread < 0.1


@pytest.mark.parametrize("part", ["jaw and brow", "upside down", "mirrored", "mouth on the brow", "noise"])
def test_misplaced_landmarks_are_dropped_and_counted(
    part: str, man: list[np.ndarray], detector: Detector, record: VideoRecord
) -> None:
    (face,) = detector.detect(man[0])
    points = face.landmarks.copy()
    if part == "jaw and brow":  # of one side, a quarter of the face out in the background
        width = points[16, 0] - points[0, 0]
        points[[*range(9), *range(17, 22)]] -= [width / 4, 0]
    if part == "upside down":
        points[:, 1] = points[:, 1].max() + points[:, 1].min() - points[:, 1]
    if part == "mirrored":
        points[:, 0] = points[:, 0].max() + points[:, 0].min() - points[:, 0]
    if part == "mouth on the brow":
        points[48:] += points[21] - points[51]
    if part == "noise":
        points += np.random.default_rng(0).normal(0, eye_distance(points) / 5, points.shape).astype(np.float32)
    wrong = Face(face.box, points, face.confidence)
    assert max(np.divide(misfit(points), misfit(face.landmarks))) > 2

    class Fixed:
        def detect(self, rgb: np.ndarray) -> list[Face]:
            return [wrong]

    track = follow(man[:3], Fixed(), record)
    assert len(track) == 0
    assert track.counts.misplaced == 3


def test_faces_on_their_head_are_hardly_ever_taken(clips: Path, detector: Detector) -> None:
    frames = [frame for start in (60, 120, 180, 240, 300, 360) for frame in frames_of(clips, (WOMAN[0], start), 4)]
    taken = [face for frame in frames for face in detector.detect(np.ascontiguousarray(frame[::-1, ::-1]))]
    assert len([face for face in taken if fits(face)]) <= 1


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_head_on_its_side_is_found_where_the_config_turns_frames(
    quarters: int, woman: list[np.ndarray], detector: Detector, predictor: Path
) -> None:
    turned = np.ascontiguousarray(np.rot90(woman[0], quarters))
    (upright,) = detector.detect(woman[0])
    assert detector.detect(turned) == []
    (found,) = detectors.build("dlib", predictor=predictor, rotate=[0, 90, 270]).detect(turned)
    height, width = woman[0].shape[:2]
    x, y = upright.landmarks[:, 0], upright.landmarks[:, 1]
    expected = np.stack([y, width - 1 - x] if quarters == 1 else [height - 1 - y, x], axis=1)
    np.testing.assert_allclose(found.landmarks, expected)
    assert (found.box[:2] < found.box[2:]).all()
    assert found.box[0] < found.landmarks[30, 0] < found.box[2]


def test_faces_of_pixels_that_are_not_square_are_found(
    man: list[np.ndarray], detector: Detector, record: VideoRecord
) -> None:
    narrow = [np.ascontiguousarray(frame[:, ::2]) for frame in man[:3]]
    planes = [cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420) for frame in narrow]
    plain = track_planes(planes, detector, record, FacesConfig())
    assert len(plain) == 0
    squeezed = record.model_copy(update={"pixel_aspect": (2, 1), "full_range": True})
    track = track_planes(planes, detector, squeezed, FacesConfig())
    whole = follow(man[:3], detector, record)
    assert len(track) == 3
    assert np.abs(track.landmarks * [2, 1] - whole.landmarks).max() < 0.15 * eye_distance(whole.landmarks[0])


def test_two_people_cut_together_are_told_with_their_distance(
    woman: list[np.ndarray], man: list[np.ndarray], detector: Detector, embedder: Embedder, record: VideoRecord
) -> None:
    track = follow([*woman, *man], detector, record, embedder=embedder)
    assert track.segment.tolist() == [0] * 12 + [1] * 12
    assert track.identity.shape == (2, 128)
    with pytest.raises(DfdmError, match=r"id0_0000 shows another person in its frames 12 to 23 .*distance 0\.[7-9]"):
        check_person("id0", track.pieces, SAME_PERSON)
    alone = follow(woman, detector, record, embedder=embedder)
    check_person("id0", alone.pieces, SAME_PERSON)
    check_person("id0", [*alone.pieces, *follow(woman[::-1], detector, record, embedder=embedder).pieces], SAME_PERSON)


def test_pieces_of_a_few_frames_are_not_judged() -> None:
    far = [Seen("id0_0000", 0, 9, frames, np.full(128, value)) for frames, value in ((50, 0.0), (7, 1.0))]
    check_person("id0", far, SAME_PERSON)


def test_the_person_of_a_picture_is_followed_among_others(
    woman: list[np.ndarray],
    man: list[np.ndarray],
    detector: Detector,
    embedder: Embedder,
    record: VideoRecord,
    tmp_path: Path,
) -> None:
    width = woman[0].shape[1]
    both = [np.concatenate([a, b[: a.shape[0]]], axis=1) for a, b in zip(woman[:4], man[:4])]
    for picture, left in ((woman[5], True), (man[5], False)):
        wanted = Wanted.of(picture, "picture.png", detector, embedder, SAME_PERSON)
        track = follow(both, detector, record, wanted=wanted)
        assert len(track) == len(both)
        assert ((track.boxes[:, 0] < width) == left).all()
    alone = Wanted.of(man[5], "picture.png", detector, embedder, SAME_PERSON)
    assert len(follow(woman, detector, record, wanted=alone)) == 0
    with pytest.raises(DfdmError, match=r"picture\.png shows 2 faces; give a picture with the person's face alone"):
        Wanted.of(both[0], "picture.png", detector, embedder, SAME_PERSON)


def test_a_track_keeps_whom_it_shows(
    man: list[np.ndarray], detector: Detector, embedder: Embedder, record: VideoRecord, tmp_path: Path
) -> None:
    track = follow(man[:4], detector, record, embedder=embedder)
    track.save(tmp_path / "track.npz")
    again = FaceTrack.load(tmp_path / "track.npz")
    np.testing.assert_array_equal(again.identity, track.identity)
    assert again.counts == track.counts
