import os
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.section import FileRef
from dfdm.catalogue import sources
from dfdm.catalogue.config import Config, load
from dfdm.catalogue.discover import discover
from dfdm.catalogue.people import SourcesConfig


def packaged(cache: Path, digest: str | None = None) -> SourcesConfig:
    """A config with one package, whose wheel is already in the cache."""
    archive = cache / "files" / "toy-1.0-py3-none-any.whl"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("toy/clip.mp4", b"frames")
    package = {"name": "toy", "version": "1.0", "file": archive.name, "sha256": digest or sha256(archive)}
    person = {"licence": "MIT", "consent": "own recording", "scenes": {"0000": {"path": "a.mp4"}}}
    return SourcesConfig.model_validate({"cache": str(cache), "packages": {"toy": package}, "people": {"id0": person}})


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DFDM_CACHE", raising=False)
    monkeypatch.setenv(sources.OFFLINE, "1")


def test_a_member_is_taken_out_of_a_package_whose_hash_is_right(tmp_path: Path) -> None:
    config, member = packaged(tmp_path), FileRef(package="toy", member="toy/clip.mp4")
    with pytest.raises(DfdmError, match="not in the cache; run 'dfdm sources fetch' first"):
        sources.locate(config, member)
    path = sources.fetch(config, member)
    assert path.read_bytes() == b"frames"
    assert sources.locate(config, member) == path


def test_a_package_of_another_hash_is_refused(tmp_path: Path) -> None:
    config = packaged(tmp_path, digest="0" * 64)
    with pytest.raises(DfdmError, match="the config says 0000"):
        sources.fetch(config, FileRef(package="toy", member="toy/clip.mp4"))
    assert not (tmp_path / "toy-1.0").exists()


def test_a_member_that_a_package_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(DfdmError, match=r"contains no member toy/other\.mp4"):
        sources.fetch(packaged(tmp_path), FileRef(package="toy", member="toy/other.mp4"))


def test_offline_nothing_is_downloaded(tmp_path: Path, demo: Config) -> None:
    config = demo.sources.model_copy(update={"cache": str(tmp_path)})
    with pytest.raises(DfdmError, match=r"DFDM_OFFLINE is set"):
        sources.fetch(config, demo.scene("id0_0000"))


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_scan_reads_a_celeb_df_folder(tmp_path: Path) -> None:
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-real/id0_0003.mp4", "Celeb-real/id10_0000.mp4", "list.txt")
    values, _ = sources.scan(tmp_path, "research use", "by form")
    config = load(values)
    assert config.scene_keys == ["id0_0000", "id0_0003", "id10_0000"]
    assert values["swaps"] == ["id0_id10", "id10_id0"]
    assert sources.locate(config.sources, config.scene("id0_0003")) == tmp_path / "Celeb-real/id0_0003.mp4"
    assert yaml.safe_load(yaml.safe_dump(values)) == values


