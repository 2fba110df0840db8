"""A release has what was chosen, says whose faces it shows and why, and nothing of the machine that made it."""

import hashlib
import json
import re
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.catalogue.config import load
from dfdm.catalogue.people import PersonConfig
from dfdm.dataset.provenance import read_mark
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.encoding import planes_hash, provenance_tags, write_tags
from dfdm.media.video import probe, read_planes
from dfdm.release import build, files, papers, tables
from dfdm.release.terms import objection
from tests.commands import dfdm
from tests.sandbox import files as content

VIDEO = "DFDM_crf23/iae/id0_id1_0000_iae.mp4"


def config(path: Path, **changes: Any) -> None:
    """Set keys of the config, `sources__licence`."""
    values = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        inside, *rest = [values, *key.split("__")]
        for part in rest[:-1]:
            inside = inside.setdefault(part, {})
        inside[rest[-1]] = value
    path.write_text(yaml.safe_dump(values, sort_keys=False))


def test_it_has_videos_in_dfdms_folders_with_crops_tables_lists_and_papers(released: Path, made: Path) -> None:
    table = pd.read_parquet(released / "manifest.parquet")
    assert len(table) == 18
    for row in table.itertuples():
        assert (released / row.path).read_bytes() == (made / "results/dataset" / row.path).read_bytes()
        assert not (released / row.path).samefile(made / "results/dataset" / row.path)
        assert (released / row.crops).read_bytes() == (made / "results" / row.crops).read_bytes()
        assert row.sha256 == row.line_sha256 == sha256(released / row.path)
        assert Sidecar.read((released / row.path).with_suffix(".json")).sha256 == row.sha256
    listed = (released / "splits/scene_testlist.txt").read_text().split()
    assert listed == ["id0_id1_0002_iae", "id0_id1_0002_dfaker", "id0_0002_real"]
    assert {"README.md", "DATASHEET.md", "croissant.json", "config.yaml", "release.json"} <= content(released).keys()


def test_sha256sum_and_verify_pass_and_find_one_flipped_bit(released: Path, tmp_path: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=released, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(content(released)) - 1
    assert dfdm("verify", released).status == 0
    original = (released / VIDEO).read_bytes()
    try:
        (released / VIDEO).write_bytes(original[:-9] + bytes([original[-9] ^ 1]) + original[-8:])
        (released / "notes.txt").write_text("mine")
        done = dfdm("verify", released)
    finally:
        (released / VIDEO).write_bytes(original)
        (released / "notes.txt").unlink()
    assert done.status == 1
    assert done.out.splitlines() == [
        f"changed: {released / VIDEO} (run 'dfdm release' again)",
        f"not of the release: {released / 'notes.txt'}",
        f"{released}: a release of {len(content(released)) - 1} files, 2 faults",
    ]


@pytest.mark.parametrize("line", ["", "x  README.md", f"{'0' * 64}  /etc/passwd", f"{'0' * 64}  a/../../b"])
def test_a_damaged_list_of_checksums_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / files.SUMS).write_text(f"{line}\n")
    with pytest.raises(DfdmError, match=r"SHA256SUMS is not a list of checksums .*; delete it and run 'dfdm release'"):
        files.read_sums(tmp_path)


