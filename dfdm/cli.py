"""The command line: `dfdm <stage>`; parses, calls the room that does the work, and tells errors in one line."""


def main() -> None:
    """Run one command."""
