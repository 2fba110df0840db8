"""The attribution models, each one file, found by its name."""

import pkgutil


def names() -> list[str]:
    """Every model's name: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
