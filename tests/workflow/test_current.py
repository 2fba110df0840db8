"""What is current is known from the results alone: wherever they are, and whatever .snakemake says."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import SMALL, copy_project, copy_run

from dfdm.base import records
from dfdm.catalogue.keys import NUMBERS
from dfdm.plan import graph
from dfdm.plan.current import differing
from tests.commands import dfdm, snakemake

SMOOTHER = {"render": 6, "masks": 6, "encode": 6, "crops": 12, "manifest": 3, "evaluate": 2, "report": 1}
ATTRIBUTED = {"attribution_train": 2, "attribution_score": 2}
# what a changed render.smooth changes, by target
CHANGED = {"all": SMOOTHER | ATTRIBUTED, "crf23": {"render": 6, "encode": 6, "crops": 6}}


def small_config(folder: Path, **changes: Any) -> Path:
    values = yaml.safe_load(SMALL.read_text())
    for key, value in changes.items():
        section, _, inner = key.partition("__")
        values[section] = {**values.get(section, {}), inner: value} if inner else value
    path = folder / f"{'_'.join(changes) or 'small'}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def to_do(folder: Path, config: Path, *targets: str) -> tuple[Counter[str], set[str]]:
    """What is to do in a folder, jobs counted by stage, and the reasons."""
    with contextlib.chdir(folder):
        jobs, _ = graph.build(config, targets)
    again = [job for job in jobs if job.reason and job.stage != graph.TARGET]
    return Counter(job.stage for job in again), {job.reason for job in again}


def same_clone(folder: Path, _: Path) -> Path:
    return folder


def without_snakemake(folder: Path, _: Path) -> Path:
    shutil.rmtree(folder / ".snakemake")
    return folder


def new_clone(folder: Path, empty: Path) -> Path:
    (folder / "results-small").rename(copy_project(empty) / "results-small")
    return empty


def copied(*words: str) -> Callable[[Path, Path], Path]:
    def copy(folder: Path, empty: Path) -> Path:
        subprocess.run(["cp", *words, folder, empty / "copy"], check=True)
        return empty / "copy"

    return copy


def moved_clone(folder: Path, empty: Path) -> Path:
    return folder.rename(empty / "moved")


def moved_results(folder: Path, empty: Path) -> Path:
    """The results alone, below a link of their name."""
    (folder / "results-small").rename(empty / "elsewhere")
    (folder / "results-small").symlink_to(empty / "elsewhere")
    return folder


PLACES = {
    "same clone": same_clone,
    "without .snakemake": without_snakemake,
    "new clone": new_clone,
    "cp -r": copied("-r"),
    "cp -a": copied("-a"),
    "clone moved": moved_clone,
    "results moved": moved_results,
}


@pytest.fixture
def clone(finished: Path, tmp_path: Path) -> Path:
    """A clone with the finished small run, of its own."""
    return copy_run(finished, tmp_path / "clone")


@pytest.mark.parametrize("target", ["all", "crf23"])
@pytest.mark.parametrize("place", PLACES)
def test_only_what_a_changed_key_changes_is_made_again_wherever_the_results_are(
    place: str, target: str, clone: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    folder = PLACES[place](clone, empty)
    assert to_do(folder, small_config(tmp_path), target) == (Counter(), set())
    changed, reasons = to_do(folder, small_config(tmp_path, render__smooth=1.7), target)
    assert changed == CHANGED[target]
    assert reasons == {"render.smooth was 1.0, is 1.7", "input files updated by another job"}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["new clone", "results moved"])
def test_a_key_changed_and_changed_back_makes_the_first_bytes_again_in_one_call_each(
    place: str, clone: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    first = hashes(clone / "results-small")
    folder, there = clone, small_config(tmp_path, render__smooth=1.7)
    for config in (there, small_config(tmp_path)):
        planned, _ = to_do(folder, config)
        assert planned == CHANGED["all"]
        assert made(folder, config) == planned
        assert to_do(folder, config) == (Counter(), set())
        if config == there:
            folder = PLACES[place](folder, empty)
    assert hashes(folder / "results-small") == first


@pytest.mark.slow
def test_jobs_that_an_engine_started_have_the_same_records(clone: Path, tmp_path: Path) -> None:
    submit = tmp_path / "submit.sh"
    submit.write_text('#!/bin/sh\nnohup sh "$1" >/dev/null 2>&1 &\necho $!\n')
    submit.chmod(0o755)
    config = small_config(tmp_path, crops__margin=0.4)
    planned, _ = to_do(clone, config, "crf23")
    command = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", submit, "--jobs", 4]
    done = snakemake(clone, "crf23", *command, "--configfile", config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert planned == {"crops": 9}
    assert to_do(clone, config, "crf23") == (Counter(), set())
    shutil.rmtree(clone / ".snakemake")
    assert to_do(clone, config, "crf23") == (Counter(), set())


def made(folder: Path, config: Path, *words: object) -> Counter[str]:
    """The jobs that a run ran, by stage."""
    done = snakemake(folder, "--cores", 2, "--configfile", config, *words)
    assert done.returncode == 0, done.stderr[-3000:]
    last = done.stderr.strip().splitlines()[-1]
    stages = [part.split() for part in last.split(" | ")[1:]]
    return Counter({stage: int(count.split("/")[0]) for stage, count in stages})


def hashes(results: Path) -> dict[str, str]:
    timed = ("report.html", "speed.json")
    found = {str(path.relative_to(results)): made.sha256 for path, made in records.every(results)}
    return {name: value for name, value in found.items() if not name.endswith(timed)}


def test_a_dry_run_says_why_in_the_configs_words_and_changes_no_file(clone: Path, tmp_path: Path) -> None:
    config = small_config(tmp_path, encode__preset="fast")
    before = {path: path.stat().st_mtime_ns for path in (clone / "results-small").rglob("*")}
    shown = snakemake(clone, "-n", "--cores", 2, "--configfile", config)
    assert shown.returncode == 0
    assert 'to do again: encode.preset was "veryfast", is "fast" (' in shown.stdout + shown.stderr
    assert {path: path.stat().st_mtime_ns for path in (clone / "results-small").rglob("*")} == before


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({"train__iterations": 8}, {"train"}),
        ({"crops__margin": 0.4}, {"crops"}),
        ({"faces__cut_threshold": 0.5}, {"faces", "evaluate"}),
        ({"seed": 1}, {"train", "manifest", "attribution_train"}),
    ],
)
def test_each_section_is_named_by_its_own_stage(
    changes: dict[str, Any], stages: set[str], clone: Path, tmp_path: Path
) -> None:
    _, reasons = to_do(clone, small_config(tmp_path, **changes))
    key = next(iter(changes)).replace("__", ".")
    assert any(reason.startswith(f"{key} was ") for reason in reasons), (reasons, stages)


@pytest.mark.parametrize(
    ("deleted", "stages"),
    [
        ("manifests", {"manifest": 3, "attribution_train": 2, "attribution_score": 2, "report": 1}),
        ("train/id0_id1/dfaker/loss.csv", None),
        ("faces", None),
        ("evaluate", {"evaluate": 2, "report": 1}),
        ("sources", None),
    ],
)
def test_what_was_deleted_is_made_again_with_what_is_made_of_it(
    deleted: str, stages: dict[str, int] | None, clone: Path, tmp_path: Path
) -> None:
    gone = clone / "results-small" / deleted
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    found, _ = to_do(clone, small_config(tmp_path))
    assert found == stages if stages else found[deleted.split("/")[0].replace("sources", "sources_probe")]


def test_a_limit_that_only_refuses_makes_nothing_again(clone: Path, tmp_path: Path) -> None:
    assert to_do(clone, small_config(tmp_path, faces__person_distance=0.7)) == (Counter(), set())


def test_a_truncated_output_is_made_again(clone: Path, tmp_path: Path) -> None:
    path = clone / "results-small/crops/crf23/faceswap/id0_id1_0000_faceswap.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    found, reasons = to_do(clone, small_config(tmp_path))
    assert found["crops"] == 1
    assert "crops/crf23/faceswap/id0_id1_0000_faceswap.safetensors is not what was written" in reasons


def test_after_an_update_that_changes_bytes_results_of_the_older_number_are_made_again(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfdm.catalogue.keys.NUMBERS", NUMBERS | {"crops": 2})
    found, reasons = to_do(clone, small_config(tmp_path))
    assert found["crops"] == 18
    assert "the program's stage crops was number 1, is 2" in reasons


def test_a_stage_run_by_hand_is_known_where_snakemake_ran_and_made_again_elsewhere(clone: Path, tmp_path: Path) -> None:
    path = clone / "results-small/crops/crf23/faceswap/id0_id1_0000_faceswap.safetensors"
    record = records.read(path)
    assert record is not None
    records.keep(record.stage, path)  # what the command does by itself
    assert to_do(clone, small_config(tmp_path)) == (Counter(), set())
    shutil.rmtree(clone / ".snakemake")
    found, reasons = to_do(clone, small_config(tmp_path))
    assert found["crops"] == 1
    assert "crops/crf23/faceswap/id0_id1_0000_faceswap.safetensors: nothing says what made it" in reasons


def test_results_without_records_are_taken_by_snakemakes_own_and_get_records(clone: Path, tmp_path: Path) -> None:
    for folder in (clone / "results-small").rglob(records.FOLDER):
        shutil.rmtree(folder)
    config = small_config(tmp_path)
    assert to_do(clone, config) == (Counter(), set())
    done = snakemake(clone, "--cores", 2, "--configfile", config)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(clone / ".snakemake")
    assert to_do(clone, config) == (Counter(), set())


def test_dates_say_nothing(clone: Path, tmp_path: Path) -> None:
    future = time.time() + 1e6
    for number, path in enumerate(sorted((clone / "results-small").rglob("*.*"))):
        os.utime(path, (future + 1000 * number, future + 1000 * (number % 7)))
    assert to_do(clone, small_config(tmp_path)) == (Counter(), set())


def test_a_setting_is_named_as_in_the_config() -> None:
    assert differing("render", {"smooth": 1.0}, {"smooth": 1.7}) == "render.smooth was 1.0, is 1.7"
    assert differing("original", {"encode": {"preset": "a"}}, {"encode": {"preset": "b"}}) == (
        'encode.preset was "a", is "b"'
    )
    assert differing("attribution_train", {"a": 1, "b": 2}, {"a": 2}) == ("attribution.a was 1, is 2, and 1 more")
    assert differing("controls", None, {"runs": 3}) == "controls.runs was absent, is 3, and 1 more"


# One run at a time, and the plain command goes on after anything.


def begin(folder: Path, config: Path, *words: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", str(config), *map(str, words)]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def wait_for(found: Callable[[], Any], seconds: float = 60) -> None:
    end = time.time() + seconds
    while not found():
        assert time.time() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_the_plain_command_goes_on_after_a_kill_and_another_run_is_refused(clone: Path, tmp_path: Path) -> None:
    config = small_config(tmp_path, render__smooth=1.7)
    results = clone / "results-small"
    other = copy_project(tmp_path / "other-clone") if (tmp_path / "other-clone").mkdir() is None else clone
    (other / "results-small").symlink_to(results)
    running = begin(clone, config)
    try:
        wait_for(lambda: list(results.rglob("*.tmp*.mp4")))
        refused = snakemake(other, "--cores", 2, "--configfile", config)
        assert refused.returncode != 0
        assert f"results-small is in use by another run (process {running.pid} on " in refused.stderr
        assert "Traceback" not in refused.stderr
        assert "  File " not in refused.stderr
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    leftover = results / "dataset/.abc.no-machine-1.tmp.mp4"
    leftover.write_bytes(b"")
    os.utime(leftover, (0, 0))
    assert made(clone, config)["report"] == 1
    assert not list(results.rglob(".*tmp*"))
    assert to_do(clone, config) == (Counter(), set())


# Sources are known by their content.


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, finished: Path, clips: Path) -> Path:
    """A project with the faces of its scenes, one of them of a video in its folder `videos`."""
    folder = copy_project(tmp_path_factory.mktemp("probed"))
    for name in ("sources", "faces"):
        copy_run(finished / "results-small" / name, folder / "results-small" / name, "id1_*")
    (folder / "videos").mkdir()
    shutil.copy(clips / "single_face.mp4", folder / "videos/walk.mp4")
    people = yaml.safe_load(SMALL.read_text())["sources"]
    people["root"] = "videos"
    people["people"]["id1"]["scenes"]["0000"] = {"path": "walk.mp4", "frames": [0, 30]}
    config = small_config(folder, sources=people)
    assert snakemake(folder, "all_faces", "--cores", 2, "--configfile", config).returncode == 0
    return folder


@pytest.fixture
def filmed(probed: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A copy of that project, its config, and the video."""
    folder = shutil.copytree(probed, tmp_path / "project")
    return folder, folder / "sources.yaml", folder / "videos/walk.mp4"


