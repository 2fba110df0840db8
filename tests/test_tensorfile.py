"""Files of tensors written a part at a time: the library's own bytes."""

import json
import stat
import zlib

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from dfdm.base.tensorfile import CHECKSUM, Streamed, write_tensors

RNG = np.random.default_rng(0)
TENSORS = {
    "zeta": RNG.standard_normal((3, 5)).astype(np.float32),
    "alpha": RNG.standard_normal(7).astype(np.float32),
    "count": np.array(3, np.int64),
    "boxes": RNG.integers(-9, 9, (4, 2)).astype(np.int32),
    "frames": RNG.integers(0, 256, (6, 3, 5), dtype=np.uint8),
}
ABOUT = {"name": 'a "quoted" é', "crf": 23}


@pytest.mark.parametrize("streamed", [False, True])
def test_the_bytes_are_the_librarys(tmp_path, streamed):
    frames = TENSORS["frames"]
    given = {**TENSORS, "frames": Streamed(frames.shape, iter(frames)) if streamed else frames}
    path = tmp_path / "x.safetensors"
    write_tensors(path, given, ABOUT)
    sums = {CHECKSUM: np.array([zlib.crc32(frame) for frame in frames], np.int64)} if streamed else {}
    expected = {**TENSORS, **sums}
    assert path.read_bytes() == save(expected, {"dfdm": json.dumps(ABOUT, sort_keys=True)})
    assert all(np.array_equal(value, expected[name]) for name, value in load_file(path).items())
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044  # others may read it


def test_rows_that_do_not_fill_the_shape_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match="bytes written"):
        write_tensors(tmp_path / "x.safetensors", {"x": Streamed((3, 4), iter(np.zeros((2, 4), np.uint8)))}, {})
    assert list(tmp_path.iterdir()) == []
