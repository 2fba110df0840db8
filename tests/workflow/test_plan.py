import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from conftest import copy_project, copy_run
from distribution import install
from test_line import Small, Snakemake, dry_run, jobs

import attribution.models
import generators.models
from attribution.models.blocks import cost
from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import MODELS, load
from dfdm.catalogue.layout import targets
from dfdm.plan import estimate as plan
from dfdm.plan import measured, rates
from dfdm.plan import tables as plan_text
from dfdm.plan.graph import Job, build
from dfdm.plan.networks import Network, autoencoder, count
from tests import commands

ROOT = Path(__file__).parent.parent.parent
FULL = ROOT / "workflow/configs/dfdm.yaml"
CHECKED = ("9.27.0", "9.27.1")  # versions of Snakemake with which the tests of this file passed


def test_the_plan_reads_a_version_of_snakemake_that_it_was_checked_with() -> None:
    assert version("snakemake") in CHECKED, (
        f"dfdm/plan/graph.py reads private parts of Snakemake and was checked with {' and '.join(CHECKED)}; "
        f"run the other tests of this file with {version('snakemake')} and add it to CHECKED where they pass"
    )


def read(folder: Path, config: Path | str, *names: str, profile: Path | None = None) -> list[Job]:
    with contextlib.chdir(folder):
        return build(Path(config), names, profile)[0]


def by_rule(found: list[Job], to_do: bool = False) -> Counter[str]:
    """Counts as a dry run prints them."""
    return Counter(job.rule for job in found if job.reason or not to_do)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def few_swaps(folder: Path, **changes: Any) -> Path:
    """The full-size config with three swaps alone."""
    values = {**yaml.safe_load(FULL.read_text()), "swaps": ["id0_id1", "id1_id0", "id2_id3"]}
    changes = {key: {**values[key], **change} for key, change in changes.items()}
    path = folder / "few.yaml"
    path.write_text(yaml.safe_dump({**values, **changes}))
    return path


@pytest.mark.parametrize(
    "target", ["all", "all_faces", "iae", "crf23", "iae_crf23", "dataset", "attribution_crf10", "report"]
)
def test_the_demos_jobs_are_those_of_snakemakes_dry_run(snakemake: Snakemake, project: Path, target: str) -> None:
    assert by_rule(read(project, "config.yaml", target)) == dry_run(snakemake, project / "config.yaml", target)


def test_several_targets_and_a_file_are_planned_together(snakemake: Snakemake, project: Path) -> None:
    names = ("iae_crf23", "crf0", "results/manifests/crf10.parquet")
    assert by_rule(read(project, "config.yaml", *names)) == dry_run(snakemake, project / "config.yaml", *names)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["all", "dfaker", "crf0"])
def test_the_full_sizes_jobs_are_those_of_snakemakes_dry_run(snakemake: Snakemake, project: Path, target: str) -> None:
    without = by_rule(read(project, FULL, target))
    config = project / "full-plan.yaml"
    config.write_text(FULL.read_text().replace("root: Celeb-DF-v2", f"root: {project / 'celeb-plan'}"))
    commands.ran("sources", "placeholders", config)
    assert without == dry_run(snakemake, config, target)


