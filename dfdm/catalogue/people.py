"""Whose videos a config takes: people, scenes and swaps with ranges, a pattern or a table, read as single ones."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator

from dfdm.base import names
from dfdm.base.errors import shown
from dfdm.base.files import at_home
from dfdm.base.section import Count, FilePath, FileRef, Folder, Package, Person, Section, Text, sentence

_MOST = 10_000  # of a range
_EXAMPLES = {names.ID: "id0-id13, id16", names.SCENE: "0000-0009, 0012"}
Number = Annotated[str, Field(pattern=f"^{names.SCENE}$")]
Pair = Annotated[str, Field(pattern=f"^{names.ID}_{names.ID}$")]


def spread(text: str, form: str) -> list[str]:
    """`id0-id2, id5` as id0, id1, id2, id5; `form` is names.ID or names.SCENE. Else a ValueError."""
    found: list[str] = []
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) > 2 or not all(re.fullmatch(form, end) for end in ends):
            raise ValueError(f"'{shown(text)}' should be like {_EXAMPLES[form]}")
        first, last = (end.removeprefix("id") for end in (ends[0], ends[-1]))
        start = ends[0].removesuffix(first)
        if int(last) - int(first) >= _MOST:
            raise ValueError(f"'{text}' stands for more than {_MOST:,}; give a shorter range")
        found += [f"{start}{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        if int(first) > int(last) or len(set(found)) < len(found):
            raise ValueError(f"'{text}' should rise and name each once, like {_EXAMPLES[form]}")
    return found


class Scene(FileRef):
    """A scene: a video, or a part of its frames."""

    frames: tuple[Annotated[int, Field(ge=0, strict=True)], Count] | None = Field(
        None, description="[start, stop]: from start to before stop; null: all"
    )

    @model_validator(mode="after")
    def _checked(self) -> "Scene":
        if self.frames and self.frames[0] >= self.frames[1]:
            raise ValueError("frames must be [start, stop] with start < stop")
        return self

    @field_validator("path", mode="before")
    @classmethod
    def _as_written(cls, path: Any) -> Any:
        if isinstance(path, str) and re.search(r"\{(person|scene)\}", path):
            raise ValueError("it is used as written; {person} and {scene} belong in pattern")
        return path


class Row(Scene):
    """A line of the table of scenes: columns in any order, tabs between them; an empty cell means null."""

    person: Person = Field(description="The person, such as id0")
    scene: Number = Field(description="The scene, such as 0003")
    licence: Text | None = Field(None, description="As in `sources.people`; once for a person is enough")
    consent: Text | None = Field(None, description="As in `sources.people`; once for a person is enough")
    note: str | None = Field(None, description="As in `sources.people`; once for a person is enough")

    @field_validator("frames", mode="before")
    @classmethod
    def _numbers(cls, text: str) -> list[int]:
        if not re.fullmatch(r"\[[0-9]{1,18}, *[0-9]{1,18}\]", text):
            raise ValueError("should be like [0, 96]")
        return [int(number) for number in text[1:-1].split(",")]


def _by_number(given: Any) -> Any:
    if not isinstance(given, dict):
        raise ValueError("give scenes by number or, with a pattern, as a range in quotes such as '0000-0009'")
    return given


class PersonConfig(Section):
    """A person, or several: `id0-id13, id16`. An entry for one of them alone may follow, with the keys that differ."""

    licence: Text = Field(description="Terms under which you hold the videos; default: `sources.licence`")
    consent: Text = Field(description="Basis on which the person agreed to be swapped; default: `sources.consent`")
    note: str = Field("", description="Anything else that a reader of the report should know")
    picture: FilePath | None = Field(None, description="Picture of the person's face alone, for `faces.keep: person`")
    pattern: str | None = Field(None, exclude=True, description="Path of every scene; default: `sources.pattern`")
    scenes: Annotated[
        dict[Number, Scene], BeforeValidator(_by_number, json_schema_input_type=str | dict[Number, Scene])
    ] = Field(min_length=1, description="Scenes by number or, with a pattern, as a range such as 0000-0009, 0012")


def _each_person(given: Any, info: ValidationInfo) -> Any:
    """The entries of `people` and the lines of the table, as one entry for each person and scene."""
    if not isinstance(given, dict):
        return given
    people: dict[str, dict[str, Any]] = {}
    for key, entry in given.items():
        ids, entry = spread(str(key), names.ID), {} if entry is None else entry
        if not isinstance(entry, dict):
            raise ValueError(f"'{key}' should hold keys such as scenes, not {entry!r}")
        for person in ids:
            if person in people and len(ids) > 1:
                raise ValueError(f"{person} is in two entries; put the entry for {person} alone after '{key}'")
            people[person] = {**people.get(person, {}), **entry}
            if entry.get("pattern") and not isinstance(people[person].get("scenes"), str):
                raise ValueError(f"'{key}' has a pattern, which needs a range of scenes such as '0000-0009'")
    numbers: dict[int, str] = {}
    for person in people:
        if (other := numbers.setdefault(names.number(person), person)) != person:
            raise ValueError(f"{other} and {person} have one number; give each person another")
    _fill(people, info.data.get("pattern"))
    if info.data.get("table"):
        _add(people, at_home(info.data.get("root", ".")) / at_home(info.data["table"]))
    if not people:
        raise ValueError("name at least one person, or give sources.table")
    for entry in people.values():
        for term in ("licence", "consent"):
            if info.data.get(term):
                entry.setdefault(term, info.data[term])
    return people


def _fill(people: dict[str, dict[str, Any]], common: str | None) -> None:
    """Give every scene of a range the path that its person's pattern, or the common one, makes."""
    made: dict[str, str] = {}
    for person, entry in people.items():
        pattern, scenes = entry.get("pattern") or common, entry.get("scenes")
        if not isinstance(scenes, str) or not isinstance(pattern, str):
            continue
        entry["scenes"] = {}
        for number in spread(scenes, names.SCENE):
            path, scene = pattern.replace("{person}", person).replace("{scene}", number), f"{person}_{number}"
            if re.search("[{}]", path):
                raise ValueError(f"pattern '{pattern}' has other placeholders than {{person}} and {{scene}}")
            if made.setdefault(path, scene) != scene:
                raise ValueError(f"pattern '{pattern}' gives {made[path]} and {scene} one file; use both placeholders")
            entry["scenes"][number] = {"path": path}


