import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import torch
from dfdm.plan.jobs import Job, jobs_of, left_to_do
from test_line import Small, Snakemake, dry_run

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import MODELS, load
from dfdm.catalogue.layout import targets
from dfdm.plan import estimate as plan
from dfdm.plan import measured, rates
from dfdm.plan import tables as plan_text
from generators.models import build

ROOT = Path(__file__).parent.parent.parent
FULL = ROOT / "workflow/configs/dfdm.yaml"


def by_rule(jobs: list[Job]) -> Counter[str]:
    """Counts as a dry run prints them."""
    return Counter(job.rule for job in jobs)


@pytest.mark.parametrize(
    "target", ["all", "faces", "iae", "crf23", "iae_crf23", "dataset", "attribution_crf10", "report"]
)
def test_the_demos_jobs_are_those_of_snakemakes_dry_run(snakemake: Snakemake, project: Path, target: str) -> None:
    cfg = load(project / "config.yaml")
    assert by_rule(jobs_of(cfg, target)) == dry_run(snakemake, project / "config.yaml", target)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["all", "dfaker", "crf0"])
def test_the_full_sizes_jobs_are_those_of_snakemakes_dry_run(snakemake: Snakemake, project: Path, target: str) -> None:
    config = project / "full-plan.yaml"
    config.write_text(FULL.read_text().replace("root: Celeb-DF-v2", f"root: {project / 'celeb-plan'}"))
    subprocess.run(["dfdm", "sources", "placeholders", config], check=True, capture_output=True)
    assert by_rule(jobs_of(load(config), target)) == dry_run(snakemake, config, target)


@pytest.mark.parametrize("gone", ["crops/crf23/dfaker/id0_id1_0001_dfaker.safetensors", "report.html"])
def test_what_is_cached_is_what_snakemake_does_not_run(
    line: Path, project: Path, snakemake: Snakemake, small: Small, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    cfg = load(small())
    assert left_to_do(jobs_of(cfg)) == []
    aside = (line / gone).rename(line / f"{gone}.aside")
    try:
        assert by_rule(left_to_do(jobs_of(cfg))) == dry_run(snakemake, small())
    finally:
        aside.rename(line / gone)


def test_the_full_size_plan_is_the_datasets_6450_videos_and_stands_beside_its_size() -> None:
    made = plan.make(load(FULL))
    for model in MODELS:
        for crf in (0, 10, 23):
            stage = "render" if crf == 0 else "encode"
            assert made.total(stage, model, crf).videos == 430
    assert made.published
    assert "82.4 GB" in plan_text.to_text(made)
    assert made.peak_bytes > made.total().bytes + made.state_bytes


def test_more_frames_and_iterations_cost_in_proportion() -> None:
    values = {"sources": load(FULL).sources.model_dump(), "swaps": ["id0_id1", "id1_id0", "id2_id3"]}
    values |= {"faces": load(FULL).faces.model_dump()}
    cfg = load(values)
    once, twice = (plan.make(cfg, assumed=plan.Assumed(frames)) for frames in (100, 200))
    assert twice.total("crops").bytes == pytest.approx(2 * once.total("crops").bytes)
    longer = plan.make(load({**values, "train": {"iterations": 200_000}}))
    assert longer.total("train").cpu_hours == pytest.approx(2 * once.total("train").cpu_hours, rel=0.01)


@pytest.mark.parametrize("width", [1.0, 0.25, 0.0625])
@pytest.mark.parametrize("model", MODELS)
def test_the_costs_of_a_network_are_those_of_the_built_one(model: str, width: float) -> None:
    with torch.device("meta"):
        net = build(model, width)
    assert rates.parameters(model, width) == pytest.approx(sum(p.numel() for p in net.parameters()), rel=1e-4)
    assert rates.multiply_adds(model, width) == pytest.approx(net.multiply_adds(), rel=1e-4)
    assert rates.output_size(model) == net.output_size


def test_a_quality_between_measured_ones_lies_between_their_sizes() -> None:
    table = rates.load(None)
    assert table.bytes_at(0) > table.bytes_at(5) > table.bytes_at(10) > table.bytes_at(18) > table.bytes_at(23)
    assert table.bytes_at(40) < table.bytes_at(23)


def test_measured_rates_give_back_the_run_that_they_were_measured_on(
    line: Path, project: Path, small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(project)
    cfg = load(small())
    table = measured.measure(cfg, rates.load(None))
    (tmp_path / "rates.json").write_text(rates.dump(table))
    assert rates.load(tmp_path / "rates.json") == table
    made = plan.make(cfg, rates=table)
    for crf, stage in ((0, "render"), (23, "encode")):
        files = sorted((line / f"dataset/DFDM_crf{crf}").rglob("*.mp4"))
        files = [file for file in files if file.parent.name != "real"]
        size = sum(file.stat().st_size for file in files)
        assert made.total(stage, crf=crf, swaps=True).bytes == pytest.approx(size, rel=0.3)
    assert made.total().left == 0
    assert made.known == 4


def test_a_faulty_table_of_rates_and_an_unknown_target_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "rates.json").write_text(json.dumps({"seconds": {}}))
    with pytest.raises(DfdmError, match=r"is no table of rates .*'dfdm plan --measure OUT' writes one"):
        rates.load(tmp_path / "rates.json")
    with pytest.raises(DfdmError, match="'iae_crf5' is no target of this config; known are all, "):
        jobs_of(load(FULL), "iae_crf5")


def test_a_plan_needs_no_torch(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dfdm.plan import estimate as plan; "
        "from dfdm.catalogue.config import load; "
        f"plan.make(load(Path({str(FULL)!r}))); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run(["python", "-c", code], check=False).returncode == 0


def test_every_target_has_a_plan() -> None:
    cfg = load(ROOT / "config.yaml")
    for target in targets(cfg):
        assert plan.make(cfg, target).total().jobs == len(jobs_of(cfg, target))
