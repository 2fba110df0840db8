"""What `dfdm plan` does."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dfdm.base.files import atomic
from dfdm.plan import estimate, measured, rates, tables


def plan(
    config: Path,
    targets: Sequence[str] = (),
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    table: Path | None = None,
    as_json: bool = False,
    measure: Path | None = None,
    compare: bool = False,
    profile: Path | None = None,
) -> None:
    """Print the plan of targets (none: `all`), or its JSON; or write measured rates; or print how good a forecast was.

    `frames`, `size` (width, height): of scenes that nothing is known of; `table`: a file of rates; `profile`: the
    folder of another workflow profile. A line on stderr tells how far a large graph is read.
    """
    given = {name: value for name, value in (("frames", frames), ("size", size)) if value}
    known = rates.load(table)
    work = estimate.read(config, targets, estimate.Assumed(**given), profile, progress=True)  # type: ignore[arg-type]
    if measure:
        with atomic(measure) as temporary:
            temporary.write_text(json.dumps(asdict(measured.measure(work, known)), indent=1) + "\n")
    elif compare:
        print(measured.compare(work, known))
    else:
        made = estimate.make(work, known)
        print(json.dumps(tables.to_json(made), indent=1) if as_json else tables.to_text(made))
