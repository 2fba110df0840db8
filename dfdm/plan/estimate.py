"""What a config will cost before anything runs: jobs, videos, disk, CPU and GPU hours, and what is there already.

A plan needs no source videos: scenes that have been probed count with their frames and size, cut scenes with the
frames that config names, all others with assumed ones. Costs: dfdm/plan/rates.py. torch is never imported.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dfdm.base.files import read_json
from dfdm.base.names import REAL, VideoName
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.dataset.settings import SplitsConfig
from dfdm.dataset.splits import split_videos
from dfdm.plan import rates as costs
from dfdm.plan.jobs import Job, jobs_of, left_to_do
from dfdm.plan.rates import Rates

FRAMES, SIZE = 390, (944, 500)  # assumed of a scene: about the mean of Celeb-DF's real videos
_ON_GPU = ("train", "render", "attribution_tune", "attribution_train", "attribution_score")
_ORDER = (
    *("sources_probe", "sources_predictor", "sources_identity", "faces", "train", "render", "original", "evaluate"),
    *(
        "encode",
        "crops",
        "manifest",
        "attribution_tune",
        "attribution_train",
        "attribution_score",
        "attribution_comparison",
    ),
    *("region", "controls"),
    *("report", "target"),
)
_SHOWN = 432  # videos that the report decodes at most: 24 clips of 6 models at 3 qualities
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


class Sizes:
    """Frames and pixels of scenes, read once each."""

    def __init__(self, cfg: Config, assumed: Assumed) -> None:
        self.cfg, self.assumed, self.known = cfg, assumed, 0
        self._found: dict[str, tuple[int, int]] = {}
        self._crops: dict[str, float | None] = {}

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

    def crops(self, scene: str) -> float | None:
        """Bytes of a video's crops by the scene's face track; None where the stage faces has not made it."""
        if scene not in self._crops:
            from dfdm.dataset.crops import side_along
            from dfdm.media.tracks import FaceTrack

            path = Path(Layout(self.cfg.results).track(scene))
            self._crops[scene] = None
            if path.is_file() and path.stat().st_size:
                track = FaceTrack.load(path)
                side = side_along(track, self.cfg.crops.margin) if len(track) else 0
                self._crops[scene] = len(track) * side * side * 1.5
        return self._crops[scene]


def stage_of(job: Job) -> str:
    """The stage a job counts under: its rule's name, trainings of all models together."""
    return "train" if job.rule.startswith("train_") else job.rule


def features(cfg: Config, job: Job, sizes: Sizes) -> dict[str, float]:
    """A job's work, by what the rates are for."""
    frames, pixels = sizes[job.scene] if job.scene else (0, 0)
    stage, mpx = stage_of(job), frames * pixels / 1e6
    if stage == "train":
        settings = cfg.settings(job.model)
        faces = 2 * settings.batch * settings.iterations
        precision = 1 if settings.amp else 2  # float32 takes twice the time of bfloat16 where a CPU has it
        return {
            "job": 1,
            "step": settings.iterations,
            "gmac": precision * 3 * costs.multiply_adds(job.model, settings.width) * faces / 1e9,
            "kpx": costs.output_size(job.model) ** 2 * faces / 1e3,
            "gparam": costs.parameters(job.model, settings.width) * settings.iterations / 1e9,
        }
    if stage == "render":
        gmac = costs.multiply_adds(job.model, cfg.settings(job.model).width) * frames / 1e9
        return {"job": 1, "mpx": mpx, "gmac": gmac}
    if stage == "evaluate":
        shown = (sizes[clip.scene_key] for clip in cfg.clips if "_".join(clip.pair or ()) == job.pair)
        return {"job": 1, "mpx": sum(frames * pixels for frames, pixels in shown) / 1e6}
    if stage in ("attribution_tune", "attribution_train", "attribution_score"):
        return {"job": 1, "gmac": _classifier_gmac(cfg, job)}
    files = min(len(job.needs), _SHOWN) if stage == "report" else len(job.needs)
    return {"job": 1, "mpx": mpx} if job.scene else {"job": 1, "files": files}


