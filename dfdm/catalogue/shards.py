"""A config in parts whose pairs are whole, each with results of its own (docs/data.md, Shards)."""

from typing import Any

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config


def shards(cfg: Config, count: int) -> list[dict[str, Any]]:
    """So many configs, as plain values, that have each person, swap and pair of a config in one of them.

    None makes a split or trains a classifier, which are of all people. They are of about equal work by swaps. Raises
    DfdmError where the pairs cannot be parted so often.
    """
    if count < 1:
        raise DfdmError(f"{count} shards are none; give a number from 1")
    groups = _groups(cfg)
    if count > len(groups):
        sizes = ", ".join(str(len(group)) for group in sorted(groups, key=len, reverse=True)[:12])
        raise DfdmError(
            f"the pairs make {len(groups)} groups of people that share nobody (of {sizes} people"
            f"{', ...' if len(groups) > 12 else ''}); ask for at most {len(groups)} shards"
        )
    work = [sum(clip.video_id in group for clip in cfg.clips) for group in groups]
    loads: list[tuple[int, set[str]]] = [(0, set()) for _ in range(count)]
    for size, group in sorted(zip(work, groups), key=lambda entry: -entry[0]):
        least = min(range(count), key=lambda place: loads[place][0])
        loads[least] = loads[least][0] + size, loads[least][1] | group
    idle = set(cfg.sources.people) - set().union(*groups)  # in no swap
    return [_part(cfg, people | (set() if number else idle), number + 1) for number, (_, people) in enumerate(loads)]


def _groups(cfg: Config) -> list[set[str]]:
    """The people that pairs connect."""
    groups: list[set[str]] = []
    for pair in cfg.pairs:
        people = set(pair.split("_"))
        apart = [group for group in groups if not group & people]
        groups = [*apart, people.union(*(group for group in groups if group & people))]
    return groups


def _part(cfg: Config, people: set[str], number: int) -> dict[str, Any]:
    values = cfg.model_dump(mode="json")
    own = values["sources"]["people"]
    values["sources"]["people"] = {person: own[person] for person in own if person in people}
    values["swaps"] = [swap for swap in values["swaps"] if swap.split("_")[0] in people]
    values["splits"] = {"scene": None}
    values["controls"] = values["comparison"] = values["unseen"] = None
    values["results"] = f"{cfg.results}-{number}"
    return values
