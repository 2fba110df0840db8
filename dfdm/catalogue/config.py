"""The config: one frozen, checked object; every key has its type, range, default and description at its field.

`python -m dfdm.catalogue.reference` makes docs/config.md and the editor's schema from them. Defaults are the full-size
ones (docs/architectures.md and docs/attribution.md); `config.yaml` sets the demo's.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, model_validator

from attribution.settings import AttributionConfig, ComparisonConfig, ControlsConfig, UnseenConfig
from dfdm.base import names
from dfdm.base.errors import DfdmError, reason, refused, shown
from dfdm.base.plain import from_json, from_yaml
from dfdm.base.section import Crf, FileRef, Folder, Once, OutputFolder, Section, Seed, Switch, number, sentence
from dfdm.catalogue.people import Pairs, Scene, SourcesConfig, each_swap
from dfdm.dataset.settings import CropsConfig, DataSplits, ReleaseConfig, SplitsConfig
from dfdm.dataset.splits import apply_lists, leave_two_out, made
from dfdm.media.settings import EncodeConfig, FacesConfig
from generators.settings import EvaluateConfig, RenderConfig, TrainConfig

MODELS = ("faceswap", "lightweight", "iae", "dfaker", "dfl_h128")  # the dataset's five, in its table's order


DataClass = Annotated[str, Field(pattern=f"^{names.MODEL}$")]


class DataConfig(Section):
    """Data made elsewhere, for `dfdm collect` (docs/data.md, Other data)."""

    classes: dict[str, DataClass] = Field({}, description="Class of each class folder, as in DF_class1: faceswap")
    spellings: dict[str, DataClass] = Field({}, description="Class of each spelling in names, as in h128: dfl_h128")
    faceforensics: dict[str, DataClass] = Field(
        {}, description="Class of each folder, as in manipulated_sequences/Deepfakes/c23/videos: deepfakes"
    )
    crf: Crf | None = Field(None, description="Quality of videos whose folder does not name it")
    strict: Literal["refuse", "leave_out"] = Field("refuse", description="What happens to videos that cannot be used")
    splits: DataSplits = Field(DataSplits(), description="How the videos are divided")


def _applied(splits: SplitsConfig, info: ValidationInfo) -> SplitsConfig:
    """List files name scenes and people of any data set: those of this config are kept. Folds are written out."""
    sources: SourcesConfig | None = info.data.get("sources")
    people = sources.people if sources else {}
    scenes = [f"{person}_{scene}" for person, entry in people.items() for scene in entry.scenes]
    splits = apply_lists(splits, scenes, list(people))
    if splits.leave_two_out:
        pairs = sorted({"_".join(names.pair_of(*swap.split("_")[:2])) for swap in info.data.get("swaps", [])})
        splits = splits.model_copy(update={"folds": {**splits.folds, **leave_two_out(pairs)}})
    return splits


class Config(Section):
    """The whole config."""

    scale: str | None = Field(None, exclude=True, description="Name in scales whose keys replace others; null: none")
    scales: dict[str, dict[str, Any]] = Field({}, exclude=True, description="Other sizes: keys that differ, by name")
    seed: Seed = Field(0, description="Seed of everything random")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where networks run; auto: CUDA if usable")
    gpu: Annotated[Literal[0, 1] | None, BeforeValidator(number)] = Field(
        None, description="GPUs of a job that uses torch; null: 1 where there is one"
    )
    results: OutputFolder = Field("results", description="Folder of all results")
    state_dir: Folder | None = Field(None, description="Folder of states to resume trainings from; null: results/state")
    sources: SourcesConfig = Field(description="People and their videos")
    swaps: Annotated[Once[str], BeforeValidator(each_swap, json_schema_input_type=list[str | Pairs])] = Field(
        min_length=1, description="id0's frames with id1's face: id0_id1, id0_id1_0003, id0_id1_0000-0004, or pairs"
    )
    crf: Once[Crf] = Field([0, 10, 23], min_length=1, description="Qualities of the videos; 0 is lossless")
    faces: FacesConfig = Field(FacesConfig(), description="Detection and tracking")
    models: dict[str, dict[str, Any] | None] = Field(
        dict.fromkeys(MODELS), min_length=1, description="Autoencoders by name, with keys over those of `train`"
    )
    train: TrainConfig = Field(TrainConfig(), description="Training of the autoencoders")
    render: RenderConfig = Field(RenderConfig(), description="Putting the new face into the frames")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="How good the swaps are")
    encode: EncodeConfig = Field(EncodeConfig(), description="Video encoding")
    masks: Switch = Field(True, description="Make masks of every swap: the changed pixels, and what was blended")
    crops: CropsConfig = Field(CropsConfig(), description="Face crops")
    splits: Annotated[SplitsConfig, AfterValidator(_applied)] = Field(
        SplitsConfig(), description="Training, validation and test part"
    )
    attribution: AttributionConfig = Field(AttributionConfig(), description="The classifier")
    comparison: ComparisonConfig | None = Field(None, description="Several classifiers; null: no comparison")
    unseen: UnseenConfig | None = Field(None, description="Classifiers on people nobody saw; null: none")
    controls: ControlsConfig | None = Field(None, description="Controls of the scores; null: none")
    data: DataConfig | None = Field(None, description="Data made elsewhere; null: none")
    release: ReleaseConfig = Field(ReleaseConfig(), description="A data set to hand over")

    @property
    def classes(self) -> list[str]:
        """What a classifier distinguishes, without `real`: the classes that `data` maps to, else the models."""
        data = self.data or DataConfig()
        folders = [*data.classes.values(), *data.faceforensics.values()]
        given = dict.fromkeys(folders or [*self.models, *data.spellings.values()])
        ordered = {name: None for name in [*self.models, *given] if name in given}  # the models keep their order
        return [name for name in ordered if name != names.REAL]

    def classifier(self, name: str) -> AttributionConfig:
        """The settings of one classifier: `attribution`, changed by its own keys in `comparison`."""
        own = (self.comparison.classifiers if self.comparison else {}).get(name)
        if name not in self.classifier_names:
            raise DfdmError(f"'{name}' is not a classifier; this config has {', '.join(self.classifier_names)}")
        model = {} if name == self.attribution.model else {"model": name}
        return AttributionConfig.model_validate({**self.attribution.model_dump(), **model, **(own or {})})

    @property
    def classifier_names(self) -> list[str]:
        """Every classifier: `attribution.model`, then those of `comparison`, each once."""
        others = self.comparison.classifiers if self.comparison else {}
        return list(dict.fromkeys([self.attribution.model, *others]))

    def settings(self, model: str) -> TrainConfig:
        """The training settings of one model: `train`, changed by the model's own values."""
        return TrainConfig.model_validate({**self.train.model_dump(), **(self.models.get(model) or {})})

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
            for one in scene or list(self.sources.people[video_id].scenes):
                found[names.VideoName(video_id, face_id, one, "")] = None
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
            _known("models", model, known_models())
            try:
                self.settings(model)
            except ValidationError as error:
                raise ValueError(f"models.{model}.{sentence(error)}") from None
        model_files = [
            ("faces.predictor", self.faces.predictor),
            ("faces.weights", self.faces.weights),
            ("evaluate.identity", self.evaluate.identity),
        ]
        references = [(where, file) for where, file in model_files if isinstance(file, FileRef)]
        references += [(f"scene {key}", self.scene(key)) for key in self.scene_keys]
        for where, reference in references:
            if reference.package is not None and reference.package not in self.sources.packages:
                raise ValueError(f"{where} names package '{reference.package}', which is not in sources.packages")
        self._check_detector()
        self._check_splits()
        return self

    def _check_detector(self) -> None:
        from dfdm.media.detectors import names as known_detectors

        _known("faces.detector", self.faces.detector, known_detectors())
        if self.faces.detector in ("dlib", "dlib_cnn") and self.faces.predictor is None:
            raise ValueError(f"faces.predictor: '{self.faces.detector}' needs the file of its 68-point predictor")
        if self.faces.detector == "dlib_cnn" and not isinstance(self.faces.weights, FileRef):
            raise ValueError("faces.weights: 'dlib_cnn' needs its network; give package and member, or path")
        if self.faces.detector == "face_alignment" and not isinstance(self.faces.weights, str):
            raise ValueError("faces.weights: the detector 'face_alignment' needs the folder of its weights")
        if self.faces.keep == "person":
            lacking = [person for person, entry in self.sources.people.items() if entry.picture is None]
            if lacking or self.evaluate.identity is None:
                what = f"people.{lacking[0]}.picture" if lacking else "evaluate.identity, the face recognition network"
                raise ValueError(f"faces.keep: person needs {what}")

    def _check_splits(self) -> None:
        from attribution.models import check_options
        from attribution.models import names as known_classifiers

        chosen = self.attribution
        _known("attribution.model", chosen.model, known_classifiers())
        if chosen.options:
            try:
                check_options(chosen.model, chosen.depth, chosen.clip, chosen.options)
            except DfdmError as error:
                raise ValueError(str(error)) from None
        self._check_comparison()
        if made(self.splits):  # else there are no classifiers
            _check_made("attribution.split", [chosen.split], self.splits)
        for kind, known in (("scene", self.scene_keys), ("identity", list(self.sources.people))):
            parts = getattr(self.splits, kind)
            if parts is None:
                continue
            listed: set[str] = set()
            for part, name in ((part, name) for part, found in parts for name in found or []):
                if name not in known:
                    raise ValueError(f"splits.{kind}.{part} names '{name}', which sources.people does not have")
                if name in listed:
                    raise ValueError(f"splits.{kind} lists {name} more than once")
                listed.add(name)

    def _check_comparison(self) -> None:
        from attribution.models import names as known_models

        if comparison := self.comparison:
            for name in comparison.classifiers:
                try:
                    model = self.classifier(name).model
                except ValidationError as error:
                    raise ValueError(f"comparison.classifiers.{name}.{sentence(error)}") from None
                _known(f"comparison.classifiers.{name}", model, known_models())
            for name in comparison.matrix:
                _known("comparison.matrix", name, list(comparison.classifiers))
            if comparison.crf not in self.crf:
                raise ValueError(f"comparison.crf is {comparison.crf}, which is not among the qualities in crf")
            _check_made("comparison.splits", comparison.splits, self.splits)
        if self.unseen:
            from attribution.treatments import TREATMENTS

            for name in self.unseen.classifiers:
                _known("unseen.classifiers", name, self.classifier_names)
            if absent := [crf for crf in self.unseen.train if crf not in ("all", *self.crf)]:
                raise ValueError(f"unseen.train names {absent[0]}, which is not among the qualities in crf")
            for name in self.unseen.treatments:
                _known("unseen.treatments", name, list(TREATMENTS))
            if self.unseen.treatments and self.unseen.treated not in self.crf:
                raise ValueError(f"unseen.treated is {self.unseen.treated}, which is not among the qualities in crf")
            if not self.splits.folds:
                raise ValueError("unseen needs splits.folds; set splits.leave_two_out, or list folds by name")
        if self.controls:
            self._check_controls(self.controls)

    def _check_controls(self, controls: ControlsConfig) -> None:
        for name in controls.classifiers:
            _known("controls.classifiers", name, self.classifier_names)
            if self.classifier(name).region != "all":
                raise ValueError(f"controls.classifiers: '{name}' sees the background only; see controls.background")
        other = controls.background
        if other and (other not in self.classifier_names or self.classifier(other).region != "background"):
            raise ValueError(f"controls.background: '{other}' is not a classifier with region: background")


