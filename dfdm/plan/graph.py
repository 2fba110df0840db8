"""The workflow's own job graph: which jobs targets need, which of them Snakemake would run now, and why.

The one file that reads private parts of Snakemake; tests/workflow/test_plan.py names the versions that it works with.
Nothing runs, no lock is taken and no file is written: Snakemake's records of finished jobs are read where they are, and
the folders that it makes for itself are made in its temporary folder. Source files that are absent count as present.
"""

import logging
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

import dfdm
from dfdm.base.errors import DfdmError, reason
from dfdm.base.names import encoded_of, parse_clip
from dfdm.base.plain import from_yaml
from dfdm.catalogue.layout import stage_of

with patch.object(ExecutorPluginRegistry, "collect_plugins"):  # nothing runs; importing Kubernetes' takes a second
    from snakemake.api import SnakemakeApi
import snakemake.workflow
from snakemake.exceptions import WorkflowError
from snakemake.io import Mtime
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

SNAKEFILE = Path("workflow/Snakefile")
VIDEOS = ("render", "original", "encode")  # the stages that write videos of the dataset
TARGET = "target"  # the stage of a named target, which runs nothing


@dataclass(frozen=True)
class Job:
    """One job, its paths as the rules give them (relative ones: to the folder of the run)."""

    rule: str
    stage: str  # the rule's name; `train` of every training of an autoencoder, `target` of a named target
    wildcards: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    benchmark: str  # where Snakemake writes its seconds; "" of a target
    reason: str  # why it would run now, in Snakemake's words, the first of several; "" where it would not
    needs: frozenset[str]  # the names of the jobs that make its inputs
    scene: str  # id0_0003; like the following ones "" where it is about none
    pair: str  # id0_id1
    model: str
    crf: int | None  # of a classifier's training, the quality that it is trained on; None: all

    @property
    def name(self) -> str:
        """What no other job is called: its first output, or the target's name."""
        return self.outputs[0] if self.outputs else self.rule

    @property
    def makes_video(self) -> bool:
        """Whether it writes a video of the dataset."""
        return self.stage in VIDEOS


class _ReadOnly(FilePersistence):
    """Snakemake's records of the folder, only read: the folders that it makes for itself are in a temporary one."""

    def __init__(self, dag: Any, **given: Any) -> None:
        super().__init__(dag=dag, **{**given, "path": dag.workflow.snakemake_tmp_dir / "persistence"})
        for part in ("metadata", "incomplete"):
            if (there := Path(".snakemake", part)).is_dir():
                setattr(self, f"_{part}_path", str(there))


def where() -> Path:
    """The workflow's Snakefile: of the folder of the run, else of this installation."""
    return SNAKEFILE if SNAKEFILE.exists() else Path(dfdm.__file__).parents[1] / SNAKEFILE


def build(
    config: Path, targets: Sequence[str] = (), profile: Path | None = None, progress: bool = False
) -> tuple[list[Job], list[str]]:
    """The jobs of targets (none: `all`) as `snakemake --configfile CONFIG --workflow-profile PROFILE` sees them now.

    In the order of the rules, targets last; and with them the input files that are absent and that no rule makes:
    videos, and weights to start from. `progress`: a line on stderr for every 1,000 jobs. DfdmError: what Snakemake
    finds wrong.
    """
    snakefile = where()
    with SnakemakeApi(OutputSettings(log_level_override=logging.ERROR, enable_file_logging=False)) as api:
        try:
            workflow = api.workflow(
                # as if for a cluster: this machine's GPUs and memory are not looked for
                resource_settings=ResourceSettings(nodes=1),
                config_settings=ConfigSettings(configfiles=[config]),
                snakefile=snakefile.absolute(),
            )
            settings = _settings(targets, profile or snakefile.parent / "profiles/default")
            made = workflow.dag(settings).workflow_api._workflow
            named = [rule.name for rule in made.rules if not rule.has_wildcards()]
            for target in targets:
                if target not in named and not any(rule.is_producer(target) for rule in made.rules):
                    raise DfdmError(f"'{target}' is not a target of this config; known are {', '.join(named)}")
            with patch.object(snakemake.workflow, "FilePersistence", _ReadOnly):
                made._prepare_dag(forceall=False, ignore_incomplete=False, lock_warn_only=True)
            absent = _without_sources(made.dag, made.iocache, progress)
            made.async_run(made.dag.init())
        except WorkflowError as error:
            raise DfdmError(str(error).strip()) from None
        order = {rule.name: place for place, rule in enumerate(made.rules)}
        jobs = [_job(job, made.dag) for job in made.dag.jobs]
        return sorted(jobs, key=lambda job: (job.stage == TARGET, order[job.rule], job.name)), absent