def _add(people: dict[str, dict[str, Any]], table: Path) -> None:
    """Add the scenes of the table, and what it says of their people."""
    for where, row in _rows(table):
        entry = people.setdefault(row.person, {})
        scenes = entry.get("scenes") or {}
        if row.scene in scenes:
            raise ValueError(f"{where}: the scene {row.person}_{row.scene} is there already; give each scene once")
        entry["scenes"] = {**scenes, row.scene: row.model_dump(include=set(Scene.model_fields), exclude_none=True)}
        for term in ("licence", "consent", "note"):
            own = getattr(row, term)
            if own and entry.setdefault(term, own) != own:
                raise ValueError(f"{where}: {term} of {row.person} is '{own}', and before '{entry[term]}'; give one")


def _rows(table: Path) -> Iterator[tuple[str, Row]]:
    """Each line of a table of scenes, with its place for messages; ValueError names file and line."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, delimiter="\t", restkey="a cell more than columns")
            columns = lines.fieldnames or []
            if twice := [name for name in columns if columns.count(name) > 1]:
                raise ValueError(f"{table}, line 1: the column {twice[0]} is there twice; keep one of them")
            if "person" not in columns:
                raise ValueError(f"{table}, line 1: no column person; name the columns, with tabs between them")
            for cells in lines:
                where = f"{table}, line {lines.line_num}"
                try:
                    yield where, Row.model_validate({column: text for column, text in cells.items() if text})
                except ValidationError as error:
                    raise ValueError(f"{where}: {sentence(error)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"sources.table cannot be read ({error}); correct its path or save it as UTF-8 text") from None


class SourcesConfig(Section):
    """Where the videos are, and whose they are."""

    root: Folder = Field(".", description="Folder that relative paths of videos and of the table start from")
    cache: FilePath = Field("~/.cache/dfdm", description="Folder of package files; DFDM_CACHE overrides it")
    packages: dict[str, Package] = Field({}, description="Files of package registries, by any name")
    licence: Text | None = Field(None, exclude=True, description="Licence of people who have none of their own")
    consent: Text | None = Field(None, exclude=True, description="Consent basis of people who have none of their own")
    pattern: str | None = Field(None, exclude=True, description="Path of the scenes, with {person} and {scene}")
    table: FilePath | None = Field(None, exclude=True, description="Scenes in a file, such as scenes.tsv; null: none")
    people: Annotated[dict[str, PersonConfig], BeforeValidator(_each_person)] = Field(
        {}, validate_default=True, description="People by id, such as id0, or several: id0-id13, id16"
    )

    @property
    def cache_dir(self) -> Path:
        """The cache folder; the environment variable DFDM_CACHE overrides the config."""
        return at_home(os.environ.get("DFDM_CACHE") or self.cache)


class Pairs(Section):
    """Swaps of several pairs, each in both directions."""

    pairs: list[Pair] = Field(min_length=1, description="Pairs, such as id0_id1")
    scenes: str | None = Field(None, description="Scenes of both people, as a range such as 0000-0004; null: all")


def each_swap(given: Any) -> Any:
    """The entries of `swaps` as single names, in order: pairs in both directions, a range as one name a scene."""
    if not isinstance(given, list):
        return given
    swaps: list[Any] = []
    for entry in given:
        found = [entry]
        if isinstance(entry, dict):
            both = Pairs.model_validate(entry)
            ends, scenes = [pair.partition("_")[::2] for pair in both.pairs], f"_{both.scenes}" if both.scenes else ""
            if alone := [one for one, two in ends if one == two]:
                raise ValueError(f"{alone[0]} is paired with itself; name two people")
            found = [f"{one}_{two}{scenes}" for pair in ends for one, two in (pair, pair[::-1])]
        for swap in found:
            ranged = re.fullmatch(rf"({names.ID}_{names.ID}_)(.*[-,].*)", str(swap))
            swaps += [ranged[1] + number for number in spread(ranged[2], names.SCENE)] if ranged else [swap]
    return swaps
