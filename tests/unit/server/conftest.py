"""A Jupyter server with the extension of this checkout, and stores in its folder."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.jupyter import serving

ROOT = Path(__file__).resolve().parents[3]
MODEL = """\
from pathlib import Path

import pyarrow.compute as pc

(Path(__file__).parent / "imported.txt").open("a").write("x")


def double(rows):
    return pc.multiply(rows["fare"], 2)
"""


@dataclass(frozen=True)
class Server:
    """A running Jupyter server: where it answers, the folder it shows, where kernels tell of themselves."""

    url: str
    token: str
    root: Path
    runtime: Path

    def request(self, path: str, body: Any = None, *, token: str | None = None, **query: object) -> Any:
        """Ask, and return the answer's JSON."""
        address = f"{self.url}/mlstore/api/{path}?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {self.token if token is None else token}"}
        with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=120) as answer:
            return json.load(answer)

    def ask(self, path: str, **query: object) -> Any:
        """Ask, and return the data; again where the store is busy for a moment, as the panel does."""
        deadline = time.monotonic() + 60
        while (answer := self.request(path, **query))["problem"] is not None:
            assert answer["problem"]["retryable"] and time.monotonic() < deadline, answer["problem"]
            time.sleep(0.1)
        return answer["data"]

    def problem(self, path: str, **query: object) -> Any:
        """Ask what has no answer, and return why."""
        answer = self.request(path, **query)
        assert answer["data"] is None
        return answer["problem"]

    def state(self, name: str) -> Any:
        """Return how the store in the folder of this name is."""
        return next((each for each in self.ask("stores")["stores"] if each["path"] == name), None)

    def wait(self, name: str, what: Any, seconds: float = 60) -> Any:
        """Wait until `what` holds of a store."""
        deadline = time.monotonic() + seconds
        while not what(state := self.state(name)):
            assert time.monotonic() < deadline, state
            time.sleep(0.1)
        return state


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("home", "config", "data", "runtime", "work"):
        (home / name).mkdir()
    environment = os.environ | {
        "HOME": str(home / "home"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_CONFIG_PATH": str(ROOT / "extension" / "jupyter"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(home / "work")]),
    }
    with serving("jupyter_server", home / "work", environment) as (url, token):
        yield Server(url, token, home / "work", home / "runtime")


@pytest.fixture(scope="module")
def trips(server: Server) -> Any:
    """A store with a thing of each kind in the folder `taxi/mlstore`."""
    (server.root / "taxi_doubler.py").write_text(MODEL)
    sys.path.insert(0, str(server.root))
    sys.modules.pop("taxi_doubler", None)  # that of another server's folder
    (server.root / "taxi").mkdir()
    with workbench.connect(server.root / "taxi" / "mlstore") as store:
        rows = [
            {"id": each, "zone": ["north", "south"][each % 2], "fare": each * 1.5, "tip": each % 7}
            for each in range(300)
        ]
        store.load("trips", rows, key="id")
        store.sql("delete from trips where id >= 280")
        store.query("cheap", "select id, fare from trips where fare < 100")
        store.transform(
            "trip_features",
            "select id, zone, fare, upper(zone) as loud, tip from trips",
            key="id",
            on="trips",
            when="manual",
        )
        store.train("tips", "select * from trip_features", label="tip", key="id", model="linear")
        store.bind("doubled", on="trips", model="py:taxi_doubler:double", inputs=["fare"], when="manual")
        yield store
    sys.path.remove(str(server.root))
