"""Training faces out of real decoded frames: every frame has its own brightness, so a face identifies its frame."""

import tracemalloc
from dataclasses import replace

import av
import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media.alignment import MEAN_FACE
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import probe
from generators import faces as module
from generators.faces import FEWEST, FaceSet, check_different, check_sources, load_faces
from generators.settings import TrainConfig

JAW = np.array([[0.5 - 0.55 * np.cos(t), 0.35 + 0.75 * np.sin(t)] for t in np.linspace(0, np.pi, 17)])


def brightness(frame):
    return 20 + 4 * frame


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    """Two scenes of 40 frames, 128x128; the face is in all but the first ten."""
    found = []
    for scene in range(2):
        path = tmp_path_factory.mktemp("faces") / f"{scene}.mkv"
        with av.open(str(path), "w") as file:
            stream = file.add_stream("ffv1", rate=25)
            stream.width = stream.height = 128
            stream.pix_fmt = "yuv420p"
            for index in range(40):
                planes = np.full((192, 128), 128, np.uint8)
                planes[:128] = brightness(index)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")))
            file.mux(stream.encode(None))
        landmarks = np.concatenate([JAW, MEAN_FACE]) * 40 + 44
        frames = np.arange(10, 40, dtype=np.int32)
        track = FaceTrack(
            record=probe(path, f"id0_000{scene}", {"path": path.name}),
            frame_index=frames,
            landmarks=np.repeat(landmarks[None], 30, 0).astype(np.float32),
            boxes=np.zeros((30, 4), np.float32),
            confidence=np.ones(30, np.float32),
            segment=np.zeros(30, np.int32),
            counts=TrackCounts(40, 30, 0, 0),
        )
        found.append((path, track))
    return found


def frames_of(faces):
    """The frames that faces come from, recognised by their middle pixel (limited range: 16..235 becomes 0..255)."""
    size = faces.shape[1]
    luma = faces[:, size // 2, size // 2].mean(-1) * 219 / 255 + 16
    return np.rint((luma - 20) / 4).astype(int).tolist()


def test_every_scenes_last_faces_are_held_out(tracks):
    faces = load_faces("id0", tracks, TrainConfig(held_out=0.2), 64)
    assert frames_of(faces.faces) == [*range(10, 34)] * 2
    assert len(faces.shown) == 8
    assert set(frames_of(faces.shown)) <= set(range(34, 40))


def test_at_most_so_many_faces_evenly_over_the_scenes(tracks):
    faces = load_faces("id0", tracks, TrainConfig(held_out=0, max_faces=20), 64)
    assert len(faces) == 20
    assert frames_of(faces.faces) == [*range(10, 40, 3)] * 2


@pytest.mark.parametrize(("mode", "model_size", "size"), [("model", 64, 64), ("model", 128, 128), ("384", 64, 384)])
def test_faces_and_masks_have_the_augmentation_size(tracks, mode, model_size, size):
    faces = load_faces("id0", tracks[:1], TrainConfig(augment_size=mode), model_size)
    assert faces.faces.shape == faces.masks.shape == (27, size, size, 3)
    assert faces.shown.shape == (3, model_size, model_size, 3)
    face, eyes, mouth = np.moveaxis(faces.masks[0].astype(float) / 255, -1, 0)
    rows = np.arange(size)[:, None]
    assert (eyes * rows).sum() / eyes.sum() < (mouth * rows).sum() / mouth.sum() - 0.15 * size
    assert mouth.sum() > 0.8 * eyes.sum() > 0
    assert (np.minimum(face, np.maximum(eyes, mouth))).sum() > 0.9 * np.maximum(eyes, mouth).sum()


def test_too_few_faces_is_an_error_that_names_the_person(tracks):
    path, track = tracks[0]
    empty = FaceTrack(
        track.record,
        *(getattr(track, name)[:5] for name in ("frame_index", "landmarks", "boxes", "confidence", "segment")),
        track.counts,
    )
    with pytest.raises(DfdmError, match=f"id0 has 5 faces to train on, at least {FEWEST}"):
        load_faces("id0", [(path, empty)], TrainConfig(), 64)


def test_the_same_frames_on_both_sides_are_refused_before_anything_is_decoded(tracks):
    path, track = tracks[0]
    record = track.record.model_copy(update={"scene_key": "id1_0000", "start": 39, "stop": 80})  # one frame in common
    other = [(path, replace(track, record=record))]
    with pytest.raises(DfdmError, match="scenes id0_0000 and id1_0000 are the same frames of the same video"):
        check_sources(("id0", "id1"), tracks[:1], other, TrainConfig(), 64)
    apart = [(path, replace(track, record=record.model_copy(update={"start": 40})))]
    check_sources(("id0", "id1"), tracks[:1], apart, TrainConfig(), 64)


def test_copies_of_one_video_on_both_sides_are_refused():
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8) for _ in range(2))
    check_different(FaceSet("id0", one, one, one), FaceSet("id1", other, other, other))
    other[:10] = one[5:15]
    with pytest.raises(DfdmError, match="10 of 20 faces of id1 are also faces of id0, so they are one person"):
        check_different(FaceSet("id0", one, one, one), FaceSet("id1", other, other, other))


