"""Results of an earlier version: recognised, brought to today's names, and nothing is made again."""

import json
import shutil
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from contextlib import chdir
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config, load
from dfdm.catalogue.migrate import check_version, migrate
from tests.commands import dfdm, ran, snakemake
from tests.workflow.conftest import copy_run
from tests.workflow.test_line import jobs

ROOT = Path(__file__).parent.parent.parent
# Today's places below the results folder and the earlier ones; the same of rules.
PLACES = {
    "evaluate/": "evaluation/",
    "logs/report/report.log": "logs/report.log",
    "logs/sources_predictor/": "logs/sources/",
    "logs/sources_identity/": "logs/sources/",
    "logs/sources_probe/": "logs/sources/",
    "logs/attribution_train/": "logs/attribution/",
    "logs/attribution_score/": "logs/score/",
    "benchmarks/sources_predictor/": "benchmarks/predictor/",
    "benchmarks/sources_identity/": "benchmarks/identity/",
    "benchmarks/sources_probe/": "benchmarks/source/",
    "benchmarks/attribution_train/": "benchmarks/attribution/",
    "benchmarks/attribution_score/": "benchmarks/score/",
}
RULES = {
    "sources_predictor": "predictor",
    "sources_identity": "identity",
    "sources_probe": "source",
    "faces": "track",
    "attribution_train": "classify",
    "attribution_score": "score",
    "report": "page",
}


def earlier(path: str, results: str) -> str:
    for new, old in PLACES.items():
        if path.startswith(f"{results}/{new}"):
            return path.replace(new, old, 1)
    return path


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder: its bytes and its time of change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def records(folder: Path) -> dict[str, Any]:
    """Snakemake's records by the file that each is of."""
    files = [path for path in (folder / ".snakemake/metadata").iterdir() if path.is_file()]
    return {urlsafe_b64decode(path.name).decode(): json.loads(path.read_text()) for path in files}


