"""Four people in two pairs, made in two shards and merged: what one run makes of them."""

import shutil
from pathlib import Path

import pytest
import yaml
from conftest import SMALL, copy_project

from dfdm.base import records
from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import load
from dfdm.catalogue.shards import shards
from tests import commands

TIMED = ("report.html", "speed.json")  # they hold seconds


def four_people(folder: Path) -> Path:
    """The small config with a second pair, one model."""
    values = yaml.safe_load(SMALL.read_text())
    people = values["sources"]["people"]
    woman, man = (people[who]["scenes"]["0000"] for who in ("id0", "id1"))
    about = {key: people["id0"][key] for key in ("licence", "consent")}
    later = {f"000{place}": {**woman, "frames": [300 + 12 * place, 312 + 12 * place]} for place in range(3)}
    people |= {"id2": {**about, "scenes": later}, "id3": {**about, "scenes": {"0000": {**man, "frames": [30, 60]}}}}
    values |= {"swaps": ["id0_id1", "id2_id3"], "models": {"faceswap": {}}, "masks": False, "crf": [0, 23]}
    lists = {part: [f"id0_000{n}", f"id2_000{n}"] for n, part in enumerate(("train", "validation", "test"))}
    values["splits"] = {"scene": lists}
    path = folder / "four.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_pair_is_never_parted(tmp_path: Path) -> None:
    cfg = load(four_people(tmp_path))
    one, two = map(load, shards(cfg, 2))
    assert [list(part.sources.people) for part in (one, two)] == [["id0", "id1"], ["id2", "id3"]]
    assert (one.pairs, two.pairs) == (["id0_id1"], ["id2_id3"])
    assert one.results != two.results
    assert [list(load(part).sources.people) for part in shards(cfg, 1)] == [list(cfg.sources.people)]
    with pytest.raises(DfdmError, match=r"2 groups of people that share nobody \(of 2, 2 people\); ask for at most 2"):
        shards(cfg, 3)


@pytest.mark.slow
def test_shards_merged_are_the_run_that_was_never_parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(folder: Path) -> dict[str, str]:
        found = records.every(folder / "results-small")
        return {str(path.relative_to(folder)): one.sha256 for path, one in found if not path.name.endswith(TIMED)}

    whole, apart = (copy_project(tmp_path / name) for name in ("whole", "apart") if (tmp_path / name).mkdir() is None)
    for folder in (whole, apart):
        config = four_people(folder)
    done = commands.snakemake(whole, "--cores", 2, "--configfile", "four.yaml")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    monkeypatch.chdir(apart)
    commands.ran("shard", config.name, 2)
    for number in (1, 2):
        targets = ("--configfile", f"four-{number}.yaml", "--", "dataset", "all_evaluate")
        done = commands.snakemake(apart, "--cores", 2, *targets)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = commands.ran("merge", "results-small-1", "results-small-2", "--config", config.name)
    assert "files of 2 folders" in said
    weights = Path("results-small/train/id2_id3/faceswap/model.safetensors")
    before = weights.stat().st_mtime_ns
    done = commands.snakemake(apart, "--cores", 2, "--configfile", config.name)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert weights.stat().st_mtime_ns == before  # nothing is made again
    assert made(apart) == made(whole)
    commands.ran("verify", "results-small")

    record = next(Path("results-small-2/faces/.made").glob("*.json"))
    text = record.read_text()
    assert '"cut_threshold": 0.16' in text
    record.write_text(text.replace('"cut_threshold": 0.16', '"cut_threshold": 0.2'))
    refused = commands.dfdm("merge", "results-small-1", "results-small-2", "--config", config.name)
    assert (refused.status, "were made with different settings of faces" in refused.err) == (2, True)
    record.write_text(text)
    twice = Path("results-small-2/sources/id0_0000.json")  # id0 is of the other shard
    shutil.copy("results-small-1/sources/id0_0000.json", twice)
    shutil.copy("results-small-1/sources/.made/id0_0000.json.json", twice.parent / ".made")
    refused = commands.dfdm("merge", "results-small-1", "results-small-2", "--config", config.name)
    assert (refused.status, "id0 is in results-small-1 and in results-small-2" in refused.err) == (2, True)
    refused = commands.dfdm("merge", "results-small-1", "results-small", "--config", config.name)
    assert (refused.status, "is the config's own results folder" in refused.err) == (2, True)
