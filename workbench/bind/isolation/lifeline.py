"""Run a command that has something running elsewhere, and end that when whoever asked for it is gone.

A script that stands by itself: `lifeline.py STOP… -- COMMAND…`. A container is the child of its engine,
so it outlives a kernel that was killed. This process sees the pipe from it close, however that happens,
and then runs STOP, be the container busy or hung.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading

_STOPPING = 60


def main(arguments: list[str]) -> None:
    """Run the command on this process's own pipes, and end with its status."""
    cut = arguments.index("--")
    stop, command = arguments[:cut], arguments[cut + 1 :]
    child = subprocess.Popen(command)  # noqa: S603 (docker or podman, from the process that started this)
    # The command alone holds them now, so that its end is seen by who reads them.
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)

    def follow() -> None:
        status = child.wait()
        if status < 0:  # Someone ended the command, not what it runs.
            _run(stop)
        os._exit(status if status >= 0 else 128 - status)

    threading.Thread(target=follow, daemon=True).start()
    closed = select.poll()
    closed.register(0, 0)  # Asks for nothing: that it was closed is told anyway, whatever waits in it.
    closed.poll()
    _run(stop)
    child.kill()
    os._exit(1)


def _run(command: list[str]) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=_STOPPING, check=False)  # noqa: S603


if __name__ == "__main__":
    main(sys.argv[1:])
