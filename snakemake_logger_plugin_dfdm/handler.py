"""What Snakemake runs for `--logger dfdm`: its usual messages, a summary of the run, plain words on failures.

On a terminal the summary is a block below the messages, redrawn twice a second; elsewhere it is one line every half
minute. Snakemake calls the handler on a thread of its own. workflow/Snakefile gives it each rule's stage, the targets
and the path of the config in a log record with the attribute `dfdm`.
"""

import logging
import os
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_dfdm import text
from snakemake_logger_plugin_dfdm.board import Board, Job

LOCKED = (
    "Another snakemake uses this folder, or one was killed in it. If none runs now: "
    "'snakemake --unlock' (with the same --configfile), then run the same command again."
)
# Ctrl-C reaches the jobs' commands as well as Snakemake, and either may speak of it first.
STOPPED = re.compile(r"^Terminating processes on user|^Will exit after finishing|exit status 130\.|<Signals\.SIGINT")
EXIT_STATUS = re.compile(r"CalledProcessError.*(returned non-zero exit|died with)", re.S)


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The plugin's settings, as Snakemake's command line and profiles take them."""

    every: int = field(
        default=30, metadata={"help": "Seconds between two summary lines if the output is not a terminal.", "type": int}
    )


class LogHandler(LogHandlerBase):
    """Prints what Snakemake's own handler prints, through its own filter and formatter, and the summary."""

    def __post_init__(self) -> None:
        from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
        from snakemake.settings.enums import Quietness

        common = self.common_settings
        quiet = set(common.quiet or ())
        self.board = Board()
        self.silent = Quietness.ALL in quiet
        self.summarises = not (self.silent or common.dryrun or Quietness.PROGRESS in quiet)
        self.every = self.settings.every if isinstance(self.settings, LogHandlerSettings) else 30
        self.stream: Any = sys.stdout if common.stdout else sys.stderr
        self.shows = DefaultFilter(quiet, common.debug_dag, common.verbose, common.dryrun, common.printshellcmds)
        self.messages = ColorizingTextHandler(
            nocolor=common.nocolor, stream=self.stream, formatter=DefaultFormatter(quiet, common.show_failed_logs)
        )
        self.config: str | None = None
        self.targets: list[str] = []
        self.guard = threading.RLock()
        self.ended = threading.Event()
        self.live: Any = None
        self.ticker: threading.Thread | None = None

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record of Snakemake's."""
        try:
            self._take(record)
        except Exception:
            self.handleError(record)

    def _take(self, record: logging.LogRecord) -> None:
        event, shown = getattr(record, "event", None), bool(self.shows.filter(record))
        if about := getattr(record, "dfdm", None):
            self.config, self.targets = about["config"], about["targets"]
            self.board.stages = about["stages"]
            return
        if event == LogEvent.JOB_ERROR and not self.common_settings.dryrun:
            self._failed(record, shown)
            return
        plain = event == LogEvent.ERROR and text.plainly(getattr(record, "exception", ""), record.getMessage())
        if plain:
            if shown:
                self._print(plain, logging.ERROR)
            return
        in_block = self.live is not None and event in (LogEvent.PROGRESS, LogEvent.JOB_STARTED)
        # a job's failure explains its command's exit status better
        explained = event == LogEvent.ERROR and EXIT_STATUS.search(record.getMessage())
        if shown and not in_block and not explained:
            self.messages.emit(record)
        if self.common_settings.dryrun:
            return
        with self.guard:
            if event == LogEvent.RUN_INFO and self.board.started is None:
                self.board.plan(record.stats, record.created)  # type: ignore[attr-defined]
                if self.summarises:
                    self._begin()
            elif event == LogEvent.JOB_INFO:
                self.board.start(_job(record))
            elif STOPPED.search(record.getMessage()):
                self.board.stopped = True
            elif event == LogEvent.JOB_FINISHED:
                self.board.finish(record.job_id, record.created)  # type: ignore[attr-defined]
        if event == LogEvent.ERROR and not self.silent:
            locked = getattr(record, "exception", "") == "LockException"
            if more := LOCKED if locked else text.meant(record.getMessage(), self.targets):
                self._print(more, logging.ERROR)

    def _failed(self, record: logging.LogRecord, shown: bool) -> None:
        values = vars(record)
        hint = "; ".join(f"{key}: {value}" for key, value in (values.get("aux") or {}).items() if value)
        with self.guard:
            failed = self.board.fail(_job(record), values.get("conda_env"), hint, record.created)
        if failed is not None and shown:
            self._print(text.failure(failed, self.config), logging.ERROR)

    def _print(self, words: str, level: int = logging.WARNING) -> None:
        self.messages.emit(logging.LogRecord("dfdm", level, __file__, 0, words, (), None))

    def _begin(self) -> None:
        """Show the summary from now on: a live block on a terminal, a line now and then elsewhere."""
        if self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            from snakemake_logger_plugin_dfdm.terminal import block, table

            def drawn() -> Any:
                with self.guard:
                    return table(self.board, time.time())

            self.live, self.messages.stream = block(drawn, self.stream, self.common_settings.nocolor)
            self.live.start()
        else:
            self.ticker = threading.Thread(target=self._tick, name="summary", daemon=True)
            self.ticker.start()

    def _tick(self) -> None:
        while not self.ended.wait(self.every):
            with self.guard:
                now = time.time()
                long = [job for job in self.board.running.values() if now - job.started >= self.every]
                lines = [text.line(self.board, now), *(f"  {said}" for said in text.running(long, now))]
            self._print("\n".join(lines))

    def close(self) -> None:
        """End the summary with its last state and the failures; Snakemake calls this when all has been said."""
        if not self.ended.is_set():
            self.ended.set()
            if self.ticker is not None:
                self.ticker.join()
            if self.live is not None:
                self.live.stop()
                self.messages.stream = self.stream
            if self.board.started is not None and (self.summarises or (self.board.failures and not self.silent)):
                level = logging.ERROR if self.board.failures else logging.WARNING
                self._print(text.ending(self.board, self.config, time.time()), level)
        super().close()


def _job(record: logging.LogRecord) -> Job:
    values = vars(record)
    rule, log = values["rule_name"], tuple(map(Path, values["log"]))
    name = str(values.get("rule_msg") or rule).strip().splitlines()[0]
    return Job(values["jobid"], rule, name, log, values.get("shellcmd"), record.created)
