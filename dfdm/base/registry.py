"""Parts that are found by their name: a package's own modules, and the entry points of installed distributions."""

import pkgutil
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from dfdm.base.errors import DfdmError
from dfdm.base.names import MODEL, REAL

SHARED = "blocks"  # the module of a package that is not a part, but what its parts share


class Registry:
    """The parts of one kind (`autoencoder`): each is a module that has `member` (`Model`).

    They are the modules of the package `home`, whose `__path__` is `path`, and the modules that installed
    distributions name as entry points of `group`. Listing them imports none.
    """

    def __init__(self, kind: str, member: str, group: str, home: str, path: Iterable[str]) -> None:
        self.kind, self.member, self.group, self.home, self.path = kind, member, group, home, path

    @cached_property
    def _parts(self) -> dict[str, EntryPoint]:
        own = (module.name for module in pkgutil.iter_modules(self.path) if module.name != SHARED)
        parts = {name: EntryPoint(name, f"{self.home}.{name}", self.group) for name in own}
        for part in entry_points(group=self.group):
            if not re.fullmatch(MODEL, part.name) or part.name == REAL:
                raise DfdmError(
                    f"the {self.kind} '{part.name}' of {_home(part)} needs another name: lower-case words joined "
                    f"by single underscores, and not '{REAL}'; correct the package or uninstall it"
                )
            if other := parts.get(part.name):
                raise DfdmError(
                    f"two {self.kind}s are called '{part.name}', one of {_home(other)} and one of {_home(part)}; "
                    "rename one or uninstall its package"
                )
            parts[part.name] = part
        return parts

    def names(self) -> list[str]:
        """Every part's name, sorted; DfdmError where a name is taken twice or is not valid."""
        return sorted(self._parts)

    def package(self, name: str) -> dict[str, str]:
        """What the keys of a part's results contain in addition to its name: its distribution and version; {} of an own
        part.
        """
        dist = self._parts[name].dist
        return {"package": f"{dist.name} {dist.version}"} if dist else {}

    def load(self, name: str) -> Callable[..., Any]:
        """A part's member; DfdmError for an unknown name, and for a distribution's module that cannot be used."""
        part = self._parts.get(name)
        if part is None:
            known = ", ".join(self.names())
            raise DfdmError(f"there is no {self.kind} '{name}'; known are {known}: correct it, or install its package")
        if part.dist is None:
            return getattr(import_module(part.value), self.member)
        try:
            member = getattr(part.load(), self.member)
            if not callable(member):
                raise TypeError(f"{self.member} is not a class or function")
        except Exception as error:  # whatever a foreign module raises
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise DfdmError(
                f"the {self.kind} '{name}' of {_home(part)} cannot be used ({why}); correct the package or uninstall it"
            ) from error
        return member


def _home(part: EntryPoint) -> str:
    return f"the installed package {part.dist.name} {part.dist.version}" if part.dist else "this project"
