"""A Jupyter server for tests, on a port that it finds itself."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

STARTS_WITHIN, ENDS_WITHIN = 180, 30
"""Seconds: what else runs may leave it little of the machine."""


@contextmanager
def serving(
    module: str, root: Path, environment: Mapping[str, str], *options: str
) -> Iterator[tuple[str, str]]:
    """Run a Jupyter server that shows the folder `root`; gives its address and its token.

    A free port that is chosen here could be taken before the server comes to it.
    """
    token = secrets.token_hex(8)
    command = [
        *(sys.executable, "-m", module, "--no-browser", "--allow-root", "--ServerApp.port=0"),
        *(f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}", *options),
    ]
    runtime = Path(environment["JUPYTER_RUNTIME_DIR"])
    log = runtime / "server.log"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as server:
        try:
            deadline = time.monotonic() + STARTS_WITHIN
            while (url := _address(runtime / f"jpserver-{server.pid}.json")) is None or not _answers(
                url, token
            ):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the Jupyter server did not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield url, token
        finally:
            _end(server)


def _address(told: Path) -> str | None:
    """Read what a server tells of itself, as soon as it does."""
    try:
        return f"http://127.0.0.1:{json.loads(told.read_text())['port']}"
    except (OSError, ValueError):
        return None


def _answers(url: str, token: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/api/status?token={token}", timeout=10).close()
    except OSError:
        return False
    return True


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ask a server to end; a thread of its own that waits for work can keep it, and us, for ever."""
    server.terminate()
    try:
        server.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        server.kill()
