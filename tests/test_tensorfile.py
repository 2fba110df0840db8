"""Files of tensors written a part at a time: the library's own bytes."""

import json
import stat
import zlib

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from dfdm.base.tensorfile import CHECKSUM, ENDS, Streamed, write_tensors

RNG = np.random.default_rng(0)
TENSORS = {
    "zeta": RNG.standard_normal((3, 5)).astype(np.float32),
    "alpha": RNG.standard_normal(7).astype(np.float32),
    "count": np.array(3, np.int64),
    "boxes": RNG.integers(-9, 9, (4, 2)).astype(np.int32),
    "frames": RNG.integers(0, 256, (6, 3, 5), dtype=np.uint8),
}
ABOUT = {"name": 'a "quoted" é', "crf": 23}


def test_the_bytes_are_the_librarys(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS, ABOUT)
    assert path.read_bytes() == save(TENSORS, {"dfdm": json.dumps(ABOUT, sort_keys=True)})
    assert all(np.array_equal(value, TENSORS[name]) for name, value in load_file(path).items())
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044  # others may read it


@pytest.mark.parametrize("parts", [[b"abc", b"", b"defgh"], [b""], [], [bytes(2**20)] * 3])
def test_parts_of_any_length_are_written_as_they_come_and_the_library_reads_them(tmp_path, parts):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {**TENSORS, "frames": Streamed(len(parts), iter(parts))}, ABOUT)
    found = load_file(path)
    assert found["frames"].tobytes() == b"".join(parts)
    assert found[ENDS].tolist() == np.cumsum([len(part) for part in parts]).tolist()
    assert found[CHECKSUM].tolist() == [zlib.crc32(part) for part in parts]
    assert all(np.array_equal(found[name], value) for name, value in TENSORS.items() if name != "frames")
    first = path.read_bytes()
    write_tensors(path, {**TENSORS, "frames": Streamed(len(parts), iter(parts))}, ABOUT)
    assert path.read_bytes() == first


def test_fewer_parts_than_promised_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match="2 parts were written, 3 were promised"):
        write_tensors(tmp_path / "x.safetensors", {"x": Streamed(3, iter([b"a", b"b"]))}, {})
    assert list(tmp_path.iterdir()) == []
