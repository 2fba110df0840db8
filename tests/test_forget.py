"""dfdm forget: nothing of a person is left but the entry."""

import json
import re
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.records import keep, read
from dfdm.catalogue import forget as forgetting
from dfdm.catalogue.config import load
from dfdm.catalogue.forget import Forgotten
from dfdm.catalogue.parts import check_people
from dfdm.commands import sources
from tests import sandbox

PERSON = "id1"
NAMED = re.compile(rb"(?<![0-9A-Za-z])id1(?![0-9])")


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run with records, logs, states, Snakemake's records, a package in the cache and two releases."""
    folder = tmp_path / "run"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    for path in [path for path in Path("results").rglob("*") if path.is_file()]:
        keep("made", path)
    texts = {
        "results/logs/render/id0_id1_0000_iae.log": "rendered",
        "results/logs/manifest/dataset.log": "id0_0000_real, id0_id1_0000_iae",
        "results/logs/sources_predictor/predictor.log": "fetched",
        "results/config/0123.json": '{"people": {"id1": {}}}',
        "results/benchmarks/faces/id1_0000.tsv": "s",
        "results/report.html": "<p>five models</p>",
        "results/report/id0_0000_real_crf23.js": "dfdmVideo()",
        "results/state/unfinished/state_2.pt": "state",
        ".snakemake/log/run.log": "render: id0_id1_0000",
        ".snakemake/metadata/" + encoded("results/train/id0_id1/iae/model.safetensors"): "{}",
        ".snakemake/metadata/" + encoded("results/faces/id0_0000.npz"): '{"input": ["results/sources/id0_0000.json"]}',
        ".snakemake/metadata/" + encoded("results/manifests/dataset.parquet"): '{"input": ["a/id0_id1_0000_iae.json"]}',
        "release/SHA256SUMS": "0  videos/id0_id1_0000_iae.mp4\n",
        "release/videos/id0_id1_0000_iae.mp4": "video",
        "release/README.md": "# card",
        "other/SHA256SUMS": "0  videos/id0_0000_real.mp4\n",
        "other/videos/id0_0000_real.mp4": "video",
        "cache/p-1-" + "a" * 12 + "/clip.mp4": "recording",
        "cache/files/p.whl": "the recording is inside",
    }
    for name, text in texts.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    values = yaml.safe_load(Path("config.yaml").read_text())
    package = {"name": "p", "version": "1", "file": "p.whl", "sha256": "a" * 64}
    values["sources"] |= {"cache": str(folder / "cache")}
    values["sources"]["packages"]["p"] = package
    values["sources"]["people"][PERSON]["scenes"]["0001"] = {"package": "p", "member": "clip.mp4"}
    Path("config.yaml").write_text(yaml.safe_dump(values))
    return folder


def encoded(path: str) -> str:
    return urlsafe_b64encode(path.encode()).decode()


def of_the_person(folder: Path, *hashes: str) -> Iterator[str]:
    """Every file that names the person or a recording, in its path or its content, whatever it is."""
    patterns = [NAMED, *(re.compile(one.encode()) for one in hashes)]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name == "config.yaml" or name.startswith("videos/"):  # the user's own
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += pd.read_parquet(path).to_csv().encode()
        if any(pattern.search(text) for pattern in patterns for text in (name.encode(), content)):
            yield name


def test_without_yes_it_lists_and_deletes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sandbox.files(here)
    sources.forget(PERSON, load(Path("config.yaml")))
    said = capsys.readouterr()
    assert sandbox.files(here) == before
    lines = said.out.splitlines()
    for name in ("results/faces/id1_0000.npz", "results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4"):
        assert name in lines
    assert "results/manifests/crf23.parquet (without the rows of id1)" in lines
    assert re.fullmatch(r"id1: \d+ files, .+", lines[-1])
    assert "dfdm forget id1 --yes" in said.err


