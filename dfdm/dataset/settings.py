"""The settings of crops, of the splits and of releases."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from dfdm.base.names import SPLIT, pair_of
from dfdm.base.section import FilePath, Number, Once, Pair, Person, SceneKey, Section, Switch, Text, expanded
from dfdm.dataset.lists import Kind, Listed, read
from dfdm.media.lossless import Codec


class CropsConfig(Section):
    """Face crops: unrotated, unresized boxes, packed without loss."""

    codec: Codec = Field(
        "utvideo", description="Codec of the crops: utvideo reads four times as fast as ffv1, which is a fifth smaller"
    )
    clips: int | None = Field(
        None,
        ge=1,
        description="Evenly spread clips of `attribution.clip` frames to keep of a video; null: all frames",
    )

    margin: Number = Field(0.3, ge=0, le=2, description="Margin on each side, as a share of the landmarks' box")
    smooth: Number = Field(5.0, ge=0, le=50, description="Sigma in frames of the Gaussian over the box; 0: none")


def _as_read(given: Any, check: ValidatorFunctionWrapHandler) -> Any:
    return given if isinstance(given, Listed) else check(given)


Scenes = Annotated[list[SceneKey] | None, WrapValidator(_as_read, json_schema_input_type=str | list[SceneKey] | None)]
People = Annotated[list[Person] | None, WrapValidator(_as_read, json_schema_input_type=str | list[Person] | None)]
Names = Annotated[list[str] | None, WrapValidator(_as_read, json_schema_input_type=str | list[str] | None)]


class PartLists(Section):
    """What each part of a split contains: lists, or the paths of list files, which are read here."""

    kind: ClassVar[Kind] = "scene"
    bare: ClassVar[bool] = False  # whether a line may be a name without ids alone

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            part: read(expanded(found), cls.kind, cls.bare) if isinstance(found, str) else found
            for part, found in given.items()
        }

    @model_validator(mode="after")
    def _apart(self) -> "PartLists":
        first: dict[str, str] = {}
        for part, found in self:
            for key in dict.fromkeys(found or []):
                where = found.cite(key) if isinstance(found, Listed) else part
                if key in first:
                    raise ValueError(f"'{key}' is in two parts, by {first[key]} and by {where}; keep it in one")
                first[key] = where
        return self


class SceneSplit(PartLists):
    """Scenes by list or list file (docs/data.md, Lists); without any by hash, 70 / 15 / 15 %."""

    train: Scenes = Field(None, description="Scenes of the training part, such as id0_0003, or a list file")
    validation: Scenes = Field(None, description="Scenes that choose the checkpoint; null after two files: of train")
    test: Scenes = Field(None, description="Scenes that are scored once, at the end")


class IdentitySplit(PartLists):
    """People by list or list file; without any by hash. Pairs of people in two parts are left out and counted."""

    kind: ClassVar = "identity"

    train: People = Field(None, description="People of the training part, such as id0")
    validation: People = Field(None, description="Validation people; null: scenes of the training people")
    test: People = Field(None, description="People whose videos are scored once, at the end")


def _in_order(pairs: list[str] | None) -> list[str] | None:
    return pairs and ["_".join(pair_of(*pair.split("_"))) for pair in pairs]


PairsOf = Annotated[Once[Pair], AfterValidator(_in_order)]


class Fold(Section):
    """A split by pairs of people; videos of pairs in neither list are left out."""

    train: PairsOf = Field(min_length=1, description="Pairs of the training part, such as id0_id1")
    test: PairsOf = Field(min_length=1, description="Pairs whose videos are scored")

    @model_validator(mode="after")
    def _apart(self) -> "Fold":
        if both := [pair for pair in self.train if pair in self.test]:
            raise ValueError(f"{both[0]} is in train and in test; keep it in one")
        return self


FoldName = Annotated[str, Field(pattern=f"^{SPLIT}$")]


class SplitsConfig(Section):
    """How the videos are divided into training, validation and test part."""

    scene: SceneSplit | None = Field(SceneSplit(), description="By scene; null: not made")
    identity: IdentitySplit | None = Field(None, description="By person, no person in two parts; null: not made")
    folds: dict[FoldName, Fold] = Field({}, description="Splits by pairs of people, by name")
    leave_two_out: Switch = Field(
        False, description="A fold for each pair, named as the pair: it is tested, and all other people's pairs train"
    )

    @model_validator(mode="after")
    def _free(self) -> "SplitsConfig":
        if taken := {"scene", "identity"} & set(self.folds):
            raise ValueError(f"folds: '{min(taken)}' is a split of its own; give the fold another name")
        return self


class KeySplit(PartLists):
    """Scenes by list or list file (docs/data.md, Lists); without any by hash."""

    bare: ClassVar = True

    train: Names = Field(None, description="Scenes of the training part: id0_0003, Video12; or a list file")
    validation: Names = Field(None, description="Scenes that choose the checkpoint; null after two files: of train")
    test: Names = Field(None, description="Scenes that are scored once, at the end")


class DataSplits(Section):
    """How data that was made elsewhere is divided."""

    scene: KeySplit = Field(KeySplit(), description="By scene")
    identity: IdentitySplit | None = Field(None, description="By person; null: not made. It needs ids in the names")


class ReleaseConfig(Section):
    """A data set to hand over, by `dfdm release`."""

    name: Text = Field("Face swaps in the manner of DFDM", description="Name of the data set on its card")
    contact: Text | None = Field(None, description="Whom to write to about it, such as a person shown; null: none")
    url: Text | None = Field(None, description="Web page on which it will be found; null: not known yet")
    key: FilePath | None = Field(None, description="Private key (PEM) that signs its videos; null: a self-made one")
    certificate: FilePath | None = Field(None, description="Certificates (PEM) of that key, the key's own first")

    @model_validator(mode="after")
    def _both(self) -> "ReleaseConfig":
        if (self.key is None) != (self.certificate is None):
            raise ValueError("key and certificate belong together; give both or none")
        return self
