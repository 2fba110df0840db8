"""Which outputs are current: what Snakemake asks of its own records and of the files' dates, the records beside the
outputs answer (dfdm/base/records.py).

Results may so be copied, moved and used from another clone. Dates say nothing. Like graph.py this reads private parts
of Snakemake; tests/workflow/test_plan.py names the versions that it works with.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import snakemake.workflow
from snakemake.exceptions import WorkflowError
from snakemake.io import Mtime
from snakemake.logging import logger
from snakemake.persistence import ParamsChange
from snakemake.persistence.file import FilePersistence
from snakemake_interface_executor_plugins.settings import ExecMode

from dfdm.base import records
from dfdm.base.errors import DfdmError
from dfdm.base.files import sweep
from dfdm.base.lock import exclusive
from dfdm.base.records import Made, Source
from dfdm.catalogue.config import Config
from dfdm.catalogue.keys import number
from dfdm.catalogue.layout import stage_of

UNKNOWN = "nothing says what made it"
_COMPUTE = (
    "dfdm-pipeline",
    "torch",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "av",
    "imageio-ffmpeg",
    "dlib",
)
_SHORT = 60  # characters of a setting that are shown
_MOST_REASONS = 12


def install(workflow: Any, results: str, stored: bool = False) -> None:
    """Have a workflow hold its results folder while it runs and, unless a storage carries the outputs, decide by the
    records in it.
    """
    prepare = workflow._prepare_dag
    kind = Alone if stored else Records

    def prepared(*given: Any, **named: Any) -> None:
        class Here(kind, snakemake.workflow.FilePersistence):  # type: ignore[misc, valid-type]  # or a patched one
            root = results

        with patch.object(snakemake.workflow, "FilePersistence", Here):
            prepare(*given, **named)

    workflow._prepare_dag = prepared


class Alone(FilePersistence):
    """One run at a time in a results folder, by a lock that the process's death frees; Snakemake's own stays."""

    root: str  # the results folder

    def __init__(self, dag: Any, **given: Any) -> None:
        super().__init__(dag=dag, **given)
        alone = not (given.get("nolock") or given.get("warn_only"))
        if dag.workflow.exec_mode == ExecMode.DEFAULT:
            self.lock = self._alone if alone else self.noop

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the results folder, and remove what killed processes left in it."""
        try:
            with exclusive(Path(self.root)):
                sweep(Path(self.root))
                yield
        except DfdmError as error:
            raise WorkflowError(str(error)) from None