def test_a_source_of_other_content_is_probed_again_whatever_its_date(
    filmed: tuple[Path, Path, Path], clips: Path, tmp_path: Path
) -> None:
    folder, config, video = filmed
    assert snakemake(folder, "all_faces", "--cores", 2, "--configfile", config).returncode == 0  # its place is new
    older = tmp_path / "older.mp4"
    shutil.copy(clips / "WolfgangLanger_Pexels.mp4", older)
    os.utime(older, (0, 0))
    shutil.copy2(older, video)  # cp -p
    found, reasons = to_do(folder, config, "all_faces")
    assert found == {"sources_probe": 1, "faces": 1}
    assert "videos/walk.mp4 has other content" in reasons


def test_a_source_of_other_dates_is_read_and_kept(filmed: tuple[Path, Path, Path]) -> None:
    folder, config, video = filmed
    os.utime(video, (0, 0))
    assert to_do(folder, config, "all_faces") == (Counter(), set())
    assert snakemake(folder, "all_faces", "--cores", 2, "--configfile", config).returncode == 0
    made = records.read(folder / "results-small/sources/id1_0000.json")
    assert made is not None
    assert made.sources[0].mtime == 0


def test_other_content_under_the_same_size_and_dates_is_found_where_it_is_read_and_probed_next(
    filmed: tuple[Path, Path, Path],
) -> None:
    folder, config, video = filmed
    content = bytearray(video.read_bytes())
    content[-1] ^= 1
    video.write_bytes(content)
    record = folder / "results-small/sources/id1_0000.json"
    made, stat = records.read(record), video.stat()
    assert made is not None
    dated = replace(made.sources[0], mtime=stat.st_mtime_ns, ctime=stat.st_ctime_ns)
    records.write(record, replace(made, sources=(dated,)))
    assert to_do(folder, config, "all_faces") == (Counter(), set())
    track = folder / "results-small/faces/id1_0000.npz"
    with contextlib.chdir(folder):
        refused = dfdm("faces", "--record", record, "--out", track, "--config", config)
    assert refused.status == 2
    assert f"{video.relative_to(folder)} is not the video that id1_0000 was probed from" in refused.err
    assert to_do(folder, config, "all_faces")[0] == {"sources_probe": 1, "faces": 1}


def test_a_results_folder_of_other_people_is_refused_and_one_of_more_recordings_is_not(
    filmed: tuple[Path, Path, Path], clips: Path, tmp_path: Path
) -> None:
    folder, config, video = filmed
    other = tmp_path / "others/walk.mp4"  # another person's, of the same name
    other.parent.mkdir()
    shutil.copy(clips / "WolfgangLanger_Pexels.mp4", other)
    people = yaml.safe_load(config.read_text())["sources"]
    people["root"] = str(other.parent)

    def dry_run() -> subprocess.CompletedProcess[str]:
        path = small_config(tmp_path, sources=people)
        return snakemake(folder, "all_faces", "-n", "--cores", 2, "--configfile", path)

    refused = dry_run()
    assert refused.returncode == 1
    assert "results 'results-small' are of other recordings of id1: it stands there for walk.mp4" in refused.stdout
    shutil.copy(video, other.with_name("again.mp4"))  # the same content in another place
    people["people"]["id1"]["scenes"]["0001"] = {"path": "again.mp4", "frames": [0, 30]}
    assert dry_run().returncode == 0
