"""Measure what DESIGN promises about speed, as ratios within one run: `make bench`.

Both sides of each ratio alternate in one process on one machine, so that its noise hits both.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
from page import machine, row
from timing import alternate, printed

REPEATS = 21
STARTS = 9
ROWS = 2_000_000

QUERIES = {
    "one row by its key": "select * from trips where id = 1234567",
    "aggregate of 2 M rows": (
        "select zone, count(*) as trips, avg(fare) as fare from trips group by zone order by zone"
    ),
    "window over 2 M rows, 1,000 rows shown": (
        "select id, zone, fare from trips "
        "qualify row_number() over (partition by zone order by fare desc, id) <= 10"
    ),
    "100,000 rows": "select * from trips where id < 100000",
}

IMPORT_DUCKDB = "import time; start = time.perf_counter(); import duckdb; print(time.perf_counter() - start)"
LOAD_EXT = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
start = time.perf_counter()
shell.run_line_magic("load_ext", "workbench")
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Measured:
    """One row of the table: both medians in seconds, and what may be reached."""

    what: str
    ours: float
    against: float
    reach: str
    holds: bool

    def line(self) -> str:
        ratio, mark = self.ours / self.against, "yes" if self.holds else "no"
        return row(self.what, _ms(self.ours), _ms(self.against), f"{ratio:.2f}", self.reach, mark)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"


def plain_duckdb(store: Path) -> duckdb.DuckDBPyConnection:
    """Open the store with DuckDB and DuckLake alone."""
    con = duckdb.connect()
    for name in ("ducklake", "sqlite_scanner"):
        spec = find_spec(f"duckdb_extension_{name}")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        folder = Path(spec.submodule_search_locations[0])
        con.execute(f"LOAD '{next(folder.rglob(f'{name}.duckdb_extension'))}'")
    con.execute(f"ATTACH 'ducklake:sqlite:{store / 'catalog.sqlite'}' AS lake (DATA_PATH '{store / 'data'}')")
    con.execute("USE lake")
    return con


def medians(ours: Callable[[], object], against: Callable[[], object]) -> tuple[float, float]:
    """Time two things in turn; return both medians."""
    taken = alternate({"ours": ours, "against": against}, REPEATS)
    return taken["ours"], taken["against"]


def fetch(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return con.execute(query).to_arrow_table()


def cells(folder: Path) -> list[Measured]:
    """Compare a SQL cell, with the table it draws, with the same SQL fetched by plain DuckDB."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.display_formatter.active_types = ["text/plain", "text/html"]
    os.chdir(folder)

    def cell(text: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            shell.run_cell(f"%%mlstore\n{text}").raise_error()

    shell.run_line_magic("load_ext", "workbench")
    cell(
        "create table trips as select i as id, (i * 7919) % 100 as zone, hash(i) % 10000 / 100 as fare, "
        f"timestamp '2026-01-01' + to_seconds(i) as started_at from range({ROWS}) t(i)"
    )
    con = plain_duckdb(folder / "mlstore")
    found = []
    for what, query in QUERIES.items():
        ours, against = medians(partial(cell, query), partial(fetch, con, query))
        reach = "1.1 × + 5 ms"
        found.append(Measured(f"SQL cell: {what}", ours, against, reach, ours <= 1.1 * against + 0.005))
    return found


def start_up() -> Measured:
    """Compare `%load_ext workbench` with `import duckdb`, each in fresh processes."""
    taken: dict[str, list[float]] = {LOAD_EXT: [], IMPORT_DUCKDB: []}
    for _ in range(STARTS):
        for code, seconds in taken.items():
            seconds.append(float(printed(sys.executable, "-c", code)))
    ours, against = (statistics.median(seconds) for seconds in taken.values())
    return Measured("`%load_ext workbench` : `import duckdb`", ours, against, "1 s", ours < 1)


def report(rows: list[Measured]) -> str:
    """Write the page."""
    lines = "\n".join(each.line() for each in rows)
    return f"""# Benchmarks

`make bench` writes this page. Each figure is a median; both sides of a ratio alternate in one run on one
machine, because absolute times differ from machine to machine. *Ours* is the whole cell: reading the
statement, running it, fetching the result, and drawing its table. *Plain* is the same SQL on the same lake,
through DuckDB and DuckLake alone, fetched as an Arrow table.

| What | Ours, ms | Plain, ms | Ratio | Reach | Reached |
| --- | ---: | ---: | ---: | --- | --- |
{lines}

{machine("duckdb", "duckdb-extension-ducklake", "ipython", "pyarrow")}; {REPEATS} repeats per query,
{STARTS} fresh processes per start.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="the page to write")
    page = parser.parse_args().page.resolve()
    with tempfile.TemporaryDirectory() as folder:
        rows = [start_up(), *cells(Path(folder))]
        os.chdir(page.parent)
    text = report(rows)
    _, parts, rest = page.read_text(encoding="utf-8").partition("\n## ")
    page.write_text(f"{text.rstrip()}\n{parts}{rest}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
