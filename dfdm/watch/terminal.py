"""The live block on a terminal (rich): a row a stage, the running jobs, the totals; messages scroll above it."""

from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dfdm.progress import duration
from dfdm.watch import text
from dfdm.watch.board import Board


def block(render: Callable[[], RenderableType], stream: Any, plain: bool) -> tuple[Live, FileProxy]:
    """A block that draws what `render` gives, and the stream through which messages come out above it."""
    console = Console(file=stream, no_color=plain, highlight=False)
    live = Live(console=console, get_renderable=render, refresh_per_second=2, transient=True)
    return live, FileProxy(console, stream)


def table(board: Board, now: float, most_running: int) -> RenderableType:
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
    lines: list[RenderableType] = [Text("─" * 60, "dim"), rows]
    for said in text.running(list(board.running.values()), now, most_running):
        lines.append(Text(f"  {said}", "dim", no_wrap=True, overflow="ellipsis"))
    for failed in list(board.failures.values())[-3:]:
        logs = ", ".join(map(str, failed.job.log))
        lines.append(Text(f"  failed: {failed.job.name}; log: {logs}", "red", no_wrap=True, overflow="ellipsis"))
    lines.append(Text(text.totals(board, now), "bold"))
    return Group(*lines)
