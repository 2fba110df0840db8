"""What a config will cost before anything runs: jobs, videos, disk, CPU and GPU hours, and what is there already.

A plan needs no source videos: scenes that have been probed count with their frames and size, cut scenes with the
frames that config names, all others with assumed ones. Costs: dfdm/rates.py. torch is never imported.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfdm import rates as costs
from dfdm.config import Config
from dfdm.dataset.splits import split_videos
from dfdm.errors import DfdmError
from dfdm.files import read_json
from dfdm.jobs import Job, jobs_of, left_to_do
from dfdm.layout import Layout, encoded_of, videos_of
from dfdm.names import REAL
from dfdm.rates import Rates

FRAMES, SIZE = 390, (944, 500)  # assumed of a scene: about the mean of Celeb-DF's real videos
PUBLISHED_GB = {0: 53.7, 10: 24.4, 23: 4.3}  # DFDM's own 6,450 videos
_ON_GPU = ("train", "render", "classify")
_STATE_BYTES = 12  # a weight's: itself and Adam's two means, float32


@dataclass(frozen=True)
class Assumed:
    """Frames and size of a scene that nothing is known of."""

    frames: int = FRAMES
    size: tuple[int, int] = SIZE


@dataclass
class Cost:
    """What a set of jobs costs."""

    jobs: int = 0
    left: int = 0  # jobs still to run
    videos: int = 0
    bytes: float = 0
    cpu_hours: float = 0  # core hours of the jobs left, without a GPU
    gpu_hours: float = 0  # of the same jobs' part that a GPU can take

    def add(self, left: bool, videos: int, size: float, seconds: float, gpu_seconds: float) -> None:
        """Count one more job."""
        self.jobs += 1
        self.videos += videos
        self.bytes += size
        if left:
            self.left += 1
            self.cpu_hours += seconds / 3600
            self.gpu_hours += gpu_seconds / 3600


@dataclass(frozen=True)
class Plan:
    """The whole estimate; `parts` by (stage, model, crf)."""

    parts: dict[tuple[str, str, int | None], Cost]
    state_bytes: float  # resumable training states, which stay until they are removed
    scratch_bytes: float  # the largest file being written, under its temporary name beside the last
    scenes: int
    known: int  # scenes whose frames and size are known from their records
    rates: str
    published: bool  # whether DFDM's own sizes can stand beside

    def total(self, stage: str = "", model: str = "", crf: int | None = None, swaps: bool = False) -> Cost:
        """The sum over the parts of a stage, model and quality; '' and None stand for all."""
        total = Cost()
        for (a, b, c), cost in self.parts.items():
            if (stage in ("", a)) and (model in ("", b)) and (crf in (None, c)) and not (swaps and b == REAL):
                for name in vars(total):
                    setattr(total, name, getattr(total, name) + getattr(cost, name))
        return total

    @property
    def peak_bytes(self) -> float:
        """Disk at its fullest: everything made, the states, and one file under way."""
        return self.total().bytes + self.state_bytes + self.scratch_bytes

    def stages(self) -> list[str]:
        """The stages in order."""
        return list(dict.fromkeys(stage for stage, _, _ in self.parts))


class _Sizes:
    """Frames and pixels of scenes, read once each."""

    def __init__(self, cfg: Config, assumed: Assumed) -> None:
        self.cfg, self.assumed, self.known = cfg, assumed, 0
        self._found: dict[str, tuple[int, int]] = {}

    def __getitem__(self, scene: str) -> tuple[int, int]:
        if scene not in self._found:
            frames, (width, height) = self.assumed.frames, self.assumed.size
            if cut := self.cfg.scene(scene).frames:
                frames = cut[1] - cut[0]
            record = Path(Layout(self.cfg.results).source(scene))
            if record.is_file():
                values = read_json(record)
                frames, width, height = values["stop"] - values["start"], values["width"], values["height"]
                self.known += 1
            self._found[scene] = frames, width * height
        return self._found[scene]


def stage_of(job: Job) -> str:
    """The stage a job counts under: its rule's name, trainings of all models together."""
    return "train" if job.rule.startswith("train_") else job.rule


def features(cfg: Config, job: Job, sizes: _Sizes) -> dict[str, float]:
    """A job's work, by what the rates are for."""
    frames, pixels = sizes[job.scene] if job.scene else (0, 0)
    stage, mpx = stage_of(job), frames * pixels / 1e6
    if stage == "train":
        settings = cfg.settings(job.model)
        faces = 2 * settings.batch * settings.iterations
        return {
            "job": 1,
            "gmac": 3 * costs.multiply_adds(job.model, settings.width) * faces / 1e9,
            "kpx": costs.output_size(job.model) ** 2 * faces / 1e3,
            "gparam": costs.parameters(job.model, settings.width) * settings.iterations / 1e9,
        }
    if stage == "render":
        gmac = costs.multiply_adds(job.model, cfg.settings(job.model).width) * frames / 1e9
        return {"job": 1, "mpx": mpx, "gmac": gmac}
    if stage == "classify":
        return {"job": 1, "gmac": _classifier_gmac(cfg)}
    return {"job": 1, "mpx": mpx} if job.scene else {"job": 1, "files": len(job.needs)}


