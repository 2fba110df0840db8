"""A function as a command: its signature gives the arguments, its docstring the help and an example.

A parameter is a flag; one before `/` is positional; one without a default is required. Its type is str, int, float,
Path, bool (a switch), Literal (choices), list (one value or more), tuple (that many values) or one of these with
`| None`. A parameter `config` is the path of the config file, and `cfg` the loaded config: both are the flag
`--config`, which every command can go without.

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
from pathlib import Path
from textwrap import dedent, indent
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

Command = Callable[..., int | None]
CONFIG_HELP = "the config; default: the file that DFDM_CONFIG names, else config.yaml"
METAVARS = {str: "NAME", int: "N", float: "X", Path: "PATH"}


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
        notes = {"cfg": CONFIG_HELP, "config": CONFIG_HELP, **dict(found)}
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
                self.add_argument(f"--{word}", required=required, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one sentence and exit with status 2."""
        self.exit(2, f"{self.prog}: {message}; '{self.prog} --help' explains the arguments\n")


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
        return {"type": kinds[0], "metavar": METAVARS[kinds[0]], "nargs": len(kinds), "action": _Tuple}
    kind, nargs = (kinds[0], "+") if kinds else (hint, None)
    return {"type": kind, "metavar": METAVARS[kind], "nargs": nargs}


def run(name: str, command: Command, words: Sequence[str]) -> int | None:
    """Run a command with the arguments of the command line; the config is read after the arguments are checked."""
    values = vars(Parser(name, command).parse_args(words))
    if "cfg" in values:
        from dfdm.catalogue.config import load

        values["cfg"] = load(values["cfg"])
    given = inspect.BoundArguments(inspect.signature(command), values)
    return command(*given.args, **given.kwargs)
