"""The process in which an isolated model runs: a script that stands by itself.

It is run by its path, not as a module, for two reasons. Under the interpreter of a virtual
environment or in a container this package is not there, only pyarrow and what the model asks for.
And a process must give up its network before anything it imports has started a thread.

It gets messages on its standard input, one line of JSON each, and answers on its standard output.
Rows go as Arrow streams: in two files of shared memory if it was given their numbers, else behind
the line, through the same pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import importlib
import json
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_DIE_WITH_PARENT = 1
_OWN_USER, _OWN_NETWORK = 0x10000000, 0x40000000

_TALKS = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"}
_LOOKS_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_FORKS = {"os.fork", "os.forkpty"}

_LONGEST = 4000
_SMALLER = "Set a smaller BATCH, or MLSTORE_ISOLATE_MEMORY: an answer may take a quarter of that."


class Channel:
    """Messages and rows, to and from the process that asks."""

    def __init__(self, shared: list[int]) -> None:
        # What the model prints must not get between the answers.
        self._input = os.fdopen(os.dup(0), "rb")
        self._output = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        self._shared = shared
        self.largest = sys.maxsize
        self._maps: dict[int, mmap.mmap] = {}

    def receive(self) -> dict[str, Any] | None:
        """Return the next message; None when there will be no more."""
        line = self._input.readline()
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def rows(self, size: int) -> Any:
        """Read the rows that came with a message."""
        # First of all: what fails after it must not leave them in the pipe, before the next message.
        data = self._map(0, size) if self._shared else self._input.read(size)
        import pyarrow as pa

        table = pa.ipc.open_stream(pa.py_buffer(data).slice(0, size)).read_all()
        batches = table.to_batches()
        return batches[0] if len(batches) == 1 else table

    def send(self, message: dict[str, Any], table: Any = None) -> None:
        """Answer, with rows or without."""
        if table is None:
            self._write(message)
            return
        import pyarrow as pa

        counted = pa.MockOutputStream()
        _write_stream(counted, table)
        size = counted.size()
        if size > self.largest:
            said = f"its answer has {size:,} bytes, and may have {self.largest:,}"
            self._write({"error": {"class": "", "message": said, "hint": _SMALLER}})
            return
        if self._shared:
            space = pa.py_buffer(self._map(1, size))
            _write_stream(pa.FixedSizeBufferWriter(space), table)
            self._write({**message, "size": size})
            return
        sink = pa.BufferOutputStream()
        _write_stream(sink, table)
        self._write({**message, "size": size}, sink.getvalue())

    def _write(self, message: dict[str, Any], payload: Any = b"") -> None:
        self._output.write(json.dumps(message).encode() + b"\n")
        self._output.write(payload)
        self._output.flush()

    def _map(self, place: int, size: int) -> mmap.mmap:
        number = self._shared[place]
        there = os.fstat(number).st_size
        if there < size:
            os.ftruncate(number, size)
            there = size
        if place not in self._maps or len(self._maps[place]) < there:
            self._maps[place] = mmap.mmap(number, there)
        return self._maps[place]


def _write_stream(sink: Any, table: Any) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)


def confine(setup: dict[str, Any]) -> str:
    """Put the limits on this process; return how the network is kept from it.

    "namespace" means by the kernel, "python" that only what goes through Python's sockets is
    refused, "open" that it was not asked for.
    """
    faulthandler.enable()
    if setup.get("parent"):
        _die_with(setup["parent"])
    if setup.get("memory"):
        import resource

        # Address space would also count what is shared, and what libraries only reserve.
        resource.setrlimit(resource.RLIMIT_DATA, (setup["memory"], setup["memory"]))
    network = "open"
    if not setup.get("network", False):
        network = "namespace" if _leave_network() else "python"
    sys.addaudithook(_refuser(talks=network == "python"))
    return network


def _die_with(parent: int) -> None:
    """Let the kernel end this process when the one that started it ends, however that happens."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _leave_network() -> bool:
    """Go into a network of one's own, with nothing in it; say whether the kernel let it."""
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_OWN_NETWORK) != 0:
        if libc.unshare(_OWN_USER | _OWN_NETWORK) != 0:
            return False
        # Who it was it stays, so that it finds its files and its home.
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with contextlib.suppress(OSError):
                Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    return True


def _refuser(*, talks: bool) -> Callable[[str, tuple[Any, ...]], None]:
    """Make the hook that refuses what a model may not do."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FORKS:
            raise PermissionError(errno.EPERM, "a model must not fork the process it runs in")
        if not talks:
            return
        if event in _LOOKS_UP or (event in _TALKS and arguments[0].family != socket.AF_UNIX):
            raise PermissionError(errno.ENETUNREACH, "the model has no network")

    return refuse


class Served:
    """The model that was loaded, and how it is asked."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._model: Any = None

    def answer(self, message: dict[str, Any]) -> None:
        """Do what a message says, and tell what came of it."""
        me = os.getpid()
        try:
            if message["do"] == "load":
                reply, table = self._load(message), None
            else:
                reply, table = {}, self._model.predict(self._channel.rows(message["size"]))
        except BaseException as error:  # noqa: BLE001 (whatever a model raises is its answer)
            reply, table = {"error": _told(error)}, None
        if os.getpid() != me:
            # A copy that the model made of this process in C: it has nobody to answer.
            os._exit(1)
        self._channel.send(reply, table)

    def _load(self, message: dict[str, Any]) -> dict[str, Any]:
        module = importlib.import_module(message["loader"]) if message["loader"] else sys.modules[__name__]
        self._model = module.load_model(message["what"])
        return {
            "ref": getattr(self._model, "ref", ""),
            "inputs": list(getattr(self._model, "inputs", ())),
            "value_type": getattr(self._model, "value_type", ""),
            "batch_rows": getattr(self._model, "batch_rows", 0),
            "files": _own_files(),
        }


