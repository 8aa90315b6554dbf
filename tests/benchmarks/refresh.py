"""Measure what a refresh costs when little changed, against computing all: part of `make bench`."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from page import judged, machine, replace_part, row
from timing import timed

import workbench
from workbench.store import Store

TITLE = "## Refreshing what changed"
ROWS = 10_000_000
GROWTH = (1_000_000, 10_000_000, 50_000_000)
CUSTOMERS_SHARE = 0.1
CHAIN = 10
CHAIN_ROWS = 100_000
REPEATS = 3
PARTS = 7  # a small change is quickly done, and what else the machine does shows in it

ROW_WISE = """
SELECT id, customer, fare * 2 AS twice, ln(fare + 1) AS log_fare, fare / distance AS per_mile,
       date_part('hour', started) AS hour
FROM trips
"""
GROUP_BY = """
SELECT customer, count(*) AS trips, sum(fare) AS spent, avg(distance) AS distance, median(fare) AS middle,
       count(DISTINCT zone) AS zones, max(started) AS latest
FROM trips GROUP BY customer
"""
JOIN = """
SELECT t.id, t.fare * (1 - c.discount) AS net, c.segment, t.distance
FROM trips AS t JOIN customers AS c USING (customer)
"""
TRANSFORMS = {"row-wise": ("id", ROW_WISE), "group-by": ("customer", GROUP_BY), "join": ("id", JOIN)}

CHANGES = {
    "0.01 %, scattered": "id % 10000 = {n}",
    "0.01 %, clustered": "id BETWEEN {rows} * {n} // 20 AND {rows} * {n} // 20 + {rows} // 10000 - 1",
    "1 %, scattered": "id % 100 = {n}",
    "1 %, clustered": "id BETWEEN {rows} * {n} // 20 AND {rows} * {n} // 20 + {rows} // 100 - 1",
}


@dataclass(frozen=True)
class Measured:
    """One row of the table, in seconds."""

    what: str
    change: str
    part: float
    full: float

    def line(self) -> str:
        reach = 0.1 if self.change.startswith("0.01") else 0.5
        last = judged(self.part / self.full, reach)
        return row(self.what, self.change, f"{self.part:,.2f}", f"{self.full:,.2f}", *last)


def build(folder: Path, rows: int) -> Store:
    """Make a store with trips and customers, and the three transforms on them."""
    store = workbench.connect(folder)
    customers = int(rows * CUSTOMERS_SHARE)
    store.sql(
        "CREATE TABLE made AS SELECT i AS id, (i * 7919) % $customers AS customer, (i * 31) % 265 AS zone, "
        "(hash(i) % 10000) / 100.0 AS fare, (hash(i + 1) % 3000) / 100.0 + 0.1 AS distance, "
        "TIMESTAMP '2026-01-01' + to_seconds(i) AS started FROM range($rows) AS r(i)",
        params={"rows": rows, "customers": customers},
    )
    store.load("trips", store.table("made"), key="id")
    store.sql("DROP TABLE made")
    people = store.sql(
        "SELECT i AS customer, i % 50 AS segment, (i % 100) / 1000.0 AS discount FROM range($n) AS r(i)",
        params={"n": customers},
    )
    store.load("customers", people, key="customer")
    for name, (key, query) in TRANSFORMS.items():
        store.transform(table(name), query, key=key)
    return store


def table(name: str) -> str:
    return "f_" + name.replace("-", "_")


def change(store: Store, rows: int, where: str, n: int) -> None:
    store.sql(f"UPDATE trips SET fare = fare + 1 WHERE {where.format(n=n, rows=rows)}")


def refresh(store: Store, name: str, *, full: bool = False) -> float:
    """Time a refresh, and see that it was of the kind that is to be measured."""
    start = time.perf_counter()
    run = store.refresh(table(name), full=full)[-1]
    seconds = time.perf_counter() - start
    assert run.mode == ("full" if full else "incremental"), run
    return seconds


def parts_of(store: Store, rows: int) -> Iterator[Measured]:
    """Compare refreshes after each kind of change with computing all, in turn."""
    for what, where in CHANGES.items():
        taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in TRANSFORMS}
        for n in range(1, PARTS + 1):
            change(store, rows, where, n)
            for name, (part, full) in taken.items():
                part.append(refresh(store, name))
                if n <= REPEATS:
                    full.append(refresh(store, name, full=True))
        for name, (part, full) in taken.items():
            yield Measured(name, what, statistics.median(part), statistics.median(full))
            print(f"{name}, {what}: {statistics.median(part):.2f} s of {statistics.median(full):.2f} s")


def grown(store: Store, rows: int) -> dict[str, tuple[float, float]]:
    """Time what 1,000 changed rows cost, and computing all, at one size."""
    found: dict[str, tuple[list[float], float]] = {name: ([], 0.0) for name in TRANSFORMS}
    for n in range(1, REPEATS + 1):
        change(store, rows, f"id % ({rows} // 1000) = {{n}}", n + 40)
        for name, (part, _) in found.items():
            part.append(refresh(store, name))
    return {
        name: (statistics.median(part), refresh(store, name, full=True)) for name, (part, _) in found.items()
    }


def chain(folder: Path) -> tuple[float, float]:
    """Time an insert of one row until the last of a chain of transforms has it; and the insert alone."""
    with workbench.connect(folder) as store:
        rows = store.sql("SELECT i AS id, i * 1.5 AS x FROM range($n) AS r(i)", params={"n": CHAIN_ROWS})
        store.load("start", rows, key="id")
        alone = statistics.median(
            timed(lambda i=i: store.append("start", [{"id": CHAIN_ROWS + i, "x": 1.0}])) for i in range(5)
        )
        source = "start"
        for number in range(1, CHAIN + 1):
            store.transform(f"c{number}", f"SELECT id, x + 1 AS x FROM {source}", key="id", when="on write")
            source = f"c{number}"
        followed = statistics.median(
            timed(lambda i=i: store.append("start", [{"id": CHAIN_ROWS + 100 + i, "x": 1.0}]))
            for i in range(5)
        )
        found = store.sql(f"SELECT count(*) AS n FROM c{CHAIN}").rows()
        assert found[0]["n"] == CHAIN_ROWS + 10
        return followed, alone


def curve(growth: dict[int, dict[str, tuple[float, float]]]) -> str:
    """Draw the growth as a Mermaid chart for each transform."""
    sizes = ", ".join(f'"{rows // 1_000_000} M rows"' for rows in growth)
    charts = []
    for name in TRANSFORMS:
        parts = ", ".join(f"{found[name][0]:.2f}" for found in growth.values())
        fulls = ", ".join(f"{found[name][1]:.2f}" for found in growth.values())
        charts.append(
            "```mermaid\nxychart-beta\n"
            f'    title "{name}: 1,000 changed rows (lower line) and computing all"\n'
            f'    x-axis [{sizes}]\n    y-axis "seconds"\n    line [{fulls}]\n    line [{parts}]\n```'
        )
    return "\n\n".join(charts)


def report(
    measured: list[Measured], growth: dict[int, dict[str, tuple[float, float]]], chained: tuple[float, float]
) -> str:
    lines = "\n".join(each.line() for each in measured)
    sizes = "\n".join(
        f"| {rows // 1_000_000} M | {name} | {part:,.2f} | {full:,.2f} | {part / full:.2f} |"
        for rows, found in growth.items()
        for name, (part, full) in found.items()
    )
    return f"""{TITLE}