def test_after_it_only_the_entry_names_the_person_or_a_recording(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = sha256("videos/id1_0000.mp4")
    assert len(list(of_the_person(here, recording))) > 30
    table = pd.read_parquet("results/manifests/crf23.parquet")
    sources.forget(PERSON, load(Path("config.yaml")), yes=True, release=[Path("release"), Path("other")])
    assert list(of_the_person(here, recording)) == ["results/forgotten/id1.json"]
    entry = Forgotten.read("results/forgotten/id1.json")
    assert (entry.person, entry.recordings, entry.left) == (PERSON, [recording], None)
    assert entry.files["dataset"] >= 24
    assert entry.files["elsewhere"] >= 6
    assert entry.bytes > 100_000
    gone = ("release", "cache/files/p.whl", "results/attribution", "results/controls", "results/report.html")
    assert [name for name in (*gone, "results/state", "results/train") if Path(name).exists()] == []
    stays = [
        *("results/faces/id0_0000.npz", "results/dataset/DFDM_crf0/real/id0_0000_real.mp4", "videos/id1_0000.mp4"),
        *("results/crops/crf23/real/id0_0000_real.safetensors", "results/logs/sources_predictor/predictor.log"),
        *("other/SHA256SUMS", ".snakemake/metadata/" + encoded("results/faces/id0_0000.npz")),
    ]
    assert [name for name in stays if not Path(name).exists()] == []
    left = pd.read_parquet("results/manifests/crf23.parquet")
    pd.testing.assert_frame_equal(left, table[table["face_id"].isna()].reset_index(drop=True), check_dtype=False)
    assert read("results/manifests/crf23.csv").describes(Path("results/manifests/crf23.csv"))
    said = capsys.readouterr().err
    assert "take id1 out of the config" in said
    assert "videos/id1_0000.mp4 is a recording of your own" in said


@pytest.mark.parametrize("after", [0, 1, 5, 40])
def test_a_second_call_ends_what_a_killed_one_began(here: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    recording, cfg = sha256("videos/id1_0000.mp4"), load(Path("config.yaml"))
    expected = len(forgetting.find(cfg, PERSON, Path("results/state"), [Path("release")]).gone)
    unlink, deleted = Path.unlink, list[Path]()

    def killed(self: Path, missing_ok: bool = False) -> None:
        if "forgotten" not in self.parts and ".tmp" not in self.name:
            if len(deleted) == after:
                raise KeyboardInterrupt
            deleted.append(self)
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            sources.forget(PERSON, cfg, yes=True, release=[Path("release")])
    with pytest.raises(DfdmError, match=r"id1 is being forgotten .*; run 'dfdm forget id1 --yes' again"):
        check_people(cfg)
    assert Forgotten.read("results/forgotten/id1.json").left
    sources.forget(PERSON, without(), yes=True, release=[Path("release")])
    assert list(of_the_person(here, recording)) == ["results/forgotten/id1.json"]
    entry = Forgotten.read("results/forgotten/id1.json")
    assert entry.recordings == [recording]
    assert sum(entry.files.values()) == expected


def without():
    """The config without the person, its swaps the other way round of nobody's."""
    values = yaml.safe_load(Path("config.yaml").read_text())
    people = values["sources"]["people"]
    people["id2"] = {**people.pop(PERSON), "scenes": {"0000": {"path": "id2_0000.mp4"}}}
    values["swaps"] = ["id0_id2"]
    Path("without.yaml").write_text(yaml.safe_dump(values).replace("id1", "id2"))
    cfg = load(Path("without.yaml"))
    Path("without.yaml").unlink()
    return cfg


def test_a_later_run_refuses_a_config_that_names_the_person(here: Path) -> None:
    cfg = load(Path("config.yaml"))
    check_people(cfg)
    sources.forget(PERSON, cfg, yes=True)
    with pytest.raises(DfdmError, match=r"results 'results' have forgotten id1 .*take id1 out of sources.people"):
        check_people(cfg)
    check_people(without())


def test_a_recording_that_another_person_is_made_of_too_stays_in_the_cache(here: Path) -> None:
    values = yaml.safe_load(Path("config.yaml").read_text())
    values["sources"]["people"]["id0"]["scenes"]["0009"] = {"package": "p", "member": "clip.mp4"}
    Path("config.yaml").write_text(yaml.safe_dump(values))
    sources.forget(PERSON, load(Path("config.yaml")), yes=True)
    assert Path("cache/files/p.whl").exists()


@pytest.mark.parametrize(
    ("person", "release", "says"),
    [
        ("../id1", None, "is not a person"),
        ("id9", None, "neither the config nor results knows id9"),
        (
            PERSON,
            [Path("videos")],
            "--release videos is no release: it has no SHA256SUMS; correct the path, or delete it yourself",
        ),
    ],
)
def test_what_cannot_be_forgotten_is_one_sentence(here: Path, person: str, release: list[Path], says: str) -> None:
    before = sandbox.files(here)
    with pytest.raises(DfdmError, match=re.escape(says)):
        sources.forget(person, load(Path("config.yaml")), yes=True, release=release)
    assert sandbox.files(here) == before


def test_states_of_finished_trainings_of_others_stay(here: Path) -> None:
    from dfdm.base.tensorfile import write_weights

    write_weights(Path("results/train/id0_id2/iae/model.safetensors"), {}, {"key": "kept"})
    for name in ("kept", "other"):
        Path(f"results/state/{name}").mkdir(parents=True)
        Path(f"results/state/{name}/state_1.pt").write_bytes(b"x")
    sources.forget(PERSON, load(Path("config.yaml")), yes=True)
    assert [path.name for path in Path("results/state").iterdir()] == ["kept"]
    assert json.loads(Path("results/forgotten/id1.json").read_text())["files"]["state"] == 2
