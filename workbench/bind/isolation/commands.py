"""Commands that take a while: installing packages, building an image."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workbench.errors import ModelError
from workbench.progress import Advance

FOREIGN = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"})
"""Variables that would let another interpreter import what is installed here."""

_TAIL = 2000
_CLEANING = 10.0


def run(command: Sequence[str], advance: Advance, more: Mapping[str, str] | None = None) -> None:
    """Run a command, and show the last line it printed.

    Parameters
    ----------
    more : mapping or None
        Variables that it gets beside those that are set here.

    Raises
    ------
    ModelError
        If it fails.
    """
    outside = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    process = subprocess.Popen(  # noqa: S603 (pip, uv, docker or podman)
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**outside, **(more or {})},
        # Its own group: what it starts ends with it.
        start_new_session=True,
    )
    assert process.stdout is not None
    printed = ""
    try:
        with process.stdout as lines:
            for line in lines:
                printed = (printed + line)[-_TAIL:]
                advance(0, note=line.strip()[:80])
    except BaseException:
        _end(process)
        raise
    if process.wait() != 0:
        raise ModelError(f"{' '.join(command[:4])} … failed:\n{printed.strip()}")


def _end(process: subprocess.Popen[str]) -> None:
    """End a command and all it started.

    Podman that is ended leaves the container of a step running. When that is ended, the build fails, and
    Podman removes what it began.
    """
    if others := list(_in_other_sessions(process.pid)):
        for each in others:
            _kill(each, signal.SIGKILL)
    else:
        _kill(-process.pid, signal.SIGTERM)
    try:
        process.wait(_CLEANING)
    except subprocess.TimeoutExpired:
        _kill(-process.pid, signal.SIGKILL)
        process.wait()


def _kill(number: int, with_signal: signal.Signals) -> None:
    try:
        os.kill(number, with_signal)
    except ProcessLookupError:
        return  # It ended by itself meanwhile.


def _in_other_sessions(process: int) -> Iterator[int]:
    """List what a process has started that has left its session; nothing where the system does not tell."""
    parents, sessions = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # It ended meanwhile.
        parents[int(file.parent.name)], sessions[int(file.parent.name)] = int(words[1]), int(words[3])
    for each, session in sessions.items():
        if session != process and process in _ancestors(each, parents):
            yield each


def _ancestors(process: int, parents: Mapping[int, int]) -> Iterator[int]:
    while process := parents.get(process, 0):
        yield process
