"""Snakemake finds its logger plugins by this package's name; `--logger dfdm` is snakemake_logger_plugin_dfdm."""

from snakemake_logger_plugin_dfdm.handler import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
