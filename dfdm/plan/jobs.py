"""Which jobs a target needs: the workflow's own graph, without Snakemake, so that a plan takes a second.

tests/workflow/test_plan.py holds it equal to Snakemake's dry run. The rules in workflow/rules stay what runs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from attribution.run import ALL
from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, pair_of
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, originals_of, targets, videos_of
from dfdm.catalogue.schedule import background_run, checked_runs, comparison_runs, comparison_scores, main_runs, scored


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
    classifier: str = ""
    run: str = ""  # of a classifier (dfdm/catalogue/schedule.py)


def _all_jobs(cfg: Config) -> Iterator[Job]:
    """Every job that makes a file."""
    at = Layout(cfg.results)
    yield Job("sources_predictor", (at.predictor,))
    yield Job("sources_identity", (at.identity,))
    for key in cfg.scene_keys:
        yield Job("sources_probe", (at.source(key),), scene=key)
        yield Job("faces", (at.track(key),), (at.source(key), at.predictor), scene=key)
    for pair in cfg.pairs:
        people = pair.split("_")
        tracks = tuple(at.track(key) for key in cfg.scene_keys if key.split("_")[0] in people)
        for model in cfg.models:
            beside = (at.training_file(pair, model, name) for name in ("loss.csv", "preview.png"))
            yield Job(f"train_{model}", (at.checkpoint(pair, model), *beside), tracks, pair=pair, model=model)
            masters = (at.video(clip.clip, model, 0) for clip in cfg.clips if clip.pair == tuple(people))
            needs = (*tracks, at.checkpoint(pair, model), *masters, at.identity, at.predictor)
            yield Job("evaluate", (at.evaluate(pair, model),), needs, pair=pair, model=model)
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
    yield from _classifier_jobs(cfg, at)
    videos = tuple(at.video(v.name.clip, v.name.model, v.crf) for v in videos_of(cfg, "dataset"))
    logs = (at.run(str(run), "log.csv") for run in main_runs(cfg))
    shown = (*_scores(cfg, at), *logs, *_comparison(cfg, at), *_evaluations(cfg, at))
    yield Job("report", (at.report,), (at.manifest("dataset"), *videos, *shown))


def _classifier_jobs(cfg: Config, at: Layout) -> Iterator[Job]:
    """The classifiers': their rates, trainings, scores and comparison."""

    def reads(name: str, qualities: Iterable[int]) -> tuple[str, ...]:
        settings = cfg.classifier(name)
        videos = [v for crf in qualities for v in videos_of(cfg, f"crf{crf}")]
        crops = tuple(
            at.crops(v.name.clip, v.name.model, v.crf) for v in videos if settings.real or v.name.model != REAL
        )
        hidden = tuple(at.region(clip.clip) for clip in cfg.clips) if settings.region == "background" else ()
        return (*(at.manifest(f"crf{crf}") for crf in qualities), *crops, *hidden)

    one = cfg.comparison
    tuned = list(one.classifiers) if one and one.rates else []
    for name in tuned:
        assert one is not None
        yield Job("attribution_tune", (at.tune(name),), reads(name, [one.crf]), classifier=name, crf=one.crf)
    for clip in cfg.clips:
        masters = tuple(at.video(clip.clip, model, 0) for model in cfg.models)
        needs = (*masters, at.video(clip.scene_key, REAL, 0), at.track(clip.scene_key))
        yield Job("region", (at.region(clip.clip),), needs, scene=clip.scene_key)
    for run in dict.fromkeys(run for run, _ in scored(cfg)):
        made = tuple(at.run(str(run), n) for n in ("model.safetensors", "log.csv", "training.json", "speed.json"))
        rate = (at.tune(run.classifier),) if run.classifier in tuned else ()
        needs = (*reads(run.classifier, run.qualities(cfg.qualities)), *rate)
        quality = int(run.crf) if run.crf != ALL else None
        yield Job("attribution_train", made, needs, classifier=run.classifier, crf=quality, run=str(run))
    for run, crf in scored(cfg):
        made = tuple(at.scores(str(run), crf, name) for name in ("scores.json", "predictions.parquet"))
        needs = (at.run(str(run)), *map(at.track, cfg.scene_keys), *reads(run.classifier, [crf]))
        yield Job("attribution_score", made, needs, classifier=run.classifier, crf=crf, run=str(run))
    if one:
        files = [
            at.scores(str(r), crf, n)
            for r, crf in comparison_scores(cfg)
            for n in ("scores.json", "predictions.parquet")
        ]
        files += [at.run(str(run), name) for run in comparison_runs(cfg) for name in ("training.json", "speed.json")]
        yield Job("attribution_comparison", (at.comparison,), (*files, *map(at.tune, tuned)))
    for run in checked_runs(cfg):
        other = background_run(cfg, run.crf)
        scores = [at.scores(str(one), run.crf) for one in (run, other) if one]
        crops = tuple(at.crops(v.name.clip, v.name.model, v.crf) for v in videos_of(cfg, f"crf{run.crf}"))
        trained = (at.run(str(run)), at.run(str(run), "training.json"))
        needs = (at.manifest(f"crf{run.crf}"), *crops, *trained, *scores)
        yield Job(
            "controls", (at.controls(run.classifier, run.crf),), needs, classifier=run.classifier, crf=int(run.crf)
        )


def _scores(cfg: Config, at: Layout) -> tuple[str, ...]:
    return tuple(at.scores(str(run), run.crf) for run in main_runs(cfg))


def _comparison(cfg: Config, at: Layout) -> tuple[str, ...]:
    """The comparison and the controls, where config asks for them."""
    return (*((at.comparison,) if cfg.comparison else ()), *_controls(cfg, at))


def _controls(cfg: Config, at: Layout) -> tuple[str, ...]:
    return tuple(at.controls(run.classifier, run.crf) for run in checked_runs(cfg))


def _evaluations(cfg: Config, at: Layout) -> tuple[str, ...]:
    return tuple(at.evaluate(pair, model) for pair in cfg.pairs for model in cfg.models)


def _wanted(cfg: Config, target: str) -> tuple[str, ...]:
    """The files that a named target asks for."""
    at = Layout(cfg.results)
    scores = _scores(cfg, at)
    named = {
        "all_faces": tuple(map(at.track, cfg.scene_keys)),
        "attribution": scores,
        "all_evaluate": _evaluations(cfg, at),
        "report": (at.report,),
        **{f"attribution_crf{run.crf}": (at.scores(str(run), run.crf),) for run in main_runs(cfg)},
        **({"attribution_comparison": (at.comparison,)} if cfg.comparison else {}),
        **({"all_controls": _controls(cfg, at)} if cfg.controls else {}),
    }
    if target in named:
        return named[target]
    videos = "dataset" if target == "all" else target
    if videos not in targets(cfg):
        known = ", ".join(["all", *named, *targets(cfg)])
        raise DfdmError(f"'{target}' is no target of this config; known are {known}")
    files = tuple(path for v in videos_of(cfg, videos) for path in at.encoded(v))
    extra = {"all": (at.report, *scores, *_comparison(cfg, at)), "dataset": (at.manifest("dataset"),)}
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
