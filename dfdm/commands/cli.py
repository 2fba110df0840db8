"""The command line: the table of the commands, and what a failure prints."""

import os
import re
import signal
import sys
import threading
from collections.abc import Sequence

from dfdm import __version__
from dfdm.base.errors import FULL, DfdmError, refused, shown
from dfdm.commands import attribution, autoencoders, dataset, plan, release, sources, swap, views
from dfdm.commands.interface import Command, about, run

GROUPS: dict[str, dict[str, Command]] = {
    "to begin with, and to see what was found": {
        "check": views.check,
        "plan": plan.plan,
        "scores": views.scores,
        "predict": attribution.predict,
        "swap": swap.swap,
        "sources scan": sources.scan,
        "report": views.report,
        "view": views.view,
    },
    "the stages, in the order in which the workflow calls them": {
        "sources probe": sources.probe,
        "sources predictor": sources.predictor,
        "sources identity": sources.identity,
        "faces": sources.faces,
        "train": autoencoders.train,
        "render": dataset.render,
        "original": dataset.original,
        "encode": dataset.encode,
        "masks": dataset.masks,
        "crops": dataset.crops,
        "manifest": dataset.manifest,
        "evaluate": autoencoders.evaluate,
        "region": attribution.region,
        "attribution tune": attribution.tune,
        "attribution train": attribution.train,
        "attribution score": attribution.score,
        "attribution comparison": attribution.comparison,
        "attribution unseen": attribution.unseen,
        "controls": attribution.controls,
    },
    "the rest": {
        "sources fetch": sources.fetch,
        "sources placeholders": sources.placeholders,
        "collect": dataset.collect,
        "export": dataset.export,
        "shard": release.shard,
        "merge": release.merge,
        "release": release.release,
        "verify": views.verify,
        "provenance": views.provenance,
        "migrate": views.migrate,
        "forget": sources.forget,
        "picture": views.picture,
        "overlay": views.overlay,
        "attribution import": attribution.import_checkpoint,
        "weights import": autoencoders.import_weights,
        "weights export": autoencoders.export_weights,
    },
}
COMMANDS = {name: command for commands in GROUPS.values() for name, command in commands.items()}
RENAMED = {  # how a command line of an earlier version begins, and what to write instead
    r"attribution compare\b": "'attribution compare' is 'attribution comparison' now",
    r"attribution train .*--rate\b": "the flag --rate of 'attribution train' is --tune now",
    r"evaluate( --config[ =]\S+)?$": "the table that 'evaluate' printed is 'scores --evaluate' now",
}
ABOUT = ("Make face-swap videos with five autoencoders and name the autoencoder that made a video.", "")
FIRST_STEPS = """\
first steps:
  dfdm swap A.mp4 B.mp4 --licence TEXT --consent TEXT   two people's videos, to swaps and a page that plays them
  dfdm predict VIDEO                                    real, or which model made it
  dfdm check                                            check the config, and count the videos that it makes
  snakemake --cores all --dry-run                       what would run
  snakemake --cores all                                 all of it
  dfdm scores                                           the score table
  dfdm sources scan DIR --licence TEXT --consent TEXT   a config for your own videos
  dfdm COMMAND --help                                   what a command takes, with an example"""


def _overview(topic: str) -> str:
    """The commands in groups: all of them, or those of a topic, such as `sources `."""
    lines = [f"usage: dfdm {topic}COMMAND ...", "", *([] if topic else ABOUT)]
    for title, commands in GROUPS.items():
        listed = [f"  {name:22}  {about(command)}" for name, command in commands.items() if name.startswith(topic)]
        lines += [f"{title}:", *listed, ""] if listed else []
    return "\n".join([*lines, FIRST_STEPS])


def _terminated(number: int, frame: object) -> None:
    """Leave by an exception, so that `finally` removes half-written files."""
    print("dfdm: stopped by SIGTERM", file=sys.stderr)
    sys.exit(128 + number)


def _in_thread(fault: threading.ExceptHookArgs) -> None:
    """A full disk met by TensorBoard's thread is raised again where the training writes, and reported there."""
    if getattr(fault.exc_value, "errno", None) not in FULL:
        threading.__excepthook__(fault)


def _run(words: Sequence[str]) -> int | None:
    line = " ".join(words)
    for pattern, sentence in RENAMED.items():
        if re.match(pattern, line):
            raise DfdmError(sentence)
    for count in (2, 1):
        if command := COMMANDS.get(name := " ".join(words[:count])):
            return run(name, command, words[count:])
    topic = f"{words[0]} " if words and any(name.startswith(f"{words[0]} ") for name in COMMANDS) else ""
    if line.removeprefix(topic) in ("-h", "--help"):
        print(_overview(topic))
    elif line == "--version":
        print(f"dfdm {__version__}")
    else:
        raise DfdmError(f"'{shown(' '.join(['dfdm', *words]))}' is not a command; 'dfdm {topic}--help' lists them")
    return 0


def main() -> None:
    """Run one command; bad input is one line on stderr and status 2, a closed pipe status 141 without a word."""
    signal.signal(signal.SIGTERM, _terminated)
    threading.excepthook = _in_thread
    try:
        try:
            sys.exit(_run(sys.argv[1:]))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `dfdm plan | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at Python's end
        sys.exit(128 + signal.SIGPIPE)
    except DfdmError as error:
        print(f"dfdm: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"dfdm: {refused(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("dfdm: interrupted", file=sys.stderr)
        sys.exit(130)
