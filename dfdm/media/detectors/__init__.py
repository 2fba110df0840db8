"""Face detectors with 68 landmarks, each one file, found by its name."""

import pkgutil


def names() -> list[str]:
    """Every detector's name: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
