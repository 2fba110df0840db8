"""What the generators and the attribution models share: media, dataset, config, report and the command line."""

__version__ = "0.1.0"
