"""Load `mlstore serve` on loopback, and compare with asking the model directly: part of `make bench`."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from page import replace_part
from timing import timed

import workbench

TITLE = "## Serving"
COLUMNS = 10
ROWS = 1_000_000
TOKEN = "for the benchmark"

Line = tuple[str, int, float, float, float, float | None]
"""What was asked, by how many clients, p50, p99, requests per second, and the direct call."""


def make(folder: Path) -> dict[str, list[float]]:
    """Make a store with a bound model; return how long the model takes when it is called directly."""
    with workbench.connect(folder) as store:
        features = ", ".join(f"hash(i * 31 + {n}) % 1000 / 100 AS x{n}" for n in range(COLUMNS))
        store.load("points", store.sql(f"SELECT i AS id, {features} FROM range({ROWS}) AS t(i)"), key="id")
        store.train(
            "model",
            "SELECT *, x0 * x1 - x2 AS y FROM points USING SAMPLE 20000 ROWS (reservoir, 1)",
            label="y",
            key="id",
            model="xgboost",
            params={"n_estimators": 100, "max_depth": 6},
        )
        store.bind("y", on="points", model="model", mode="async", when="manual")
        predictor = store.endpoint("points__y").predictor
        rows = store.sql(f"SELECT {', '.join(predictor.inputs)} FROM points LIMIT 100").to_arrow()
        batch = rows.combine_chunks().to_batches()[0]
        one = batch.slice(0, 1)
        return {
            "1 row": repeated(lambda: predictor.predict(one), 300),
            "100 rows": repeated(lambda: predictor.predict(batch), 300),
            **ask_in_sql(store),
        }


def ask_in_sql(store: workbench.Store) -> dict[str, list[float]]:
    """Ask about one row by its key in SQL, each time another, and read the row without a model."""
    keys = iter(range(0, 10**9, 7919))

    def ask(what: str) -> None:
        rows = store.sql(f"SELECT {what} FROM points AS t WHERE id = {next(keys) % ROWS}").to_arrow()
        assert rows.num_rows == 1

    return {
        "predict() in SQL": repeated(lambda: ask("predict(model, t.*) AS y"), 200),
        "the row in SQL": repeated(lambda: ask("t.*"), 200),
    }


def repeated(action: Callable[[], object], times: int) -> list[float]:
    """Time something as often, after 20 times to warm up."""
    return [timed(action) for _ in range(times + 20)][20:]


def load(address: str, bodies: list[bytes], clients: int, requests: int) -> tuple[list[float], float]:
    """Send requests from several clients at once; return how long each took, and requests per second."""
    taken: list[float] = []
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(address)
        for turn in range(requests // clients):
            body = bodies[(number + turn * clients) % len(bodies)]
            started = time.perf_counter()
            connection.request("POST", "/predict/y", body, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
            taken.append(time.perf_counter() - started)
            assert answer.status == 200, found
            assert found["errors"] == 0, found
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, len(taken) / (time.perf_counter() - started)


def measure(requests: int) -> tuple[list[Line], dict[str, list[float]]]:
    """Serve a store, and load the service; also returns what was asked in the process itself."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "store"
        direct = make(folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.cli", "--store", str(folder), "serve", "--port", "0", "--log"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MLSTORE_TOKEN": TOKEN},
        )
        try:
            assert process.stdout is not None
            found = re.search(r"http://([\d.:]+)", process.stdout.readline())
            assert found is not None
            return ask_all(found[1], requests, direct), direct
        finally:
            process.terminate()
            print(process.communicate()[0])


def ask_all(address: str, requests: int, direct: dict[str, list[float]]) -> list[Line]:
    row = {f"x{n}": n + 0.5 for n in range(COLUMNS)}
    asked = {
        "1 row": [json.dumps({"rows": [row]}).encode()],
        "100 rows": [json.dumps({"rows": [row] * 100}).encode()],
        "1 key": [json.dumps({"keys": [key * 7919 % ROWS]}).encode() for key in range(200)],
    }
    lines = []
    for what, bodies in asked.items():
        load(address, bodies, 1, 50)
        for clients in (1, 8):
            taken, rate = load(address, bodies, clients, requests)
            cuts = statistics.quantiles(taken, n=100)
            call = statistics.median(direct[what]) if what in direct else None
            lines.append((what, clients, cuts[49], cuts[98], rate, call))
    return lines


def page(lines: list[Line], inside: dict[str, list[float]], requests: int) -> str:
    """Write the part of the page."""
    rows = "\n".join(
        f"| {what} | {clients} | {p50 * 1000:.1f} | {p99 * 1000:.1f} | {rate:,.0f} "
        f"| {'–' if call is None else f'{call * 1000:.1f}'} |"
        for what, clients, p50, p99, rate, call in lines
    )
    direct = statistics.median(inside["1 row"])
    asked = "\n".join(
        f"| {what} | {cuts[49] * 1000:.1f} | {cuts[98] * 1000:.1f} | {(cuts[49] - direct) * 1000:.1f} |"
        for what in ("predict() in SQL", "the row in SQL")
        for cuts in [statistics.quantiles(inside[what], n=100)]
    )
    return f"""{TITLE}

`mlstore serve --log` on loopback, one process, asked {requests:,} times in each line by clients on the same
machine that keep their connections: an XGBoost model (100 trees of depth 6, {COLUMNS} columns). A key is
looked up among {ROWS:,} rows. *Direct* is the same model asked in the process itself.

| Asked about | Clients | p50, ms | p99, ms | Requests/s | Direct, ms |
| --- | ---: | ---: | ---: | ---: | ---: |
{rows}

One row by its key in the process itself, with another key each time; *over direct* is what p50 is more than
asking the model directly about a row that is there ({direct * 1000:.2f} ms).

| Asked for | p50, ms | p99, ms | Over direct, ms |
| --- | ---: | ---: | ---: |
{asked}

fastapi {version("fastapi")}, uvicorn {version("uvicorn")}; {os.cpu_count()} cores, shared with the clients.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="the page to write a part of")
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    text = page(*measure(options.requests), options.requests)
    print(text)
    replace_part(options.page, TITLE, text)


if __name__ == "__main__":
    main()
