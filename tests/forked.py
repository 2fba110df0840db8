"""The `dfdm` that jobs of a test's workflow start: a fork of a process that has imported everything.

An own process spends most of a small job on imports. `dfdm` in a folder on the path asks the server, a fork of
FORKS (tests/commands.py), for a child with its arguments, folder, environment and streams, and ends as that ends.
"""

import array
import atexit
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

COMMAND = """#!{python} -IS
import array, json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
streams = array.array("i", [0, 1, 2])
server.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
words = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
server.sendall(len(words).to_bytes(8, "big") + words)
child = int.from_bytes(server.recv(8), "big")
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: os.kill(child, number))
status = server.recv(1)
sys.exit(status[0] if status else 137)
"""


def serve(folder: Path) -> None:
    """Put the command into a folder and answer it until the tests' process is gone."""
    parent, listener = os.getppid(), socket.socket(socket.AF_UNIX)
    listener.settimeout(2)
    listener.bind(str(folder / "socket"))
    listener.listen()
    command = folder / "new"
    command.write_text(COMMAND.format(python=sys.executable, address=str(folder / "socket")))
    command.chmod(0o755)
    command.rename(folder / "dfdm")
    while os.getppid() == parent:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        try:
            caller, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            os._exit(_child(caller))
        caller.close()


def _child(caller: socket.socket) -> int:
    """Run the caller's command; it is killed where the caller is."""
    caller.settimeout(None)
    _, [(_, _, streams)], *_ = caller.recvmsg(1, socket.CMSG_SPACE(12))
    for number, stream in enumerate(array.array("i", streams)):
        os.dup2(stream, number)
        os.close(stream)
    with caller.makefile("rb") as told:
        words, cwd, environment = json.loads(told.read(int.from_bytes(told.read(8), "big")))
    caller.sendall(os.getpid().to_bytes(8, "big"))
    fcntl.fcntl(caller, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(caller, 10, signal.SIGKILL)  # F_SETSIG
    fcntl.fcntl(caller, fcntl.F_SETFL, fcntl.fcntl(caller, fcntl.F_GETFL) | os.O_ASYNC)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["dfdm", *words]
    status = 1
    try:
        from dfdm.commands.cli import main

        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    caller.sendall(bytes([status]))
    return status
