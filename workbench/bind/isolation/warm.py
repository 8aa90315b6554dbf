"""Workers that stay: kept warm between calls and between refreshes, started again after they died."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.bind.isolation.limits import Limits
from workbench.bind.isolation.process import Process

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = 8
"""How many idle workers are kept; the one not asked for longest goes first."""

LOADING = 300.0
"""Seconds a model may take to load."""

SCRIPT = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start the process of a model, and what it is to load.

    Attributes
    ----------
    folder : Path
        That of the store it serves.
    loader : str
        The module whose `load_model` loads it; empty for that of the script itself.
    local : bool
        Whether it is a process of this machine; else it has other ids, and no network to be kept from.
    stop : tuple of str
        A command that ends it, where ending the process that was started is not enough.
    """

    folder: Path
    command: tuple[str, ...]
    loader: str
    what: Mapping[str, Any]
    limits: Limits
    path: tuple[str, ...] = ()
    local: bool = True
    shared: bool = True
    environment: Mapping[str, str] | None = field(default=None)
    stop: tuple[str, ...] = ()


class Worker:
    """A model in a process of its own, which is started when it is needed."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.network = ""
        self.users = 0
        self._process: Process | None = None
        self._description: dict[str, Any] = {}
        self._lock = threading.RLock()

    def describe(self) -> dict[str, Any]:
        """Load the model anew and return its `ref`, `inputs` and `value_type`.

        Raises
        ------
        WorkbenchError
            If it cannot be loaded.
        """
        with self._lock:
            if self._changed():
                self.end()
            if self._process is None or not self._process.alive:
                self._start()
            else:
                self._load(self._process)
            return self._description

    def predict(self, rows: pa.RecordBatch | pa.Table) -> pa.Table:
        """Ask the model about rows; see `Process.ask` for what is raised."""
        with self._lock:
            if self._process is None or not self._process.alive:
                self._start()
            assert self._process is not None
            table = self._process.ask({"do": "predict"}, rows, seconds=self.recipe.limits.seconds)[1]
        assert table is not None
        return table

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def _start(self) -> None:
        recipe = self.recipe
        setup = {
            "path": recipe.path,
            "memory": recipe.limits.memory,
            "network": not recipe.local,
            "local": recipe.local,
        }
        self.end()
        name = f"mlstore-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        process = Process(
            [part.replace("{name}", name) for part in recipe.command],
            setup,
            shared=recipe.shared,
            environment=recipe.environment,
            stop=[part.replace("{name}", name) for part in recipe.stop],
            largest=recipe.limits.answer,
            seconds=LOADING,
        )
        try:
            self._load(process)
        except BaseException:
            process.end()
            raise
        self._process, self.network = process, process.network

    def _load(self, process: Process) -> None:
        message = {"do": "load", "loader": self.recipe.loader, "what": self.recipe.what}
        self._description = process.ask(message, seconds=LOADING)[0]

    def _changed(self) -> bool:
        """Whether a file of code that the process has loaded is another by now."""
        return any(_status(file) != (time, size) for file, time, size in self._description.get("files", ()))


def _status(file: str) -> tuple[int, int] | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


_workers: dict[str, Worker] = {}
_workers_lock = threading.Lock()


@contextmanager
def use(recipe: Recipe) -> Iterator[Worker]:
    """Give the worker of a recipe, a warm one where there is one; nobody ends it meanwhile to make room."""
    name = repr(recipe)
    with _workers_lock:
        found = _workers.pop(name, None) or Worker(recipe)
        found.users += 1
        _workers[name] = found
    try:
        yield found
    finally:
        with _workers_lock:
            found.users -= 1
            idle = [each for each, one in _workers.items() if not one.users]
            gone = [_workers.pop(each) for each in idle[:-KEPT]]
        for each in gone:
            each.end()


def workers(folder: Path, ref: str) -> list[Worker]:
    """Return the workers of a store that run the model of a reference."""
    with _workers_lock:
        found = list(_workers.values())
    return [each for each in found if (each.recipe.folder, each.recipe.what.get("ref")) == (folder, ref)]


def stop_workers(folder: Path | None = None) -> None:
    """End the workers of a store, or all."""
    with _workers_lock:
        for name, each in list(_workers.items()):
            if folder is None or each.recipe.folder == folder:
                _workers.pop(name).end()


def interpreter() -> tuple[str, ...]:
    """Return the command that runs the script under this interpreter."""
    return (sys.executable, str(SCRIPT))


atexit.register(stop_workers)
