"""Run a command, and end it and all that came of it when whoever asked for it is gone.

A script that stands by itself: `lifeline.py PROCESSES STOP… -- COMMAND…`. It ends the command when it is told
to, when the process that started it ends, however that happens, and when the command has started more
processes than it may. What the command starts ends with it, in whatever session it is: where the system
can (Linux), orphans become children of this process. A container is the child of its engine; for that,
STOP is run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_TOLD_WHEN_PARENT_ENDS, _ADOPTS = 1, 36
_LOOK_AGAIN = 1000
_STOPPING = 60
_SIGNALLED = 128


def main(arguments: list[str]) -> None:
    """Run the command on this process's own pipes, and end with its status."""
    cut = arguments.index("--")
    most, stop, command = int(arguments[0]), arguments[1:cut], arguments[cut + 1 :]
    woken = _listen()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_TOLD_WHEN_PARENT_ENDS, signal.SIGTERM)
        if not stop:
            ctypes.CDLL(None).prctl(_ADOPTS, 1)
    # Its own group, so that a signal to that does not come here.
    child = os.posix_spawnp(command[0], command, os.environ, setpgroup=0, setsigdef=[signal.SIGPIPE])
    # The command alone holds it now, so that its end is seen by who reads it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    status = _watch(child, most, woken)
    if stop and status < 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(stop, stdin=subprocess.DEVNULL, timeout=_STOPPING, check=False)  # noqa: S603
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    if not stop:  # What an engine starts beside a container has still to clean up after it.
        _end_all()
    os._exit(status if status >= 0 else _SIGNALLED - status)


def _listen() -> int:
    """Return a pipe that tells of signals."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for each in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    return told


def _watch(child: int, most: int, woken: int) -> int:
    """Wait until the command ends or is to be ended, and return its status; a signal is negative."""
    look = select.poll()
    look.register(0, 0)  # Asks for nothing: that it was closed is told anyway, whatever waits in it.
    look.register(woken, select.POLLIN)
    while True:
        for number, _ in look.poll(_LOOK_AGAIN):
            if number == 0 or signal.SIGTERM in os.read(woken, 512):
                return -signal.SIGKILL
        ended = _reap()
        if child in ended:
            return ended[child]
        if sum(1 for _ in _started_by(os.getpid())) > most:
            sys.stderr.write(f"It started more than {most} processes.\n")
            return -signal.SIGKILL


def _reap() -> dict[int, int]:
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    return ended


def _end_all() -> None:
    """End what is left; what somebody starts meanwhile comes here when that one has ended."""
    while found := list(_started_by(os.getpid())):
        for each in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        _reap()


def _started_by(process: int) -> Iterator[int]:
    """List what a process has started, and what that has; nothing where the system does not tell."""
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for each in map(int, file.read_text(encoding="ascii").split()):
                yield each
                yield from _started_by(each)


if __name__ == "__main__":
    main(sys.argv[1:])
