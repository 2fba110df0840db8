"""The settings of crops and of the splits."""

from typing import Annotated

from pydantic import Field

from dfdm.base.section import Person, SceneKey, Section


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


class KeySplit(Section):
    """Scenes by list, by key (`id0_0003`) or, of videos without ids, by name (`Video12`); all None: by hash."""

    train: list[str] | None = None
    validation: list[str] | None = None
    test: list[str] | None = None


class DataSplits(Section):
    """How data that was made elsewhere is parted."""

    scene: KeySplit = KeySplit()
    identity: IdentitySplit | None = None
