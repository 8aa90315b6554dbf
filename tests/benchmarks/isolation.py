"""Measure what `ISOLATE process` costs against the same model in this process: part of `make bench`."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
from page import replace_part
from timing import alternate

import workbench
from workbench.bind.isolation import open_predictor
from workbench.bind.isolation.choose import own_process
from workbench.bind.isolation.isolated import Described, Isolated

TITLE = "## A process of its own"
COLUMNS = 10
BATCH = 100_000
REACH = 1.08


def measure(repeats: int) -> tuple[dict[str, float], dict[str, float], float]:
    """Return the medians for batches and for single rows, and how long a start takes."""
    with tempfile.TemporaryDirectory() as folder, workbench.connect(Path(folder) / "store") as store:
        features = ", ".join(f"hash(i * 31 + {n}) % 1000 / 100 AS x{n}" for n in range(COLUMNS))
        store.sql(f"CREATE TABLE points AS SELECT i AS id, {features} FROM range({BATCH}) AS t(i)")
        store.train(
            "model",
            "SELECT *, x0 * x1 - x2 AS y FROM points USING SAMPLE 20000 ROWS (reservoir, 1)",
            label="y",
            key="id",
            model="xgboost",
            params={"n_estimators": 100, "max_depth": 6},
        )
        lake = store._lake
        here = open_predictor(lake, "model", isolate="none")
        started = time.perf_counter()
        there = open_predictor(lake, "model", isolate="process")
        start = time.perf_counter() - started
        known = Described(here.ref, here.inputs, here.value_type)
        piped = Isolated(own_process(lake, "model", None, known, shared=False), "model", known)
        rows = store.sql(f"SELECT {', '.join(here.inputs)} FROM points").to_arrow().combine_chunks()
        batch = rows.to_batches()[0]
        assert there.predict(batch) == here.predict(batch) == piped.predict(batch)
        found = []
        for part, times in ((batch, repeats), (batch.slice(7, 1), 20 * repeats)):

            def ask(predictor: object, part: pa.RecordBatch = part) -> Callable[[], object]:
                return lambda: predictor.predict(part)  # type: ignore[attr-defined]

            found.append(alternate({"here": ask(here), "shared": ask(there), "piped": ask(piped)}, times))
        return found[0], found[1], start


def page(batch: dict[str, float], row: dict[str, float], start: float) -> str:
    """Write the part of the page."""
    shared, piped = batch["shared"] / batch["here"], batch["piped"] / batch["here"]
    return f"""{TITLE}

The same XGBoost model (100 trees of depth 6, {COLUMNS} columns) in this process and in one of its own, by
turns; medians.

| What | In this process, ms | Shared memory, ms | Ratio | Pipe, ms | Ratio | Reach | Reached |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
| {BATCH:,} rows | {batch["here"] * 1000:.1f} | {batch["shared"] * 1000:.1f} | {shared:.2f} \
| {batch["piped"] * 1000:.1f} | {piped:.2f} | {REACH} | {"yes" if shared <= REACH else "no"} |
| 1 row | {row["here"] * 1000:.2f} | {row["shared"] * 1000:.2f} | {row["shared"] / row["here"]:.1f} \
| {row["piped"] * 1000:.2f} | {row["piped"] / row["here"]:.1f} | – | – |

Starting the process and loading the model took {start:.1f} s, once: it stays warm. On Linux rows go through
shared memory, elsewhere through the pipe. xgboost-cpu {version("xgboost-cpu")}, pyarrow {version("pyarrow")};
{os.cpu_count()} cores.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="the page to write a part of")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    text = page(*measure(options.repeats))
    print(text)
    replace_part(options.page, TITLE, text)


if __name__ == "__main__":
    main()