def test_scan_reads_one_folder_a_person(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/b.mov", "Ann/a.mp4", "Bob/x.mp4", "Cyd/y.mkv")
    config = load(sources.scan(tmp_path, "own", "signed")[0])
    assert config.scene_keys == ["id0_0000", "id0_0001", "id1_0000", "id2_0000"]
    assert config.sources.people["id0"].note == "Ann"
    assert config.scene("id0_0001").path == "Ann/b.mov"
    assert config.evaluate.identity in sources.files_of(config)
    assert config.swaps == ["id0_id1", "id1_id0", "id2_id0", "id0_id2"]
    split = config.splits.scene
    assert split is not None
    assert sorted([*split.train, *split.validation, *split.test]) == config.scene_keys
    assert split.test
    assert split.validation


def test_scan_puts_scenes_of_each_person_into_each_part(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{who}/{number}.mp4" for who in ("Ann", "Bob", "Cyd") for number in range(7)))
    values, _ = sources.scan(tmp_path, "own", "signed")
    config = load(values)
    assert values["results"] == f"results-{tmp_path.name}"  # no other config's
    split = config.splits.scene
    assert split is not None
    for part, most in ((split.train, 5), (split.validation, 1), (split.test, 1)):
        assert Counter(scene[:3] for scene in part or []) == {"id0": most, "id1": most, "id2": most}


def found(folder: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The paths by person, and those left out by reason."""
    account = discover(folder)
    people: dict[str, list[str]] = {}
    for one in account.taken:
        people.setdefault(one.person, []).append(str(one.path))
    return people, {why: list(map(str, paths)) for why, paths in account.left_out.items()}


def test_linked_folders_count_and_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.mp4", "videos/bob/a.mp4")
    (tmp_path / "videos/anna").symlink_to(tmp_path / "real")
    (tmp_path / "videos/bob/again").symlink_to(tmp_path / "videos")
    people, left_out = found(tmp_path / "videos")
    assert people == {"id0": ["anna/a.mp4"], "id1": ["bob/a.mp4"]}
    assert left_out == {"a link to a folder that was read already": ["bob/again"]}


def test_each_file_that_is_no_scene_is_left_out_with_its_reason(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "anna/._a.mp4",
        "anna/a.mp4",
        "anna/x.mp4/inner.mp4",
        "anna/list.txt",
        "bob/b.MTS",
        "bob/c.3gp",
        "lost.mp4",
    )
    touch(tmp_path, os.fsdecode(b"Jos\xe9/a.mp4"), "bob/.hidden/c.mp4")
    (tmp_path / "carl").mkdir()
    people, left_out = found(tmp_path)
    assert people == {"id0": ["anna/a.mp4", "anna/x.mp4/inner.mp4"], "id1": ["bob/b.MTS", "bob/c.3gp"]}
    assert left_out.pop("its name is not UTF-8: rename it") == [os.fsdecode(b"Jos\xe9/a.mp4")]
    assert left_out == {
        "hidden": ["anna/._a.mp4"],
        "no video by its suffix": ["anna/list.txt"],
        "not in a person's folder": ["lost.mp4"],
        "a folder without a video": [os.fsdecode(b"Jos\xe9"), "carl"],
    }


def test_nested_folders_belong_to_the_person_and_scenes_are_counted_2_before_10(tmp_path: Path) -> None:
    touch(tmp_path, "anna/day1/a.mp4", "anna/day2/a.mp4", "bob/clip10.mp4", "bob/clip2.mp4", "bob/clip1.mp4")
    people, _ = found(tmp_path)
    assert people == {
        "id0": ["anna/day1/a.mp4", "anna/day2/a.mp4"],
        "id1": ["bob/clip1.mp4", "bob/clip2.mp4", "bob/clip10.mp4"],
    }


def test_a_celeb_like_name_in_a_persons_folder_hides_nobody(tmp_path: Path) -> None:
    touch(tmp_path, "anna/id0_0001.mp4", "bob/id1_0001.mp4", "carl/holiday.mp4")
    assert len(found(tmp_path)[0]) == 3
    touch(tmp_path / "celeb", "Celeb-real/id0_0000.mp4", "Celeb-real/id3_0000.mp4", "YouTube-real/00001.mp4")
    people, left_out = found(tmp_path / "celeb")
    assert people == {"id0": ["Celeb-real/id0_0000.mp4"], "id3": ["Celeb-real/id3_0000.mp4"]}
    assert left_out == {"not named like id0_0003": ["YouTube-real/00001.mp4"]}


def test_the_account_names_people_and_what_was_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "anna/a.mp4", "bob/a.mp4", *(f"bob/{number}.txt" for number in range(9)))
    text = sources.scan(tmp_path, "own", "signed")[1]
    assert re.search(r"id0 +anna +1 +0 B", text)
    assert "left out, no video by its suffix: 9 (bob/0.txt, bob/1.txt, bob/2.txt, bob/3.txt, bob/4.txt, ...)" in text


def test_scan_of_one_person_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/a.mp4")
    with pytest.raises(DfdmError, match="it needs at least two"):
        sources.scan(tmp_path, "own", "signed")
