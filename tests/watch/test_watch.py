"""The logger plugin, fed with the events of real small runs."""

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dfdm.base.progress import duration
from snakemake_logger_plugin_dfdm import text
from snakemake_logger_plugin_dfdm.board import Board, Failure, Job, Left
from snakemake_logger_plugin_dfdm.terminal import block
from tests.commands import snakemake

pytestmark = pytest.mark.long

Run = Callable[..., subprocess.CompletedProcess[str]]
TOY = """
logger.info(None, extra={"dfdm": {
    "config": "toy.json", "targets": ["all", "iae_crf23"],
    "stages": {"all": None, "first": "cut", "second": "cut", "third": "join"},
}})
rule all:
    input: "third.txt", "alone.txt"
rule first:
    output: "first.txt"
    log: "logs/first.log"
    message: "cut: first"
    shell: "sleep 1.2; echo half way >{log}; sleep 1.2; touch {output}"
rule second:
    output: "second.txt"
    log: "a log/second.log"
    message: "cut: second"
    shell:
        "(printf 'line %s\\\\n' $(seq 30); echo config ${{DFDM_CONFIG:-none}}; "
        "test -e mended && touch {output}) >{log:q} 2>&1"
rule third:
    input: "first.txt", "second.txt"
    output: "third.txt"
    log: "logs/third.log"
    message: "join: third"
    shell: "touch {output}"
rule alone:
    output: "alone.txt"
    shell: "touch {output}"
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text("from snakemake.logging import logger\n" + TOY)
    return tmp_path


@pytest.fixture
def run(toy: Path) -> Run:
    return lambda *arguments: snakemake(toy, *arguments, "--logger", "dfdm")


def test_a_log_shows_done_and_left_by_stage_rate_and_time_left(run: Run, toy: Path) -> None:
    (toy / "mended").touch()
    done = run("--cores", 1, "--logger-dfdm-every", 1)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("summary: ")]
    going_on = (
        r"summary: \d of 4 jobs done.*so far, at least .* left.*\| cut \d/2 \(1 running\) \| join 0/1 \| alone \d/1"
    )
    assert any(re.fullmatch(going_on, line) for line in lines)
    assert re.fullmatch(
        r"summary: 4 of 4 jobs done, \d+\.\d jobs/min, \d+\.\d s \| cut 2/2 \| join 1/1 \| alone 1/1", lines[-1]
    )
    assert re.search(r"^  cut: first, \d\.\d s: half way$", done.stderr, re.MULTILINE)
    assert "Job 2: cut: first" in done.stderr or "cut: first" in done.stderr  # Snakemake's own messages stay
    assert "of 5 steps" in done.stderr


def test_a_failed_job_shows_its_last_lines_and_the_command_that_repeats_it(run: Run, toy: Path) -> None:
    done = run("--cores", 1, "--keep-going", "--show-failed-logs")
    assert done.returncode == 1
    said = done.stderr
    assert said.count("FAILED cut: second (rule second, job ") == 2  # when it failed, and at the end
    at_once, _, at_end = said.rpartition("1 job failed:")
    assert "    | line 30\n    | config none\n    log: a log/second.log\n" in at_once
    assert "| line 1\n" not in said  # the end of the log only
    assert "CalledProcessError" not in said
    assert "    | config none\n    log: a log/second.log\n" in at_end
    assert re.search(
        r"summary: 2 of 4 jobs done, 1 failed, .*\| cut 1/2 \(1 failed\) \| join 0/1 \| alone 1/1\n", at_end
    )
    assert "Jobs that did not run because of it: 1. Run the same command again to continue" in at_end
    assert not (toy / "alone.txt").stat().st_size

    command = said.splitlines()[said.splitlines().index("    to run it alone:") + 1].strip()
    assert command.startswith(f"(cd {toy} && export DFDM_CONFIG=toy.json && ")
    environment = {key: value for key, value in os.environ.items() if key != "DFDM_CONFIG"}
    again = subprocess.run(command, shell=True, cwd="/", capture_output=True, text=True, env=environment)
    assert again.returncode == 1
    assert again.stdout.endswith("line 30\nconfig toy.json\n")
    assert not (toy / "second.txt").exists()
    (toy / "mended").touch()
    assert subprocess.run(command, shell=True, cwd="/", capture_output=True, env=environment).returncode == 0
    assert (toy / "second.txt").exists()


def test_a_job_that_succeeds_when_tried_again_is_no_failure(run: Run, toy: Path) -> None:
    path = toy / "Snakefile"
    path.write_text(path.read_text().replace("test -e mended &&", "test -e tried || ! touch tried &&"))
    done = run("--cores", 1, "--retries", 1)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("FAILED cut: second") == 1
    assert "4 of 4 jobs done" in done.stderr.splitlines()[-1]
    assert "failed" not in done.stderr.splitlines()[-1]


def test_dry_runs_and_quiet_runs_stay_as_they_are(run: Run, toy: Path) -> None:
    (toy / "mended").touch()
    dry = run("--dry-run", "--cores", 1)
    assert dry.returncode == 0
    assert "This was a dry-run" in dry.stdout
    assert "summary:" not in dry.stdout + dry.stderr
    done = run("first.txt", "--cores", 1, "--quiet")
    assert done.returncode == 0
    assert "summary:" not in done.stderr
    assert "Finished jobid" not in done.stderr
    done = run("second.txt", "--cores", 1, "--quiet", "rules")
    assert "summary: 1 of 1 jobs done" in done.stderr
    (toy / "mended").unlink()
    (toy / "second.txt").unlink()
    failed = run("second.txt", "--cores", 1, "--quiet")  # a failure is printed all the same
    assert failed.stderr.count("FAILED cut: second") == 1
    silent = run("second.txt", "--cores", 1, "--quiet", "all")
    assert (silent.returncode, silent.stderr) == (1, "")


def test_nothing_to_do_says_so_and_no_more(run: Run, toy: Path) -> None:
    for name in ("first", "second", "third", "alone"):
        (toy / f"{name}.txt").touch()
    done = run("--cores", 1, "--rerun-triggers", "mtime")
    assert "Nothing to be done" in done.stderr
    assert "summary:" not in done.stderr


def test_a_misspelt_target_brings_the_near_ones(run: Run) -> None:
    done = run("iae_crf24", "--cores", 1)
    assert done.returncode == 1
    assert "'iae_crf24' is not a target of this config. Did you mean iae_crf23?" in done.stderr


def test_a_locked_folder_is_told_how_to_unlock(run: Run, toy: Path) -> None:
    locks = toy / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("first.txt\n")
    done = run("first.txt", "--cores", 1)
    assert done.returncode == 1
    assert "If none runs now: 'snakemake --unlock'" in done.stderr
    assert run("--unlock", "--cores", 1).returncode == 0


def test_a_stopped_run_counts_no_failures_and_says_how_to_go_on(toy: Path) -> None:
    import signal

    path = toy / "Snakefile"
    path.write_text(path.read_text().replace("sleep 1.2; echo half way >{log}; sleep 1.2", ": >begun; sleep 60"))
    # a builtin makes the file: bash continues after a Ctrl-C that reaches it while it waits for a command that ends
    # well
    command = [sys.executable, "-m", "snakemake", "first.txt", "--logger", "dfdm", "--cores", "1"]
    process = subprocess.Popen(
        command,
        cwd=toy,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (toy / "begun").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "FAILED" not in said
    assert "Stopped before the end. Run the same command again to continue" in said


def test_a_terminal_shows_one_block_that_is_drawn_anew(toy: Path) -> None:
    (toy / "mended").touch()
    try:
        main, side = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal here: {error}")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-m", "snakemake", "--logger", "dfdm", "--cores", "1"]
    process = subprocess.Popen(command, cwd=toy, stderr=side, stdout=side, env=environment)
    os.close(side)
    seen = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
    assert process.wait() == 0
    words = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert re.search(r"stage +done +left +running +failed +each", words)
    assert re.search(r"cut +[━╸╺ ]+ (0 of 2 +2|1 of 2 +1) +1", words)
    assert "cut: first, " in words
    assert b"\x1b[1A" in seen  # back up over the block
    assert "4 of 4 jobs done" in words.splitlines()[-1]
    assert "cut: first" in words


def test_a_long_command_is_not_broken_on_a_narrow_terminal() -> None:
    shown = io.StringIO()
    live, above = block(lambda: "block", shown, plain=True)
    live.console.width = 40
    above.write("\x1b[31mto run it alone:\n  dfdm " + "word " * 30)
    above.write("end\x1b[0m\n")
    assert "  dfdm " + "word " * 30 + "end\n" in re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())


def job(number: int, rule: str, started: float, **more: object) -> Job:
    values: dict = {"name": f"{rule} {number}", "log": (), "command": None, **more}
    return Job(id=number, rule=rule, started=started, **values)


def test_time_left_is_work_over_the_jobs_that_run_side_by_side() -> None:
    board = Board(stages={"all": None})
    board.plan({"cut": 10, "join": 2, "all": 1, "total": 13}, 0.0)
    assert board.left(0.0) is None
    for number in (1, 2):  # two side by side, 10 s each
        board.start(job(number, "cut", 0.0))
        board.finish(number, 10.0)
    assert board.left(10.0) == Left(8 * 10 / 2, untimed=2, at_least=True)
    board.start(job(3, "cut", 10.0))
    board.start(job(4, "cut", 10.0))
    assert board.left(14.0) == Left((6 * 10 + 2 * 6) / 2, untimed=2, at_least=True)
    assert board.rate(30.0) == 4.0
    assert [(row.stage, row.done, row.total, row.running) for row in board.rows()] == [
        ("cut", 2, 10, 2),
        ("join", 0, 2, 0),
    ]


def test_redirections_of_every_form_go_and_the_command_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for log, command in (
        ("l/x.log", "dfdm encode --out 'a b' >l/x.log 2>&1"),
        ("l/x.log", "dfdm encode --out 'a b' 2>&1 | tee -i l/x.log"),
        ("l x/x.log", "dfdm encode --out 'a b' >'l x/x.log' 2>&1"),
        ("l/x.log", "dfdm encode --out 'a b' &> l/x.log"),
    ):
        shown = text.alone(job(1, "encode", 0.0, log=(Path(log),), command=command), "c d.json")
        assert shown.startswith(f"(cd {tmp_path} && export DFDM_CONFIG='c d.json' && ")
        assert shown.endswith("dfdm encode --out 'a b')")


def test_many_failures_are_listed_by_their_logs() -> None:
    board = Board()
    board.plan({"cut": 30, "total": 30}, 0.0)
    for number in range(25):
        cut = job(number, "cut", 0.0, log=(Path(f"l/{number}.log"),))
        board.start(cut)
        assert isinstance(board.fail(cut, None, "status: F", 1.0), Failure)
    said = text.ending(board, None, 2.0)
    assert said.count("FAILED") == text.MOST_FAILURES
    assert "25 jobs failed:" in said
    assert "and 5 more; their logs: l/20.log, l/21.log" in said


def test_a_log_of_bars_gives_its_last_state(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"begin\n\n10 %\r20 %\r90 %\nend \xff\n\n")
    assert text.tail((tmp_path / "none.log", log), 3) == ["begin", "90 %", "end \ufffd"]
    assert text.tail((tmp_path / "none.log",), 3) == []
    assert duration(61.5) == "1 min 02 s"
