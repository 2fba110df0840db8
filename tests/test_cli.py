import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dfdm.commands import cli
from dfdm.commands.interface import Parser
from tests.commands import dfdm

ROOT = Path(__file__).parent.parent
COMMANDS = {  # every command of the first version, with every flag and argument; what is in [] may be left out
    "check": "[--config c]",
    "plan": "[crf23] [--config c] [--frames 9] [--size 320 240] [--rates r] [--json] [--measure m] [--compare]",
    "scores": "[--config c]",
    "predict": "a.mp4 b.mov [--config c] [--classifier m] [--json -] [--picture p]",
    "report": "[--config c] --out o [--results r]",
    "picture": "id0_id1_0000 id1_id0_0000 [--config c] [--crf 23] --out o",
    "sources fetch": "[--config c]",
    "sources probe": "[--config c] --scene id0_0000 --out o",
    "sources predictor": "[--config c] --out o",
    "sources identity": "[--config c] --out o",
    "sources placeholders": "[d.yaml] [--config c]",
    "sources scan": "folder --licence l --consent c [--out o]",
    "faces": "[--config c] --record r --out o",
    "train": "[--config c] --model iae --pair id1 id0 --tracks t u v --out o",
    "render": "[--config c] --track t --checkpoint w --out o",
    "original": "[--config c] --track t --out o",
    "encode": "[--config c] --master m --track t --out o",
    "crops": "[--config c] --video v --track t --out o",
    "manifest": "[--config c] [--target crf23] --out o [--results r]",
    "evaluate": "[--config c] --model iae --pair id1 id0 --tracks t u --masters m n --checkpoint w --out o",
    "region": "[--config c] --clip id0_id1_0000 --masters m n --original r --track t --out o",
    "attribution tune": "[--config c] --classifier d --manifest m --out o [--results r]",
    "attribution train": "[--config c] --crf all --manifest m n --out o [--classifier d] [--split identity] [--seed 2] "
    "[--tune t] [--results r]",
    "attribution score": "[--config c] --model w --crf 10 --manifest m --out o [--results r]",
    "attribution comparison": "[--config c] --out o [--results r]",
    "controls": "[--config c] --classifier d --crf 10 --manifest m --out o [--results r]",
    "collect": "folder [--config c] --layout videos --out o",
    "export": "c d [--config c] --out o",
    "verify": "[folder] [--config c]",
    "weights import": "w.npz --model iae --pair id1 id0 --out o [--width 0.5] [--centering head] [--coverage 0.7] "
    "[--mask components] [--iterations 9]",
    "weights export": "model --out o",
}
RENAMED = {
    "attribution compare --out c.json": "attribution comparison",
    "attribution train --crf 23 --manifest m --rate rate.json --out o": "--tune",
    "attribution train --rate=rate.json": "--tune",
    "evaluate": "scores --evaluate",
    "evaluate --config config.yaml": "scores --evaluate",
}


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def parsed(command: str, words: str) -> dict[str, Any]:
    return vars(Parser(command, cli.COMMANDS[command]).parse_args(shlex.split(words)))


