"""The logger plugin behind `snakemake --logger dfdm`; Snakemake finds it by this package's name."""

from snakemake_logger_plugin_dfdm.handler import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
