"""Words, figures and tables for the terminal and the report."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Aligned columns under a line of dashes; the first `left` of them to the left, the others to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        )
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: `a, b and c`."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def spelled(count: int, one: str, more: str = "") -> str:
    """A count of things in words: `one model`, `five models`, `13 models`; `more` for a plural that takes no s."""
    number = _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"
    return f"{number} {one if count == 1 else more or f'{one}s'}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share in words: `83.1 %`, with decimals never 0 or 100 where it is neither; a dash for None."""
    if share is None:
        return "–"
    least = 10.0**-digits
    if digits and 0 < 100 * share < least:
        return f"< {least:.{digits}f} %"
    if digits and 100 - least < 100 * share < 100:
        return f"> {100 - least:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with that many decimals; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def multiples(count: float) -> str:
    """A large count in words: `3.34 G` (powers of 1000)."""
    value, power = _scaled(count)
    return f"{value:.3g} {('', 'k', 'M', 'G', 'T')[power]}".strip()


def size_text(count: float) -> str:
    """Bytes in words: `3.2 MB` (powers of 1000)."""
    value, power = _scaled(count)
    digits = 0 if power == 0 or value >= 99.95 else 1
    return f"{value:.{digits}f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _scaled(count: float) -> tuple[float, int]:
    """A count in the power of 1000 that keeps it below a thousand, at most the fourth; and that power."""
    power = 0
    while count >= 999.5 and power < 4:
        count, power = count / 1000, power + 1
    return count, power


def some(items: Sequence[str], most: int = 3) -> str:
    """Up to `most` of the items, and how many more there are."""
    rest = len(items) - most
    return ", ".join(sorted(items)[:most]) + (f" and {rest} more" if rest > 0 else "")
