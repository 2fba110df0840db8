"""What every part of the config is made of: checked sections, their types, and the sentence for a wrong value."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

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


_PACKAGE_NAMES = {
    "pypi": re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"),
    "npm": re.compile(r"(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*"),
}


def _expanded(text: str) -> str:
    """A folder with `~` and environment variables filled in; ValueError where they stand for nothing."""
    found = os.path.expandvars(text)
    if found.startswith("~"):
        try:
            found = str(Path(found).expanduser())
        except RuntimeError:
            raise ValueError(f"'{text}' begins with the home of a user who is not here") from None
    if unknown := re.search(r"\$\w+|\$\{\w+\}", found):
        raise ValueError(f"'{text}' names the environment variable {unknown[0]}, which is not set")
    return found


def _plain(text: str) -> str:
    """A folder that Snakemake takes as it is: braces and angle brackets are its wildcards and variables."""
    if found := re.search(r"[{}<>*?\[\]\x00-\x1f]", text):
        raise ValueError(f"{text!r} contains {found[0]!r}, which Snakemake takes for a pattern; name another folder")
    if not text.strip() or Path(text) == Path("/"):
        raise ValueError(f"'{text}' is no folder for results; name one")
    return os.path.normpath(text)  # ./x and x/ are x: paths below it are compared as text


Folder = Annotated[str, AfterValidator(_expanded)]
OutputFolder = Annotated[str, AfterValidator(_expanded), AfterValidator(_plain)]


class Package(Section):
    """A file of a package registry, fetched once into the cache and checked by its hash."""

    registry: Literal["pypi", "npm"] = Field("pypi", description="Registry that has the package")
    name: str = Field(description="Name of the package in the registry")
    version: str = Field(pattern="^[0-9A-Za-z][0-9A-Za-z.+!_-]*$", description="Exact version")
    file: str = Field(pattern=r"^[^/\s-][^/\s]*$", description="Name of the file: wheel, source package, npm archive")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file, in hexadecimal")

    @model_validator(mode="after")
    def _named(self) -> "Package":
        # the registry's client takes other words for options, paths or addresses
        if not _PACKAGE_NAMES[self.registry].fullmatch(self.name):
            raise ValueError(f"'{self.name}' is not the name of a package of the {self.registry} registry")
        return self


class FileRef(Section):
    """A file: a path (relative to `sources.root`), or a member of a package."""

    path: str | None = Field(None, description="Path of the file, relative to `sources.root`; used as written")
    package: str | None = Field(None, description="Instead of a path: a key of `sources.packages`")
    member: str | None = Field(None, description="Path of the file inside that package")

    @model_validator(mode="after")
    def _one_place(self) -> "FileRef":
        if (self.path is None) == (self.package is None) or (self.package is None) != (self.member is None):
            raise ValueError("give either path, or package and member")
        if self.member is not None and (self.member.startswith("/") or ".." in self.member.split("/")):
            raise ValueError(f"member '{self.member}' is not a path inside a package")
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