class Records(Alone):
    """The records beside the outputs, as Snakemake asks for them.

    Its own are asked only for outputs that have none, of an earlier version.
    """

    def __init__(self, dag: Any, **given: Any) -> None:
        super().__init__(dag=dag, **given)
        self.why: dict[Any, str] = {}  # "" of a job whose outputs are current
        self._records: dict[str, Made | None] = {}
        self._sources: dict[str, Source] = {}
        self._redated: dict[str, Made] = {}  # by output: its source has another date, and the same content
        self._adopted: list[Any] = []  # jobs of an earlier version
        dag.workflow.iocache.collect_mtime = _undated
        dag.check_output_mtime = _unchecked
        if dag.workflow.exec_mode == ExecMode.DEFAULT:
            inner = self.lock
            self.lock = lambda: self._explained(inner)

    def has_metadata(self, job: Any) -> bool:
        """Always: a job without a record is not current, which `params_changed` says."""
        return True

    def has_outdated_metadata(self, job: Any) -> bool:
        """Never."""
        return False

    def input_changed(self, job: Any, file: Any = None) -> Any:
        """Never: `params_changed` answers for the inputs too."""
        return () if file is None else False

    def params_changed(self, job: Any, file: Any = None) -> ParamsChange:
        """Why a job's outputs are not current; false where they are."""
        if job not in self.why:
            self.why[job] = self._difference(job)
        return _Why(files=set(job.output), text=self.why[job])

    def reasons(self) -> dict[str, Counter[str]]:
        """Why there is something to do that was done before: the jobs by reason and stage."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for job, why in self.why.items():
            if why and any(Path(path).exists() for path in job.output):
                found[why][stage_of(job.rule.name)] += 1
        return dict(found)

    def _difference(self, job: Any) -> str:
        outputs = {str(path): self._made(str(path)) for path in job.output}
        there = [path for path in outputs if Path(path).exists()]
        if all(made is None or made.job is None for made in outputs.values()) and there and self._known(job):
            self._adopted.append(job)
            return ""
        was: Made | None = None
        for path, made in outputs.items():
            if made is None or made.job is None:
                return f"{self._name(path)}: {UNKNOWN}"
            if made.doubt:
                return made.doubt
            if path in there and Path(path).stat().st_size != made.size:
                return f"{self._name(path)} is not what was written"
            if was is not None and made.job != was.job:
                return f"{self._name(path)} is of another run than the files beside it"
            was = made
        if was is None or was.job is None:
            return ""
        stage, settings = stage_of(job.rule.name), _settings(job)
        if was.job.number != number(stage):
            return f"the program's stage {stage} was number {was.job.number}, is {number(stage)}"
        if was.job.settings != settings:
            return differing(stage, was.job.settings, settings)
        return self._other_inputs(was.job.inputs, job) or self._other_sources(was.sources, job)

    def _known(self, job: Any) -> bool:
        """Whether Snakemake's own records say that the outputs are current."""
        recorded = all(self.metadata(path) is not None for path in job.output)
        return recorded and not super().params_changed(job) and not any(super().input_changed(job))

    def _other_inputs(self, was: Mapping[str, str], job: Any) -> str:
        now = self._inputs(job, was)
        gone, new = sorted(was.keys() - now.keys()), sorted(now.keys() - was.keys())
        if gone or new:
            return f"{new[0]} is a new input" if new else f"{gone[0]} is no input any more"
        return next((f"{name} was made again" for name in now if now[name] != was[name]), "")

    def _other_sources(self, was: tuple[Source, ...], job: Any) -> str:
        files = [str(path) for path in job.input if self._is_source(str(path))]
        if not all(Path(file).exists() for file in files):
            return ""
        if len(files) != len(was):
            return f"it was made of {len(was)} source files, now there are {len(files)}"
        now = tuple(map(self._source, files, was))
        for path, old, new in zip(files, was, now):
            if old.sha256 != new.sha256:
                return f"{path} has other content"
        if now != was:
            self._redated |= {
                path: replace(made, sources=now) for path in map(str, job.output) if (made := self._made(path))
            }
        return ""

    async def finished(self, job: Any) -> None:
        """Write into the records of a job's outputs what the job was, once its command has written them."""
        await super().finished(job)
        if self.dag.workflow.exec_mode != ExecMode.DEFAULT:
            return
        made = [self._made(str(path)) for path in job.output]
        if self.dag.workflow.touch or all(one is not None and one.job is None for one in made):
            self._stamp(job)

    def _stamp(self, job: Any) -> None:
        stage = stage_of(job.rule.name)
        sources = [Source.of(path) for path in map(str, job.input) if self._is_source(path)]
        what = records.Job(number(stage), _settings(job), self._inputs(job, {}), _versions())
        for path in map(str, job.output):
            if self._made(path) is None:
                records.keep(stage, Path(path), sources=sources)
            made = records.read(path)
            assert made is not None
            records.write(path, replace(made, job=what))
        self._clear_cache()

    def _clear_cache(self) -> None:
        super()._clear_cache()
        self._records = {}

    @contextmanager
    def _explained(self, lock: Any) -> Iterator[None]:
        """Say why finished jobs run again, then hold the lock."""
        reasons = sorted(self.reasons().items(), key=lambda item: -item[1].total())
        for why, stages in reasons[:_MOST_REASONS]:
            logger.info(f"to do again: {why} ({', '.join(f'{stage} {count}' for stage, count in stages.items())})")
        if len(reasons) > _MOST_REASONS:
            logger.info(f"to do again: for {len(reasons) - _MOST_REASONS} reasons more")
        with lock():
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the results folder, and bring its records up to date."""
        with super()._alone():
            for path, made in self._redated.items():
                records.write(path, made)
            for job in self._adopted:
                self._stamp(job)
            yield

    def _made(self, path: str) -> Made | None:
        if path not in self._records:
            try:
                self._records[path] = records.read(path)
            except DfdmError as error:
                raise WorkflowError(str(error)) from None
        return self._records[path]

    def _inputs(self, job: Any, was: Mapping[str, str]) -> dict[str, str]:
        """The hashes of the inputs from the results folder; of an absent one without a record the one that it had."""
        found: dict[str, str] = {}
        for path in map(str, job.input):
            if not self._is_source(path):
                name, made = self._name(path), self._made(path)
                if made is not None:
                    found[name] = made.sha256
                else:
                    found[name] = self._source(path).sha256 if Path(path).exists() else was.get(name, "")
        return found

    def _source(self, path: str, known: Source | None = None) -> Source:
        self._sources[path] = Source.of(path, self._sources.get(path, known))
        return self._sources[path]

    def _is_source(self, path: str) -> bool:
        return not path.startswith(f"{self.root}/")

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self.root}/")


@dataclass
class _Why(ParamsChange):
    """A reason as Snakemake shows it."""

    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text

    def __iter__(self) -> Iterator[Any]:
        return iter(self.files if self.text else ())


def differing(stage: str, was: Any, now: Any) -> str:
    """The first setting that differs, in the config's words: `render.smooth was 1.0, is 1.7`."""
    old, new = _flat(was), _flat(now)
    keys = [key for key in new if old.get(key, _ABSENT) != new[key]] + [key for key in old if key not in new]
    more = f", and {len(keys) - 1} more" if len(keys) > 1 else ""
    return f"{_in_config(stage, keys[0])} was {_shown(old, keys[0])}, is {_shown(new, keys[0])}{more}"


_ABSENT = object()


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {
        key: held for part, inside in value.items() for key, held in _flat(inside, f"{name}.{part}".strip(".")).items()
    }


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "absent"
    text = json.dumps(values[key], ensure_ascii=False)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def _in_config(stage: str, key: str) -> str:
    """A setting's name with its section: the stage's, where the settings are of one section."""
    sections = Config.model_fields
    if key.partition(".")[0] in sections:
        return key
    section = stage if stage in sections else stage.partition("_")[0]
    return f"{section}.{key}".strip(".")


def _settings(job: Any) -> Any:
    return json.loads(json.dumps(job.params.get("settings"), default=str))


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _COMPUTE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


async def _undated(file: Any) -> Any:
    """In place of a file's date, which Snakemake looks at whatever else it is told to."""
    return Mtime(local=0.0)


async def _unchecked(job: Any, outputs: Any) -> None:
    """In place of an error where an input's date is later than the output's: a copied file may have any date."""