def _classifier_gmac(cfg: Config) -> float:
    """Multiply-adds of one quality's classifier: every epoch the training clips and those that choose it."""
    a = cfg.attribution
    names = [v.name for v in videos_of(cfg, f"crf{cfg.qualities[0]}") if v.name.model != REAL]
    parts = split_videos(names, a.split, cfg.splits, cfg.seed)
    clips = 3 * a.clips_per_epoch * a.epochs * parts.count("train")
    clips += a.test_clips * (a.epochs * parts.count("validation") + parts.count("test"))
    return costs.RESNET_GMAC[a.depth] * (a.size / 224) ** 2 * a.clip * clips


def job_bytes(cfg: Config, job: Job, sizes: _Sizes, rates: Rates) -> float:
    """What a job leaves on disk."""
    frames, pixels = sizes[job.scene] if job.scene else (0, 0)
    stage = stage_of(job)
    if stage in ("render", "original", "encode"):
        return rates.bytes_at(job.crf or 0) * frames * pixels + 2000
    if stage == "crops":
        return rates.crop_bytes_pixel * frames * pixels
    if stage == "train":
        return 4 * costs.parameters(job.model, cfg.settings(job.model).width) + 300_000
    if stage == "track":
        return 600.0 * frames
    return {"classify": 45e6, "page": 20e6}.get(stage, 1000.0)


def threads_of(cfg: Config, job: Job) -> int:
    """The cores that a job's seconds count for."""
    stage = stage_of(job)
    if stage == "train":
        return cfg.settings(job.model).threads
    return {
        "render": max(cfg.render.threads, cfg.encode.threads),
        "original": cfg.encode.threads,
        "encode": cfg.encode.threads,
        "classify": cfg.attribution.threads,
    }.get(stage, 1)


def core_seconds(stage: str, work: dict[str, float], rates: Rates) -> float:
    """Core seconds of a job on a CPU."""
    return sum(rates.seconds.get(stage, {}).get(name, 0.0) * amount for name, amount in work.items())


def make(cfg: Config, target: str = "all", rates: Rates | None = None, assumed: Assumed = Assumed()) -> Plan:
    """Estimate a named target of a config."""
    rates = rates or costs.load(None)
    sizes = _Sizes(cfg, assumed)
    jobs = jobs_of(cfg, target)
    left = {id(job) for job in left_to_do(jobs)}
    parts: dict[tuple[str, str, int | None], Cost] = defaultdict(Cost)
    states = largest = 0.0
    classifier: dict[str, float] = {}  # the same for every quality, and slow to count
    for job in jobs:
        stage = "target" if job is jobs[-1] else stage_of(job)
        if stage == "classify":
            classifier = classifier or features(cfg, job, sizes)
        work = classifier if stage == "classify" else features(cfg, job, sizes)
        size = 0.0 if stage == "target" else job_bytes(cfg, job, sizes, rates)
        largest = max(largest, size)
        gpu = work.get("gmac", 0.0) / rates.gpu_gmac_second if stage in _ON_GPU else 0.0
        if stage == "train":
            settings = cfg.settings(job.model)
            states += settings.keep * _STATE_BYTES * costs.parameters(job.model, settings.width)
        videos = stage in ("render", "original", "encode")
        parts[stage, job.model, job.crf].add(id(job) in left, videos, size, core_seconds(stage, work, rates), gpu)
    order = ("source", "predictor", "track", "train", "render", "original", "encode", "crops", "manifest", "classify")
    ranked = {stage: place for place, stage in enumerate((*order, "page", "target"))}
    ordered = dict(sorted(parts.items(), key=lambda item: ranked[item[0][0]]))
    swaps = sum(cost.videos for (_, model, _), cost in parts.items() if model != REAL)
    return Plan(
        parts=ordered,
        state_bytes=states,
        scratch_bytes=largest,
        scenes=len(cfg.scene_keys),
        known=sizes.known,
        rates=rates.source,
        published=swaps == 6450 and cfg.qualities == [0, 10, 23],
    )


def _benchmark_of(at: Layout, job: Job) -> str:
    """Where Snakemake wrote a job's seconds."""
    name = Path(job.makes[0]).stem
    return {
        "source": at.benchmark("source", job.scene),
        "predictor": at.benchmark("predictor", "predictor"),
        "track": at.benchmark("faces", job.scene),
        "train": at.benchmark("train", f"{job.pair}_{job.model}"),
        "render": at.benchmark("render", name),
        "original": at.benchmark("original", name.removesuffix(f"_{REAL}")),
        "encode": at.benchmark("encode", f"crf{job.crf}_{name}"),
        "crops": at.benchmark("crops", f"crf{job.crf}_{name}"),
        "manifest": at.benchmark("manifest", name),
        "classify": at.benchmark("attribution", f"crf{job.crf}"),
        "page": at.benchmark("report", "report"),
    }[stage_of(job)]


