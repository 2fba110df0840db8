"""docs/config.md and the schema for editors, made from the config's fields: `python -m dfdm.catalogue.reference`."""

import json
from pathlib import Path
from textwrap import fill
from typing import Any

from dfdm.catalogue.config import Config
from dfdm.catalogue.people import Row

ROOT = Path(__file__).parents[2]
_INTRO = """# The config

Every key with its type or range, its default and what it does, made from the code by `make docs`. NAME means any
name. Sections with the same keys are described once. Unknown keys are errors: `dfdm check --config mine.yaml` checks a
file. An editor with a YAML language server completes and checks the keys while you type if the first line of the file
is, with the right path, `# yaml-language-server: $schema=workflow/schemas/config.schema.json`."""
_SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_WORDS = {"string": "text", "boolean": "true or false", "object": "section", "array": "list"}


def _schema() -> dict[str, Any]:
    """The schema of what `load` takes; a model's and a classifier's own keys are those of the section they go over."""
    made = Config.model_json_schema()
    own = {name: {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]} for name in made["$defs"]}
    made["properties"]["models"]["additionalProperties"] = own["TrainConfig"]
    classifiers = made["$defs"]["ComparisonConfig"]["properties"]["classifiers"]
    classifiers["patternProperties"] = dict.fromkeys(classifiers["patternProperties"], own["AttributionConfig"])
    made["properties"]["scales"]["additionalProperties"] = {"$ref": "#"}
    return made


def _lean(node: Any) -> Any:
    """The schema for editors: no titles and no required keys, because a section of a scale or a range is partial."""
    if isinstance(node, list):
        return [_lean(part) for part in node]
    if not isinstance(node, dict):
        return node
    strict = {"additionalProperties": False} if "patternProperties" in node else {}
    unneeded = {"required", "default"} if "$ref" in node or "properties" in node else set()
    return strict | {key: _lean(part) for key, part in node.items() if key not in unneeded and key != "title"}


def _values(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of sections that may have any name."""
    values = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
    return [value for value in values if isinstance(value, dict)]


def _places(made: dict[str, Any], node: dict[str, Any], place: str, found: dict[str, list[str]]) -> None:
    """Find where every section of the schema may be: its name in the schema, and its paths in a config."""
    inner = [(f"{place}.{key}".removeprefix("."), part) for key, part in node.get("properties", {}).items()]
    inner += [(place, part) for part in node.get("anyOf", [])] + [(f"{place}.NAME", part) for part in _values(node)]
    inner += [(f"{place}[]", node["items"])] if "items" in node else []
    for where, part in inner:
        _places(made, part, where, found)
    name = node.get("$ref", "#").rpartition("/")[2]
    if name != "#":
        found.setdefault(name, []).append(place)
        _places(made, made["$defs"][name], place, found)


def _kind(node: dict[str, Any]) -> str:
    """The type or range of a key in words."""
    if "anyOf" in node:
        return " or ".join(_kind(part) for part in node["anyOf"])
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "items" in node:
        return f"list of {_kind(node['items'])}"
    if values := _values(node):
        return f"{_kind(values[0])} by name"
    word = "section" if "$ref" in node else _WORDS.get(node["type"], node["type"])
    return f"{word} {', '.join(f'{sign} {node[key]}' for key, sign in _SIGNS.items() if key in node)}".rstrip()


def _keys(section: dict[str, Any]) -> str:
    """A section's keys: an entry of a list for each, in lines of at most 120 characters."""
    lines = []
    for key, node in section["properties"].items():
        default = "" if "$ref" in node or "default" not in node else f"; default `{json.dumps(node['default'])}`"
        default = "; required" if key in section.get("required", []) else default
        text = f"- `{key}` ({_kind(node)}{default}): {node['description']}"
        lines.append(fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    return "\n".join(lines)


def files() -> dict[Path, str]:
    """The generated files: path and text."""
    made, found = _schema(), dict[str, list[str]]()
    _places(made, made, "", found)
    page = [_INTRO, _keys(made)]
    for name, places in found.items():
        section, title = made["$defs"][name], ", ".join(f"`{place}`" for place in places)
        page.append(f"## {title}\n\n{fill(section['description'], 120)}\n\n{_keys(section)}")
    page.append(f"## Columns of `sources.table`\n\n{Row.__doc__}\n\n{_keys(Row.model_json_schema())}")
    schema = json.dumps(_lean(made), indent=1, ensure_ascii=False) + "\n"
    return {ROOT / "docs/config.md": "\n\n".join(page) + "\n", ROOT / "workflow/schemas/config.schema.json": schema}


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