def _own_files() -> list[tuple[str, int, int]]:
    """List the files of code that was loaded from outside of the installation, and how they are now."""
    # In a container this is the root: code there does not change.
    package = Path(__file__).parent.parent.parent
    installed = tuple({sys.prefix, sys.base_prefix, str(package)})
    found = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not file or file.startswith(installed):
            continue
        with contextlib.suppress(OSError):
            status = Path(file).stat()
            found.append((file, status.st_mtime_ns, status.st_size))
    return found


def _told(error: BaseException) -> dict[str, Any]:
    """Tell an error in words; those of this package keep their class."""
    if isinstance(error, SystemExit):
        return {"class": "", "message": f"it called exit({'' if error.code is None else error.code})"}
    chain = list(_chain(error))
    if any(isinstance(each, MemoryError) for each in chain):
        return {"class": "MemoryError", "message": "it ran out of the memory it may use"}
    own = type(error).__module__ == "workbench.errors"
    said = str(getattr(error, "message", error)) if own else f"{type(error).__name__}: {error}"
    told: dict[str, Any] = {
        "class": type(error).__name__ if own else "",
        "message": said[:_LONGEST],
        "hint": str(getattr(error, "hint", "")),
    }
    cause = error.__cause__
    if own and cause is not None and not isinstance(cause, SystemExit):
        told["cause"] = [type(cause).__name__, str(cause)[:_LONGEST]]
    if own and (rows := getattr(error, "rows", None)):
        told["rows"] = rows
    if any(isinstance(each, socket.gaierror) or _errno(each) == errno.ENETUNREACH for each in chain):
        told["hint"] = "It has no network where it runs; ISOLATE none gives it one."
    return told


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _errno(error: BaseException) -> object:
    return getattr(error, "errno", None)


class Pyfunc:
    """A model in MLflow's format, by itself: through its own loader, or else by MLflow."""

    def __init__(self, what: dict[str, Any]) -> None:
        self._types: dict[str, str] = what.get("types", {})
        self._columns: list[str] = what["columns"]
        self._kind: str = what["kind"]
        folder = Path(what["folder"])
        loader, code, data = what["loader"], what.get("code"), what.get("data")
        if loader.startswith("mlflow."):
            import mlflow.pyfunc

            self._model = mlflow.pyfunc.load_model(str(folder))
            return
        if code:
            sys.path.insert(0, str(folder / code))
        loading = importlib.import_module(loader)
        self._model = loading._load_pyfunc(str(folder / data if data else folder))  # noqa: SLF001 (its name in MLflow)

    def predict(self, rows: Any) -> Any:
        """Predict rows; a score only where the model gives one."""
        import numpy as np
        import pyarrow as pa

        count = rows.num_rows
        kind = _arrow_type(self._kind)
        nothing = pa.nulls(count, pa.float64())
        if not count:
            return pa.table({"value": pa.array([], kind), "score": nothing})
        places = {name.lower(): name for name in rows.schema.names}
        names = self._columns or rows.schema.names
        frame = rows.select([places[name.lower()] for name in names]).to_pandas()
        frame.columns = names
        frame = frame.astype({name: kind for name, kind in self._types.items() if kind})
        if hasattr(self._model, "scored"):
            values, scores = self._model.scored(frame)
        else:
            values, scores = np.asarray(self._model.predict(frame)), None
        if len(values) != count or (values.ndim > 1 and not pa.types.is_list(kind) and values.shape[1] > 1):
            raise ValueError(f"the answer to {count} rows is of shape {values.shape}")
        value = pa.array(list(values) if pa.types.is_list(kind) else values.reshape(-1)).cast(kind)
        score = nothing if scores is None else pa.array(scores, pa.float64())
        return pa.table({"value": value, "score": score})


def _arrow_type(kind: str) -> Any:
    import pyarrow as pa

    if kind.endswith("[]"):
        return pa.list_(_arrow_type(kind[:-2]))
    known = {"BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "VARCHAR": pa.string()}
    return known.get(kind, pa.float64())


def load_model(what: dict[str, Any]) -> Pyfunc:
    """Load a model in MLflow's format, in an interpreter that this package is not in."""
    return Pyfunc(what)


def main(arguments: list[str]) -> None:
    """Serve one model until the other side closes the pipe."""
    channel = Channel([int(each) for each in arguments])
    setup = channel.receive()
    if setup is None:
        return
    network = confine(setup)
    channel.largest = setup["largest"]
    # The folder of this script is no place to import from; what the other side imports from is.
    sys.path[:] = setup.get("path") or sys.path[1:]
    channel.send({"network": network})
    served = Served(channel)
    while (message := channel.receive()) is not None:
        served.answer(message)


if __name__ == "__main__":
    main(sys.argv[1:])
