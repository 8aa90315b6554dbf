"""The shell command `mlstore serve`."""

from __future__ import annotations

import argparse
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, WorkbenchError
from workbench.serve.app import create_app, missing_extra
from workbench.serve.desk import Desk
from workbench.serve.request_log import RequestLog

if TYPE_CHECKING:
    from workbench.store import Store

TOKEN = "MLSTORE_TOKEN"  # noqa: S105 (the name of a variable)
SECONDS = 10
"""How long requests may take that are under way when the service is stopped."""


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the words behind `mlstore serve`; `--help` prints and exits."""
    parser = argparse.ArgumentParser(
        "mlstore serve",
        description="Let the bound models of a store answer over HTTP, until Ctrl-C.",
        epilog='POST /predict/BINDING with {"keys": [1, 2]} or {"rows": [{"column": 1}]}. '
        "See /docs, /health and /metrics.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8500, help="0 takes a free one (default: 8500)")
    parser.add_argument("--token", help=f"what clients must send (default: ${TOKEN}, else a new one)")
    parser.add_argument("--log", action="store_true", help="record each request in mlstore.requests")
    parser.add_argument("--isolate", choices=("none", "process", "env", "container"), help="where models run")
    return parser.parse_args(list(words))


def serve(store: Store, options: argparse.Namespace) -> None:
    """Serve until interrupted, and print how long requests took.

    Raises
    ------
    Unsupported
        If FastAPI or uvicorn is not installed.
    InvalidData
        If it cannot listen there.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise missing_extra() from error
    given = options.token or os.environ.get(TOKEN)
    token = given or secrets.token_urlsafe(24)
    desk = Desk(store, options.isolate)
    app = create_app(desk, token)
    listening = listen(options.host, options.port)
    if options.log:
        desk.log = RequestLog(store.record_requests)
    try:
        desk.open()
        # What is loaded now stays: to look through all of it for garbage would hold up requests for 100 ms.
        gc.collect()
        gc.freeze()
        _say(desk, listening, None if given else token)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=SECONDS, lifespan="off"
        )
        with listening, _ended_as_by_ctrl_c():
            uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
        desk.close()
    _summarise(desk)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket that requests come to.

    Raises
    ------
    InvalidData
        If it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise InvalidData(
            f"Cannot listen on {host}, port {port}: {error}.", hint="Choose another with --port."
        ) from error
    # asyncio sends small answers at once only where a socket says that it speaks TCP; else the second half
    # of each waits 40 ms for the client to acknowledge the first.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, made.detach())


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """Let a polite end come as Ctrl-C does: the server finishes its work, and raises it again after that."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(desk: Desk, listening: socket.socket, token: str | None) -> None:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    if host not in {"127.0.0.1", "::1"}:
        print("Others can reach this. It speaks plain HTTP: put it behind a proxy that speaks HTTPS.")
    print(f"Serving on http://{shown}:{port} (Ctrl-C stops)")
    for name, endpoint in desk.endpoints.items():
        print(f"  POST /predict/{name}  {endpoint.ref}")
    for name, problem in desk.problems.items():
        print(f"  {name} cannot be asked: {problem}", file=sys.stderr)
    if not desk.endpoints:
        print("  No model is bound yet; one that is bound now will be served.")
    if token is not None:
        print(f"Token: {token}")
    sys.stdout.flush()


def _summarise(desk: Desk) -> None:
    for name, latency in desk.latencies.items():
        each = latency.summary()
        if each["requests"]:
            print(
                f"{name}: {each['requests']:,} requests, {each['rows']:,} rows, {each['errors']:,} errors, "
                f"p50 {each['p50_ms']} ms, p99 {each['p99_ms']} ms"
            )
    if desk.log is not None:
        print(f"Logged {desk.log.written:,} rows to mlstore.requests, dropped {desk.log.dropped:,}.")
        if desk.log.error:
            raise WorkbenchError(f"The last requests could not be logged: {desk.log.error}")
