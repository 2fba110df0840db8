"""Whose recordings may be handed on, by the words that the config has for their licence and consent."""

import re
from collections.abc import Iterable

from dfdm.base.errors import DfdmError, shown
from dfdm.catalogue.config import Config
from dfdm.catalogue.people import PersonConfig

_WANTING = re.compile(
    r"\b(not|never) (\w+ )?(documented|known|given|asked|obtained|recorded|available|checked|collected)\b"
    r"|\b(undocumented|unknown|unclear|unspecified)\b|\b(no|without|lacks) (\w+ )?(consent|permission|record|release)\b"
    r"|^\W*(no|none|null|missing|pending|later|to ?do|tb[ad]|n/?a)?\W*$",
    re.IGNORECASE,
)
_OPEN = re.compile(
    r"\bCC[- ]?0\b|\bCC[- ]BY\b|\bcreative commons\b|\bpublic domain\b|\b(MIT|BSD|ISC|Apache|Unlicense|ODbL|CDLA)\b"
    r"|\bODC[- ]By\b|\bmay be (shared|passed on|redistributed|published|released)\b"
    r"|\bredistribution (is )?(allowed|permitted)\b",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    r"\bND\b|\bno[- ]?deriv|\ball rights reserved\b|\b(internal|confidential|on request)\b|\bno (redistribut|sharing)"
    r"|\b(not|never|cannot) (to )?(be )?(re)?(distribut|shar|pass|publish|releas)|\bdo not (re)?(distribut|shar|pass)",
    re.IGNORECASE,
)


def objection(person: PersonConfig) -> str | None:
    """Why what is made of a person's recordings is not handed on, None where nothing stands against it.

    A consent is documented unless its text says that it is not; a licence has to be one that is known to allow it.
    """
    if _WANTING.search(person.consent):
        return f"consent is '{shown(person.consent)}', which documents none"
    if _CLOSED.search(person.licence) or not _OPEN.search(person.licence):
        return f"licence is '{shown(person.licence)}', which does not say that it allows passing on"
    return None


def check_people(cfg: Config, people: Iterable[str], include: list[str], because: str | None) -> dict[str, str]:
    """Why each of `include` is in the release although something stands against it.

    Raises DfdmError, naming everyone against whom something stands and who is not in `include`, and for an `include`
    that is not needed or says no reason.
    """
    against = {person: why for person in people if (why := objection(cfg.sources.people[person]))}
    if (not include) != (because is None) or len((because or "why").strip()) < 3:
        raise DfdmError("--include ID... and --because TEXT go together: the text stands on the card; give both")
    if idle := [person for person in include if person not in against]:
        raise DfdmError(
            f"--include {shown(idle[0])}: nothing stands against this person, or nobody shows it; leave it out"
        )
    if left := [person for person in against if person not in include]:
        reasons = "; ".join(f"{person}: {against[person]}" for person in left)
        raise DfdmError(
            f"not handed on: {reasons}; correct sources.people, name others with --people, or state with "
            f"'--include {' '.join(left)} --because TEXT' why it may be: the text stands on the card"
        )
    return {person: (because or "").strip() for person in include}
