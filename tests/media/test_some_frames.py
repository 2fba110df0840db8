"""Some frames of a video, read by jumping to them."""

from pathlib import Path

import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media import video
from dfdm.media.video import probe, read_planes


@pytest.mark.parametrize("name", ["WolfgangLanger_Pexels.mp4", "face_noface.mov"])  # constant and variable rate
def test_some_frames_are_those_of_a_whole_decoding_without_one(name: str, clips: Path, monkeypatch) -> None:
    record = probe(clips / name, "id0_0000", {})
    only = [0, 1, record.frames // 2, record.frames // 2 + 1, record.frames - 1]
    whole = [frame for number, frame in enumerate(read_planes(clips / name, record)) if number in only]
    astray = record.model_copy(update={"time_base": (1, 7), "pts": None})  # timestamps that are not the file's
    again = list(read_planes(clips / name, astray, only=only))
    monkeypatch.setattr(video, "_decode", None)
    some = list(read_planes(clips / name, record, only=only))
    for found in (some, again):
        assert len(found) == len(only)
        assert all(np.array_equal(one, other) for one, other in zip(found, whole))


def test_a_wanted_frame_that_the_file_lacks_is_an_error(clips: Path) -> None:
    path = clips / "face_noface.mov"
    record = probe(path, "id0_0000", {})
    longer = record.model_copy(update={"stop": record.frames + 5, "pts": None})
    with pytest.raises(DfdmError, match="gave 0 of the 1 frames"):
        list(read_planes(path, longer, only=[record.frames + 2]))
