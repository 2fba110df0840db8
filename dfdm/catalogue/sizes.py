"""The settings of the shipped configs for a config of one's own: small ones, larger ones, the full ones."""

from pathlib import Path
from typing import Any, Literal

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import read

Size = Literal["quick", "long", "full"]
_SHIPPED: dict[Size, str] = {"quick": "config.yaml", "long": "config.yaml", "full": "workflow/configs/dfdm.yaml"}
_OF_DATA = ("results", "sources", "swaps", "splits", "scale", "scales")  # what a config says of its own videos
_WIDER, _LONGER = 2, 5  # long: the demo's 1/8 becomes 1/4


def settings(size: Size) -> dict[str, Any]:
    """The keys of a size, all but those of the videos.

    quick: the demo's; long: the demo's with networks of twice the width and five times the steps; full: those of the
    full-size plan, with the demo's controls. DfdmError where this installation has no shipped configs.
    """
    values = _read(_SHIPPED[size])
    if size == "full":
        return {"controls": _read(_SHIPPED["quick"])["controls"], **values}
    if size == "long":
        for one in (values["train"], *(values["models"].values())):
            for key, factor in (("width", _WIDER), ("iterations", _LONGER), ("preview_every", _LONGER)):
                one |= {key: one[key] * factor} if key in one else {}
        classifier = values["attribution"]
        classifier["epochs"] *= _LONGER
        classifier["milestones"] = [epoch * _LONGER for epoch in classifier["milestones"]]
    return values


def _read(name: str) -> dict[str, Any]:
    path = Path(__file__).parents[2] / name
    if not path.is_file():
        raise DfdmError(f"{path} is not there, from which --size takes its settings; run dfdm from its repository")
    return {key: value for key, value in read(path).items() if key not in _OF_DATA}
