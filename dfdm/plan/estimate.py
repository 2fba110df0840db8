"""What a config will cost before anything runs: jobs, videos, disk, CPU and GPU hours, and what is there already.

Snakemake decides which jobs there are and which of them are to do (dfdm/plan/graph.py). A plan needs no source
videos: scenes that have been probed count with their frames and size, cut scenes with the frames that config names,
all others with assumed ones. Costs: dfdm/plan/rates.py and dfdm/plan/networks.py.
"""

import gc
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dfdm.base.names import REAL
from dfdm.catalogue.config import Config, load
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.catalogue.migrate import check_version
from dfdm.dataset.splits import split_videos
from dfdm.plan.graph import TARGET, Job, build
from dfdm.plan.networks import Network, count
from dfdm.plan.rates import Rates

FRAMES, SIZE = 390, (944, 500)  # of a scene that nothing is known of: about the mean of Celeb-DF's real videos
_SHOWN = 432  # videos that the report decodes at most: 24 clips of 6 models at 3 qualities
_TRACK_BYTES = 600.0  # of a frame's landmarks and what is kept with them
_STATE_BYTES = 12  # a weight's: itself and Adam's two means, float32


@dataclass
class Cost:
    """What a set of jobs costs."""

    jobs: int = 0
    left: int = 0  # jobs still to run
    videos: int = 0
    bytes: float = 0
    cpu_hours: float = 0  # core hours of the jobs left, without a GPU
    gpu_hours: float = 0  # of the same jobs' part that a GPU can take

    def add(self, other: "Cost") -> None:
        """Count others too."""
        for name, amount in vars(other).items():
            setattr(self, name, getattr(self, name) + amount)


