"""New videos of a folder, written into a config that is there; the rest of its text stays as it is."""

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node

from dfdm.base.errors import DfdmError
from dfdm.base.files import at_home
from dfdm.base.names import number, person_of
from dfdm.base.plain import from_yaml
from dfdm.base.text import listed
from dfdm.catalogue.config import Config, load
from dfdm.catalogue.discover import CELEB, Account, Taken, discover, once
from dfdm.catalogue.sources import pairs_of, parts_of, place


def add(folder: Path, config: Path, licence: str, consent: str) -> tuple[str, Account, list[str]]:
    """The config's text with the videos of the folder that it does not name, the account of the folder with the
    config's ids, and the change as lines (none where nothing is new).

    A video is known by its path. A known person gets scenes of new numbers; a folder (or, in Celeb-DF's layout, an id)
    that is nobody's becomes a person of a new number. Raises DfdmError where the config's form has no place for them.
    """
    if not folder.is_dir():
        raise DfdmError(f"{folder} is not a folder; give the one that contains the videos")
    cfg, found = load(config), discover(folder)
    taken = sorted(
        _numbered(cfg, folder, found.taken), key=lambda one: f"{one.person}_{one.scene}" not in cfg.scene_keys
    )
    found = once(folder, Account(taken, found.left_out))
    new = [one for one in found.taken if f"{one.person}_{one.scene}" not in cfg.scene_keys]
    root = at_home(cfg.sources.root).resolve()
    people: dict[str, dict[str, Any]] = {}
    for one in new:
        about = {"licence": licence, "consent": consent, **({"note": one.note} if one.note else {})}
        known = one.person in cfg.sources.people
        path = folder.resolve() / one.path
        scenes = people.setdefault(one.person, {**({} if known else about), "scenes": {}})["scenes"]
        scenes[one.scene] = {"path": str(path.relative_to(root) if path.is_relative_to(root) else path)}
    text = _written(config, people)
    return text, found, list(_changes(cfg, people, licence, consent))


def _numbered(cfg: Config, folder: Path, taken: list[Taken]) -> Iterator[Taken]:
    """The videos with the config's people and scenes; of a file under two names the first alone."""
    celeb = all(one.note is None for one in taken)
    here, root = folder.resolve(), at_home(cfg.sources.root).resolve()
    known, owner = dict[str, str](), dict[str, str]()
    for key in cfg.scene_keys:
        if (path := cfg.scene(key).path) is None:
            continue
        known.setdefault(os.path.realpath(place(cfg.sources, path)), key)
        full = root / at_home(path)
        parts = full.relative_to(here).parts if full.is_relative_to(here) else ()
        if celeb and parts and (match := CELEB.fullmatch(full.stem)):
            owner.setdefault(match[1], person_of(key))
        elif not celeb and len(parts) > 1:
            owner.setdefault(parts[0], person_of(key))
    reals = [os.path.realpath(folder / one.path) for one in taken]
    labels = [one.note or one.person for one in taken]
    owner |= {label: person_of(known[real]) for label, real in zip(labels, reals) if real in known}
    scenes = {person: set(entry.scenes) for person, entry in cfg.sources.people.items()}
    done = set[str]()
    for one, real, label in zip(taken, reals, labels):
        if real in done:
            continue
        done.add(real)
        if real in known:
            person, _, scene = known[real].partition("_")
        else:
            if label not in owner:
                free = celeb and one.person not in scenes
                owner[label] = one.person if free else f"id{max(map(number, scenes)) + 1}"
            person = owner[label]
            own = scenes.setdefault(person, set())
            scene = one.scene if celeb and one.scene not in own else f"{max(map(int, own), default=-1) + 1:04d}"
            own.add(scene)
        yield replace(one, person=person, scene=scene)


def _changes(cfg: Config, people: dict[str, dict[str, Any]], licence: str, consent: str) -> Iterator[str]:
    """What was added, and what the user may want to add to swaps and splits."""
    for person, entry in people.items():
        scenes = listed(list(entry["scenes"]))
        if person not in cfg.sources.people:
            yield f"new: {person} ({entry.get('note', 'by name')}), scenes {scenes}"
            continue
        yield f"new scenes of {person}: {scenes}"
        was = cfg.sources.people[person]
        if (was.licence, was.consent) != (licence, consent):
            yield f"{person} keeps licence '{was.licence}' and consent '{was.consent}'"
    strangers = [person for person in people if person not in cfg.sources.people]
    if strangers:
        others = [person for person in cfg.sources.people if len(strangers) % 2][:1]
        swaps = [f"{a}_{b}" for one, two in pairs_of([*strangers, *others]) for a, b in ((one, two), (two, one))]
        yield f"in no swap yet: {listed(strangers)}; to swap them, add to swaps: {', '.join(swaps)}"
    split = cfg.splits.scene
    if people and split and split.train is not None:
        keys = [f"{person}_{scene}" for person, entry in people.items() for scene in entry["scenes"]]
        lists = "; ".join(f"{part}: {', '.join(found)}" for part, found in parts_of(keys).items() if found)
        yield f"in no part yet: {len(keys)} new scenes; to divide them, add to splits.scene: {lists}"


def _written(config: Path, people: dict[str, dict[str, Any]]) -> str:
    """The config's text with new people, and new scenes of its own people."""
    with open(config, encoding="utf-8", newline="") as file:
        text = file.read()
    if not people:
        return text
    values = from_yaml(text)
    node, wanted = _at(yaml.compose(text, yaml.SafeLoader), "sources", "people"), deepcopy(values)
    edits: list[tuple[int, str]] = []
    try:
        theirs = wanted["sources"]["people"]
        strangers = {person: entry for person, entry in people.items() if person not in theirs}
        for person in (person for person in people if person in theirs):
            theirs[person]["scenes"].update(people[person]["scenes"])
            edits.append(_edit(text, _at(node, person, "scenes"), people[person]["scenes"]))
        if strangers:
            theirs.update(strangers)
            edits.append(_edit(text, node, strangers))
        written = ""
        for start, more in reversed(sorted(edits, key=lambda edit: edit[0])):
            written, text = more + text[start:] + written, text[:start]
        found = from_yaml(text + written)
        load(found)
        if found == wanted:
            return text + written
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    names = ", ".join(f"{person}_{scene}" for person, entry in people.items() for scene in entry["scenes"])
    raise DfdmError(
        f"{config} gives its people as ranges, a table or aliases, to which nothing can be added here; add {names} by "
        "hand, or give --out another name"
    )


def _at(node: Node | None, *keys: str) -> Node | None:
    """The node below some keys."""
    for key in keys:
        pairs = node.value if isinstance(node, MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _edit(text: str, node: Node | None, more: dict[str, Any]) -> tuple[int, str]:
    """Where entries are inserted to follow those of a mapping, and their text in its style."""
    if not isinstance(node, MappingNode) or not node.value:
        raise TypeError("no mapping with entries")
    if node.flow_style:
        entries = [f", {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in more.items()]
        return node.value[-1][1].end_mark.index, "".join(entries)
    last = node.value[-1][1]
    while isinstance(last, (MappingNode, yaml.SequenceNode)) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, MappingNode) else last.value[-1]
    ends, start = "\r\n" if "\r\n" in text else "\n", last.end_mark.index
    if not text[:start].endswith("\n"):
        start = text.find("\n", start) + 1 or len(text)
    block = yaml.safe_dump(more, sort_keys=False, allow_unicode=True, width=1000)
    block = indent(block, " " * node.value[0][0].start_mark.column).replace("\n", ends)
    return start, block if text[:start].endswith("\n") else ends + block
