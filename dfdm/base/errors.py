"""The one exception family: bad input, described in one sentence."""

import errno
import re


class DfdmError(Exception):
    """Bad input or a missing need: says what, where and how to correct it; the command line exits with status 2.

    Its sentence is one line in characters that any terminal takes, whatever was put into it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))


def one_line(text: str) -> str:
    """Text with its line ends as spaces, and what cannot be printed, or is no UTF-8, as escapes."""
    text = re.sub(r"\s*\n\s*", " ", text.strip()).encode("utf-8", "backslashreplace").decode()
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


_FOLDER = {errno.EEXIST: "a file is where a folder is needed", errno.ENOTDIR: "a file is where a folder is needed"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no space, quota used up, larger than a file may be


def refused(error: OSError, path: object = None) -> str:
    """The sentence for a file that the system does not let a command read or write; `path`: where the error has none.

    An error without a number is not the system's: it is raised again.
    """
    if error.errno is None:
        raise error
    name, advice = error.filename or path or "writing", "correct the path or name another place"
    if error.errno in FULL or error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        advice = "free some space or name another place"
    return f"{shown(name)}: {_FOLDER.get(error.errno, error.strerror)}; {advice}"


def shown(name: object) -> str:
    """A path in a sentence: one line, its middle left out where it is long."""
    text = one_line(str(name))
    return text if len(text) <= 300 else f"{text[:100]}...{text[-60:]}"


def reason(error: Exception) -> str:
    """What another library's error says, on one line of at most 300 characters; its kind where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
