"""The command `plan`."""

from pathlib import Path

from dfdm.base.errors import DfdmError


def plan(
    targets: list[str] | None = None,
    /,
    *,
    config: Path,
    profile: Path | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    rates: Path | None = None,
    json: bool = False,
    measure: Path | None = None,
    compare: bool = False,
) -> None:
    """Estimate jobs, disk and hours of a config, and say what would run now and why; nothing is run.

    Args:
        targets: named targets, such as iae_crf23, or files; default: all
        profile: the folder of a workflow profile, which says what makes a job run again; default: the default one
        frames: frames of a scene that is not probed yet; default: 390
        size: width and height of a scene that is not probed yet; default: 944 500
        rates: a table of rates from --measure; default: the shipped one
        json: print the plan as JSON
        measure: write the rates of this config's finished run to a file
        compare: print the rates' forecast next to this finished run

    Example:
        dfdm plan --config workflow/configs/dfdm.yaml
    """
    from json import dumps

    from dfdm.plan import estimate, measured, tables
    from dfdm.plan.rates import load

    if frames == 0 or (size and 0 in size):
        raise DfdmError("--frames and --size are of scenes that have frames; give numbers above 0")
    table = load(rates)
    work = estimate.read(config, targets or (), profile, True, frames, size)
    if measure:
        measured.measure(work, table).write(measure)
    elif compare:
        print(measured.compare(work, table))
    else:
        made = estimate.make(work, table)
        print(dumps(tables.to_json(made), indent=1) if json else tables.to_text(made))
