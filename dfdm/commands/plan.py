"""The command that forecasts a run."""

from pathlib import Path
from typing import TYPE_CHECKING

from dfdm.base.files import atomic

if TYPE_CHECKING:
    from dfdm.catalogue.config import Config


def plan(
    target: str = "all",
    /,
    *,
    cfg: "Config",
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    rates: Path | None = None,
    json: bool = False,
    measure: Path | None = None,
    compare: bool = False,
) -> None:
    """Estimate jobs, disk and hours of a config; nothing is run.

    Args:
        target: a named target, such as iae_crf23; default: all
        frames: frames of a scene that is not probed yet; default: 390
        size: width and height of a scene that is not probed yet; default: 944 500
        rates: a table of rates from --measure; default: the shipped one
        json: print the plan as JSON
        measure: write the rates of this config's finished run to a file
        compare: set the rates' forecast beside this finished run

    Example:
        dfdm plan --config workflow/configs/dfdm.yaml
    """
    from json import dumps

    from dfdm.catalogue.migrate import check_version
    from dfdm.plan import estimate, measured, tables
    from dfdm.plan.rates import dump, load

    check_version(cfg.results)
    table = load(rates)
    if measure:
        text = dump(measured.measure(cfg, table))
        with atomic(measure) as temporary:
            temporary.write_text(text + "\n")
        return
    if compare:
        print(measured.compare(cfg, table))
        return
    assumed = estimate.Assumed(frames or estimate.FRAMES, size or estimate.SIZE)
    made = estimate.make(cfg, target, table, assumed)
    print(dumps(estimate.to_json(made), indent=1) if json else tables.to_text(made))