_SCALED = sorted(Config.model_fields.keys() - {"scale", "scales"})


def _check_made(where: str, asked: list[str], splits: SplitsConfig) -> None:
    if absent := [name for name in asked if name not in made(splits)]:
        lack = f"splits.{absent[0]} is null" if absent[0] in ("scene", "identity") else "splits.folds has no such fold"
        raise ValueError(f"{where} names '{absent[0]}', but {lack}")


def _known(where: str, name: str, known: list[str]) -> None:
    if name not in known:
        near = "".join(f"; did you mean '{one}'?" for one in get_close_matches(str(name), known, 1))
        raise ValueError(f"{where}: '{name}' is unknown; known are {', '.join(known)}{near}")


def read(path: str | Path) -> dict[str, Any]:
    """The plain values of a config's file; DfdmError where it is none, or gives a key twice."""
    try:
        text = Path(path).read_text()
        values = from_json(text) if str(path).endswith(".json") else from_yaml(text)  # a run's own config: faster
    except FileNotFoundError:
        raise DfdmError(f"{shown(path)} does not exist; give a config with --config") from None
    except OSError as error:
        raise DfdmError(f"the config {refused(error, path)}") from None
    except ValueError as error:
        raise DfdmError(f"{path} is not readable YAML: {reason(error)}; correct it") from None
    if not isinstance(values, dict):
        raise DfdmError(f"{path} contains no keys; see config.yaml for the form")
    return values


