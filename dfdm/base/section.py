"""What every part of the config is made of: checked sections, their types, and the sentence for a wrong value."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dfdm.base import names

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]
Crf = Annotated[int, Field(ge=0, le=51, strict=True)]
Switch = Annotated[bool, Field(strict=True)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Person = Annotated[str, Field(pattern=f"^{names.ID}$")]
SceneKey = Annotated[str, Field(pattern=f"^{names.ID}_{names.SCENE}$")]
# Keys of several sections, with their descriptions.
Threads = Annotated[Count, Field(description="CPU threads of a job; the result depends on their number")]
Half = Annotated[Switch, Field(description="Half precision on CUDA, bfloat16 on a CPU that has it; changes the result")]
OnNan = Annotated[
    Literal["stop", "rollback"],
    Field(description="If the loss explodes or is not a number: stop, or go back with half the lr"),
]


class Section(BaseModel):
    """A part of the config: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Package(Section):
    """A file of a package registry, fetched once into the cache and checked by its hash."""

    registry: Literal["pypi", "npm"] = Field("pypi", description="Registry that has the package")
    name: str = Field(description="Name of the package in the registry")
    version: str = Field(description="Exact version")
    file: str = Field(description="Name of the file: the wheel, source package or npm archive")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file, in hexadecimal")


class FileRef(Section):
    """A file: a path (relative to `sources.root`), or a member of a package."""

    path: str | None = Field(None, description="Path of the file, relative to `sources.root`; used as written")
    package: str | None = Field(None, description="Instead of a path: a key of `sources.packages`")
    member: str | None = Field(None, description="Path of the file inside that package")

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


def sentence(error: ValidationError) -> str:
    """The first fault of a validation as `key: what is wrong`."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        return f"{key}: unknown key; remove it or correct its spelling"
    if first["type"] == "missing":
        return f"{key}: this key is required"
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return message
    given = f" (got {first['input']!r})" if not isinstance(first["input"], (dict, list)) else ""
    return f"{key}: {message[:1].lower()}{message[1:]}{given}"
