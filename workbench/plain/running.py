"""Who has a store open and what is running on it, told through small files.

A statement that takes longer than a moment writes `<store>/running/<pid>-<id>.json`, keeps it up to
date while it runs, and takes it away at the end. A kernel writes which stores it has open beside its
connection file. Both are only for others to look at: nothing depends on them, and what a process
that died has left is passed over.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.plain.ticker import Tick, Ticker
from workbench.progress import Event, Sink

FOLDER = "running"
DELAY, PERIOD = 0.4, 0.5
_STALE_SECONDS = 60
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Running:
    """A statement that is running.

    Attributes
    ----------
    kernel : str or None
        The id of the Jupyter kernel that runs it; None for a shell or a worker.
    statement, step : str
        What was said, and what is being done of it.
    fraction : float or None
        From 0 to 1; None while unknown.
    note : str
        How it stands.
    started : float
        Seconds since 1970.
    """

    id: str
    pid: int
    host: str
    kernel: str | None
    statement: str
    step: str
    fraction: float | None
    note: str
    started: float


@contextmanager
def announced(folder: Path, statement: str, kernel: str | None = None) -> Iterator[Sink]:
    """Tell others about a statement while the block runs; gives the progress sink to feed.

    A store that cannot be written to is used in silence.
    """
    name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    target = folder / FOLDER / f"{name}.json"
    begun = time.time()

    def show(tick: Tick) -> None:
        step = "" if tick.title == statement else tick.title
        told = Running(
            name,
            os.getpid(),
            socket.gethostname(),
            kernel,
            statement[:_LONGEST],
            step,
            tick.fraction,
            tick.note,
            begun,
        )
        with suppress(OSError):
            target.parent.mkdir(exist_ok=True)
            _write(target, asdict(told))

    def clear() -> None:
        with suppress(OSError):
            target.unlink(missing_ok=True)
            for left in target.parent.glob("*.json"):
                if _read(left) is None:
                    left.unlink(missing_ok=True)

    with Ticker(show, clear, delay=DELAY, period=PERIOD) as sink:
        sink(Event(statement))
        yield sink


def running(folder: Path) -> list[Running]:
    """List what is running on the store in a folder, oldest first."""
    found = [_read(path) for path in (folder / FOLDER).glob("*.json")]
    return sorted((each for each in found if each is not None), key=lambda each: each.started)


def _read(path: Path) -> Running | None:
    """Read what a process told, or None when it is no longer there to take it back."""
    try:
        told = Running(**json.loads(path.read_text(encoding="utf-8")))
        age = time.time() - path.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return None
    # Windows has no signal that only asks.
    if told.host == socket.gethostname() and os.name != "nt":
        return told if _is_alive(told.pid) else None
    return told if age < _STALE_SECONDS else None


def tell_open(connection_file: Path, stores: Iterable[Path]) -> None:
    """Write beside a kernel's connection file which stores it has open."""
    told = {"pid": os.getpid(), "stores": sorted(str(each) for each in stores)}
    with suppress(OSError):
        _write(_beside(connection_file), told)
    for path in connection_file.parent.glob("mlstore-*.json"):
        if _stores(path) is None:  # of a kernel that ended
            with suppress(OSError):
                path.unlink()


def opened(runtime: Path) -> dict[str, list[Path]]:
    """Return, for each kernel that told, the folders of the stores it has open."""
    found: dict[str, list[Path]] = {}
    for path in runtime.glob("mlstore-*.json"):
        stores = _stores(path)
        if stores is not None:
            found[path.stem.removeprefix("mlstore-")] = stores
    return found


def _stores(path: Path) -> list[Path] | None:
    """Read what a kernel told, or None when it is no longer there."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return [Path(each) for each in told["stores"]] if _is_alive(told["pid"]) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def kernel_id(connection_file: Path) -> str:
    """Return the id under which Jupyter's server knows a kernel.

    Examples
    --------
    >>> kernel_id(Path("runtime/kernel-7d0c.json"))
    '7d0c'
    """
    return connection_file.stem.removeprefix("kernel-")


def _beside(connection_file: Path) -> Path:
    return connection_file.with_name(f"mlstore-{kernel_id(connection_file)}.json")


def _write(target: Path, content: Mapping[str, Any]) -> None:
    """Replace a file at once, so that nobody reads half of it."""
    draft = target.with_suffix(".tmp")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(target)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
