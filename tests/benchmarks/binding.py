"""Measure bindings against the same by hand, and against Pixeltable: part of `make bench`."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from page import judged, machine, replace_part, row
from timing import printed, timed

import workbench
from workbench.store import Store
from workbench.train import registry

ROWS, FILL_ROWS, CHANGED = 1_000_000, 5_000_000, 10_000
COLUMNS = tuple(f"f{number}" for number in range(10))
REPEATS, FILLS = 3, 5
HEADING = "## Keeping predictions"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Measured:
    """One row of the table: seconds of ours, of what it is compared with, and the ratio to reach."""

    what: str
    against: str
    ours: float
    theirs: float
    reach: float

    def line(self) -> str:
        last = judged(self.ours / self.theirs, self.reach, ".3f", ".3g")
        return row(self.what, self.against, f"{self.ours:,.3f}", f"{self.theirs:,.3f}", *last)


def build(folder: Path, rows: int) -> Store:
    """Make a store with a table of ten numbers per row, and a model of a hundred trees trained on some."""
    store = workbench.connect(folder)
    fill(store, "t", rows)
    store.train(
        "fare",
        f"SELECT id, {', '.join(COLUMNS)}, f0 * f1 / 50 + f2 AS y FROM t WHERE id < 50000",
        label="y",
        key="id",
        model="xgboost",
        params={"n_estimators": 100, "max_depth": 6},
        prepare="none",
    )
    return store


def fill(store: Store, table: str, rows: int, columns: Sequence[str] = COLUMNS) -> None:
    numbers = ", ".join(
        f"(hash(i * {place + 3}) % 10000) / 100.0::DOUBLE AS {name}" for place, name in enumerate(columns)
    )
    made = f"SELECT i AS id, {numbers} FROM range({rows}) AS r(i)"
    store.sql(f"CREATE TABLE made AS {made}")
    store.load(table, store.table("made"), key="id")
    store.sql("DROP TABLE made")


class Hand:
    """The same by hand: one DuckLake, Arrow batches, one XGBoost model, and no bookkeeping at all."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cursor = store._lake.new_cursor()
        model = registry.get(store._lake, "fare")
        self.booster = registry.load(store._lake, model).estimator.get_booster()

    def matrix(self, rows: pa.Table | pa.RecordBatch) -> np.ndarray[Any, Any]:
        found = np.empty((rows.num_rows, len(COLUMNS)), np.float32)
        for place, name in enumerate(COLUMNS):
            found[:, place] = rows.column(name).to_numpy(zero_copy_only=False)
        return found

    def predict(self, matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.booster.inplace_predict(matrix)

    def insert(
        self, ids: pa.Array | pa.ChunkedArray, values: np.ndarray[Any, Any], *, make: bool = False
    ) -> None:
        done = pa.table({"id": ids, "value": values})
        self.cursor.register("done", done)
        head = "CREATE OR REPLACE TABLE lake.main.hand AS" if make else "INSERT INTO lake.main.hand"
        self.cursor.execute(f"{head} SELECT id, value FROM done")
        self.cursor.unregister("done")

    def column(self) -> None:
        """Predict all rows of the table, batch by batch."""
        reader = self.cursor.execute("FROM lake.main.t_hand").to_arrow_reader(122_880)
        parts = [(batch.column("id"), self.predict(self.matrix(batch))) for batch in reader]
        self.insert(
            pa.chunked_array([ids for ids, _ in parts]),
            np.concatenate([each for _, each in parts]),
            make=True,
        )

    def change(self, where: str, statement: str) -> None:
        """Change rows, then predict those that are there and put the values in place of the old ones."""
        self.cursor.execute(statement)
        rows = self.cursor.execute(f"FROM lake.main.t_hand WHERE {where}").to_arrow_table()
        self.cursor.execute("BEGIN")
        self.cursor.execute(f"DELETE FROM lake.main.hand WHERE {where}")
        if rows.num_rows:
            self.insert(rows["id"], self.predict(self.matrix(rows)))
        self.cursor.execute("COMMIT")


def filling(folder: Path, rows: int) -> Measured:
    """Fill a column, against predicting an array that is in memory and inserting the result."""
    with build(folder, rows) as store:
        hand = Hand(store)
        table = store.sql(f"SELECT id, {', '.join(COLUMNS)} FROM t ORDER BY id").to_arrow()
        matrix, ids = hand.matrix(table), table["id"]
        del table
        ours, raw = [], []
        for number in range(FILLS):
            raw.append(timed(lambda: hand.insert(ids, hand.predict(matrix), make=True)))
            ours.append(timed(lambda number=number: store.bind(f"p{number}", on="t", model="fare")))
        return Measured(
            f"fill {rows:,} rows", "predict an array in memory, insert the result", min(ours), min(raw), 1.25
        )


def changing(folder: Path, rows: int) -> tuple[list[Measured], dict[str, float]]:
    """Add a column, insert, update and delete, by us and by hand."""
    found = []
    with build(folder, rows) as store:
        store.sql("CREATE TABLE t_hand AS FROM t")
        hand = Hand(store)
        hand.column()
        by_hand, ours = [], []
        for n in range(FILLS):
            by_hand.append(timed(hand.column))
            ours.append(timed(lambda n=n: store.bind(f"p{n}", on="t", model="fare")))
            if n < FILLS - 1:
                store.drop(f"p{n}")
        found.append(Measured(f"add a column to {rows:,} rows", "by hand", min(ours), min(by_hand), 1.3))
        times: dict[str, tuple[list[float], list[float]]] = {
            "insert": ([], []),
            "update": ([], []),
            "delete": ([], []),
        }
        for n in range(REPEATS + 1):
            first = rows + n * CHANGED
            copied = f"id BETWEEN {(n + 1) * CHANGED} AND {(n + 2) * CHANGED - 1}"
            moved = f"id - {(n + 1) * CHANGED} + {first} AS id"
            new = store.sql(f"SELECT * REPLACE ({moved}) FROM t WHERE {copied}").to_arrow()
            hand.cursor.register("new", new)
            fresh = f"id BETWEEN {first} AND {first + CHANGED - 1}"
            old = f"id BETWEEN {(n + 5) * CHANGED} AND {(n + 6) * CHANGED - 1}"
            jobs = {
                "insert": (
                    lambda new=new: store.append("t", new),
                    lambda fresh=fresh: hand.change(fresh, "INSERT INTO lake.main.t_hand FROM new"),
                ),
                "update": (
                    lambda old=old: store.sql(f"UPDATE t SET f0 = f0 + 1 WHERE {old}"),
                    lambda old=old: hand.change(old, f"UPDATE lake.main.t_hand SET f0 = f0 + 1 WHERE {old}"),
                ),
                "delete": (
                    lambda old=old: store.sql(f"DELETE FROM t WHERE {old}"),
                    lambda old=old: hand.change(old, f"DELETE FROM lake.main.t_hand WHERE {old}"),
                ),
            }
            for what, (we, they) in jobs.items():
                taken = timed(they), timed(we)
                if n:  # The first of each warms up.
                    times[what][1].append(taken[0])
                    times[what][0].append(taken[1])
        for what, reach in {"insert": 2, "update": 3, "delete": 3}.items():
            we, they = (statistics.median(each) for each in times[what])
            found.append(Measured(f"{what} {CHANGED:,} rows", "by hand", we, they, reach))
        ours_alone = {each.what.split()[0]: each.ours for each in found}
        found.append(one_row(store, hand))
    return found, ours_alone


def one_row(store: Store, hand: Hand) -> Measured:
    """Ask `predict()` about one row by its key, against reading the row and calling the model."""

    def direct(key: int) -> None:
        row = store.sql("SELECT * FROM t WHERE id = $key", params={"key": key}).to_arrow()
        hand.predict(hand.matrix(row))

    def ours(key: int) -> None:
        store.sql("SELECT predict(fare, t.*) FROM t WHERE id = $key", params={"key": key}).to_arrow()

    taken = [(timed(lambda k=k: ours(k)), timed(lambda k=k: direct(k))) for k in range(500, 540)]
    we, they = (statistics.median(each) for each in zip(*taken[5:], strict=True))
    return Measured(
        "`predict()` for one row by key", "reading the row, calling the model", we, they, (they + 0.01) / they
    )


def narrow(folder: Path, rows: int) -> None:
    """Make a store with a table of two numbers per row, and a model of ten small trees."""
    with workbench.connect(folder) as store:
        fill(store, "t", rows, COLUMNS[:2])
        store.train(
            "small",
            "SELECT id, f0, f1, f0 * f1 / 50 AS y FROM t WHERE id < 20000",
            label="y",
            key="id",
            model="xgboost",
            params={"n_estimators": 10, "max_depth": 4},
            prepare="none",
        )


def peak(folder: Path) -> None:
    """Fill a column of that store, and print the memory of this process before it and the most it took."""
    with workbench.connect(folder) as store:
        store.predict("small", pa.table({"f0": [1.0], "f1": [1.0]}))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = timed(lambda: store.bind("p", on="t", model="small"))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"before": before / 1024, "after": after / 1024, "seconds": seconds}))


