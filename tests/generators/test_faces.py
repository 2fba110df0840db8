"""Training faces out of real decoded frames: every frame has its own brightness, so a face tells its frame."""

import av
import numpy as np
import pytest

from dfdm.config import TrainConfig
from dfdm.errors import DfdmError
from dfdm.media.alignment import MEAN_FACE
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import probe
from generators.faces import FEWEST, load_faces

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
    """The frames that faces come from, told by their middle pixel (limited range: 16..235 becomes 0..255)."""
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
