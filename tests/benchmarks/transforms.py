"""Measure ten built-in transforms against SQL by hand and scikit-learn: part of `make bench`."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
from page import judged, machine, replace_part, row
from timing import printed, timed

import workbench

ROWS = 10_000_000
NEW = 10_000
REPEATS = 3
TITLE = "## Built-in transforms"

MADE = """
SELECT i AS id, (hash(i) % 100000) / 7.0 AS a, (hash(i + 1) % 1000) / 3.0 AS b,
       CASE WHEN i % 50 > 0 THEN (hash(i + 2) % 9999) / 11.0 END AS c, (hash(i + 3) % 2000) - 1000.0 AS d,
       CASE WHEN i % 20 > 0 THEN (hash(i + 4) % 500) / 2.0 END AS e,
       'k' || (hash(i + 5) % 12) AS k, 'c' || (hash(i + 6) % 100) AS city
FROM range({rows}) AS r(i)
"""

OURS = """
SELECT id, standardize(a) AS a, min_max(b) AS b, robust_scale(c) AS c, log1p_signed(d) AS d,
       impute(e, 'mean') AS e, clip_quantile(a) AS a_cut, quantile_bin(b, 10) AS b_bin,
       one_hot(k, 8) AS k, ordinal(city) AS city, count_encode(city) AS city_count