def measure_memory(folder: Path, counts: list[int]) -> dict[int, dict[str, float]]:
    """Make and fill tables of so many rows, each in processes of their own."""
    found = {}
    for rows in counts:
        store = str(folder / f"peak{rows}")
        printed(sys.executable, __file__, store, "--narrow", "--rows", str(rows))
        found[rows] = in_a_process(sys.executable, __file__, store, "--peak")
        shutil.rmtree(store)
    return found


def in_a_process(*arguments: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(printed(*arguments).strip().splitlines()[-1])
    return found


def pixeltable(python: Path, rows: int, folder: Path) -> dict[str, float]:
    """Do the same with Pixeltable, in an environment of its own, with the same model and rows."""
    with build(folder / "store", rows) as store:
        Hand(store).booster.save_model(folder / "model.json")
        store.export("t", folder / "rows.parquet", format="parquet")
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import binding_pixeltable; binding_pixeltable.run()"
    )
    return in_a_process(str(python), "-c", code, str(folder), str(rows), str(CHANGED))


def report(measured: list[Measured], memory: dict[int, dict[str, float]]) -> str:
    lines = "\n".join(each.line() for each in measured)
    grown = "\n".join(
        f"| {rows:,} | {each['before']:,.0f} | {each['after']:,.0f} | {each['seconds']:,.1f} |"
        for rows, each in memory.items()
    )
    return f"""{HEADING}

`make bench` writes this part too. Ten numbers per row, an XGBoost model of 100 trees of depth 6, bound
`on write`. *By hand* is DuckDB and XGBoost on the same lake with no bookkeeping: no keys checked, no record
of the run, the rows that changed known beforehand. Both sides alternate in one run.

| What | Against | Ours, s | Theirs, s | Ratio | Reach | Reached |
| --- | --- | ---: | ---: | ---: | ---: | --- |
{lines}

Memory of a process that opens a store and fills a column: two numbers per row, ten trees of depth 4:

| Rows | Before, MB | Peak, MB | Fill, s |
| ---: | ---: | ---: | ---: |
{grown}

{machine("duckdb", "xgboost-cpu")}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="the page to which this part is added")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--fill", type=int, default=FILL_ROWS)
    parser.add_argument("--memory", type=int, nargs="*", default=[10_000_000, 50_000_000])
    parser.add_argument("--pixeltable", type=Path, help="the python of an environment with pixeltable")
    parser.add_argument(
        "--narrow", action="store_true", help="only make a store of `rows` in the folder `page`"
    )
    parser.add_argument("--peak", action="store_true", help="only fill a column of that store")
    parser.add_argument("--only-memory", action="store_true", help="measure nothing else, and print it")
    options = parser.parse_args()
    if options.narrow:
        narrow(options.page, options.rows)
        return
    if options.peak:
        peak(options.page)
        return
    if options.only_memory:
        with tempfile.TemporaryDirectory() as made:
            print(json.dumps(measure_memory(Path(made), options.memory), indent=1))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        # Before this process has taken much memory: the peak of its children counts what they began as.
        memory = measure_memory(folder, options.memory)
        measured, alone = changing(folder / "changing", options.rows)
        print(*measured, sep="\n")
        measured.insert(0, filling(folder / "filling", options.fill))
        print(measured[0])
        if options.pixeltable:
            (folder / "pixeltable").mkdir()
            theirs = pixeltable(options.pixeltable, options.rows, folder / "pixeltable")
            reaches = {"add": 1 / 70, "insert": 1 / 5, "update": 1 / 5, "delete": 1 / 5}
            names = {"add": f"add a column to {options.rows:,} rows"}
            for what, reach in reaches.items():
                name = names.get(what, f"{what} {CHANGED:,} rows")
                measured.append(Measured(name, "Pixeltable", alone[what], theirs[what], reach))
    text = report(measured, memory)
    replace_part(options.page.resolve(), HEADING, text)
    print(text)


if __name__ == "__main__":
    main()
