"""One run at a time in a results folder."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dfdm.base.errors import DfdmError
from dfdm.base.files import writing

_WITHOUT = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)  # what file systems without locks answer


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the system frees it when the process dies, however that happens.

    Raises DfdmError, naming process and machine, while another one holds it. On a file system without locks one line
    on stderr says so.
    """
    path = folder / ".lock"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text().strip() or "which has just begun"
        raise DfdmError(f"{folder} is in use by another run ({holder}); wait for its end or stop it") from None
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise DfdmError(f"{path} cannot be locked ({error.strerror}); correct the folder's permissions") from None
        print(f"{folder}: its file system has no locks, so run only once at a time in it", file=sys.stderr)
        yield
        return
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        lock.release()
