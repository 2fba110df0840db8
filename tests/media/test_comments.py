"""A picture's comment is the JSON of its video, and its pixels stay."""

import json

import cv2
import numpy as np
import pytest

from dfdm.dataset.provenance import read_mark
from dfdm.media.comments import commented

MARK = {
    "synthetic": True,
    "statement": "Künstlich <ü>",
    "name": "id0_id1_0000_iae",
    "model": "iae",
    "inputs": {"a": "b"},
}


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_mark_comes_back_and_the_pixels_are_as_they_were(tmp_path, suffix):
    rgb = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    plain = cv2.imencode(suffix, rgb)[1].tobytes()
    path = tmp_path / f"a{suffix}"
    path.write_bytes(commented(plain, MARK))
    assert read_mark(path) == MARK
    assert np.array_equal(cv2.imread(str(path)), cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR))


def test_what_is_no_picture_and_what_a_jpeg_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="neither a PNG nor a JPEG"):
        commented(b"GIF89a", MARK)
    with pytest.raises(ValueError, match="a JPEG takes 65533"):
        commented(b"\xff\xd8", {"a": "x" * 70000})
    assert json.loads(commented(b"\xff\xd8", {"a": "x" * 60000})[6:]) == {"a": "x" * 60000}