def measured_seconds(cfg: Config, job: Job) -> float | None:
    """A finished job's core seconds, None where no benchmark file tells."""
    file = Path(_benchmark_of(Layout(cfg.results), job))
    if not file.is_file():
        return None
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return float(rows[-1]["s"]) * threads_of(cfg, job) if rows else None


def measure(cfg: Config, base: Rates) -> Rates:
    """Rates of a finished results folder, from its benchmark files and sizes; `base` fills what it does not tell."""
    sizes = _Sizes(cfg, Assumed())
    done: dict[str, list[tuple[dict[str, float], float]]] = defaultdict(list)
    encoded: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    crops = [0.0, 0.0]
    for job in jobs_of(cfg)[:-1]:
        took = measured_seconds(cfg, job)
        if took is not None:
            done[stage_of(job)].append((features(cfg, job, sizes), took))
        file = Path(job.makes[0])
        if not job.scene or not file.is_file():
            continue
        frames, pixels = sizes[job.scene]
        if job.rule == "crops":
            crops = [crops[0] + file.stat().st_size, crops[1] + frames * pixels]
        elif job.model:
            both = encoded[encoded_of(file).crf]
            both[0] += file.stat().st_size
            both[1] += frames * pixels
    if not done or not encoded:
        raise DfdmError(
            f"{cfg.results} holds no benchmark files of a finished run; run snakemake with this config first"
        )
    seconds = dict(base.seconds)
    for stage, rows in done.items():
        start = base.seconds.get(stage, {}).get("job", 0.0)
        seconds[stage] = costs.fit([work for work, _ in rows], [took for _, took in rows], start)
    return costs.with_measured(
        base,
        f"measured on {cfg.results}",
        seconds=seconds,
        bytes_pixel={crf: float(f"{size / amount:.4g}") for crf, (size, amount) in sorted(encoded.items())},
        crop_bytes_pixel=float(f"{crops[0] / crops[1]:.4g}") if crops[1] else base.crop_bytes_pixel,
    )


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain values."""
    parts = [
        {"stage": stage, "model": model or None, "crf": crf, **vars(cost)}
        for (stage, model, crf), cost in plan.parts.items()
    ]
    return {
        "parts": parts,
        "total": vars(plan.total()),
        "state_bytes": plan.state_bytes,
        "peak_bytes": plan.peak_bytes,
        "scenes": plan.scenes,
        "scenes_known": plan.known,
        "rates": plan.rates,
    }


def _amount(size: float) -> str:
    unit = next(((f"{size / u:.1f}", n) for u, n in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if size >= u), None)
    return " ".join(unit) if unit else f"{size / 1e3:.0f} kB"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        )
        for row in (head, tuple("-" * width for width in widths), *rows)
    ]
    return "\n".join(lines)


def _row(name: str, cost: Cost) -> tuple[str, ...]:
    videos = f"{cost.videos:,}" if cost.videos else ""
    hours = [f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in (cost.cpu_hours, cost.gpu_hours)]
    return name, f"{cost.jobs:,}", f"{cost.left:,}", videos, _amount(cost.bytes), *hours


def to_text(plan: Plan) -> str:
    """The plan as tables: by stage, by model, by quality."""
    head = ("jobs", "to do", "videos", "disk", "CPU h", "or GPU h")
    models = list(dict.fromkeys(model for _, model, _ in plan.parts if model))
    qualities = sorted({crf for stage, _, crf in plan.parts if crf is not None and stage != "classify"})
    stages = _table(("stage", *head), [*(_row(s, plan.total(s)) for s in plan.stages()), _row("total", plan.total())])
    by_model = _table(("model", *head), [_row(model, plan.total(model=model)) for model in models])
    rows = []
    for crf in qualities:
        films = Cost()
        for stage in ("render", "encode"):
            part = plan.total(stage, crf=crf, swaps=True)
            films.videos, films.bytes = films.videos + part.videos, films.bytes + part.bytes
        published = (f"{PUBLISHED_GB[crf]} GB",) if plan.published else ()
        rows.append((f"crf {crf}", f"{films.videos:,}", _amount(films.bytes), *published))
    if plan.published:
        size = sum(plan.total(s, swaps=True).bytes for s in ("render", "encode"))
        rows.append(
            ("together", f"{plan.total(swaps=True).videos:,}", _amount(size), f"{sum(PUBLISHED_GB.values()):.1f} GB")
        )
    by_crf = _table(("swapped videos", "videos", "disk", *(("DFDM's",) if plan.published else ())), rows)
    made = plan.total().bytes
    notes = [
        f"disk at peak: {_amount(plan.peak_bytes)} = made {_amount(made)} + training states "
        f"{_amount(plan.state_bytes)} (removable when trained) + {_amount(plan.scratch_bytes)} a job that writes",
        f"scenes: {plan.known} of {plan.scenes} probed; the others as config cuts them or as assumed",
        "CPU h are core hours of the jobs to do without a GPU; GPU h are their networks' share on a GPU, at "
        "the rate that the table of rates assumes",
        f"rates: {plan.rates}",
    ]
    return "\n\n".join([stages, by_model, by_crf, "\n".join(notes)])