FROM rows
"""

# The same, as a data scientist would write it: one pass for the statistics, one for each column of
# categories, then the rows.
STATISTICS = """
SELECT avg(a), stddev_pop(a), min(b), max(b), quantile_cont(c, [0.25, 0.5, 0.75]), avg(e),
       quantile_cont(a, [0.01, 0.99]), quantile_cont(b, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
FROM rows
"""
APPLIED = """
CREATE OR REPLACE TEMP TABLE made AS
SELECT id, (a - {mean}) / {std} AS a, (b - {low}) / ({high} - {low}) AS b,
       (c - {q[1]}) / ({q[2]} - {q[0]}) AS c, sign(d) * ln(1 + abs(d)) AS d, coalesce(e, {fill}) AS e,
       least(greatest(a, {cut[0]}), {cut[1]}) AS a_cut, {bins} AS b_bin, [{flags}] AS k,
       o.place AS city, o.n AS city_count
FROM rows LEFT JOIN places AS o USING (city)
"""


def by_hand(connection: duckdb.DuckDBPyConnection) -> None:
    mean, std, low, high, q, fill, cut, edges = connection.execute(STATISTICS).fetchone() or ()
    top = connection.execute("SELECT k FROM rows GROUP BY k ORDER BY count(*) DESC, k LIMIT 8").fetchall()
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE places AS SELECT city, count(*) AS n, "
        "row_number() OVER (ORDER BY city) - 1 AS place FROM rows WHERE city IS NOT NULL GROUP BY city"
    )
    connection.execute(
        APPLIED.format(
            mean=mean, std=std, low=low, high=high, q=q, fill=fill, cut=cut,
            bins=" + ".join(f"(b >= {edge})::UTINYINT" for edge in edges),
            flags=", ".join(f"(k = '{value}')::UTINYINT" for (value,) in top),
        )
    )  # fmt: skip


def ours(connection: duckdb.DuckDBPyConnection) -> None:
    from workbench.transform.fitting import fit

    connection.execute(f"CREATE OR REPLACE TEMP TABLE made AS {fit(connection, OURS).sql}")


def sklearn(frame: object) -> None:
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import (
        FunctionTransformer,
        KBinsDiscretizer,
        MinMaxScaler,
        OneHotEncoder,
        OrdinalEncoder,
        RobustScaler,
        StandardScaler,
    )

    bins = KBinsDiscretizer(
        10, encode="ordinal", strategy="quantile", subsample=None, quantile_method="linear"
    )
    counts = FunctionTransformer(lambda city: city.iloc[:, [0]].apply(lambda c: c.map(c.value_counts())))
    cut = FunctionTransformer(lambda a: np.clip(a, *np.quantile(a, [0.01, 0.99])))
    log = FunctionTransformer(lambda d: np.sign(d) * np.log1p(np.abs(d)))
    ColumnTransformer(
        [
            ("a", StandardScaler(), ["a"]),
            ("b", MinMaxScaler(), ["b"]),
            ("c", RobustScaler(), ["c"]),
            ("d", log, ["d"]),
            ("e", SimpleImputer(), ["e"]),
            ("cut", cut, ["a"]),
            ("bins", bins, ["b"]),
            ("k", OneHotEncoder(max_categories=9, dtype="uint8", sparse_output=False), ["k"]),
            ("city", OrdinalEncoder(), ["city"]),
            ("count", counts, ["city"]),
        ]
    ).fit_transform(frame)


def one(kind: str, path: Path) -> None:
    """Run one way in this process, and print its median time and its peak memory."""
    connection = duckdb.connect(config={"threads": os.cpu_count() or 1})
    connection.execute(f"CREATE VIEW rows AS FROM read_parquet('{path}')")
    work: Callable[[], None]
    if kind == "scikit-learn":
        frame = connection.sql("FROM rows").df()
        work = lambda: sklearn(frame)  # noqa: E731
    else:
        work = lambda: (ours if kind == "ours" else by_hand)(connection)  # noqa: E731
    taken = [timed(work) for _ in range(1 if kind == "scikit-learn" else REPEATS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(statistics.median(taken), peak)


def measured(kind: str, path: Path) -> tuple[float, float]:
    said = printed(sys.executable, __file__, "--one", kind, "--rows-file", str(path))
    seconds, peak = map(float, said.split()[-2:])
    print(f"{kind}: {seconds:.2f} s, {peak:,.0f} MiB")
    return seconds, peak


def followed(folder: Path, rows: int) -> tuple[float, float, int]:
    """Time what 10,000 new rows cost a transform of a store, beside their insert; count what it read."""
    with workbench.connect(folder) as store:
        store.sql(f"CREATE TABLE made AS {MADE.format(rows=rows)}")
        store.load("rows", store.table("made"), key="id")
        store.transform("prepared", OURS, key="id")
        states = store.sql("SELECT count(*) AS n FROM mlstore.fitted").rows()[0]["n"]
        new = f"SELECT * REPLACE (id + {rows} AS id) FROM ({MADE.format(rows=NEW)})"
        inserted = timed(lambda: store.sql(f"INSERT INTO rows {new}"))
        start = time.perf_counter()
        run = store.refresh("prepared")[-1]
        seconds = time.perf_counter() - start
        assert run.mode == "incremental"
        assert store.sql("SELECT count(*) AS n FROM mlstore.fitted").rows()[0]["n"] == states
        return seconds, inserted, run.rows_read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", help="the page to which this part is added")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--rows-file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the table")
    options = parser.parse_args()
    if options.one:
        one(options.one, options.rows_file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        duckdb.execute(f"COPY ({MADE.format(rows=options.rows)}) TO '{path}'")
        found = {kind: measured(kind, path) for kind in ("hand", "ours", "scikit-learn")}
        seconds, inserted, read = followed(Path(folder) / "store", options.rows)
    text = report(options.rows, found, seconds, inserted, read)
    print(text)
    if options.page:
        replace_part(options.page, TITLE, f"{text}\n")


def report(
    rows: int, found: dict[str, tuple[float, float]], seconds: float, inserted: float, read: int
) -> str:
    mine = found["ours"]
    lines = [f"| ours | {mine[0]:.2f} | {mine[1]:,.0f} | | | |"]
    for name, reach in (("hand", 1.2), ("scikit-learn", 0.33)):
        seconds_taken, peak = found[name]
        ratio = mine[0] / seconds_taken
        label = "SQL by hand" if name == "hand" else name
        lines.append(row(label, f"{seconds_taken:.2f}", f"{peak:,.0f}", *judged(ratio, reach)))
    table = "\n".join(lines)
    return f"""{TITLE}

Ten steps, fitted on and applied to {rows:,} rows of a Parquet file, each way in a process of its own
(medians of {REPEATS}; scikit-learn once, on a pandas frame that is in memory already):

| | Seconds | Peak memory, MiB | Ours : this | Reach | Reached |
| --- | ---: | ---: | ---: | --- | --- |
{table}

A transform of these ten steps follows {NEW:,} new rows in {seconds:.2f} s (their insert takes
{inserted:.2f} s): it reads {read:,} rows, and fits nothing.

{machine("duckdb", "scikit-learn")}."""


if __name__ == "__main__":
    main()
