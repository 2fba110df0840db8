"""The workflow's own job graph: which jobs targets need, which of them Snakemake would run now, and why.

The one file that reads private parts of Snakemake; tests/workflow/test_plan.py names the versions that it works with.
Nothing runs, no lock is taken and no file is written: Snakemake's records of finished jobs are read where they are, and
the folders that it makes for itself are made in its temporary folder. Source files that are absent count as present.
"""

import logging
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

import dfdm
from dfdm.base.errors import DfdmError
from dfdm.base.names import encoded_of, parse_clip
from dfdm.catalogue.layout import stage_of

VERSIONS = ("9.27.0", "9.27.1")  # of Snakemake, whose private parts are known to be as they are used here
SNAKEFILE = Path("workflow/Snakefile")
PROFILE = "profiles/default"  # beside the Snakefile, as Snakemake finds it
TARGET = "target"  # the stage of a named target, which runs nothing


@dataclass(frozen=True)
class Job:
    """One job of the graph, its paths as the rules give them (relative ones: to the folder of the run)."""

    rule: str
    stage: str  # the rule's name; `train` of every training of an autoencoder, `target` of a named target
    wildcards: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    benchmark: str  # where Snakemake writes its seconds; "" of a target
    reason: str  # why it would run now, in Snakemake's words, the first of several; "" where it would not
    scene: str  # id0_0003; like the following ones "" where it is about none
    pair: str  # id0_id1
    model: str
    crf: int | None  # of a classifier's training, the quality that it is trained on; None: all

    @property
    def name(self) -> str:
        """What no other job of the graph is called: its first output, or the target's name."""
        return self.outputs[0] if self.outputs else self.rule

    @property
    def to_do(self) -> bool:
        """Whether it would run now."""
        return bool(self.reason)

    @property
    def makes_video(self) -> bool:
        """Whether it writes an encoded video."""
        return self.name.endswith(".mp4")


@dataclass(frozen=True)
class Graph:
    """The jobs of one or several targets, ordered as the rules are, targets last."""

    jobs: list[Job]
    edges: set[tuple[str, str]]  # names of a job and of one that makes an input of it
    absent: list[str]  # files that no rule makes and that are not there: videos, and weights to start from

    @property
    def to_do(self) -> list[Job]:
        """The jobs that would run now."""
        return [job for job in self.jobs if job.to_do]


def build(config: Path, targets: Sequence[str] = (), profile: Path | None = None, progress: bool = False) -> Graph:
    """The graph of targets (none: `all`) as `snakemake --configfile CONFIG --workflow-profile PROFILE` sees it now.

    `progress`: a line on stderr for every 1,000 jobs read. DfdmError for what Snakemake finds wrong.
    """
    snakefile = SNAKEFILE if SNAKEFILE.exists() else Path(dfdm.__file__).parents[1] / SNAKEFILE
    profile = profile or snakefile.parent / PROFILE
    try:
        chosen = yaml.safe_load((profile / "config.yaml").read_text())
    except (OSError, yaml.YAMLError) as error:
        raise DfdmError(f"{profile} has no readable config.yaml ({error}); give a profile's folder") from None
    try:
        return _read(snakefile.absolute(), config, targets, chosen, progress)
    except (ImportError, AttributeError, TypeError) as error:
        if (found := version("snakemake")) in VERSIONS:
            raise
        raise DfdmError(
            f"the plan cannot read the job graph of Snakemake {found} ({error}); install {' or '.join(VERSIONS)}"
        ) from error


