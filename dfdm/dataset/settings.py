"""The settings of crops and of the splits."""

from pydantic import Field

from dfdm.base.section import Person, SceneKey, Section


class CropsConfig(Section):
    """Face crops: unrotated, unresized boxes."""

    margin: float = Field(0.3, ge=0, le=2, description="Margin on each side, as a share of the landmarks' box")
    smooth: float = Field(5.0, ge=0, le=50, description="Sigma in frames of the Gaussian that smooths the box; 0: none")


class SceneSplit(Section):
    """Scenes by list; without any list by hash, 70 / 15 / 15 %."""

    train: list[SceneKey] | None = Field(None, description="Scenes of the training part, such as id0_0003")
    validation: list[SceneKey] | None = Field(None, description="Scenes that choose the checkpoint")
    test: list[SceneKey] | None = Field(None, description="Scenes that are scored once, at the end")


class IdentitySplit(Section):
    """People by list; without any list by hash. Pairs whose people are in two parts are left out and counted."""

    train: list[Person] | None = Field(None, description="People of the training part, such as id0")
    validation: list[Person] | None = Field(None, description="Validation people; null: scenes of the training people")
    test: list[Person] | None = Field(None, description="People whose videos are scored once, at the end")


class SplitsConfig(Section):
    """How the videos are divided into training, validation and test part."""

    scene: SceneSplit | None = Field(SceneSplit(), description="By scene; null: not made")
    identity: IdentitySplit | None = Field(None, description="By person, no person in two parts; null: not made")


class KeySplit(Section):
    """Scenes by list; without any list by hash."""

    train: list[str] | None = Field(None, description="Scenes of the training part: id0_0003, or Video12 without ids")
    validation: list[str] | None = Field(None, description="Scenes that choose the checkpoint")
    test: list[str] | None = Field(None, description="Scenes that are scored once, at the end")


class DataSplits(Section):
    """How data that was made elsewhere is divided."""

    scene: KeySplit = Field(KeySplit(), description="By scene")
    identity: IdentitySplit | None = Field(None, description="By person; null: not made. It needs ids in the names")