def test_absent_source_videos_are_counted_and_named_and_change_no_job(
    snakemake: Snakemake, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    config = few_swaps(project)
    before = files(project)
    work = plan.read(config)
    assert files(project) == before
    cfg = load(config)
    assert sorted(work.absent) == sorted(f"Celeb-DF-v2/{cfg.scene(key).path}" for key in cfg.scene_keys)
    made = plan.make(work, rates.load(None))
    assert f"source files absent: {len(work.absent)} (Celeb-DF-v2/" in plan_text.to_text(made)
    assert plan_text.to_json(made)["absent"] == work.absent
    commands.ran("sources", "placeholders", config)
    assert by_rule(work.jobs) == dry_run(snakemake, config)
    assert plan.read(config).absent == []


@pytest.mark.parametrize(
    "gone",
    [
        ["crops/crf23/dfaker/id0_id1_0001_dfaker.safetensors"],
        ["report.html"],
        ["train/id0_id1/dfaker/loss.csv", "report.html"],
    ],
)
def test_what_is_cached_is_what_snakemake_does_not_run(
    line: Path, project: Path, snakemake: Snakemake, small: Small, gone: list[str]
) -> None:
    assert by_rule(read(project, small()), to_do=True) == Counter()
    with aside(line, gone):
        assert by_rule(read(project, small()), to_do=True) == dry_run(snakemake, small())


@contextlib.contextmanager
def aside(results: Path, names: Sequence[str]) -> Iterator[None]:
    """Results without some files, which keep their time of change."""
    moved = [(results / name).rename(results / f"{name}.aside") for name in names]
    try:
        yield
    finally:
        for path in moved:
            path.rename(str(path).removesuffix(".aside"))


@pytest.fixture(scope="session")
def touched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every output of the demo is an empty file that Snakemake takes for finished."""
    folder = copy_project(tmp_path_factory.mktemp("touched"))
    for job in read(folder, "config.yaml"):
        for path in job.outputs:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    done = commands.snakemake(folder, "--touch", "--forceall", "--cores", 2)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def printed(folder: Path, config: Path) -> tuple[set[tuple[str, str]], dict[str, set[str]], Counter[str]]:
    """What Snakemake's own commands say is to do: outputs with each input, rules by reason, the dry run's counts."""
    arguments = ("--cores", 1, "--configfile", config)
    summary = commands.snakemake(folder, "--detailed-summary", *arguments)
    rows = [row.split("\t") for row in summary.stdout.splitlines() if row.count("\t") == 7]
    edges = {(row[0], path) for row in rows if row[7] == "update pending" for path in row[4].split(",")}
    dry = commands.snakemake(folder, "--dry-run", *arguments)
    text = (dry.stdout + dry.stderr).rpartition("(check individual jobs above for details)")[2]
    reasons = re.findall(r"^    (\w.*):\n        (.+)$", text, re.MULTILINE)
    counts = jobs(commands.snakemake(folder, "--dry-run", "--quiet", "rules", *arguments))
    return edges, {reason: set(rules.split(", ")) for reason, rules in reasons}, counts


def planned(folder: Path, config: Path) -> tuple[set[tuple[str, str]], dict[str, set[str]], Counter[str]]:
    """The same of the plan."""
    found = read(folder, config)
    makers = {path: job.name for job in found for path in job.outputs}
    reasons: dict[str, set[str]] = defaultdict(set)
    for job in found:
        assert job.needs == {makers[path] for path in job.inputs if path in makers}
        if job.reason:
            reasons[job.reason].add(job.rule)
    edges = {(out, path) for job in found if job.reason for out in job.outputs for path in job.inputs}
    return edges, dict(reasons), by_rule(found, to_do=True)


def test_after_a_change_of_the_mask_blur_plan_and_dry_run_agree_edge_by_edge(touched: Path) -> None:
    values = yaml.safe_load((touched / "config.yaml").read_text())
    values["render"]["mask_blur"] = 5.0
    config = touched / "blur.yaml"
    config.write_text(yaml.safe_dump(values, sort_keys=False))
    assert planned(touched, touched / "config.yaml") == (set(), {}, Counter())
    edges, reasons, counts = planned(touched, config)
    reasons["params have changed since last execution"] = reasons.pop("render.mask_blur was 3.0, is 5.0")
    assert (edges, reasons, counts) == printed(touched, config)
    assert reasons["params have changed since last execution"] == {"render"}
    assert counts["render"] == counts["masks"] == 30


def test_after_deleting_a_loss_log_and_the_report_plan_and_dry_run_agree_edge_by_edge(touched: Path) -> None:
    config = touched / "config.yaml"
    with aside(touched / "results", ["train/id0_id1/iae/loss.csv", "report.html"]):
        edges, reasons, counts = planned(touched, config)
        assert (edges, counts) == (printed(touched, config)[0], printed(touched, config)[2])
    assert counts.total() == 59
    assert reasons["output files have to be generated"] == {"train_iae", "report"}


def test_the_rerun_triggers_are_those_of_the_profile(line: Path, project: Path, small: Small, tmp_path: Path) -> None:
    changed = small("blurred", render__mask_blur=5.0)
    assert by_rule(read(project, changed), to_do=True)["render"] == 6
    (tmp_path / "config.yaml").write_text("rerun-triggers: mtime")
    assert by_rule(read(project, changed, profile=tmp_path), to_do=True) == Counter()
    with pytest.raises(DfdmError, match=r"none has no readable config\.yaml .*give a profile's folder"):
        read(project, changed, profile=Path("none"))


def test_a_plan_and_a_dry_run_write_nothing_and_a_run_writes_the_config(tmp_path: Path, line: Path) -> None:
    folder = copy_project(tmp_path / "fresh")
    before = files(folder)
    with contextlib.chdir(folder):
        commands.ran("plan")
    assert files(folder) == before
    assert commands.snakemake(folder, "--dry-run", "--cores", 1).returncode == 0
    assert not (folder / "results").exists()
    assert len(list((line / "config").glob("*.json"))) == 1


def test_a_plan_works_while_a_run_is_going_on(tmp_path: Path, small: Small) -> None:
    folder = copy_project(tmp_path / "busy")
    config = small("busy", results="results-busy")
    command = [sys.executable, "-m", "snakemake", "results-busy/faces/id0_0000.npz", "--cores", "1"]
    command += ["--configfile", str(config)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        lock, end = folder / "results-busy/.lock", time.monotonic() + 120
        while not lock.exists():
            assert run.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        found = read(folder, config)
        busy = run.poll() is None
        told, _ = run.communicate()
    assert busy
    assert by_rule(found)["faces"] == 4
    assert run.returncode == 0, told[-3000:]


@pytest.mark.slow
def test_the_full_size_plan_is_the_datasets_6450_videos_and_stands_beside_its_size(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = plan.make(plan.read(FULL, progress=True), rates.load(None))
    for model in MODELS:
        for crf in (0, 10, 23):
            stage = "render" if crf == 0 else "encode"
            assert made.total(stage, model, crf).videos == 430
    assert "82.4 GB" in plan_text.to_text(made)
    assert made.peak_bytes > made.total().bytes + made.kept_bytes + made.running_bytes > made.running_bytes > 0
    assert len(made.work.absent) == 590
    assert "\n16,000 jobs read\n" in capsys.readouterr().err


def test_more_frames_and_iterations_cost_in_proportion(tmp_path: Path) -> None:
    work, table = plan.read(few_swaps(tmp_path)), rates.load(None)
    once, twice = (plan.make(replace(work, sizes=plan.Sizes(work.cfg, frames)), table) for frames in (100, 200))
    assert twice.total("crops").bytes == pytest.approx(2 * once.total("crops").bytes)
    longer = plan.make(plan.read(few_swaps(tmp_path, train={"iterations": 200_000})), table)
    assert longer.total("train").cpu_hours == pytest.approx(2 * once.total("train").cpu_hours, rel=0.01)


@pytest.mark.parametrize("width", [1.0, 0.25, 0.0625])
@pytest.mark.parametrize("model", MODELS)
def test_the_costs_of_a_network_are_those_of_the_built_one(model: str, width: float) -> None:
    net = generators.models.build(model, width)
    found = autoencoder(model, width)
    assert found == Network(net.multiply_adds(), sum(p.numel() for p in net.parameters()), net.output_size)
    picture = net.reconstruct(torch.zeros(1, 3, net.input_size, net.input_size), "a")
    assert picture.shape == (1, 3, found.output_size, found.output_size)


def test_each_network_of_a_config_is_counted_at_its_own_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFDM_CACHE", str(tmp_path))
    own = {"model": "dma_sta", "depth": 34, "size": 96, "clip": 4, "resize": 128}
    comparison = {"classifiers": {"meso_inception4": None, "deep": own}}
    values = {**yaml.safe_load((ROOT / "config.yaml").read_text()), "comparison": comparison}
    cfg = load({**values, "models": {"iae": {"width": 0.5}, "dfaker": {}}})
    autoencoders, classifiers = count(cfg)
    assert autoencoders == {"iae": autoencoder("iae", 0.5), "dfaker": autoencoder("dfaker", 0.125)}
    assert list(classifiers) == ["dma_sta", "meso_inception4", "deep"]
    for name, size, clip, depth in (("dma_sta", 64, 5, 18), ("meso_inception4", 64, 5, 18), ("deep", 96, 4, 34)):
        net = attribution.models.build(cfg.classifier(name).model, 2, depth, clip)
        parameters = sum(p.numel() for p in net.parameters())
        assert classifiers[name] == Network(cost(net, clip, size).multiply_adds, parameters)
    assert count(cfg) == (autoencoders, classifiers)  # as the cache has them


def test_a_new_network_has_its_own_cost_and_a_changed_one_is_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFDM_CACHE", str(tmp_path / "cache"))
    paths, registry = [*generators.models.__path__, str(tmp_path)], generators.models._REGISTRY
    assert "sixth" not in registry.names()
    monkeypatch.setattr(generators.models, "__path__", paths)
    monkeypatch.setattr(registry, "path", paths)
    monkeypatch.delitem(vars(registry), "_parts")  # what it has found; back at the end of the test
    text = (ROOT / "generators/models/iae.py").read_text()
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    found = []
    for channels in (128, 64):
        (tmp_path / "sixth.py").write_text(text.replace("128", str(channels)))
        sys.modules.pop("generators.models.sixth", None)
        found.append(count(load({**values, "models": {"iae": {}, "sixth": {}}}))[0])
    sys.modules.pop("generators.models.sixth", None)
    assert found[0]["sixth"] == found[0]["iae"] == found[1]["iae"]
    assert found[1]["sixth"].multiply_adds < found[0]["sixth"].multiply_adds


def test_an_installed_packages_network_is_counted_again_when_its_code_changes(tmp_path: Path) -> None:
    text = (ROOT / "generators/models/iae.py").read_text()
    package = install(tmp_path / "package", "sixth", {"sixth": text}, {"dfdm.generators": {"sixth": "sixth"}})
    values = {**yaml.safe_load((ROOT / "config.yaml").read_text()), "models": {"iae": {}, "sixth": {}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    code = (
        "from pathlib import Path; from dfdm.catalogue.config import load; from dfdm.plan.networks import count; "
        "print(*(network.multiply_adds for network in count(load(Path('config.yaml')))[0].values()))"
    )
    environment = {**os.environ, "DFDM_CACHE": str(tmp_path / "cache"), "PYTHONPATH": f"{ROOT}:{package}"}
    found = []
    for changed in (text, text.replace("128", "64")):
        (package / "sixth.py").write_text(changed)
        command = [sys.executable, "-B", "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
        found.append([int(word) for word in done.stdout.split()])
    (iae, sixth), (again, smaller) = found
    assert iae == sixth == again == autoencoder("iae", 0.125).multiply_adds
    assert smaller < sixth


def test_a_quality_between_measured_ones_lies_between_their_sizes() -> None:
    table = rates.load(None)
    assert table.bytes_at(0) > table.bytes_at(5) > table.bytes_at(10) > table.bytes_at(18) > table.bytes_at(23)
    assert table.bytes_at(40) < table.bytes_at(23)


@pytest.mark.usefixtures("tidy")
def test_measured_rates_give_back_the_run_that_they_were_measured_on(
    line: Path, project: Path, small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(project)
    files = sorted(copy_run(line, project / "results-timed").rglob("benchmarks/**/*.tsv"))
    for number, file in enumerate(files):  # in place of what the jobs took, known seconds
        pd.read_csv(file, sep="\t").assign(cpu_time=0.5 + number / 50).to_csv(file, sep="\t", index=False)
    work = plan.read(small("timed", results="results-timed"))
    table = measured.measure(work, rates.load(None))
    table.write(tmp_path / "rates.json")
    assert rates.load(tmp_path / "rates.json") == table
    made = plan.make(work, table)
    for crf, swaps in made.swaps().items():
        videos = sorted((line / f"dataset/DFDM_crf{crf}").rglob("*.mp4"))
        there = sum(video.stat().st_size for video in videos if video.parent.name != "real")
        assert swaps.bytes == pytest.approx(there, rel=0.3)
    assert list(made.swaps()) == [0, 23]
    assert made.total().left == 0
    assert work.sizes.known == 4
    seconds = {job.stage: measured.measured_seconds(job) for job in work.jobs}
    assert set(table.seconds) >= {stage for stage, took in seconds.items() if took} == set(seconds) - {"target"}
    together = measured.compare(work, table).splitlines()[-1].split()
    assert together[0] == "together"
    # the forecast core seconds are the measured ones, but for the last digit of two sums
    assert float(together[1]) == pytest.approx(float(together[2]), abs=0.11)
    assert float(together[2]) == pytest.approx(sum(0.5 + number / 50 for number in range(len(files))), abs=0.11)


def test_a_stage_without_a_rate_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    table = rates.load(None)
    others = {name: rate for name, rate in table.seconds.items() if name != "controls"}
    few = table.model_copy(update={"seconds": others})
    work = plan.read(Path("config.yaml"), ["report"])
    assert "without a rate, so without hours: controls;" in plan_text.to_text(plan.make(work, few))
    assert plan.make(work, table).unrated == []


def test_a_faulty_table_of_rates_and_an_unknown_target_are_one_sentence(tmp_path: Path, project: Path) -> None:
    (tmp_path / "rates.json").write_text(json.dumps({"seconds": {}}))
    with pytest.raises(DfdmError, match=r"is not a table of rates .*'dfdm plan --measure OUT' writes one"):
        rates.load(tmp_path / "rates.json")
    with pytest.raises(
        DfdmError, match=r"'iae_crf5' is not a target of this config; known are .*\biae_crf10, .*\ball$"
    ):
        read(project, "config.yaml", "iae_crf5")


def test_a_plan_needs_no_torch_once_its_networks_are_counted(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dfdm.plan import estimate, rates; "
        "estimate.make(estimate.read(Path('config.yaml')), rates.load(None)); sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "DFDM_CACHE": str(tmp_path)}
    for expected in (1, 0):
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, env=environment)
        assert done.returncode == expected


def test_every_target_has_a_plan(project: Path, small: Small) -> None:
    cfg = load(small())
    for target in targets(cfg):
        found = read(project, small(), target)
        assert found[-1].rule == target
        assert sum(job.makes_video for job in found) > 0