def spoilt(track, rows):
    """The track with landmarks that are not numbers, lie in a point, in a line, or outside the frame."""
    landmarks = track.landmarks.copy()
    for row in rows:
        points = landmarks[row]
        landmarks[row] = [np.full((68, 2), np.nan), points * 0 + 50, points[:, :1], points + 90][row % 4]
    return replace(track, landmarks=landmarks)


def test_faces_that_cannot_be_aligned_are_left_out_and_told(tracks, capsys):
    path, track = tracks[0]
    faces = load_faces("id0", [(path, spoilt(track, range(8)))], TrainConfig(held_out=0), 64)
    assert frames_of(faces.faces) == [*range(18, 40)]
    assert "22 to train on, 8 more left out: their landmarks are not numbers" in capsys.readouterr().err
    with pytest.raises(DfdmError, match=r"id0 has 10 faces to train on, at least 16 are needed \(20 more left out"):
        load_faces("id0", [(path, spoilt(track, range(20)))], TrainConfig(held_out=0), 64)


def test_a_track_with_frames_that_the_scene_lacks_is_refused(tracks):
    path, track = tracks[0]
    late = replace(track, frame_index=track.frame_index + 5)
    with pytest.raises(
        DfdmError, match=r"a face in frame 40, which the scene in .* does not have; run the faces stage again"
    ):
        load_faces("id0", [(path, late)], TrainConfig(held_out=0), 64)


def test_a_file_that_does_not_decode_any_more_is_refused(tracks, tmp_path):
    path, track = tracks[0]
    (tmp_path / "cut.mkv").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DfdmError, match="frames of id0_0000"):
        load_faces("id0", [(tmp_path / "cut.mkv", track)], TrainConfig(held_out=0), 64)


def test_more_faces_than_memory_are_refused_before_anything_is_decoded(tracks, monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: 20_000_000)
    check_sources(("id0", "id1"), tracks, tracks[:0], TrainConfig(), 64)
    with pytest.raises(DfdmError) as caught:
        check_sources(("id0", "id1"), tracks, tracks[:0], TrainConfig(augment_size="384"), 64)
    assert str(caught.value) == (
        "the faces of id0 and id1 (54 and 0, 384 px) need 47.8 MB of memory and 20.0 MB are free; "
        "lower train.max_faces (to 9 or less), or set augment_size: model"
    )


def test_memory_is_that_of_the_faces_kept_however_many_there_are(tracks):
    peaks = []
    for scenes in (tracks[:1], tracks * 3):
        tracemalloc.start()
        load_faces("id0", scenes, TrainConfig(augment_size="384", max_faces=16), 64)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    kept = 16 * 384 * 384 * 6
    assert kept < peaks[0] < kept + 8e6  # a frame, its face at 384 px and what is made of them
    assert peaks[1] < 1.02 * peaks[0]
