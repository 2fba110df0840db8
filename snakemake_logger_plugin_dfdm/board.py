"""A running workflow in numbers: jobs by stage, how long they take, which failed. Times are seconds since 1970."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One job as Snakemake announced it; `name` is its message, `command` its shell command."""

    id: int
    rule: str
    name: str
    log: tuple[Path, ...]
    command: str | None
    started: float


@dataclass(frozen=True)
class Failure:
    """One failed attempt of a job; `attempt` counts from 1, `hint` is what else Snakemake said of it."""

    job: Job
    seconds: float
    attempt: int
    environment: str | None  # of conda, where one was used
    hint: str


@dataclass(frozen=True)
class Row:
    """One stage: how many jobs, how many of them done, running, failed; `mean` seconds of a finished job."""

    stage: str
    total: int
    done: int
    running: int
    failed: int
    mean: float | None


@dataclass(frozen=True)
class Left:
    """Seconds to the end, without `untimed` jobs of stages of which none has finished nor runs."""

    seconds: float
    untimed: int
    at_least: bool


@dataclass
class Board:
    """Takes events, gives rows. `stages`: each rule's stage; None leaves a rule out (named targets)."""

    stages: dict[str, str | None] = field(default_factory=dict)
    planned: Counter[str] = field(default_factory=Counter)  # by rule
    running: dict[int, Job] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)  # of jobs that did not succeed afterwards
    done: Counter[str] = field(default_factory=Counter)
    started: float | None = None
    stopped: bool = False  # by the user: jobs that end now did not fail
    _seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # finished jobs', by rule
    _attempts: Counter[int] = field(default_factory=Counter)

    def plan(self, counts: dict[str, int], now: float) -> None:
        """Take the jobs to come by rule, as Snakemake counts them (its `total` is not a rule)."""
        self.planned = Counter({rule: count for rule, count in counts.items() if rule != "total"})
        self.started = now

    def start(self, job: Job) -> None:
        """Count a job as running (or queued on a cluster)."""
        self.running[job.id] = job
        self._attempts[job.id] += 1

    def finish(self, job_id: int, now: float) -> None:
        """Count a job as done; an earlier failed attempt of it is forgotten."""
        self.failures.pop(job_id, None)
        if job := self.running.pop(job_id, None):
            self.done[job.rule] += 1
            self._seconds[job.rule] += now - job.started

    def fail(self, job: Job, environment: str | None, hint: str, now: float) -> Failure | None:
        """Count a job's attempt as failed; None where it was counted already, or the user stopped the run."""
        known = self.running.pop(job.id, None)
        if self.stopped or (known is None and job.id in self.failures):
            return None
        job = replace(job, name=known.name, started=known.started) if known else job
        seconds, attempt = now - job.started, max(1, self._attempts[job.id])
        failure = self.failures[job.id] = Failure(job, seconds, attempt, environment, hint)
        return failure

    def rows(self) -> list[Row]:
        """The stages in the order in which the workflow defines them, where that is known."""
        counts = (self.planned, self.done, Counter(job.rule for job in self.running.values()), self._failed())
        rows = []
        for stage, rules in self._rules().items():
            total, done, running, failed = (sum(count[rule] for rule in rules) for count in counts)
            rows.append(Row(stage, total, done, running, failed, self._mean(rules)))
        return rows

    def rate(self, now: float) -> float | None:
        """Finished jobs a minute over the run so far; None before the first."""
        done = sum(row.done for row in self.rows())
        return 60 * done / max(now - self.started, 1e-3) if done and self.started is not None else None

    def left(self, now: float) -> Left | None:
        """Work to come over the number of jobs that ran side by side so far; None before the first job.

        A rule without a finished job counts as its stage's others, else as its running jobs so far: then the answer
        is a lower bound.
        """
        elapsed: dict[str, list[float]] = defaultdict(list)
        for job in self.running.values():
            elapsed[job.rule].append(now - job.started)
        failed = self._failed()
        busy = sum(self._seconds.values()) + sum(sum(times) for times in elapsed.values())
        if self.started is None or busy <= 0:
            return None
        work, longest, untimed, at_least = 0.0, 0.0, 0, False
        for rule, stage in ((rule, rules) for rules in self._rules().values() for rule in rules):
            times, count = elapsed[rule], self.planned[rule] - self.done[rule] - failed[rule]
            if count <= 0:
                continue
            mean = self._mean([rule]) or self._mean(stage)
            if mean is None:
                at_least = True
                untimed += 0 if times else count
                mean = max(times, default=0.0)
            rests = [max(0.0, mean - time) for time in times]
            work += sum(rests) + mean * max(0, count - len(times))
            longest = max([longest, *rests, mean if count > len(times) else 0.0])
        side_by_side = max(1.0, busy / max(now - self.started, 1e-3))
        return Left(max(longest, work / side_by_side), untimed, at_least)

    def _rules(self) -> dict[str, list[str]]:
        """The planned rules of each stage."""
        found: dict[str, list[str]] = defaultdict(list)
        for rule in dict.fromkeys([*self.stages, *self.planned]):
            stage = self.stages.get(rule, rule)
            if stage is not None and rule in self.planned:
                found[stage].append(rule)
        return found

    def _failed(self) -> Counter[str]:
        return Counter(failure.job.rule for failure in self.failures.values())

    def _mean(self, rules: list[str]) -> float | None:
        count = sum(self.done[rule] for rule in rules)
        return sum(self._seconds.get(rule, 0.0) for rule in rules) / count if count else None