def test_a_stopped_release_is_not_taken_for_finished_and_the_next_call_makes_the_rest(
    here: Path, release: Any, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, copied = build.put, []

    def stopping(source: Path, target: Path, link: bool) -> str:
        if len(copied) == 5:
            raise KeyboardInterrupt
        copied.append(target)
        return put(source, target, link)

    monkeypatch.setattr(build, "put", stopping)
    assert dfdm("release", "out", "--include", "id0", "id1", "--because", "noise").status == 130
    assert not (here / "out/SHA256SUMS").exists()
    assert not list((here / "out").rglob("*.tmp*"))
    assert "dfdm: out is a release that is not finished" in dfdm("verify", "out").err
    monkeypatch.setattr(build, "put", put)
    times = [path.stat().st_mtime_ns for path in copied]
    release("out")
    assert [path.stat().st_mtime_ns for path in copied] == times
    assert content(here / "out") == content(released)


def test_a_second_call_changes_nothing_and_keeps_the_day(
    here: Path, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    release("out")
    first = content(here / "out")
    about = json.loads((here / "out/release.json").read_text())
    day = SimpleNamespace(now=lambda _: pd.Timestamp("2035-01-01"))
    monkeypatch.setattr(build, "datetime", SimpleNamespace(datetime=day, UTC=None))
    release("out")
    assert content(here / "out") == first
    release("other", "--crf", 23)
    assert json.loads((here / "other/release.json").read_text())["date"] == "2035-01-01" != about["date"]


def test_the_choice_says_which_videos_are_in_it(here: Path, release: Any) -> None:
    release("out", "--crf", 23, "--models", "iae", "--no-crops", "--no-originals")
    table = pd.read_parquet(here / "out/manifest.parquet")
    assert list(table["name"]) == [f"id0_id1_000{scene}_iae" for scene in range(3)]
    assert set(table["crf"]) == {23}
    assert table["crops"].isna().all()
    assert not (here / "out/crops").exists()
    assert set(table["split_scene"]) == {"train", "validation", "test"}  # of the whole data set
    done = dfdm("release", "out", "--include", "id0", "id1", "--because", "noise")
    assert (done.status, len(list((here / "out/DFDM_crf23/iae").glob("*.mp4")))) == (0, 3)
    done = release("out", "--size")
    assert done.out.startswith("out: 18 videos, 20 other files, ")
    assert dfdm("release", "new", "--people", "id0", "--include", "id0", "--because", "noise").status == 0
    assert set(pd.read_parquet(here / "new/manifest.parquet")["model"]) == {"real"}


def test_a_folder_with_something_else_in_it_is_left_as_it_is(here: Path, released: Path) -> None:
    before = content(here / "results")
    done = dfdm("release", "results", "--include", "id0", "id1", "--because", "noise")
    assert done.status == 2
    assert re.search(r"results has \d+ files that are not of this release, such as \S+; delete them, or", done.err)
    assert content(here / "results") == before


def test_a_link_is_the_same_file_and_a_copy_takes_its_place_when_asked(here: Path, release: Any) -> None:
    line = here / "results/dataset" / VIDEO
    release("out", "--link")
    assert (here / "out" / VIDEO).samefile(line)
    release("out")
    assert not (here / "out" / VIDEO).samefile(line)
    assert (here / "out" / VIDEO).read_bytes() == line.read_bytes()


def test_a_disk_without_room_is_told_before_anything_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    done = dfdm("release", "out", "--include", "id0", "id1", "--because", "noise")
    assert re.search(r"out needs \d\S* MB and its disk has 1.0 kB free", done.err)
    assert not (here / "out").exists()


def test_no_path_user_or_host_is_in_any_file(here: Path, release: Any) -> None:
    """Scenes by absolute paths are in the videos' metadata: these are written anew, frame by frame the same."""
    origin = {"path": f"{here}/videos/id0_0000.mp4"}
    for video in here.glob("results/dataset/*/*/*_0000_*.mp4"):
        sidecar = Sidecar.read(video.with_suffix(".json"))
        write_tags(video, video, provenance_tags({**read_mark(video), "origin": origin}))
        changed = {"origin": origin, "sha256": sha256(video), "bytes": video.stat().st_size}
        sidecar.model_copy(update=changed).write(video.with_suffix(".json"))
        assert str(here).encode() in video.read_bytes()
    people = yaml.safe_load((here / "config.yaml").read_text())["sources"]["people"]
    people["id0"]["scenes"]["0000"] = {"path": f"{here}/videos/id0_0000.mp4"}
    config(here / "config.yaml", sources__people=people, results=str(here / "results"), state_dir=str(here))
    release("out", "--no-crops")
    for name, written in content(here / "out").items():
        for word in (str(Path.home()), str(here), "zaphod"):
            assert word.encode() not in written, (name, word)
        if not name.endswith((".mp4", ".parquet", ".safetensors")):
            assert not re.search(rf"(?<![\w.]){re.escape(socket.gethostname())}(?!\w)", written.decode()), name
            assert not re.search(r"(?<![\w.<:/`])/(home|root|tmp|work|Users|mnt)\b", written.decode()), name
    table = pd.read_parquet(here / "out/manifest.parquet").set_index("path")
    assert table.loc[VIDEO, "sha256"] == sha256(here / "out" / VIDEO) != table.loc[VIDEO, "line_sha256"]
    assert read_mark(here / "out" / VIDEO)["origin"] == {"path": "id0_0000.mp4"}
    hashes = [
        planes_hash(read_planes(path, probe(path, "id0_0000", {}), whole=True))
        for path in (here / "out" / VIDEO, here / "results/dataset" / VIDEO)
    ]
    assert hashes[0] == hashes[1]
    assert dfdm("provenance", f"out/{VIDEO}").out.splitlines()[-1].endswith("byte for byte the one that was written")
    load(here / "out/config.yaml")  # is a config


def test_people_are_refused_by_id_and_reason_unless_the_card_says_why(here: Path, release: Any) -> None:
    done = dfdm("release", "out")
    assert done.status == 2
    assert "not handed on: id0: licence is 'made up', which does not say that it allows passing on; id1: " in done.err
    assert "'--include id0 id1 --because TEXT' why it may be: the text stands on the card" in done.err
    assert not (here / "out").exists()
    assert "not handed on: id1: " in dfdm("release", "out", "--include", "id0", "--because", "noise").err
    release("out")
    card = (here / "out/README.md").read_text()
    rows = [line for line in card.splitlines() if line.startswith(("| id0", "| id1"))]
    assert len(rows) == 2
    assert all("noise \\| &lt;b&gt;nobody&lt;/b&gt; is shown \\# and \\`so\\` on" in row for row in rows)
    assert "Consent to be swapped is **not documented**" in card
    assert "noise \\| &lt;b&gt;" in (here / "out/DATASHEET.md").read_text()


def test_the_demo_shows_that_its_consent_is_not_documented(demo: Any) -> None:
    assert {objection(person) for person in demo.sources.people.values()} == {
        "consent is 'not documented by the package; used for testing', which documents none"
    }


@pytest.mark.parametrize(
    ("licence", "consent", "said"),
    [
        ("CC BY 4.0", "signed release of 2026-03-01", None),
        ("CC0", "signed release, no restrictions", None),
        ("own recordings; may be shared", "agreed in writing", None),
        ("CC BY-ND 4.0", "signed release", "licence"),
        ("all rights reserved, MIT", "signed release", "licence"),
        ("MIT, not to be redistributed", "signed release", "licence"),
        ("terms of the data set", "signed release", "licence"),
        ("CC BY 4.0", "unknown", "consent"),
        ("CC BY 4.0", "None", "consent"),
        ("CC BY 4.0", "the person was not asked", "consent"),
        ("CC BY 4.0", "no written consent", "consent"),
    ],
)
def test_the_words_of_licence_and_consent_decide(licence: str, consent: str, said: str | None) -> None:
    why = objection(PersonConfig(licence=licence, consent=consent, scenes={"0000": {"path": "a.mp4"}}))  # type: ignore[dict-item]
    assert (why or "None").partition(" ")[0] == str(said)


def test_no_text_of_the_config_is_markup_on_the_card(here: Path, release: Any) -> None:
    evil = "--- \n# x: [a](http://b) <script> `c` | d *e* _f_ $g$"
    config(here / "config.yaml", release={"name": evil, "contact": evil})
    release("out", "--no-crops")
    card = (here / "out/README.md").read_text()
    head = yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))
    assert head["pretty_name"] == evil
    assert head["license"] == "other"
    assert head["size_categories"] == ["n<1K"]
    body = card.split("\n---\n", 1)[1]
    assert "<script>" not in body
    assert "[a]" not in body
    assert body.count("\n# ") == 1
    assert papers.escaped("1. one") == "&#8203;1. one"