def _settings(targets: Sequence[str], profile: Path) -> DAGSettings:
    """What a profile says of jobs that run again; without `rerun-triggers` all of them count, as in Snakemake."""
    try:
        values = from_yaml((profile / "config.yaml").read_text())
        if not isinstance(values, dict):
            raise ValueError("it contains no keys")
    except (OSError, ValueError) as error:
        raise DfdmError(f"{profile} has no readable config.yaml ({reason(error)}); give a profile's folder") from None
    known = [trigger.item_to_choice() for trigger in RerunTrigger.all()]
    triggers = values.get("rerun-triggers") or known
    words = triggers.split() if isinstance(triggers, str) else triggers
    if not isinstance(words, list) or not set(map(str, words)) <= set(known):
        raise DfdmError(f"{profile}: rerun-triggers is {triggers!r}; known are {', '.join(sorted(known))}")
    return DAGSettings(
        targets=set(targets),
        force_incomplete=bool(values.get("rerun-incomplete")),
        rerun_triggers=RerunTrigger.parse_choices_set(words),
    )


def _without_sources(dag: Any, cache: Any, progress: bool) -> list[str]:
    """Have inputs that are absent and that no rule makes count as old files; the list of them fills as `dag` grows."""
    absent: list[str] = []
    count, collect = 0, dag.collect_potential_dependencies

    async def potential_dependencies(job: Any, known_producers: Any) -> AsyncIterator[Any]:
        nonlocal count
        count += 1
        if progress and count % 1000 == 0:
            print(f"{count:,} jobs read", file=sys.stderr, flush=True)
        async for found in collect(job, known_producers):
            if not found.jobs:
                await found.file.inventory()
                if not await found.file.exists():
                    absent.append(str(found.file))
                    cache.exists_local[found.file], cache.mtime[found.file] = True, Mtime(local=0.0)
            yield found

    dag.collect_potential_dependencies = potential_dependencies
    return absent


def _reason(job: Any, dag: Any) -> str:
    why = dag.reason(job)
    differs = why.params_changed and not why.missing_output  # of what was never made, nothing differs
    return str(why.params_changed) if differs else next(why.get_names(), "needed")


def _job(job: Any, dag: Any) -> Job:
    """A job as plain values; what it is about comes from its wildcards, and where its rule has none, from its rule."""
    rule, outputs = job.rule.name, tuple(map(str, job.output))
    given: dict[str, str] = dict(job.wildcards_dict)
    crf, model = given.get("crf", given.get("train", "")), given.get("model", "")
    clip = parse_clip(given["clip"]) if "clip" in given else None
    stage = stage_of(rule) if job.benchmark else TARGET
    if stage == "train":
        model = rule.removeprefix("train_")
    if stage in VIDEOS:  # the rules of masters have no wildcard for the quality
        video = encoded_of(outputs[0])
        model, crf = video.name.model, str(video.crf)
    return Job(
        rule=rule,
        stage=stage,
        wildcards=given,
        inputs=tuple(map(str, job.input)),
        outputs=outputs,
        benchmark=str(job.benchmark or ""),
        reason=_reason(job, dag) if dag.needrun(job) else "",
        needs=frozenset(str(other.output[0]) for other in dag.dependencies[job]),
        scene=clip.scene_key if clip else given.get("scene", ""),
        pair="_".join(clip.pair or ()) if clip else given.get("pair", ""),
        model=model,
        crf=int(crf) if crf.isdigit() else None,
    )
