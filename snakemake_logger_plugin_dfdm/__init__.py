"""Snakemake finds its logger plugins by this package's name; `--logger dfdm` is dfdm.watch."""

from dfdm.watch.handler import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
