"""What every part of the config is made of: checked sections, their types, and the sentence for a wrong value."""

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dfdm.base import names
from dfdm.base.errors import DfdmError, shown
from dfdm.base.files import at_home


def number(value: Any) -> Any:
    """A value that is not a switch."""
    if isinstance(value, bool):  # which Python takes for 0 or 1
        raise ValueError("should be a number")
    return value


def _each_once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is listed twice; give each once")
    return values


def _said(text: str) -> str:
    if len(text.strip()) < 3:
        raise ValueError("should say something, in 3 characters or more")
    return text


Listed = TypeVar("Listed")
Number = Annotated[float, BeforeValidator(number)]
Rate = Annotated[float, Field(gt=0), BeforeValidator(number)]
Once = Annotated[list[Listed], AfterValidator(_each_once)]  # a list in which nothing is twice
Text = Annotated[str, Field(min_length=3), AfterValidator(_said)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(number)]
Count = Annotated[int, Field(ge=1, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]  # what torch takes
Crf = Annotated[int, Field(ge=0, le=51, strict=True)]
Switch = Annotated[bool, Field(strict=True)]
BelowOne = Annotated[float, Field(ge=0, lt=1), BeforeValidator(number)]
Person = Annotated[str, Field(pattern=f"^{names.ID}$")]
Pair = Annotated[str, Field(pattern=f"^{names.ID}_{names.ID}$")]
SceneKey = Annotated[str, Field(pattern=f"^{names.ID}_{names.SCENE}$")]
# Keys of several sections, with their descriptions.
Threads = Annotated[Count, Field(le=1024, description="CPU threads of a job; the result depends on their number")]
Half = Annotated[Switch, Field(description="Half precision on CUDA, bfloat16 on a CPU that has it; changes the result")]
OnNan = Annotated[
    Literal["stop", "rollback"],
    Field(description="If the loss explodes or is not a number: stop, or go back with half the lr"),
]


class Section(BaseModel):
    """A part of the config: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and (unknown := [key for key in values if key not in cls.model_fields]):
            near = get_close_matches(str(unknown[0]), cls.model_fields, 1)
            advice = f"did you mean '{near[0]}'?" if near else "remove it or correct its spelling"
            raise PydanticCustomError("unknown_key", "unknown key; {advice}", {"key": unknown[0], "advice": advice})
        return values


_PACKAGE_NAMES = {
    "pypi": re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"),
    "npm": re.compile(r"(@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*"),
}
_FOLDER_PATTERN = r"[{}<>*?\[\]\x00-\x1f\x7f]"


def unfit(path: str) -> str | None:
    """Why no file of this name can be an input of the workflow, None where it can.

    Snakemake reads {word} and <word> in the path of an input as its wildcards and variables, and has no way to write
    them otherwise.
    """
    if found := re.search(r"\{\s*[\w.]+\s*[,}]|<\w+>", path):
        return f"its name contains {found[0]!r}, which Snakemake takes for a pattern"
    return _unwritable(path)


def _unwritable(path: str) -> str | None:
    """Why a path cannot be written in configs, records and messages, which are lines of UTF-8."""
    if found := re.search(r"[\x00-\x1f\x7f]", path):
        return f"its name contains {found[0]!r}, a control character"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return None


def usable(text: str) -> str:
    """A path as it stands; ValueError where no file of that name can be used, or its `~` stands for nothing."""
    if not text.strip():
        raise ValueError(f"{text!r} is the name of no file or folder")
    if why := unfit(text):
        raise ValueError(f"{why}; rename it")
    _with_home(text)
    return text


def _with_home(text: str) -> str:
    try:
        return str(at_home(text)) if text.startswith("~") else text
    except DfdmError as error:
        raise ValueError(str(error)) from None


def expanded(text: str) -> str:
    """A folder with `~` and environment variables filled in; ValueError where they stand for nothing."""
    found = _with_home(os.path.expandvars(text))
    if unknown := re.search(r"\$\w+|\$\{\w+\}", found):
        raise ValueError(f"'{text}' names the environment variable {unknown[0]}, which is not set")
    return found


def plain_folder(name: str) -> str:
    """A name with a dash for each character that a folder of results may not contain."""
    return re.sub(_FOLDER_PATTERN, "-", name)


def _plain(text: str) -> str:
    """A folder that Snakemake takes as it is: braces and angle brackets are its wildcards and variables."""
    if found := re.search(_FOLDER_PATTERN, text):
        raise ValueError(f"{text!r} contains {found[0]!r}, which Snakemake takes for a pattern; name another folder")
    if not text.strip() or Path(os.path.normpath(text)) == Path("/") or text.startswith("-"):
        raise ValueError(f"'{text}' is no folder for results; name one")
    return os.path.normpath(text)  # ./x and x/ are x: paths below it are compared as text


FilePath = Annotated[str, AfterValidator(usable)]
Folder = Annotated[str, AfterValidator(expanded), AfterValidator(usable)]
OutputFolder = Annotated[str, AfterValidator(expanded), AfterValidator(_plain), AfterValidator(usable)]


class Package(Section):
    """A file of a package registry, fetched once into the cache and checked by its hash."""

    registry: Literal["pypi", "npm"] = Field("pypi", description="Registry that has the package")
    name: str = Field(description="Name of the package in the registry")
    version: str = Field(pattern="^[0-9A-Za-z][0-9A-Za-z.+!_-]*$", description="Exact version")
    file: str = Field(
        pattern="^[0-9A-Za-z~][0-9A-Za-z.~+!_-]*$", description="Name of the file: wheel, source package, npm archive"
    )
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file, in hexadecimal")

    @model_validator(mode="after")
    def _named(self) -> "Package":
        # another word would change the registry's address or the cache's path
        if not _PACKAGE_NAMES[self.registry].fullmatch(self.name):
            raise ValueError(f"'{self.name}' is not the name of a package of the {self.registry} registry")
        return self


class FileRef(Section):
    """A file: a path (relative to `sources.root`), or a member of a package."""

    path: FilePath | None = Field(None, description="Path of the file, relative to `sources.root`; used as written")
    package: str | None = Field(None, description="Instead of a path: a key of `sources.packages`")
    member: FilePath | None = Field(None, description="Path of the file inside that package")

    @model_validator(mode="after")
    def _one_place(self) -> "FileRef":
        if (self.path is None) == (self.package is None) or (self.package is None) != (self.member is None):
            raise ValueError("give either path, or package and member")
        if self.member is not None and ({"", ".", ".."} & set(self.member.split("/")) or _unwritable(self.member)):
            raise ValueError(f"member {self.member!r} is not a path inside a package")
        return self

    @property
    def in_package(self) -> tuple[str, str]:
        """Package and member of a file that is in one."""
        if self.package is None or self.member is None:
            raise TypeError(f"{self} is in no package")
        return self.package, self.member


def sentence(error: ValidationError) -> str:
    """The first fault of a validation as `key: what is wrong`, on one line."""
    return " ".join(_fault(error).split())


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "unknown_key":
        key = ".".join(part for part in (key, str(first["ctx"]["key"])) if part)
        return f"{key}: {first['msg']}"
    if first["type"] == "missing":
        return f"{key}: this key is required"
    message = first["msg"]
    if first["type"] == "value_error":  # this project's own words, which may begin with a name
        message = message.removeprefix("Value error, ")
    else:
        message = f"{message[:1].lower()}{message[1:]}"
    if not key:
        return message
    given = f" (got {shown(repr(first['input']))})" if not isinstance(first["input"], (dict, list)) else ""
    return f"{key}: {message}{given}"
