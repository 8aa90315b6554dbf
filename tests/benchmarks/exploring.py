"""How long the explorer waits for its rows in a table of 10 million, against the same SQL in plain DuckDB."""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from page import replace_part
from timing import timed

import workbench
from workbench.lake.exploration import EVERYTHING, PAGE, View

TITLE = "## Exploring"
ROWS = 10_000_000
RUNS = 7
FILL = """
create table trips as
select i as id, hash(i) % 1000000 / 7.0 as fare, (i * 7919) % 5000 as zone,
       ['card', 'cash', 'none'][1 + (hash(i + 1) % 3)::int] as payment,
       timestamp '2024-01-01' + interval (i) second as started,
       case when hash(i + 2) % 10 > 0 then hash(i + 3) % 100 end as tip,
       'name ' || (hash(i + 4) % 100000) as name, i % 2 = 0 as even
from range({rows}) as r(i)"""

BY_FARE = View(order=(("fare", True),))
FILTERED = View(filters={"zone": ">= 2500"})


def milliseconds(*works: Callable[[], object]) -> list[float]:
    """Measure each in turn, so that what else the machine does meets all of them."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(RUNS):
        for work, times in zip(works, found, strict=True):
            times.append(1000 * timed(work))
    return [statistics.median(times) for times in found]


def measure(folder: Path, rows: int) -> list[tuple[str, float, float]]:
    store = workbench.connect(folder)
    store.sql(FILL.format(rows=rows))
    cursor = store._lake.cursor()

    def plain(rest: str) -> Callable[[], object]:
        return lambda: cursor.execute(f"select * from trips {rest}").to_arrow_table()

    middle, end = rows // 2, rows - PAGE
    explored = store.explore("trips")

    def page(start: int, view: View = EVERYTHING) -> Callable[[], object]:
        return lambda: explored.page(start, PAGE, view)

    def first_sorted() -> object:
        explored.close()  # Where rows stand is found out once for a view; that is told apart.
        return explored.page(middle, PAGE, BY_FARE)

    deep = plain(f"order by fare desc limit {PAGE} offset {middle}")
    pairs = {
        "Open, and the first page": (lambda: store.explore("trips").page(), plain(f"limit {PAGE}")),
        "A page in the middle": (page(middle), plain(f"limit {PAGE} offset {middle}")),
        "The last page": (page(end), plain(f"limit {PAGE} offset {end}")),
        "Sorted, the first page": (page(0, BY_FARE), plain(f"order by fare desc limit {PAGE}")),
        "Sorted, the first time in the middle": (first_sorted, deep),
        "Sorted, then each page there": (page(middle, BY_FARE), deep),
        "Filtered to half, the first page": (page(0, FILTERED), plain(f"where zone >= 2500 limit {PAGE}")),
    }
    found = [(what, *milliseconds(*works)) for what, works in pairs.items()]
    explored.close()
    store.close()
    return [(what, mine, theirs) for what, mine, theirs in found]


def report(found: list[tuple[str, float, float]], rows: int) -> str:
    lines = "\n".join(
        f"| {what} | {mine:,.0f} | {plain:,.0f} | {mine / plain:.2f} |" for what, mine, plain in found
    )
    said = (
        f"Pages of {PAGE} rows of a table of {rows:,} rows and 8 columns, and the same by `select * … limit "
        f"{PAGE}` on the same connection; medians of {RUNS}, in turn, in ms."
    )
    head = "| What | explore | SQL | ratio |\n| --- | ---: | ---: | ---: |"
    packages = f"Python {platform.python_version()}, duckdb {version('duckdb')}."
    return f"{TITLE}\n\n{said}\n\n{head}\n{lines}\n\n{packages}\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = report(measure(Path(folder) / "store", options.rows), options.rows)
    print(text)
    replace_part(options.page, TITLE, text)


if __name__ == "__main__":
    main()