def make_earlier(folder: Path, results: str) -> None:
    """Give the results in a project folder, and Snakemake's records of them, the names of the earlier version."""
    for path in [path for path in (folder / results).rglob("*") if path.is_file()]:
        old = folder / earlier(str(path.relative_to(folder)), results)
        old.parent.mkdir(parents=True, exist_ok=True)
        path.rename(old)
    for path in sorted((folder / results).rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for name, record in records(folder).items():
        place = folder / ".snakemake/metadata"
        (place / urlsafe_b64encode(name.encode()).decode()).unlink()
        for key in ("input", "log"):
            record[key] = sorted(earlier(path, results) for path in record[key])
        record["input_checksums"] = {earlier(path, results): v for path, v in record["input_checksums"].items()}
        record["rule"] = RULES.get(record["rule"], record["rule"])
        record["code"] = record["code"].replace("{params.tune}", "{params.rate}")
        (place / urlsafe_b64encode(earlier(name, results).encode()).decode()).write_text(json.dumps(record))


def test_a_finished_run_of_the_earlier_version_has_nothing_to_do_after_it(finished: Path, tmp_path: Path) -> None:
    folder = copy_run(finished, tmp_path / "project")
    results, made = state(folder / "results-small"), records(folder)
    make_earlier(folder, "results-small")
    assert (folder / "results-small/evaluation/id0_id1/dfaker.json").exists()
    assert records(folder) != made
    call = ("--cores", 2, "--dry-run", "--quiet", "rules", "--configfile")
    refused = snakemake(folder, *call, "small.yaml")
    assert refused.returncode == 1
    printed = refused.stdout + refused.stderr
    assert "results 'results-small' has files of an earlier version (evaluation, ...); run 'dfdm migrate'" in printed
    assert "Traceback" not in printed
    with chdir(folder):
        ran("migrate", "--config", "small.yaml")
    assert state(folder / "results-small") == results
    assert records(folder) == made
    assert jobs(snakemake(folder, *call, "small.yaml")) == Counter()
    assert jobs(snakemake(folder, *call, "small.yaml", "--rerun-triggers", "code")) == Counter()
    values = yaml.safe_load((folder / "small.yaml").read_text())
    values["render"]["mask_blur"] = 5.0
    (folder / "blurred.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    onward = {"encode": 6, "crops": 12, "manifest": 3, "attribution_train": 2, "attribution_score": 2}
    assert jobs(snakemake(folder, *call, "blurred.yaml")) == Counter(
        render=6, masks=6, evaluate=2, report=1, all=1, **onward
    )


RUN = "results/attribution/dma_sta/scene/crf23/seed0"
CRF23, EVALUATION = "results/manifests/crf23.parquet", "results/evaluation/id0_id1/iae.json"
DEEP = "results/attribution/" + "a_long_name_of_a_classifier" * 9  # in base64 longer than a file's name may be


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The earlier version's files and records of tunings, a comparison, controls and an evaluation that was killed."""
    monkeypatch.chdir(tmp_path)
    store = FilePersistence(path=tmp_path / ".snakemake")
    made = {
        "results/attribution/dma_sta/rate.json": ("tune", [CRF23], "attribution/rate_dma_sta"),
        f"{DEEP}/rate.json": ("tune", [CRF23], "attribution/rate_deep"),
        f"{RUN}/model.safetensors": (
            "classify",
            ["results/attribution/dma_sta/rate.json", "results/attribution/dma_sta/s", CRF23],
            "attribution/dma_sta_seed0",
        ),
        "results/attribution/comparison.json": (
            "compare",
            ["results/attribution/dma_sta/rate.json", f"{RUN}/test_crf23/scores.json"],
            "comparison",
        ),
        "results/controls/dma_sta/crf23.json": ("control", [f"{RUN}/model.safetensors"], "controls/dma_sta_crf23"),
        "results/report.html": ("page", [EVALUATION, "results/faces/id0_0000.npz"], "report"),
        "elsewhere/score.json": ("score", [EVALUATION], "score/x"),
    }  # fmt: skip
    for path, (rule, inputs, log) in made.items():
        code = "dfdm attribution train {params.rate}" if rule == "classify" else f"dfdm attribution {rule} --out x"
        store._write_record(path, MetadataRecord(
            rule=rule, input=inputs, log=[f"results/logs/{log}.log"], params=["{'lr': 0.1}"], code=code,
            record_format_version=6, input_checksums={inputs[0]: "sha256:ab"},
        ))  # fmt: skip
    store._mark_incomplete(EVALUATION, "17")
    logs = [f"results/logs/{log}.log" for _, _, log in made.values()]
    tables = ("attribution_rate/dma_sta", "attribution/run", "comparison/comparison", "controls/dma_sta_crf23")
    others = [f"results/benchmarks/{name}.tsv" for name in tables]
    for path in (*made, *logs, *others, EVALUATION, "results/state/ab/state.pt"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)
    (tmp_path / ".snakemake/metadata/half").write_text("{")
    return load(ROOT / "config.yaml")


def test_tunings_comparison_and_controls_have_todays_names_in_files_and_records(
    compared: Config, tmp_path: Path
) -> None:
    before = state(tmp_path / "results")
    told = migrate(compared)
    after = state(tmp_path / "results")
    assert sorted(after.values()) == sorted(before.values())  # no file lost or touched
    assert {new: old.decode() for new, (old, _) in after.items() if f"results/{new}" != old.decode()} == {
        "attribution/dma_sta/tune.json": "results/attribution/dma_sta/rate.json",
        f"{DEEP.removeprefix('results/')}/tune.json": f"{DEEP}/rate.json",
        "logs/attribution_tune/dma_sta.log": "results/logs/attribution/rate_dma_sta.log",
        "logs/attribution_tune/deep.log": "results/logs/attribution/rate_deep.log",
        "logs/attribution_train/dma_sta_seed0.log": "results/logs/attribution/dma_sta_seed0.log",
        "logs/attribution_comparison/comparison.log": "results/logs/comparison.log",
        "logs/attribution_score/x.log": "results/logs/score/x.log",
        "logs/report/report.log": "results/logs/report.log",
        "benchmarks/attribution_tune/dma_sta.tsv": "results/benchmarks/attribution_rate/dma_sta.tsv",
        "benchmarks/attribution_train/run.tsv": "results/benchmarks/attribution/run.tsv",
        "benchmarks/attribution_comparison/comparison.tsv": "results/benchmarks/comparison/comparison.tsv",
        "evaluate/id0_id1/iae.json": EVALUATION,
    }  # fmt: skip
    store = FilePersistence(path=tmp_path / ".snakemake")

    def record(path: str) -> MetadataRecord:
        found = store._read_record(path)
        assert found is not None
        return found

    tuned = record("results/attribution/dma_sta/tune.json")
    assert (tuned.rule, tuned.log) == ("attribution_tune", ["results/logs/attribution_tune/dma_sta.log"])
    assert record(f"{DEEP}/tune.json").rule == "attribution_tune"
    trained = record(f"{RUN}/model.safetensors")
    # sorted, as Snakemake compares them: tune.json comes after s, where rate.json came before it
    assert trained.input == ["results/attribution/dma_sta/s", "results/attribution/dma_sta/tune.json", CRF23]
    assert trained.input_checksums == {"results/attribution/dma_sta/tune.json": "sha256:ab"}
    assert (trained.params, trained.code) == (["{'lr': 0.1}"], "dfdm attribution train {params.tune}")
    compared_record = record("results/attribution/comparison.json")
    assert compared_record.rule == "attribution_comparison"
    assert compared_record.input == [f"{RUN}/test_crf23/scores.json", "results/attribution/dma_sta/tune.json"]
    assert compared_record.code == "dfdm attribution comparison --out x"
    assert record("results/controls/dma_sta/crf23.json").rule == "controls"
    assert record("results/report.html").input == ["results/evaluate/id0_id1/iae.json", "results/faces/id0_0000.npz"]
    assert record("elsewhere/score.json").rule == "score"  # of another results folder
    for gone in ("results/attribution/dma_sta/rate.json", f"{DEEP}/rate.json"):
        assert store._read_record(gone) is None
    assert store._filter_incomplete_keys(["results/evaluate/id0_id1/iae.json"])
    assert store._get_external_jobids(["results/evaluate/id0_id1/iae.json"]) == {"17"}
    assert "logs/comparison.log -> logs/attribution_comparison/comparison.log" in told


def test_a_second_migration_changes_nothing(compared: Config, tmp_path: Path) -> None:
    migrate(compared)
    after = state(tmp_path)
    assert migrate(compared) == "results contains no files of an earlier version: nothing to do"
    assert state(tmp_path) == after
    check_version("results")


def test_a_migration_that_was_stopped_anywhere_is_finished_by_the_next(
    compared: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before each rename and each removal in turn; until the end the folder counts as an earlier version's."""
    shutil.copytree(tmp_path, tmp_path.parent / "untouched")
    migrate(compared)
    expected = state(tmp_path)
    stops = 0
    for stop in count():
        shutil.rmtree(tmp_path / "results")
        shutil.rmtree(tmp_path / ".snakemake")
        shutil.copytree(tmp_path.parent / "untouched", tmp_path, dirs_exist_ok=True)
        steps = count()

        def counted(function: Callable[..., Any], stop: int = stop, steps: Any = steps) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                if next(steps) == stop:
                    raise KeyboardInterrupt
                return function(*arguments)

            return call

        with monkeypatch.context() as patch:
            for name in ("rename", "replace", "unlink", "rmdir"):
                patch.setattr(Path, name, counted(getattr(Path, name)))
            try:
                migrate(compared)
                break
            except KeyboardInterrupt:
                stops += 1
        with pytest.raises(DfdmError, match="has files of an earlier version"):
            check_version("results")
        migrate(compared)
        found = state(tmp_path)
        assert {path: content for path, (content, _) in found.items()} == {
            path: content for path, (content, _) in expected.items()
        }
    assert stops > 20


def test_files_of_both_versions_stay_and_are_named(compared: Config, tmp_path: Path) -> None:
    other = tmp_path / "results/logs/attribution_score/x.log"
    other.parent.mkdir()
    other.write_text("a later run's")
    before = state(tmp_path)
    with pytest.raises(DfdmError, match=r"logs/score/x.log and .*logs/attribution_score/x.log both exist; keep one"):
        migrate(compared)
    assert state(tmp_path) == before
    other.rename(other.with_name("y.log"))
    migrate(compared)
    assert sorted(path.name for path in other.parent.iterdir()) == ["x.log", "y.log"]
    check_version("results")


def test_a_running_snakemake_and_another_folder_than_its_refuse(compared: Config, tmp_path: Path) -> None:
    lock = tmp_path / ".snakemake/locks/0.output.lock"
    lock.write_text("results/report.html\n")
    before = state(tmp_path)
    with pytest.raises(DfdmError, match=r"snakemake works in .*, or was killed in it; wait for its end, or remove"):
        migrate(compared)
    lock.unlink()
    shutil.move(".snakemake", "moved")
    with pytest.raises(DfdmError, match=r"has no \.snakemake; run this where snakemake runs"):
        migrate(compared)
    shutil.move("moved", ".snakemake")
    assert state(tmp_path) == {path: value for path, value in before.items() if not path.endswith(".lock")}


@pytest.mark.parametrize("command", ["plan", "scores", "report --out report.html"])
def test_a_command_that_reads_all_results_names_the_earlier_version(compared: Config, command: str) -> None:
    done = dfdm(*command.split(), "--config", ROOT / "config.yaml")
    assert done.status == 2
    assert done.err == (
        "dfdm: results 'results' has files of an earlier version (evaluation, ...); "
        "run 'dfdm migrate' with this config first\n"
    )
