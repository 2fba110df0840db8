"""`faces.every`: between frames that the detector looks at, faces that stay are followed, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.catalogue import config
from dfdm.catalogue.keys import faces_keys
from dfdm.media import colour, detectors
from dfdm.media.detectors import Face
from dfdm.media.tracks import FaceTrack, track_faces
from dfdm.media.video import VideoRecord, probe, read_planes

pytestmark = pytest.mark.long


class Counting:
    """dlib's detector, with the number of frames that it looked at."""

    def __init__(self, predictor: Path) -> None:
        self.inner, self.looked = detectors.build("dlib", predictor=predictor), 0

    def detect(self, rgb: np.ndarray) -> list[Face]:
        self.looked += 1
        return self.inner.detect(rgb)

    def landmarks(self, rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
        return self.inner.landmarks(rgb, box)  # type: ignore[attr-defined, no-any-return]


def frames_of(clips: Path, name: str, start: int, end: int) -> tuple[VideoRecord, list[np.ndarray]]:
    record = probe(clips / name, "id0_0000", {"path": name}, (start, end))
    planes = read_planes(clips / name, record)
    return record, [colour.yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes]


def both(
    record: VideoRecord, frames: list[np.ndarray], predictor: Path, every: int
) -> tuple[FaceTrack, FaceTrack, int]:
    """The track of every frame, that of one frame in so many, and how many the second looked at."""
    counting = Counting(predictor)
    whole = track_faces(iter(frames), Counting(predictor), record)
    return whole, track_faces(iter(frames), counting, record, every=every), counting.looked


@pytest.mark.parametrize(("name", "start"), [("WolfgangLanger_Pexels.mp4", 0), ("single_face.mp4", 0)])
def test_landmarks_between_are_a_pixel_from_those_of_every_frame(
    clips: Path, predictor: Path, name: str, start: int
) -> None:
    record, frames = frames_of(clips, name, start, start + 61)
    whole, followed, looked = both(record, frames, predictor, 4)
    assert looked <= 25
    assert followed.frame_index.tolist() == whole.frame_index.tolist()
    apart = np.linalg.norm(followed.landmarks - whole.landmarks, axis=2)
    assert np.median(apart) < 1
    assert np.percentile(apart, 95) < 4


def test_nobody_is_followed_across_a_cut_and_both_sides_are_whole(clips: Path, predictor: Path) -> None:
    record, woman = frames_of(clips, "WolfgangLanger_Pexels.mp4", 300, 310)
    _, man = frames_of(clips, "single_face.mp4", 10, 21)
    whole, followed, _ = both(record, [*woman, *man], predictor, 4)
    assert followed.segment.tolist() == whole.segment.tolist() == [0] * 10 + [1] * 11
    assert np.linalg.norm(followed.landmarks - whole.landmarks, axis=2).max() < 12


def test_a_face_that_goes_is_found_in_the_same_frames(clips: Path, predictor: Path) -> None:
    record, frames = frames_of(clips, "face_noface.mov", 50, 90)
    whole, followed, _ = both(record, frames, predictor, 4)
    assert 0 < len(whole) < 40
    assert followed.frame_index.tolist() == whole.frame_index.tolist()


def test_a_detector_without_landmarks_in_a_box_is_refused(clips: Path) -> None:
    class Plain:
        def detect(self, rgb: np.ndarray) -> list[Face]:
            return []

    record, frames = frames_of(clips, "single_face.mp4", 0, 2)
    with pytest.raises(DfdmError, match=r"faces\.every needs a detector that places landmarks in a given box"):
        track_faces(iter(frames), Plain(), record, every=2)


def test_the_key_counts_where_it_is_used_alone(demo: config.Config) -> None:
    assert "every" not in faces_keys(demo)
    four = demo.model_copy(update={"faces": demo.faces.model_copy(update={"every": 4})})
    assert faces_keys(four)["every"] == 4
