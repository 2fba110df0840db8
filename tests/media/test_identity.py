"""dlib's face descriptions on the real clips: two frames of one person are nearer than two people."""

from pathlib import Path

import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.catalogue import config, sources
from dfdm.media import colour, detectors
from dfdm.media.identity import SAME_PERSON, Embedder
from dfdm.media.video import probe, read_planes

WOMAN, MAN = "WolfgangLanger_Pexels.mp4", "single_face.mp4"
SCENES = ((WOMAN, (240, 241)), (WOMAN, (330, 331)), (MAN, (5, 6)), (MAN, (60, 61)))


@pytest.mark.long
def test_one_person_is_nearer_than_two(clips: Path, predictor: Path, demo: config.Config) -> None:
    assert demo.evaluate.identity is not None
    embedder = Embedder(sources.fetch(demo.sources, demo.evaluate.identity))
    detector, faces = detectors.build("dlib", predictor=predictor), []
    for name, frames in SCENES:
        record = probe(clips / name, "id0_0000", {"path": name}, frames)
        rgb = colour.yuv_to_rgb(next(read_planes(clips / name, record)), record.matrix, record.full_range)
        faces.append(embedder.describe(rgb, detector.detect(rgb)[0].landmarks))
    assert faces[0].shape == (128,)
    distances = np.linalg.norm(np.array(faces)[:, None] - np.array(faces), axis=-1)  # [4, 4]
    same = max(distances[0, 1], distances[2, 3])
    assert same < SAME_PERSON < distances[:2, 2:].min()


def test_another_file_is_refused_in_one_sentence(predictor: Path) -> None:
    with pytest.raises(DfdmError, match="is not a dlib face recognition network"):
        Embedder(predictor)