def test_masks_of_released_videos_come_along(here: Path, release: Any) -> None:
    (here / "results/masks/iae/id9_id8_0000_iae.mp4").write_bytes(b"of nobody in it")
    release("out", "--no-crops")
    found = [name for name in content(here / "out") if name.startswith("masks/")]
    assert found == ["masks/iae/id0_id1_0000_iae.mp4", "masks/iae/id0_id1_0000_iae.safetensors"]
    assert "the pixels that a swap changed" in (here / "out/README.md").read_text()


def test_no_list_has_a_name_that_datasets_takes_for_a_split() -> None:
    rows = pd.DataFrame({"name": ["a"], "crf": [0], "path": ["DFDM_crf0/a.mp4"], "split_test": ["test"]})
    assert set(tables.contents(rows)) - {"manifest.parquet", "manifest.csv", "DFDM_crf0/metadata.parquet"} == {
        "splits/foldtest_testlist.txt"
    }


def test_a_source_that_changed_since_its_stage_is_refused(tmp_path: Path) -> None:
    from dfdm.base import records

    source = tmp_path / "a.mp4"
    source.write_bytes(b"as written")
    records.keep("encode", source)
    assert files.put(source, tmp_path / "out/a.mp4", link=False) == hashlib.sha256(b"as written").hexdigest()
    source.write_bytes(b"changed")
    with pytest.raises(DfdmError, match="is not what its stage wrote; run 'dfdm verify'"):
        files.put(source, tmp_path / "out/b.mp4", link=False)
    assert not (tmp_path / "out/b.mp4").exists()
