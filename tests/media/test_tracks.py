"""One face followed through a scene: cuts, gaps, several faces, none; its file; smoothing."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media import colour, detectors
from dfdm.media.alignment import MEAN_FACE
from dfdm.media.detectors import Face
from dfdm.media.tracks import FaceTrack, TrackCounts, track_faces
from dfdm.media.video import VideoRecord, probe, read_planes

RECORD = VideoRecord(
    scene_key="id0_0001",
    reference={"path": "a.mp4"},
    sha256="0" * 64,
    start=0,
    stop=40,
    width=320,
    height=240,
    stored_width=320,
    stored_height=240,
    pixel_format="yuv420p",
    rotation=0,
    rate=(24000, 1001),
    time_base=(1, 24000),
    start_seconds=0.0,
    duration_seconds=1.6,
    pts=(0, 5, 9),
    matrix=6,
    full_range=None,
    primaries=None,
    transfer=None,
    audio=None,
)


def face_at(x: float, y: float, width: float = 40) -> Face:
    box = np.array([x - width / 2, y - width / 2, x + width / 2, y + width / 2], np.float32)
    jaw = np.stack([np.linspace(-0.05, 1.05, 17), 1.2 - 1.2 * np.linspace(-1, 1, 17) ** 2], axis=1)
    jaw[6:11, 0] = 0.5 + 0.07 * np.array([-4, -1.8, 0, 1.8, 4])  # the chin, as the mean face has the rest
    return Face(box, ((np.concatenate([jaw, MEAN_FACE]) - 0.5) * width + [x, y]).astype(np.float32), 1.0)


class Scripted:
    """A detector that finds what it was given, frame by frame."""

    def __init__(self, faces: list[list[Face]]) -> None:
        self._faces = iter(faces)

    def detect(self, rgb: np.ndarray) -> list[Face]:
        return next(self._faces)


def grey(levels: list[int]) -> Iterator[np.ndarray]:
    return (np.full((240, 320, 3), level, np.uint8) for level in levels)


def follow(faces: list[list[Face]], levels: list[int] | None = None, **settings) -> FaceTrack:
    return track_faces(grey(levels or [100] * len(faces)), Scripted(faces), RECORD, **settings)


def middles(track: FaceTrack) -> list[float]:
    return ((track.boxes[:, 0] + track.boxes[:, 2]) / 2).tolist()


def test_a_scene_without_a_face_gives_a_track_of_no_frames():
    track = follow([[]] * 5)
    assert len(track) == 0
    assert track.landmarks.shape == (0, 68, 2)
    assert track.boxes.shape == (0, 4)
    assert track.counts == TrackCounts(frames=5, with_face=0, several_faces=0, cuts=0)
    assert len(track.smoothed(2)) == 0


def test_frames_without_a_face_are_left_out_and_counted():
    face = face_at(100, 100)
    track = follow([[face], [], [face], [face], []])
    assert track.frame_index.tolist() == [0, 2, 3]
    assert (track.counts.frames, track.counts.with_face) == (5, 3)


def test_of_several_faces_the_nearest_to_the_last_is_kept_and_first_the_largest():
    person = [face_at(100 + step, 100, 40) for step in range(4)]
    larger_later = [face_at(250, 100, width) for width in (30, 60, 60, 60)]
    frames = [[b, a] for a, b in zip(person, larger_later)]
    assert middles(follow(frames, keep="nearest")) == [100, 101, 102, 103]
    track = follow(frames, keep="largest")
    assert middles(track) == [100, 250, 250, 250]
    assert track.segment.tolist() == [0, 1, 1, 1]  # another place is another segment
    assert track.counts.several_faces == 4


def test_after_a_cut_a_new_segment_starts_with_the_largest_face():
    small, large = face_at(100, 100, 30), face_at(250, 100, 60)
    levels = [100, 100, 220, 220]
    track = follow([[small], [small], [small, large], [small, large]], levels)
    assert middles(track) == [100, 100, 250, 250]
    assert track.segment.tolist() == [0, 0, 1, 1]
    assert track.counts.cuts == 1
    same_place = follow([[small]] * 4, levels)
    assert same_place.segment.tolist() == [0, 0, 1, 1]


def test_a_change_of_brightness_under_the_threshold_is_no_cut():
    frames = [np.full((240, 320, 3), 100, np.uint8) for _ in range(2)]
    frames[1][:, :96] = 200  # 30 % of the picture
    for threshold, cuts in ((0.35, 0), (0.25, 1)):
        track = track_faces(iter(frames), Scripted([[], []]), RECORD, cut_threshold=threshold)
        assert track.counts.cuts == cuts


def test_a_gap_longer_than_allowed_starts_a_new_segment():
    face = face_at(100, 100)
    for gap, segments in ((5, [0, 0]), (6, [0, 1])):
        assert follow([[face], *[[]] * gap, [face]], max_gap=5).segment.tolist() == segments


def random_track(frames: list[int], segments: list[int]) -> FaceTrack:
    rng = np.random.default_rng(1)
    n = len(frames)
    return FaceTrack(
        RECORD,
        np.array(frames, np.int32),
        rng.uniform(0, 300, (n, 68, 2)).astype(np.float32),
        rng.uniform(0, 300, (n, 4)).astype(np.float32),
        rng.uniform(0, 2, n).astype(np.float32),
        np.array(segments, np.int32),
        TrackCounts(max(frames) + 1, n, 0, 1),
    )


def test_smoothing_weighs_by_time_and_never_across_segments():
    frames, segments = [0, 1, 2, 4, 5, 9, 10, 11, 12], [0, 0, 0, 0, 0, 1, 1, 1, 1]
    track = random_track(frames, segments)
    found = track.smoothed(1.5)
    for row, (frame, segment) in enumerate(zip(frames, segments)):
        weights = np.array(
            [
                np.exp(-0.5 * ((frame - other) / 1.5) ** 2) * (segment == theirs)
                for other, theirs in zip(frames, segments)
            ]
        )
        expected = np.tensordot(weights / weights.sum(), track.landmarks, 1)
        np.testing.assert_allclose(found.landmarks[row], expected, rtol=1e-3, atol=0.05)
        np.testing.assert_allclose(found.boxes[row], weights / weights.sum() @ track.boxes, rtol=1e-3, atol=0.05)
    np.testing.assert_array_equal(found.frame_index, track.frame_index)
    assert track.smoothed(0) is track


def test_a_saved_track_comes_back_equal_and_its_bytes_are_always_the_same(tmp_path):
    track = random_track([0, 1, 5], [0, 0, 1])
    track.save(tmp_path / "a.npz")
    track.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = FaceTrack.load(tmp_path / "a.npz")
    assert loaded.record == track.record
    assert loaded.counts == track.counts
    for name in ("frame_index", "landmarks", "boxes", "confidence", "segment"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(track, name))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.npz", "b.npz"]
    empty = replace(track, **{name: getattr(track, name)[:0] for name in ("frame_index", "landmarks", "boxes")})
    empty = replace(empty, confidence=track.confidence[:0], segment=track.segment[:0])
    empty.save(tmp_path / "empty.npz")
    assert len(FaceTrack.load(tmp_path / "empty.npz")) == 0


def test_a_missing_or_damaged_track_is_one_sentence(tmp_path):
    path = tmp_path / "track.npz"
    with pytest.raises(DfdmError, match=r"does not exist; run the faces stage"):
        FaceTrack.load(path)
    random_track([0, 1, 5], [0, 0, 1]).save(path)
    good = path.read_bytes()
    for bad in (b"", b"no archive", good[:100], good[:-40], good[:900] + bytes([good[900] ^ 255]) + good[901:]):
        path.write_bytes(bad)
        with pytest.raises(DfdmError, match=r"track\.npz is not a readable face track") as told:
            FaceTrack.load(path)
        assert "\n" not in str(told.value)


def rgb_frames(path, record: VideoRecord) -> Iterator[np.ndarray]:
    return (colour.yuv_to_rgb(planes, record.matrix, record.full_range) for planes in read_planes(path, record))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "cuts"),
    [("WolfgangLanger_Pexels.mp4", 0), ("single_face.mp4", 0), ("face_noface.mov", 2), ("noface_face.mov", 2)],
)
def test_on_the_real_clips_only_the_true_cuts_are_seen(clips, name, cuts):
    """The .mov clips go from the man to a title or back, each with one flash frame."""
    path = clips / name
    record = probe(path, "id0_0001", {"path": name})
    track = track_faces(rgb_frames(path, record), Scripted([[]] * record.frames), record)
    assert track.counts == TrackCounts(frames=record.frames, with_face=0, several_faces=0, cuts=cuts)


@pytest.mark.long
def test_the_man_is_followed_until_the_title(clips, predictor):
    path = clips / "face_noface.mov"
    record = probe(path, "id1_0002", {"path": path.name}, (60, 84))
    track = track_faces(rgb_frames(path, record), detectors.build("dlib", predictor=predictor), record)
    assert track.frame_index.tolist() == list(range(12))
    assert set(track.segment.tolist()) == {0}
    assert (track.landmarks.min((0, 1)) > 0).all()
    assert (track.landmarks.max((0, 1)) < [record.width, record.height]).all()


@pytest.mark.long
def test_smoothing_takes_jitter_off_a_real_track(clips, predictor):
    path = clips / "single_face.mp4"
    record = probe(path, "id1_0001", {"path": path.name}, (0, 24))
    track = track_faces(rgb_frames(path, record), detectors.build("dlib", predictor=predictor), record)
    shaking = [np.linalg.norm(np.diff(t.landmarks, n=2, axis=0), axis=2).mean() for t in (track, track.smoothed(1))]
    assert shaking[1] < 0.5 * shaking[0]
    assert np.abs(track.smoothed(1).landmarks - track.landmarks).mean() < 1