def _classifier_gmac(cfg: Config, job: Job) -> float:
    """Multiply-adds of a classifier's job: every epoch the training clips and those that choose it, or the test clips.

    The identity split counts as the scene split: about as many clips.
    """
    a, one = cfg.classifier(job.classifier), cfg.comparison
    parts = _parts(cfg)
    epochs = one.tune_epochs * len(one.rates) if one and job.rule == "attribution_tune" else a.epochs
    clips = epochs * (3 * a.clips_per_epoch * parts["train"] + a.test_clips * parts["validation"])
    if job.rule == "attribution_score":
        clips = a.test_clips * parts["test"]
    frame = costs.CLASSIFIER_GMAC.get(a.model, costs.RESNET_GMAC[a.depth])
    return frame * (a.size / 224) ** 2 * a.clip * clips


@lru_cache(maxsize=4)  # the same for every job, and slow to count
def _split_of(names: tuple[VideoName, ...], splits: str, seed: int) -> Counter[str | None]:
    return Counter(split_videos(list(names), "scene", SplitsConfig.model_validate_json(splits), seed))


def _parts(cfg: Config) -> Counter[str | None]:
    """Swapped videos of one quality by part of the scene split."""
    names = tuple(v.name for v in videos_of(cfg, f"crf{cfg.qualities[0]}") if v.name.model != REAL)
    return _split_of(names, cfg.splits.model_dump_json(), cfg.seed)


def job_bytes(cfg: Config, job: Job, sizes: Sizes, rates: Rates) -> float:
    """What a job leaves on disk."""
    frames, pixels = sizes[job.scene] if job.scene else (0, 0)
    stage = stage_of(job)
    if stage in ("render", "original", "encode"):
        return rates.bytes_at(job.crf or 0) * frames * pixels + 2000
    if stage == "crops":
        known = sizes.crops(job.scene)
        return rates.crop_bytes_pixel * frames * pixels if known is None else known
    if stage == "train":
        return 4 * costs.parameters(job.model, cfg.settings(job.model).width) + 300_000
    if stage == "faces":
        return 600.0 * frames
    return {"attribution_train": 45e6, "report": 20e6}.get(stage, 1000.0)


def core_seconds(stage: str, work: dict[str, float], rates: Rates) -> float:
    """Core seconds of a job on a CPU."""
    return sum(rates.seconds.get(stage, {}).get(name, 0.0) * amount for name, amount in work.items())


def make(cfg: Config, target: str = "all", rates: Rates | None = None, assumed: Assumed = Assumed()) -> Plan:
    """Estimate a named target of a config."""
    rates = rates or costs.load(None)
    sizes = Sizes(cfg, assumed)
    jobs = jobs_of(cfg, target)
    left = {id(job) for job in left_to_do(jobs)}
    parts: dict[tuple[str, str, int | None], Cost] = defaultdict(Cost)
    states = largest = 0.0
    for job in jobs:
        stage = "target" if job is jobs[-1] else stage_of(job)
        work = features(cfg, job, sizes)
        size = 0.0 if stage == "target" else job_bytes(cfg, job, sizes, rates)
        largest = max(largest, size)
        gpu = work.get("gmac", 0.0) / rates.gpu_gmac_second if stage in _ON_GPU else 0.0
        if stage == "train":
            settings = cfg.settings(job.model)
            states += settings.keep * _STATE_BYTES * costs.parameters(job.model, settings.width)
        videos = stage in ("render", "original", "encode")
        parts[stage, job.model, job.crf].add(id(job) in left, videos, size, core_seconds(stage, work, rates), gpu)
    ranked = {stage: place for place, stage in enumerate(_ORDER)}
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
