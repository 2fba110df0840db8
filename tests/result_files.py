"""Whether every key of a result file is needed: each is deleted in turn, and reading names file and key."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import pytest

from dfdm.base.errors import DfdmError
from dfdm.base.stored import OPEN, Stored

Place = tuple[str | int, ...]


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """Where a key is, for every key at any depth."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from [(*above, key)] if isinstance(value, dict) else []
        yield from places(inner, (*above, key))


def is_free(kind: Any, place: Place) -> bool:
    """Whether the model declares a key as one that may be absent: it has a default, or is in an OPEN mapping."""
    if get_origin(kind) is Annotated:
        kind, *marks = get_args(kind)
        if OPEN in marks:
            return True
    if NoneType in get_args(kind):
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
        return is_free(kind, place)
    key, *inner = place
    if get_origin(kind) in (dict, list):
        return bool(inner) and is_free(get_args(kind)[-1], tuple(inner))
    assert issubclass(kind, Stored), (kind, place)
    field = kind.model_fields[str(key)]
    if not inner:
        return not field.is_required()
    return OPEN in field.metadata or is_free(field.annotation, tuple(inner))


def delete_each_key(model: type[Stored], path: Path, scratch: Path, for_people: tuple[str, ...] = ()) -> int:
    """How many keys of a file were deleted in turn; `for_people`: keys at its top that no program reads."""
    content = json.loads(path.read_text())
    assert model.read(path).plain() == content  # the file contains what the model says, and nothing else
    needed = [place for place in places(content) if place[0] not in for_people and not is_free(model, place)]
    damaged = scratch / path.name
    for place in needed:
        values = copy.deepcopy(content)
        *above, key = place
        around = values
        for step in above:
            around = around[step]
        del around[key]
        damaged.write_text(json.dumps(values))
        with pytest.raises(DfdmError) as caught:
            model.read(damaged)
        sentence = str(caught.value)
        assert sentence.startswith(f"{damaged}: {'.'.join(map(str, place))} is missing; delete the file and run the ")
        assert "\n" not in sentence
    return len(needed)