def load(source: str | Path | dict[str, Any]) -> Config:
    """Check a config given as a file's path or as a plain dict; the first fault is one sentence naming its key."""
    values, where = (source, "config") if isinstance(source, dict) else (read(source), str(source))
    try:
        return Config.model_validate(_scaled(values, where))
    except ValidationError as error:
        raise DfdmError(f"{where}: {sentence(error)}") from None


def _scaled(values: dict[str, Any], where: str) -> dict[str, Any]:
    """The config at the scale that it names: that scale's keys replace its own, sections key by key."""
    name, scales = values.get("scale"), values.get("scales")
    for other, own in scales.items() if isinstance(scales, dict) else ():
        if isinstance(own, dict) and (strange := [key for key in own if key not in _SCALED]):
            near = "".join(f"; did you mean '{key}'?" for key in get_close_matches(str(strange[0]), _SCALED, 1))
            raise DfdmError(f"{where}: scales.{other}.{strange[0]}: no scale has this key{near or '; remove it'}")
    if name is None:
        return values
    if not isinstance(name, str) or not isinstance(scales, dict) or not isinstance(scales.get(name), dict):
        known = ", ".join(map(str, scales)) if isinstance(scales, dict) and scales else "none"
        raise DfdmError(f"{where}: scale: '{name}' is not among its scales; known are {known}")
    return _over(values, scales[name])


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _over(below[key], value) if both else value
    return merged
