"""JSON files that one part writes and another reads: each is one model, and is next to its writer."""

from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from dfdm.base.errors import DfdmError
from dfdm.base.files import read_json, write_json
from dfdm.base.records import checked

OPEN = "any keys"  # marks a mapping whose keys no model can know: Annotated[dict[str, int], OPEN]


class Stored(BaseModel):
    """A file, or a part of one. Keys that it does not know are ignored on reading; values do not change."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
    stage: ClassVar[str] = ""  # that writes the file
    keyed: ClassVar[Mapping[str, str]] = {}  # of a mapping (`a.b`): the attribute with all the names that it must have

    @classmethod
    def of(cls, values: Any, where: Path | str) -> Self:
        """The model of plain values; DfdmError, one sentence with `where` and the key, for wrong ones."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            again = f"run the stage {cls.stage} again".replace("  ", " ")
            raise DfdmError(f"{where}: {fault(error)}; delete the file and {again}") from None

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """The model of a file; DfdmError, one sentence, for a file that is absent, damaged, changed or has no key."""
        found = cls.of(read_json(path), path)
        checked(path)
        return found

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for place, names in self.keyed.items():
            around, _, key = place.rpartition(".")
            inside = attrgetter(around)(self) if around else self
            for name in attrgetter(names)(self) if inside else ():
                if name not in getattr(inside, key):
                    raise ValueError(f"{place}.{name} is missing")
        return self

    def plain(self) -> dict[str, Any]:
        """The content of the file; keys with a default that were not given are left out."""
        return self.model_dump(mode="json", exclude_unset=True)

    def write(self, path: Path | str) -> None:
        """Write the file, atomically."""
        write_json(path, self.plain())


def fault(error: ValidationError) -> str:
    """The first fault of a file's content: `figures.accuracy.low is missing`."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{key} is missing"
    if first["type"] == "value_error":  # of a model's own check, whose sentence continues from the key
        return f"{key}.{first['ctx']['error']}".removeprefix(".")
    return f"{key}: {first['msg'][:1].lower()}{first['msg'][1:]}" if key else "this is not a JSON object"
