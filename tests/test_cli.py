import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dfdm.commands import cli

ROOT = Path(__file__).parent.parent
COMMANDS = [
    *(
        "sources fetch",
        "sources probe",
        "sources predictor",
        "sources identity",
        "sources placeholders",
        "sources scan",
    ),
    *("faces", "train", "evaluate", "plan"),
    *(
        "render",
        "original",
        "encode",
        "crops",
        "export",
        "collect",
        "manifest",
        "predict",
        "report",
        "scores",
        "picture",
    ),
    *("attribution train", "attribution tune", "attribution score", "attribution comparison"),
    *("check", "weights import", "weights export", "region", "controls"),
]


def dfdm(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["dfdm", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)


def test_every_command_explains_itself() -> None:
    code = """
import contextlib, io, sys
from dfdm.commands.cli import main
for command in sys.argv[1].split("|"):
    sys.argv = ["dfdm", *command.split(), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    assert out.getvalue().startswith(f"usage: dfdm {command}"), command
    assert f"example:\\n  dfdm {command} " in out.getvalue(), command
"""
    subprocess.run([sys.executable, "-c", code, "|".join(COMMANDS)], check=True)


def test_every_example_of_the_help_is_a_command_line_that_parses() -> None:
    parser = cli._parser()
    assert set(cli._EXAMPLES) == set(COMMANDS)
    for example in cli._EXAMPLES.values():
        parser.parse_args(shlex.split(example))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "--config", "none.yaml"], "none.yaml does not exist"),
        (["check", "--config", "LICENSE"], "LICENSE is not readable YAML"),
        (["faces", "--record", "none.json", "--out", "x.npz"], "none.json does not exist"),
        (["sources", "probe", "--scene", "id7_0000", "--out", "x.json"], "sources.people has no scene id7_0000"),
        (["crops", "--video", "a.mp4", "--track", "t.npz", "--out", "x"], "does not lie in DFDM_crf<number>"),
        (["encode", "--master", "DFDM_crf0/iae/id0_id1_0000_iae.mp4", "--track", "none.npz", "--out",
          "DFDM_crf23/iae/id0_id1_0000_iae.mp4"], "none.npz does not exist"),
        (["render", "--track", "none.npz", "--checkpoint", "w", "--out", "DFDM_crf0/iae/id0_id1_0000_iae.mp4"],
         "none.npz does not exist"),
        (["manifest", "--target", "crf99", "--out", "m.parquet"], "'crf99' is no target of this config"),
        (["train", "--model", "gan", "--pair", "id0", "id1", "--tracks", "a.npz", "--out", "w"], "'gan' is no model"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(arguments: list[str], sentence: str) -> None:
    done = dfdm(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_commands_of_short_jobs_do_not_import_torch() -> None:
    code = """
import sys
import dfdm.commands.cli, dfdm.commands.stages, dfdm.catalogue.config, dfdm.catalogue.manifest
import dfdm.dataset.crops, dfdm.dataset.sidecar
import dfdm.media.encoding, dfdm.media.tracks, dfdm.media.detectors.dlib, dfdm.report.build, attribution.score
dfdm.catalogue.config.load("config.yaml")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
