"""The shipped profiles: what each must say, what none may say, and what a machine's limits do."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dfdm.base.machine import memory_mb
from tests import commands
from tests.workflow.test_line import jobs

ROOT = Path(__file__).parent.parent.parent
PROFILES = sorted(path.parent.name for path in (ROOT / "workflow/profiles").glob("*/config.yaml"))
Snakemake = Callable[..., subprocess.CompletedProcess[str]]
Small = Callable[..., Path]
Asked = Callable[..., dict[str, dict[str, int]]]


def profile_arguments(profile: str) -> list[str]:
    """A dry run under a profile."""
    return ["--workflow-profile", f"workflow/profiles/{profile}", "--dry-run", "--quiet", "rules"]


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "kubernetes"])  # that one needs its bucket
def test_an_edited_rule_runs_nothing_again_under_any_profile(
    line: Path, project: Path, snakemake: Snakemake, small: Small, profile: str
) -> None:
    rules = project / "workflow/rules/train.smk"
    before = rules.read_text()
    rules.write_text(before.replace('"dfdm train --model', '"dfdm  train --model'))
    assert rules.read_text() != before
    try:
        assert jobs(snakemake(*profile_arguments(profile), "--configfile", small())) == Counter()
        code = snakemake(*profile_arguments(profile), "--rerun-triggers", "code", "--configfile", small())
        assert jobs(code)["train_faceswap"] == 1  # what would happen without the profile's line
    finally:
        rules.write_text(before)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_repeats_the_triggers_and_names_nothing_of_one_cluster(profile: str) -> None:
    values = yaml.safe_load((ROOT / f"workflow/profiles/{profile}/config.yaml").read_text())
    assert values["rerun-triggers"] == ["mtime", "input", "params"]
    assert values["rerun-incomplete"] is values["keep-going"] is True
    told = yaml.safe_dump(values)
    for word in ("partition", "account", "status-command", "bucket", "namespace", "container-image"):
        assert word not in told


def test_what_may_fail_by_chance_is_retried_on_a_cluster_and_reading_the_sources_never() -> None:
    retries = {name: yaml.safe_load((ROOT / f"workflow/profiles/{name}/config.yaml").read_text()) for name in PROFILES}
    assert {name: values.get("retries", 0) for name, values in retries.items()} == {
        "default": 0,
        "kubernetes": 2,
        "slurm": 2,
    }
    sources = (ROOT / "workflow/rules/sources.smk").read_text()
    for rule in ("sources_probe", "sources_predictor", "sources_identity"):
        assert "retries: 0" in sources.partition(f"\nrule {rule}:")[2].partition("\nrule ")[0]


@pytest.fixture(scope="module")
def asked(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """What each rule's first job asks for, by a dry run; without messages Snakemake prints each job's resources."""
    folder = tmp_path_factory.mktemp("asked")
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    shutil.copytree(ROOT / "envs", folder / "envs")
    for rules in (folder / "workflow/rules").glob("*.smk"):
        rules.write_text(re.sub(r"^ +message:\n.*\n", "", rules.read_text(), flags=re.MULTILINE))

    def ask(config: Path, *arguments: object) -> dict[str, dict[str, int]]:
        done = commands.snakemake(folder, "--dry-run", "--configfile", config, *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, dict[str, int]] = {}
        for block in re.split(r"\n(?= *(?:local)?rule )", done.stdout + done.stderr):
            name, printed = re.match(r" *(?:local)?rule (\w+):", block), re.search(r"resources: (.*)", block)
            if name and printed:
                pairs = re.findall(r"(\w+)=(\d+)", printed[1])
                found.setdefault(name[1], {key: int(value) for key, value in pairs})
        return found

    return ask


def test_rules_of_torch_ask_for_a_gpu_as_the_config_says_and_no_other_rule_does(asked: Asked, small: Small) -> None:
    on_a_cluster = asked(small("gpus", device="auto", gpu=1), "--resources", "gpu=4", "mem_mb=64000")
    asking = {rule for rule, resources in on_a_cluster.items() if resources.get("gpu")}
    assert asking == {"train_faceswap", "train_dfaker", "render", "evaluate", "attribution_train", "attribution_score"}
    assert {on_a_cluster[rule]["gpu"] for rule in asking} == {1}
    on_the_cpu = asked(small("gpus", device="cpu", gpu=1), "--resources", "gpu=4")
    assert on_the_cpu["render"]["gpu"] == 0


def test_a_job_asks_for_no_more_memory_than_the_machine_has(asked: Asked, small: Small) -> None:
    resources = asked(small(), "--resources", "mem_mb=1800")
    assert (resources["train_faceswap"]["mem_mb"], resources["faces"]["mem_mb"]) == (1800, 1500)  # of 2000, of 1500


def test_memory_and_time_grow_with_the_attempt(asked: Asked, small: Small) -> None:
    attempts = [asked(small(), "--attempt", attempt, "--resources", "mem_mb=64000") for attempt in (1, 2, 3)]
    assert [resources["train_faceswap"]["mem_mb"] for resources in attempts] == [2000, 3000, 4000]
    assert [resources["crops"]["runtime"] for resources in attempts] == [30, 60, 120]


def test_this_machines_memory_and_gpus_bound_what_runs_together(snakemake: Snakemake, small: Small) -> None:
    predictor = "bounded/sources/predictor.json"
    done = snakemake(predictor, "--cores", 2, "--configfile", small("bounded", results="bounded"))
    assert done.returncode == 0, done.stderr[-3000:]
    provided = re.search(r"Provided resources: (.*)", done.stdout + done.stderr)
    assert provided is not None
    given = dict(re.findall(r'Resource\("(\w+)", (\d+)\)', provided[1]))
    assert int(given["mem_mb"]) == memory_mb() > 500
    assert int(given["gpu"]) == 0  # the config's device is cpu