class Sizes:
    """Frames and pixels of scenes, read once each."""

    def __init__(self, cfg: Config, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> None:
        self.cfg, self.frames, self.size, self.known = cfg, frames, size, 0
        self._found: dict[str, tuple[int, int]] = {"": (0, 0)}  # a job about no scene
        self._crops: dict[str, float | None] = {}

    def __getitem__(self, scene: str) -> tuple[int, int]:
        if scene not in self._found:
            frames, (width, height) = self.frames, self.size
            if cut := self.cfg.scene(scene).frames:
                frames = cut[1] - cut[0]
            record = Path(Layout(self.cfg.results).source(scene))
            if record.is_file():
                from dfdm.media.video import VideoRecord

                values = VideoRecord.read(record)
                frames, width, height = values.frames, values.width, values.height
                self.known += 1
            self._found[scene] = frames, width * height
        return self._found[scene]

    @property
    def _clips(self) -> tuple[int | None, int]:
        return self.cfg.crops.clips, self.cfg.attribution.clip

    def kept(self, scene: str) -> int:
        """How many crops of a video of the scene are kept, if every frame shows the face."""
        from dfdm.dataset.crops import kept_rows

        return len(kept_rows(self[scene][0], *self._clips))

    def crops(self, scene: str) -> float | None:
        """Bytes of a video's crops, not packed, by the scene's face track; None where that has not been made."""
        if scene not in self._crops:
            from dfdm.dataset.crops import kept_rows, side_along
            from dfdm.media.tracks import FaceTrack

            path = Path(Layout(self.cfg.results).track(scene))
            self._crops[scene] = None
            if path.is_file() and path.stat().st_size:
                track = FaceTrack.load(path)
                side = side_along(track, self.cfg.crops.margin) if len(track) else 0
                self._crops[scene] = len(kept_rows(len(track), *self._clips)) * side * side * 1.5
        return self._crops[scene]


@dataclass(frozen=True)
class Work:
    """The jobs of a config's targets, and how much each of them has to do."""

    cfg: Config
    jobs: list[Job]
    absent: list[str]  # source files
    autoencoders: dict[str, Network]
    classifiers: dict[str, Network]
    sizes: Sizes

    def features(self, job: Job) -> dict[str, float]:
        """A job's work, by what the rates are for."""
        frames, pixels = self.sizes[job.scene]
        mpx = frames * pixels / 1e6
        match job.stage:
            case "train":
                settings, network = self.cfg.settings(job.model), self.autoencoders[job.model]
                steps, faces = settings.iterations, 2 * settings.batch * settings.iterations
                precision = 1 if settings.amp else 2  # float32 takes twice the time of bfloat16 where a CPU has it
                gmac = precision * 3 * network.multiply_adds * faces / 1e9
                kpx, gparam = network.output_size**2 * faces / 1e3, network.parameters * steps / 1e9
                return {"job": 1, "step": steps, "gmac": gmac, "kpx": kpx, "gparam": gparam}
            case "render":
                gmac = self.autoencoders[job.model].multiply_adds * frames / 1e9
                return {"job": 1, "mpx": mpx, "gmac": gmac}
            case "evaluate":
                shown = (self.sizes[clip.scene_key] for clip in self.cfg.clips if "_".join(clip.pair or ()) == job.pair)
                return {"job": 1, "mpx": sum(frames * pixels for frames, pixels in shown) / 1e6}
            case "attribution_tune" | "attribution_train" | "attribution_score":
                return {"job": 1, "gmac": self._classifier_gmac(job)}
            case "report":
                return {"job": 1, "files": min(sum(path.endswith(".mp4") for path in job.inputs), _SHOWN)}
        return {"job": 1, "mpx": mpx} if job.scene else {"job": 1, "files": len(job.inputs)}

    def _classifier_gmac(self, job: Job) -> float:
        """Multiply-adds of a classifier's job: every epoch the training clips and those that choose it, or the test.

        The identity split counts as the scene split: about as many clips.
        """
        name, one = job.wildcards["classifier"], self.cfg.comparison
        a = self.cfg.classifier(name)
        epochs = one.tune_epochs * len(one.rates) if one and job.stage == "attribution_tune" else a.epochs
        clips = epochs * (3 * a.clips_per_epoch * self._parts["train"] + a.test_clips * self._parts["validation"])
        if job.stage == "attribution_score":
            clips = a.test_clips * self._parts["test"]
        return self.classifiers[name].multiply_adds * clips / 1e9

    @cached_property
    def _parts(self) -> Counter[str | None]:
        """Swapped videos of one quality by part of the scene split."""
        videos = videos_of(self.cfg, f"crf{self.cfg.qualities[0]}")
        swaps = [video.name for video in videos if video.name.model != REAL]
        return Counter(split_videos(swaps, "scene", self.cfg.splits, self.cfg.seed))

    def disk(self, job: Job, rates: Rates) -> float:
        """Bytes that a job leaves on disk."""
        frames, pixels = self.sizes[job.scene]
        if job.makes_video:
            return rates.bytes_at(job.crf or 0) * frames * pixels + 2000
        match job.stage:
            case "crops":
                known = self.sizes.crops(job.scene)
                raw = rates.crop_bytes_pixel * self.sizes.kept(job.scene) * pixels if known is None else known
                return raw / rates.crop_ratio[self.cfg.crops.codec]
            case "train":
                return 4 * self.autoencoders[job.model].parameters + 300_000
            case "attribution_train":
                return 4 * self.classifiers[job.wildcards["classifier"]].parameters + 100_000
            case "faces":
                return _TRACK_BYTES * frames
            case "masks":
                return (rates.mask_bytes_pixel * pixels + _TRACK_BYTES) * frames + 2000
            case "report":
                return 20e6
        return 0.0 if job.stage == TARGET else 1000.0

    def core_seconds(self, job: Job, rates: Rates) -> float:
        """Core seconds of a job on a CPU."""
        known = rates.seconds.get(job.stage, {})
        return sum(known.get(name, 0.0) * amount for name, amount in self.features(job).items())


def read(
    config: Path,
    targets: Sequence[str] = (),
    profile: Path | None = None,
    progress: bool = False,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
) -> Work:
    """The jobs of a config's targets as they are now (dfdm/plan/graph.py, build), unknown scenes of a size as given."""
    cfg = load(config)
    check_version(cfg.results)
    gc.disable()  # at full size it would walk through all that Snakemake holds again and again: a quarter of the time
    try:
        jobs, absent = build(config, targets, profile, progress)
    finally:
        gc.enable()
    return Work(cfg, jobs, absent, *count(cfg), Sizes(cfg, frames or FRAMES, size or SIZE))


@dataclass(frozen=True)
class Plan:
    """The whole estimate."""

    work: Work
    rates: Rates
    parts: dict[tuple[str, str, int | None], Cost]  # by stage, model and crf
    why: dict[str, Counter[str]]  # the jobs to do by Snakemake's reason and by stage
    kept_bytes: float  # states of finished trainings, which stay until they are removed
    running_bytes: float  # states of the trainings that run at once on this machine
    scratch_bytes: float  # the largest file being written, under its temporary name next to the last

    def total(self, stage: str = "", model: str = "", crf: int | None = None) -> Cost:
        """The sum over the parts of a stage, model and quality; '' and None stand for all."""
        total = Cost()
        for (a, b, c), cost in self.parts.items():
            if stage in ("", a) and model in ("", b) and crf in (None, c):
                total.add(cost)
        return total

    def swaps(self) -> dict[int, Cost]:
        """The swapped videos by quality."""
        found: dict[int, Cost] = defaultdict(Cost)
        for (_, model, crf), cost in self.parts.items():
            if cost.videos and model != REAL and crf is not None:
                found[crf].add(cost)
        return dict(sorted(found.items()))

    @property
    def peak_bytes(self) -> float:
        """Disk at its fullest: everything made, the states, and one file under way."""
        return self.total().bytes + self.kept_bytes + self.running_bytes + self.scratch_bytes

    @property
    def unrated(self) -> list[str]:
        """Stages with something to do that the rates do not name, so that they cost nothing here."""
        return sorted(set().union(*self.why.values()) - {TARGET, *self.rates.seconds})


def make(work: Work, rates: Rates) -> Plan:
    """Estimate the jobs that were read."""
    parts: dict[tuple[str, str, int | None], Cost] = defaultdict(Cost)
    why: dict[str, Counter[str]] = defaultdict(Counter)
    kept = running = largest = 0.0
    for job in work.jobs:
        cost = Cost(1, videos=int(job.makes_video), bytes=work.disk(job, rates))
        largest = max(largest, cost.bytes)
        if job.stage == "train":
            settings, state = work.cfg.settings(job.model), _STATE_BYTES * work.autoencoders[job.model].parameters
            kept += state * settings.keep_finished
            at_once = max(1, (os.cpu_count() or 1) // settings.threads)
            running = max(running, at_once * (settings.keep + 1) * state)  # one more is being written
        if job.reason:
            why[job.reason][job.stage] += 1
            gmac = work.features(job).get("gmac", 0.0)
            cost.left, cost.cpu_hours = 1, work.core_seconds(job, rates) / 3600
            cost.gpu_hours = gmac / rates.gpu_gmac_second / 3600
        parts[job.stage, job.model, job.crf].add(cost)
    return Plan(work, rates, dict(parts), dict(why), kept, running, largest)
