"""A process that runs one model: started, asked, and ended, whatever the model does in it."""

from __future__ import annotations

import json
import mmap
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import errors
from workbench.errors import ModelError

if TYPE_CHECKING:
    import pyarrow as pa

_TAIL = 4000
_LISTING = re.compile(r"^Extension modules: .*$", re.MULTILINE)
_CATCH_UP = 0.01
_LOOK_AGAIN = 0.1
_GRACE = 1.0
_STOPPING = 60.0
_SIGNALLED = 128
_LONGEST_LINE = 1 << 26
_PROCESSES = 256
_LIFELINE = (sys.executable, "-S", "-E", str(Path(__file__).with_name("lifeline.py")), str(_PROCESSES))
"""What runs a command so that nothing of it is left; with the number of processes that it may start."""


class Failed(ModelError):
    """The model gave no answer; the message goes on after its name."""


class Died(Failed):
    """The process ended, or had to be ended, while the model was asked."""


class Process:
    """One run of the worker script.

    Parameters
    ----------
    command : sequence of str
        What to run; the numbers of the shared files are put behind it.
    setup : mapping
        The first message: limits, and from where to import.
    shared : bool
        Whether rows go through shared memory; else they go through the pipes.
    stop : sequence of str
        A command that is run when it is ended, for what is no child of the process.
    largest : int
        How many bytes an answer may have.

    Attributes
    ----------
    network : str
        How the network is kept from it; see `worker.confine`.
    """

    def __init__(
        self,
        command: Sequence[str],
        setup: Mapping[str, Any],
        *,
        shared: bool,
        environment: Mapping[str, str] | None = None,
        stop: Sequence[str] = (),
        largest: int = sys.maxsize,
        seconds: float = 60,
    ) -> None:
        self._owner = os.getpid()
        self._largest = largest
        self._shared = [_shared_file(name) for name in ("rows", "answers")] if shared else []
        self._pending = b""
        self._said = b""
        started = threading.Event()
        self._failures: list[OSError] = []
        # It ends when the *thread* that started it does, as if that were this process: so it gets its own.
        self._attendant = threading.Thread(
            target=self._attend,
            args=([*_LIFELINE, *stop, "--", *command], environment, started),
            name="mlstore-isolation",
            daemon=True,
        )
        self._attendant.start()
        started.wait()
        for failure in self._failures:
            self._release()
            raise ModelError(f"{command[0]} cannot be run: {failure}") from failure
        if setup["local"]:
            setup = {**setup, "parent": self._process.pid}
        setup = {**setup, "largest": largest}
        self.network = self.ask(setup, seconds=seconds)[0]["network"]

    def _attend(
        self, command: Sequence[str], environment: Mapping[str, str] | None, started: threading.Event
    ) -> None:
        """Start the process, keep the end of what it prints, and wait for it."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 (this interpreter, or what the user set up)
                [*command, *map(str, self._shared)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C is not for it.
                start_new_session=True,
                pass_fds=self._shared,
                env=environment,
                bufsize=0,
            )
        except OSError as error:
            self._failures.append(error)
            return
        finally:
            started.set()
        assert self._process.stderr is not None
        with self._process.stderr as printed:
            while part := printed.read(65536):
                self._said = (self._said + part)[-_TAIL:]
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs, and is this process's own."""
        return self._owner == os.getpid() and not self._failures and self._process.poll() is None

    def ask(
        self, message: Mapping[str, Any], rows: pa.RecordBatch | pa.Table | None = None, *, seconds: float
    ) -> tuple[dict[str, Any], pa.Table | None]:
        """Send a message, with rows or without, and return the answer with its rows.

        Raises
        ------
        Died
            If the process ends, or takes longer than it may; it is gone then.
        Failed, WorkbenchError
            If the model fails, or refuses the rows.
        """
        deadline = time.monotonic() + seconds
        self._said = b""
        try:
            self._send(message, rows, deadline)
            reply: dict[str, Any] = _object(self._line(deadline))
            table = self._table(self._size(reply["size"]), deadline) if "size" in reply else None
        except TimeoutError:
            self.end()
            raise Died(
                f"it was ended after {seconds:g} s without an answer{self._output()}",
                hint="Set MLSTORE_ISOLATE_SECONDS if it needs longer, or a smaller BATCH.",
            ) from None
        except (EOFError, BrokenPipeError, ValueError) as error:
            raise Died(self._cause(error)) from None
        except BaseException:
            # Ctrl-C, for one: what it is about to answer would be taken for that of the next question.
            self.end()
            raise
        if "error" in reply:
            self._raise(reply["error"])
        return reply, table

    def end(self) -> None:
        """End the process and all that it started; a process that has ended may be ended again."""
        if self._owner != os.getpid() or self._failures:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOPPING)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._attendant.join(_GRACE)
        self._release()

    def _release(self) -> None:
        for number in self._shared:
            os.close(number)
        self._shared = []
        if not self._failures:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def _send(
        self, message: Mapping[str, Any], rows: pa.RecordBatch | pa.Table | None, deadline: float
    ) -> None:
        payload: Any = b""
        if rows is not None:
            import pyarrow as pa

            counted = pa.MockOutputStream()
            _write_stream(counted, rows)
            size = counted.size()
            message = {**message, "size": size}
            if self._shared:
                if os.fstat(self._shared[0]).st_size < size:
                    os.ftruncate(self._shared[0], size)
                space = mmap.mmap(self._shared[0], size)
                _write_stream(pa.FixedSizeBufferWriter(pa.py_buffer(space)), rows)
            else:
                sink = pa.BufferOutputStream()
                _write_stream(sink, rows)
                payload = sink.getvalue()
        for data in (json.dumps(message).encode() + b"\n", payload):
            self._write(data, deadline)

    def _write(self, data: Any, deadline: float) -> None:
        """Write what it takes; a process that is stopped takes nothing."""
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        os.set_blocking(pipe, False)
        left = memoryview(data)
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError
            if select.select([], [pipe], [], _LOOK_AGAIN)[1]:
                left = left[os.write(pipe, left) :]
            elif self._process.poll() is not None:
                raise BrokenPipeError

    def _size(self, told: object) -> int:
        if not isinstance(told, int) or told < 0:
            raise ValueError(f"it is of size {told!r:.40}")
        if told > self._largest:
            raise ValueError(f"it has {told:,} bytes, and may have {self._largest:,}")
        return told

    def _table(self, size: int, deadline: float) -> pa.Table:
        """Read an answer, into memory of our own: the shared file is written again by the next one."""
        import pyarrow as pa

        if not self._shared:
            data = self._bytes(size, deadline)
        else:
            if os.fstat(self._shared[1]).st_size < size:
                raise EOFError
            with mmap.mmap(self._shared[1], size, access=mmap.ACCESS_READ) as space:
                data = space[:size]
        try:
            table = pa.ipc.open_stream(pa.py_buffer(data)).read_all()
            table.validate(full=True)
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
        return table

    def _line(self, deadline: float) -> bytes:
        parts, length = [self._pending], 0
        while b"\n" not in parts[-1]:
            parts.append(self._read(deadline))
            length += len(parts[-1])
            if length > _LONGEST_LINE:
                raise ValueError("it does not end")
        line, _, self._pending = b"".join(parts).partition(b"\n")
        return line

    def _bytes(self, size: int, deadline: float) -> bytes:
        parts, missing = [self._pending], size - len(self._pending)
        while missing > 0:
            parts.append(self._read(deadline))
            missing -= len(parts[-1])
        data = b"".join(parts)
        self._pending = data[size:]
        return data[:size]

    def _read(self, deadline: float) -> bytes:
        """Read what has come; a copy that the model made of the process may hold the pipe open."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if select.select([pipe], [], [], min(left, _LOOK_AGAIN))[0]:
                data = os.read(pipe, 1 << 20)
                if not data:
                    raise EOFError
                return data
            if self._process.poll() is not None:
                raise EOFError

    def _cause(self, error: Exception) -> str:
        """Say why there was no answer, and what the process printed last."""
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            code = None
        self.end()
        if code is not None and code > _SIGNALLED:
            code = _SIGNALLED - code  # So the lifeline, as a shell, tells by which signal it was ended.
        if code is None:
            said = f"it gave no answer that can be read ({error})"
        elif code < 0:
            name = signal.strsignal(-code) or "unknown"
            more = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
            said = f"its process was ended by signal {-code} ({name}{more})"
        else:
            said = f"its process ended itself with status {code}"
        return said + self._output()

    def _output(self) -> str:
        text = _LISTING.sub("", self._said.decode(errors="replace")).strip()
        return f"; it printed: {text}" if text else ""

    def _catch_up(self) -> None:
        """Let the thread that keeps what is printed read what was printed before the answer."""
        pipe = self._process.stderr
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline:
            time.sleep(_CATCH_UP)
            if pipe is None or pipe.closed or not select.select([pipe], [], [], 0)[0]:
                return

    def _raise(self, told: Mapping[str, Any]) -> None:
        self._catch_up()
        if told["class"] == "MemoryError":
            # What it could not get may be lacking anywhere in it by now.
            self.end()
            raise Died(told["message"] + self._output(), hint="Set MLSTORE_ISOLATE_MEMORY to give it more.")
        if "rows" in told:
            rows = {int(place): said for place, said in told["rows"].items()}
            raise errors.InvalidRows(told["message"], hint=told["hint"], rows=rows)
        kind = getattr(errors, told["class"], None) if told["class"] else None
        if not (isinstance(kind, type) and issubclass(kind, errors.WorkbenchError)):
            kind = Failed
        raise kind(told["message"] + self._output(), hint=told.get("hint", "")) from _cause_of(told)


def _cause_of(told: Mapping[str, Any]) -> Exception | None:
    """Make what the model raised, as far as it was told.

    Its class is not known here: one of the same name says as much in a row's error.
    """
    cause = told.get("cause")
    if not (isinstance(cause, list) and len(cause) == 2 and all(isinstance(each, str) for each in cause)):
        return None
    name, said = cause
    return type(name, (Exception,), {})(said) if name.isidentifier() else None


def _shared_file(name: str) -> int:
    """Make a file in memory that can grow but not shrink: what is mapped stays there."""
    import fcntl

    number = os.memfd_create(f"mlstore-{name}", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return number


def can_share() -> bool:
    """Whether this system has files in memory."""
    return sys.platform == "linux"


def _write_stream(sink: Any, rows: pa.RecordBatch | pa.Table) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write(rows)


def _object(line: bytes) -> dict[str, Any]:
    """Read a reply, which a model may have written."""
    read = json.loads(line)
    if not isinstance(read, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 (what was read is wrong, not who called)
    return read
