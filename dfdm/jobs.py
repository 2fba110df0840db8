"""Which jobs a target needs: the workflow's own graph, without Snakemake, so that a plan takes a second.

tests/workflow/test_plan.py holds it equal to Snakemake's dry run. The rules in workflow/rules stay what runs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dfdm.config import Config
from dfdm.errors import DfdmError
from dfdm.layout import Layout, originals_of, targets, videos_of
from dfdm.names import REAL, pair_of


@dataclass(frozen=True)
class Job:
    """One job: its rule's name, the files it makes and needs, and what it is about."""

    rule: str
    makes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    scene: str = ""  # id0_0003
    pair: str = ""  # id0_id1
    model: str = ""
    crf: int | None = None


def _all_jobs(cfg: Config) -> Iterator[Job]:
    """Every job that makes a file."""
    at = Layout(cfg.results)
    yield Job("predictor", (at.predictor,))
    for key in cfg.scene_keys:
        yield Job("source", (at.source(key),), scene=key)
        yield Job("track", (at.track(key),), (at.source(key), at.predictor), scene=key)
    for pair in cfg.pairs:
        people = pair.split("_")
        tracks = tuple(at.track(key) for key in cfg.scene_keys if key.split("_")[0] in people)
        for model in cfg.models:
            beside = (at.training_file(pair, model, name) for name in ("loss.csv", "preview.png"))
            yield Job(f"train_{model}", (at.checkpoint(pair, model), *beside), tracks, pair=pair, model=model)
    swaps = [(clip.clip, clip.video_id, clip.scene, clip.pair, model) for clip in cfg.clips for model in cfg.models]
    for name in originals_of(cfg):
        swaps.append((name.clip, name.video_id, name.scene, None, REAL))
    for clip, person, number, two, model in swaps:
        scene = f"{person}_{number}"
        track, pair = at.track(scene), "_".join(pair_of(*two)) if two else ""
        master = (at.video(clip, model, 0), at.sidecar(clip, model, 0))
        needs = (track, at.checkpoint(pair, model)) if pair else (track,)
        yield Job("render" if pair else "original", master, needs, scene, pair, model, 0)
        for crf in cfg.qualities:
            video = at.video(clip, model, crf)
            if crf:
                yield Job("encode", (video, at.sidecar(clip, model, crf)), (*master, track), scene, pair, model, crf)
            yield Job("crops", (at.crops(clip, model, crf),), (video, track), scene, pair, model, crf)
    for target in targets(cfg):
        table = at.manifest(target)
        sidecars = tuple(at.sidecar(v.name.clip, v.name.model, v.crf) for v in videos_of(cfg, target))
        yield Job("manifest", (table, table.replace(".parquet", ".csv")), sidecars)
    for crf in cfg.qualities:
        made = tuple(
            at.attribution(crf, n) for n in ("scores.json", "model.safetensors", "log.csv", "predictions.parquet")
        )
        swapped = [v for v in videos_of(cfg, f"crf{crf}") if v.name.model != REAL]
        crops = tuple(at.crops(v.name.clip, v.name.model, v.crf) for v in swapped)
        yield Job("classify", made, (at.manifest(f"crf{crf}"), *crops), crf=crf)
    videos = tuple(at.video(v.name.clip, v.name.model, v.crf) for v in videos_of(cfg, "dataset"))
    yield Job("page", (at.report,), (at.manifest("dataset"), *videos, *map(at.attribution, cfg.qualities)))


def _wanted(cfg: Config, target: str) -> tuple[str, ...]:
    """The files that a named target asks for."""
    at = Layout(cfg.results)
    scores = tuple(map(at.attribution, cfg.qualities))
    named = {
        "faces": tuple(map(at.track, cfg.scene_keys)),
        "attribution": scores,
        "report": (at.report,),
        **{f"attribution_crf{crf}": (at.attribution(crf),) for crf in cfg.qualities},
    }
    if target in named:
        return named[target]
    videos = "dataset" if target == "all" else target
    if videos not in targets(cfg):
        known = ", ".join(["all", *named, *targets(cfg)])
        raise DfdmError(f"'{target}' is no target of this config; known are {known}")
    files = tuple(path for v in videos_of(cfg, videos) for path in at.encoded(v))
    extra = {"all": (at.report, *scores), "dataset": (at.manifest("dataset"),)}
    return files + extra.get(target, ())


def jobs_of(cfg: Config, target: str = "all") -> list[Job]:
    """The jobs that a named target needs from nothing, those that need files of others after them; itself last."""
    makers = {path: job for job in _all_jobs(cfg) for path in job.makes}
    last = Job(target, (), _wanted(cfg, target))
    ordered: list[Job] = []
    seen: set[int] = set()
    stack: list[tuple[Job, bool]] = [(last, False)]
    while stack:
        job, done = stack.pop()
        if done:
            ordered.append(job)
        elif id(job) not in seen:
            seen.add(id(job))
            stack.append((job, True))
            stack += [(makers[path], False) for path in job.needs]
    return ordered


def left_to_do(jobs: Iterable[Job]) -> list[Job]:
    """Of a target's jobs (in their order, the target last) those still to run, as far as absent files tell.

    As Snakemake does, an absent file counts where the target or a job that runs needs it, and what follows a job that
    runs, runs too. Changed params and newer inputs are Snakemake's to see: `snakemake -n`.
    """
    jobs = list(jobs)
    makers = {path: job for job in jobs for path in job.makes}
    absent = {path for path in makers if not Path(path).exists()}
    run: set[int] = set()
    before = -1
    while len(run) != before:
        before = len(run)
        wanted = set(jobs[-1].needs)
        for job in reversed(jobs):
            if id(job) in run or any(path in absent and path in wanted for path in job.makes):
                run.add(id(job))
                wanted.update(job.needs)
        for job in jobs:
            if any(id(makers[path]) in run for path in job.needs):
                run.add(id(job))
    return [job for job in jobs if id(job) in run]
