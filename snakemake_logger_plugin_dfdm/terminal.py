"""The live block on a terminal (rich): a row a stage, the running jobs, the totals; messages scroll above it."""

import io
from collections.abc import Callable
from typing import Any

from rich.ansi import AnsiDecoder
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dfdm.base.progress import duration
from snakemake_logger_plugin_dfdm import text
from snakemake_logger_plugin_dfdm.board import Board


class Above(io.TextIOBase):
    """A stream whose lines come out above the block, unwrapped, so that a command can be copied."""

    def __init__(self, console: Console) -> None:
        self._console, self._ansi, self._begun = console, AnsiDecoder(), ""

    def isatty(self) -> bool:
        """It is a terminal: Snakemake colours what it writes there."""
        return True

    def write(self, words: str) -> int:
        """Keep the words until their line ends."""
        *lines, self._begun = (self._begun + words).split("\n")
        if lines:
            shown = Text("\n").join(self._ansi.decode_line(said) for said in lines)
            self._console.print(shown, soft_wrap=True)
        return len(words)


def block(render: Callable[[], RenderableType], stream: Any, plain: bool) -> tuple[Live, Above]:
    """A block that draws what `render` gives, and the stream through which messages come out above it."""
    console = Console(file=stream, no_color=plain, highlight=False)
    live = Live(console=console, get_renderable=render, refresh_per_second=2, transient=True)
    return live, Above(console)


def table(board: Board, now: float) -> RenderableType:
    """The board as rich draws it."""
    rows = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    rows.add_column("stage")
    rows.add_column("", width=24)
    for name in ("done", "left", "running", "failed", "each"):
        rows.add_column(name, justify="right")
    for row in board.rows():
        done = row.done == row.total
        rows.add_row(
            Text(row.stage, "dim" if done else "bold"),
            ProgressBar(row.total, row.done, width=24, complete_style="blue", finished_style="green"),
            f"{row.done} of {row.total}",
            str(row.total - row.done) if not done else "",
            str(row.running) if row.running else "",
            Text(str(row.failed), "bold red") if row.failed else "",
            duration(row.mean) if row.mean is not None else "",
        )
    lines = [(said, "dim") for said in text.running(board.running.values(), now)]
    for job in [failed.job for failed in board.failures.values()][-3:]:
        lines.append((f"failed: {job.name}; log: {', '.join(map(str, job.log))}", "red"))
    jobs = [Text(f"  {said}", style, no_wrap=True, overflow="ellipsis") for said, style in lines]
    return Group(Text("─" * 60, "dim"), rows, *jobs, Text(text.totals(board, now), "bold"))
