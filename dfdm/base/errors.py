"""The one exception family: bad input, told in one sentence."""


class DfdmError(Exception):
    """Bad input or a missing need: says what, where and how to mend it; the command line exits with status 2."""