def _read(snakefile: Path, config: Path, targets: Sequence[str], profile: dict[str, Any], progress: bool) -> Graph:
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    with patch.object(ExecutorPluginRegistry, "collect_plugins"):  # nothing runs: Kubernetes' and Slurm's take a second
        from snakemake.api import SnakemakeApi
    import snakemake.workflow
    from snakemake.exceptions import WorkflowError
    from snakemake.io import Mtime
    from snakemake.persistence.file import FilePersistence
    from snakemake.settings.enums import RerunTrigger
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    class Records(FilePersistence):
        """The records of the folder, read only: the folders of its own lie in a temporary one."""

        def __init__(self, dag: Any, **given: Any) -> None:
            super().__init__(dag=dag, **{**given, "path": dag.workflow.snakemake_tmp_dir / "persistence"})
            for part in ("metadata", "incomplete"):
                if (there := Path(".snakemake", part)).is_dir():
                    setattr(self, f"_{part}_path", str(there))

    triggers = profile.get("rerun-triggers")
    triggers = triggers.split() if isinstance(triggers, str) else triggers
    settings = DAGSettings(
        targets=set(targets),
        force_incomplete=bool(profile.get("rerun-incomplete")),
        rerun_triggers=RerunTrigger.parse_choices_set(triggers) if triggers else RerunTrigger.all(),
    )
    with SnakemakeApi(OutputSettings(log_level_override=logging.ERROR, enable_file_logging=False)) as api:
        try:
            workflow = api.workflow(
                # one node: jobs are planned for no machine in particular, so this one's GPUs are not looked for
                resource_settings=ResourceSettings(nodes=1),
                config_settings=ConfigSettings(configfiles=[config]),
                snakefile=snakefile,
            )
            made = workflow.dag(settings).workflow_api._workflow
            _check(targets, made)
            with patch.object(snakemake.workflow, "FilePersistence", Records):
                made._prepare_dag(forceall=False, ignore_incomplete=False, lock_warn_only=True)
            dag, cache = made.dag, made.iocache
            absent: dict[str, None] = {}
            collect, count = dag.collect_potential_dependencies, 0

            async def potential_dependencies(job: Any, known_producers: Any) -> AsyncIterator[Any]:
                """What Snakemake asks once for every job: where no rule makes an input and it is not there, note it."""
                nonlocal count
                count += 1
                if progress and count % 1000 == 0:
                    print(f"{count:,} jobs read", file=sys.stderr, flush=True)
                async for found in collect(job, known_producers):
                    if not found.jobs:
                        await found.file.inventory()
                        if not await found.file.exists():
                            absent[str(found.file)] = None
                            cache.exists_local[found.file] = True
                            cache.mtime[found.file] = Mtime(local=0.0)
                    yield found

            async def mtime(file: Any) -> Any:
                """A file's time; one that a run has removed since the folder was read counts as missing."""
                try:
                    return await file.mtime_uncached()
                except WorkflowError:
                    cache.exists_local[file] = False
                    return Mtime(local=0.0)

            dag.collect_potential_dependencies, cache.collect_mtime = potential_dependencies, mtime
            made.async_run(dag.init())
        except WorkflowError as error:
            raise DfdmError(str(error).strip()) from None
        return _graph(dag, {rule.name: place for place, rule in enumerate(made.rules)}, list(absent))


def _check(targets: Sequence[str], workflow: Any) -> None:
    """DfdmError for a target that is neither a rule without wildcards nor a file that a rule makes."""
    named = [rule.name for rule in workflow.rules if not rule.has_wildcards()]
    for target in targets:
        if target not in named and not any(rule.is_producer(target) for rule in workflow.rules):
            raise DfdmError(f"'{target}' is no target of this config; known are {', '.join(named)}")


def _graph(dag: Any, order: dict[str, int], absent: list[str]) -> Graph:
    found = {job: _job(job, dag) for job in dag.jobs}
    edges = {(job.name, found[other].name) for made, job in found.items() for other in dag.dependencies[made]}
    jobs = sorted(found.values(), key=lambda job: (job.stage == TARGET, order[job.rule], job.name))
    return Graph(jobs, edges, absent)


def _job(job: Any, dag: Any) -> Job:
    """A job as plain values; what it is about comes from its wildcards, and where its rule has none, from its rule."""
    rule, outputs = job.rule.name, tuple(map(str, job.output))
    given: dict[str, str] = dict(job.wildcards_dict)
    crf, model = given.get("crf", given.get("train", "")), given.get("model", "")
    clip = parse_clip(given["clip"]) if "clip" in given else None
    stage = stage_of(rule) if job.benchmark else TARGET
    if stage == "train":
        model = rule.removeprefix("train_")
    if outputs and outputs[0].endswith(".mp4"):  # the rules of masters have no wildcard for the quality
        video = encoded_of(outputs[0])
        model, crf = video.name.model, str(video.crf)
    return Job(
        rule=rule,
        stage=stage,
        wildcards=given,
        inputs=tuple(map(str, job.input)),
        outputs=outputs,
        benchmark=str(job.benchmark or ""),
        reason=next(dag.reason(job).get_names(), "needed") if dag.needrun(job) else "",
        scene=clip.scene_key if clip else given.get("scene", ""),
        pair="_".join(clip.pair or ()) if clip else given.get("pair", ""),
        model=model,
        crf=int(crf) if crf.isdigit() else None,
    )
