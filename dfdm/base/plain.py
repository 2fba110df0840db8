"""Plain values out of YAML and JSON text, with what both formats' own readers accept without a word refused."""

import json
from collections.abc import Hashable
from typing import Any

_DEEPEST, _MOST = 100, 1_000_000  # levels of nesting; values of a YAML text once its aliases are written out


def from_json(text: str) -> Any:
    """The value of a JSON text; ValueError, one line, for damaged text, a key given twice and one nested too deep."""
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def from_yaml(text: str) -> Any:
    """The value of a YAML text; ValueError, one line, as in `from_json`, and for aliases that explode or circle."""
    import yaml  # here, since the help is shown without it

    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C ten times as fast, where it was built
    try:
        depth = 0
        for event in yaml.parse(text, kind):  # first without building anything, since building recurses
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError("it is nested too deep")
        loader = kind(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _size(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _size(node: Any, known: dict[int, int]) -> int:
    """How many values a node stands for with its aliases written out; its keys are checked on the way."""
    import yaml

    if id(node) in known:
        if not known[id(node)]:
            raise ValueError(f"line {node.start_mark.line + 1} contains itself by an alias")
        return known[id(node)]
    known[id(node)] = 0  # under way
    parts: list[Any] = []
    if isinstance(node, yaml.MappingNode):
        seen: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                line, name = key.start_mark.line + 1, (key.tag, key.value)
                if name in seen:
                    raise ValueError(f"line {line} gives '{key.value}' again, as line {seen[name]}; keep one of them")
                seen[name] = line
            parts += [key, value]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    known[id(node)] = size = 1 + sum(_size(part, known) for part in parts)
    if size > _MOST:
        raise ValueError(f"its aliases stand for more than {_MOST:,} values")
    return size


def _each_once(pairs: list[tuple[Hashable, Any]]) -> dict[Hashable, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it gives '{next(key for key in keys if keys.count(key) > 1)}' twice; keep one of them")
    return found