`make bench` writes this part too. *Part* is `refresh` after an UPDATE of so many of {ROWS:,} rows;
*all* is `refresh … full` right after it, which computes every row and finds nothing left to write. They
are medians of {PARTS} and of {REPEATS}, in one run.

| Transform | Changed | Part, s | All, s | Ratio | Reach | Reached |
| --- | --- | ---: | ---: | ---: | ---: | --- |
{lines}

The same 1,000 changed rows, scattered over tables of other sizes:

| Rows | Transform | Part, s | All, s | Ratio |
| --- | --- | ---: | ---: | ---: |
{sizes}

{curve(growth)}

One row inserted into a table of {CHAIN_ROWS:,} rows with a chain of {CHAIN} transforms `on write`:
{chained[0]:.2f} s until the last has it; the insert alone takes {chained[1]:.2f} s.

{machine("duckdb", "duckdb-extension-ducklake")}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="the page to which this part is added")
    parser.add_argument("--sizes", type=int, nargs="+", default=GROWTH, help="rows of the growing table")
    options = parser.parse_args()
    page = options.page.resolve()
    measured: list[Measured] = []
    growth = {}
    with tempfile.TemporaryDirectory() as folder:
        chained = chain(Path(folder) / "chain")
        print(f"chain: {chained}")
        for rows in options.sizes:
            with build(Path(folder) / str(rows), rows) as store:
                growth[rows] = grown(store, rows)
                print(f"{rows:,} rows: {growth[rows]}")
                if rows == ROWS:
                    measured = list(parts_of(store, rows))
    text = report(measured, growth, chained)
    replace_part(page, TITLE, text)
    print(text)


if __name__ == "__main__":
    main()
