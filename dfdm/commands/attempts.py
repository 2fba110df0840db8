"""An engine repeats a job that failed, whatever the reason; bad input is not tried a second time.

Snakemake tells a job that it submitted which attempt it is, and the rules put that into DFDM_ATTEMPT. A command that
ends for bad input leaves a note beside the workflow's config file; a later attempt of the same command finds it,
repeats its sentence and ends at once. The first attempt of the next run removes the note.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, digest

ATTEMPT = "DFDM_ATTEMPT"


def _note(command: Sequence[str]) -> Path | None:
    """Where the note of a command lies; None outside the workflow's submitted jobs."""
    config = os.environ.get("DFDM_CONFIG")
    if not (config and os.environ.get(ATTEMPT)):
        return None
    return Path(config).parent / "refused" / f"{digest(list(command))[:24]}.txt"


def refuse_again(command: Sequence[str]) -> None:
    """Raise DfdmError where an earlier attempt of this run found bad input for the same command."""
    note = _note(command)
    if note is None:
        return
    if os.environ[ATTEMPT] == "1":
        note.unlink(missing_ok=True)
    elif note.exists():
        raise DfdmError(f"{note.read_text()} (found by the first attempt; bad input is not tried again)")


def note_refusal(command: Sequence[str], sentence: str) -> None:
    """Leave the note that stops later attempts."""
    note = _note(command)
    if note is not None and not note.exists():
        with atomic(note) as temporary:
            temporary.write_text(sentence)
