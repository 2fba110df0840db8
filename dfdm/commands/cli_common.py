"""What the commands of every room share."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config

RESULTS_HELP = "the folder that holds the results; default: the config's"


def load_config(arguments: argparse.Namespace) -> "Config":
    """The config that `--config` names, read only when a command runs."""
    from dfdm.catalogue.config import load

    return load(arguments.config)
