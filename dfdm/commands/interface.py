"""A function as a command: its signature gives the arguments, its docstring the help and an example.

A parameter is a flag; one before `/` is positional; one without a default is required. Its type is str, int (0 or
more), float, Path, bool (a switch), Literal (choices), list (one value or more, each once), tuple (that many values) or
one of these with `| None`; `no_crops` is the flag --no-crops and `as_`, since Python has the word, --as. What a command
writes (OUTPUTS) ends as its help says and is no file that it reads. A parameter `config` is the path of the config
file, and `cfg` the loaded config: both are the flag `--config`, which every command can go without.

argparse parses: the full plan starts 16,000 commands, and a start may take 0.1 s more than the first version's.
CPU time, the fastest of 10 to 15 runs in turn on a busy machine: `dfdm check` took 0.58 s in the first version, 0.69 s
with argparse (0.64 s where only the command's module is loaded) and 0.73 s with cyclopts 5.5 (loaded so too);
`dfdm encode --help` took 0.10, 0.14 and 0.35 s. typer 0.29 took 0.18 s to import and parse one command, cyclopts
0.08 s, and does not take `--tracks a b c`.
"""

import argparse
import inspect
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PosixPath
from textwrap import dedent, indent
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from dfdm.base.errors import DfdmError, shown
from dfdm.base.files import output as writable

Command = Callable[..., int | None]
CONFIG_HELP = "the config; default: the file that DFDM_CONFIG names, else config.yaml"
FOLDERS = ("the folder", "a folder", "an empty folder")  # how the help of an output begins that is one
OUTPUTS = ("out", "json", "picture", "page", "table", "measure")
MOST = 2**63 - 1  # what torch and numpy take as a seed
METAVARS: dict[Any, str] = {str: "NAME", int: "N", float: "X", Path: "PATH"}


def about(command: Command) -> str:
    """The first line of a command's docstring."""
    return (inspect.getdoc(command) or "").partition("\n")[0]


class Parser(argparse.ArgumentParser):
    """The arguments of one command, from its signature and docstring."""

    def __init__(self, name: str, command: Command) -> None:
        text, *parts = re.split(r"\n\n(Args|Example):\n", inspect.getdoc(command) or "")
        sections = dict(zip(parts[::2], parts[1::2]))
        example = f"example:\n{indent(dedent(sections['Example']), '  ')}"
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=f"dfdm {name}", description=text, epilog=example, formatter_class=raw)
        found = re.findall(r"^    (\w+): (.+)$", sections.get("Args", ""), re.MULTILINE)
        self.notes = notes = {"cfg": CONFIG_HELP, "config": CONFIG_HELP, **dict(found)}
        hints = get_type_hints(command, localns={"Config": Path})
        for word, parameter in inspect.signature(command).parameters.items():
            options = {"help": notes[word], **_of_type(hints[word])}
            required = parameter.default is parameter.empty
            if not required:
                options["default"] = parameter.default
            if parameter.kind is parameter.POSITIONAL_ONLY:
                options["metavar"] = word.upper()
                if not required:
                    options["nargs"] = "*" if options["nargs"] else "?"
                self.add_argument(word, **options)
            elif word in ("cfg", "config"):
                default = Path(os.environ.get("DFDM_CONFIG") or "config.yaml")
                self.add_argument("--config", dest=word, default=default, **options)
            else:
                flag = f"--{word.rstrip('_').replace('_', '-')}"
                self.add_argument(flag, dest=word, required=required, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one sentence and exit with status 2."""
        self.exit(2, f"{self.prog}: {shown(message)}; '{self.prog} --help' explains the arguments\n")


def whole(text: str) -> int:
    """A count, a seed or a crf; ValueError for anything but ASCII digits (int() takes those of any script)."""
    if re.fullmatch("-[0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    if not re.fullmatch("[0-9]+", text):
        raise ValueError
    if len(text) > len(str(MOST)) or int(text) > MOST:
        raise argparse.ArgumentTypeError(f"{text[:40]} is larger than {MOST}")
    return int(text)


def place(text: str) -> Path:
    """A path; refused where it is empty or not UTF-8, which no JSON file and no table could name."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a file or folder")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"'{shown(text)}' is not UTF-8; rename it") from None
    return Path(text)


TYPES: dict[Any, Callable[[str], Any]] = {int: whole, Path: place}
whole.__name__, place.__name__ = "int", "path"  # in argparse's messages


class Unchecked(PosixPath):
    """A path of any name, for a command that speaks of each by itself."""


class _List(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        if twice := [value for value in values or () if values.count(value) > 1]:
            raise argparse.ArgumentError(self, f"{shown(twice[0])} is given twice; give each once")
        setattr(namespace, self.dest, values)


class _Tuple(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def _of_type(hint: Any) -> dict[str, Any]:
    """What argparse must know of a parameter's type."""
    if NoneType in get_args(hint):
        (hint,) = set(get_args(hint)) - {NoneType}
    kinds = get_args(hint)
    if hint is bool:
        return {"action": "store_true"}
    if get_origin(hint) is Literal:
        return {"choices": kinds}
    if get_origin(hint) is tuple:
        kind = kinds[0]
        return {"type": TYPES.get(kind, kind), "metavar": METAVARS[kind], "nargs": len(kinds), "action": _Tuple}
    kind, several = (kinds[0], {"nargs": "+", "action": _List}) if kinds else (hint, {"nargs": None})
    return {"type": TYPES.get(kind, kind), "metavar": METAVARS.get(kind), **several}


def run(name: str, command: Command, words: Sequence[str]) -> int | None:
    """Run a command with the arguments of the command line; the config is read after the arguments are checked."""
    parser = Parser(name, command)
    values = vars(parser.parse_args(words))
    for output in OUTPUTS:
        if isinstance(values.get(output), Path) and values[output] != Path("-"):
            _check_output(output, parser.notes[output], values)
    if "cfg" in values:
        from dfdm.catalogue.config import load

        values["cfg"] = load(values["cfg"])
    given = inspect.BoundArguments(inspect.signature(command), values)
    return command(*given.args, **given.kwargs)


def _check_output(name: str, note: str, values: dict[str, Any]) -> None:
    """Refuse, before any work, to write over a file that the command reads, or what cannot be or is not of the kind
    that the help says: `(.npz)`, `(.npz, .h5)`, or a folder.
    """
    out, kind = values[name], re.search(r"\((\.\w+(?:, \.\w+)*)[);]", note)
    if not out.is_dir():
        writable(out)
    if kind and out.suffix not in kind[1].split(", "):
        raise DfdmError(f"--{name} is {out}, and is to end in {kind[1].replace(', ', ' or ')}; correct the name")
    if out.exists() and (out.is_dir() if kind else out.is_file() and note.startswith(FOLDERS)):
        raise DfdmError(f"--{name} {out} is a {'folder' if kind else 'file'}; name a {'file' if kind else 'folder'}")
    for other, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            if other not in OUTPUTS and isinstance(one, Path) and out.is_file() and one.exists() and out.samefile(one):
                other = "config" if other == "cfg" else other
                raise DfdmError(f"--{name} {out} is also what '{other}' names, and would be lost; name another file")