def written(value: Any) -> str:
    """A parsed value as it stood on the command line."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is True else str(value)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_takes_every_flag_of_the_first_version(command: str) -> None:
    line = COMMANDS[command]
    every, required = re.sub(r"[\[\]]", "", line), re.sub(r"\[.*?\]", "", line)
    positional, *flags = f" {every}".split(" --")
    values = parsed(command, every)
    for flag in flags:
        name, _, words = flag.partition(" ")
        assert written(values.pop("cfg" if name not in values else name)) == words.strip()
    assert positional.strip() in ["", *map(written, values.values())]
    assert parsed(command, required)
    for flag in re.findall(r"--\w+(?: [^-\s]\S*)+", required):
        with pytest.raises(SystemExit, match="2"):
            parsed(command, required.replace(flag, ""))


@pytest.mark.parametrize("line", RENAMED)
def test_a_command_line_that_was_renamed_says_the_new_name(line: str) -> None:
    done = dfdm(*line.split())
    assert (done.status, done.out) == (2, "")
    assert re.search(f" '?{RENAMED[line]}'? now$", done.err)
    assert len(done.err.splitlines()) == 1


def test_every_command_explains_itself() -> None:
    assert set(COMMANDS) <= set(cli.COMMANDS)
    for name, command in cli.COMMANDS.items():
        parser = Parser(name, command)
        assert parser.format_help().startswith(f"usage: dfdm {name} ")
        assert f"example:\n  dfdm {name} " in parser.format_help()
        assert len(f"  {name:22}  {parser.description.splitlines()[0]}") <= 120


def test_every_example_of_the_help_is_a_command_line_that_parses() -> None:
    for name, command in cli.COMMANDS.items():
        parser = Parser(name, command)
        example = parser.epilog.removeprefix(f"example:\n  dfdm {name} ").replace("\\\n", "")
        parser.parse_args(shlex.split(example))


def test_the_help_lists_every_command_the_ones_to_type_first() -> None:
    done = dfdm("--help")
    assert done.status == 0
    listed = re.findall(r"^  (\w+(?: \w+)?)  +[A-Z]", done.out, re.MULTILINE)
    assert listed == list(cli.COMMANDS)
    assert listed.index("sources scan") < listed.index("sources probe") < listed.index("weights export")
    assert "dfdm sources scan DIR --licence TEXT --consent TEXT" in done.out
    part = re.findall(r"^  (\w+(?: \w+)?)  +[A-Z]", dfdm("sources", "--help").out, re.MULTILINE)
    assert part == [name for name in cli.COMMANDS if name.startswith("sources ")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "'dfdm' is not a command; 'dfdm --help' lists them"),
        (["nope", "--out", "x"], "'dfdm nope --out x' is not a command; 'dfdm --help' lists them"),
        (["sources"], "'dfdm sources' is not a command; 'dfdm sources --help' lists them"),
        (["crops", "--out", "x"], "arguments are required: --video, --track; 'dfdm crops --help' explains"),
        (["crops", "--video"], "argument --video: expected one argument"),
        (["check", "--nope"], "unrecognized arguments: --nope"),
        (["picture", "a", "--out", "x", "--crf", "high"], "argument --crf: invalid int value: 'high'"),
        (["train", "--pair", "id0"], "argument --pair: expected 2 arguments"),
        (["train", "--tracks", "--out", "x"], "argument --tracks: expected at least one argument"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], sentence: str) -> None:
    done = dfdm(*arguments)
    assert (done.status, done.out) == (2, "")
    assert sentence in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "--config", "none.yaml"], "none.yaml does not exist"),
        (["check", "--config", "LICENSE"], "LICENSE is not readable YAML"),
        (["faces", "--record", "none.json", "--out", "x.npz"], "none.json does not exist"),
        (["sources", "probe", "--scene", "id7_0000", "--out", "x.json"], "sources.people has no scene id7_0000"),
        (["crops", "--video", "a.mp4", "--track", "t.npz", "--out", "x.safetensors"], "is not in DFDM_crf<number>"),
        (["encode", "--master", "DFDM_crf0/iae/id0_id1_0000_iae.mp4", "--track", "none.npz", "--out",
          "DFDM_crf23/iae/id0_id1_0000_iae.mp4"], "none.npz does not exist"),
        (["render", "--track", "none.npz", "--checkpoint", "w", "--out", "DFDM_crf0/iae/id0_id1_0000_iae.mp4"],
         "none.npz does not exist"),
        (["manifest", "--target", "crf99", "--out", "m.parquet"], "'crf99' is not a target of this config"),
        (["train", "--model", "gan", "--pair", "id0", "id1", "--tracks", "a.npz", "--out",
          "w.safetensors"], "gan' is not a model"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(arguments: list[str], sentence: str) -> None:
    done = dfdm(*arguments)
    assert done.status == 2
    assert sentence in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.long
def test_the_commands_of_short_jobs_do_not_import_torch() -> None:
    code = """
import sys
import dfdm.commands.cli, dfdm.commands.inputs, dfdm.catalogue.config, dfdm.catalogue.manifest
import dfdm.dataset.crops, dfdm.dataset.sidecar
import dfdm.media.encoding, dfdm.media.tracks, dfdm.media.detectors.dlib, dfdm.report.build, attribution.score
dfdm.catalogue.config.load("config.yaml")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.long
def test_the_help_starts_at_once() -> None:
    code = """
import sys
from dfdm.commands import cli, interface
for name, command in cli.COMMANDS.items():
    interface.Parser(name, command).format_help()
assert not {"torch", "numpy", "pandas", "cv2", "av", "matplotlib", "pydantic", "yaml"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["dfdm", "--help"], cwd=ROOT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.25  # of one core
