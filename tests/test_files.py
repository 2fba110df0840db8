"""What the one place that makes files atomic does with outputs of every kind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, half_written, output, read_json, remove_leftovers, sweep, write_json
from tests.commands import dfdm

ROOT = Path(__file__).parent.parent


def write(path: Path, text: str = "new") -> None:
    with atomic(path) as temporary:
        assert temporary.suffix == path.suffix
        temporary.write_text(text)


def node(folder: Path, kind: str) -> Path:
    """Something that is there and no file."""
    path = folder / "there.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        return Path("/dev/full")
    elif kind == "stream":
        return Path("/dev/stdout")
    else:
        path.symlink_to({"link to a folder": ".", "link to a device": "/dev/full", "loop": path.name}[kind])
    return path


KINDS = ["folder", "pipe", "device", "stream", "link to a folder", "link to a device", "loop"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_is_there_and_no_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    path = node(tmp_path, kind)
    before = path.lstat()
    with pytest.raises(DfdmError, match=f"^{path} is there and is no file, .*; name another output$"):
        write(path)
    assert os.path.samestat(path.lstat(), before)
    assert sorted(tmp_path.iterdir()) == [path] * (path.parent == tmp_path)


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(DfdmError, match=f"^{tmp_path}/file/a/x.json cannot be written: {tmp_path}/file is no folder"):
        write(tmp_path / "file/a/x.json")
    assert (tmp_path / "file").read_text() == "old"


def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk/content", tmp_path / "there.json"
    target.write_text("old")
    link.symlink_to("disk/content")
    write(link)
    assert link.is_symlink()
    assert target.read_text() == "new"
    target.unlink()  # a link that leads to nothing leads to where the file will be
    write(link, "again")
    assert link.is_symlink()
    assert target.read_text() == "again"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["content", "disk", "there.json"]


def test_what_a_killed_process_left_beside_the_file_that_a_link_leads_to_is_removed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "a[1].json"
    link.symlink_to("disk/content")
    left = half_written(tmp_path / "disk" / link.name, 1)
    left.touch()
    remove_leftovers(link)
    assert not left.exists()


def test_a_sweep_takes_what_dead_processes_left_and_nothing_else(tmp_path: Path) -> None:
    def begun(pid: int, age: float = 0) -> Path:
        path = half_written(tmp_path / "a.json", pid)
        path.write_text("")
        os.utime(path, (time.time() - age,) * 2)
        return path

    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nothing has waited for it
    left = begun(dead.pid)
    mine = begun(os.getpid())
    sweep(tmp_path)
    assert (left.exists(), mine.exists()) == (False, True)
    before = begun(os.getpid(), age=7 * 24 * 3600)  # by a process that had this number before
    sweep(tmp_path)
    assert not before.exists()
    dead.wait()


def test_a_command_refuses_such_an_output_before_its_work(tmp_path: Path) -> None:
    for path in (Path("/dev/null"), node(tmp_path, "pipe"), ROOT / "LICENSE/x"):
        done = dfdm("faces", "--record", "none", "--out", path)
        assert done.status == 2
        assert done.err.startswith(f"dfdm: {path} ")
        assert done.err.endswith("name another output\n")
    assert Path("/dev/null").is_char_device()


def test_a_new_file_in_a_new_folder_is_its_own_output(tmp_path: Path) -> None:
    assert output(tmp_path / "a/b/x.json") == tmp_path / "a/b/x.json"
    write(tmp_path / "a/b/x.json")
    assert (tmp_path / "a/b/x.json").read_text() == "new"


def test_a_name_that_is_no_utf8_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, name = tmp_path / os.fsdecode(b"caf\xe9.json"), os.fsdecode(b"/x/caf\xe9")
    write_json(path, {"path": name, "other": "é日"})
    assert read_json(path) == {"path": name, "other": "é日"}
    assert "é日" in path.read_text()
    assert json.loads(path.read_bytes())["path"] == name
