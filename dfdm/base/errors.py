"""The one exception family: bad input, described in one sentence."""


class DfdmError(Exception):
    """Bad input or a missing need: says what, where and how to correct it; the command line exits with status 2."""


def reason(error: Exception) -> str:
    """What another library's error says, on one line of at most 300 characters; its kind where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
