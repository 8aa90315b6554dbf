"""Transforms written in Python and Ibis."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import workbench
from workbench import trust
from workbench.errors import InvalidData, NotFound, StatementError, Unsupported
from workbench.store import Store
from workbench.transform.code import compile_body

FACTOR = 3


@pytest.fixture(autouse=True)
def own_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSTORE_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def trips(store: Store) -> Store:
    store.load(
        "trips",
        store.sql("SELECT i AS id, i * 1.5e0 AS fare, 'z' || i AS zone FROM range(20) AS r(i)"),
        key="id",
    )
    return store


def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in store.sql(sql).rows())


ARROW = """
import pyarrow.compute as pc

def helper(column):
    return pc.multiply(column, 2)

# The last function is the one that is called.
def features(rows):
    return {"twice": helper(rows["fare"])}
"""


def in_pandas(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(big=rows.fare > FACTOR)[["id", "big"]]


def in_polars(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col("id"), (pl.col("fare") * FACTOR).alias("much"))


def one_column(rows: pa.RecordBatch) -> pa.Array:
    return pa.array([math.sqrt(each) for each in rows["fare"].to_pylist()])


def test_a_body_of_text_follows_changes_row_by_row(trips: Store) -> None:
    made = trips.transform("f", ARROW, on="trips", key="id", using="python")
    assert (made.using, made.query.strip()) == ("python", ARROW.strip())
    assert rows(trips, "FROM f") == rows(trips, "SELECT id, fare * 2 FROM trips")
    trips.sql("UPDATE trips SET fare = 100 WHERE id = 3; DELETE FROM trips WHERE id = 4")
    run = trips.refresh("f")[-1]
    assert (run.mode, run.rows_read, run.rows_written, run.rows_deleted) == ("incremental", 1, 1, 1)
    trips.sql("DELETE FROM trips WHERE id = 5")
    assert trips.refresh("f")[-1].mode == "incremental"
    assert rows(trips, "FROM f") == rows(trips, "SELECT id, fare * 2 FROM trips")
    assert trips.trace("f", 3).sources[0].table == "main.trips"


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (in_pandas, f"SELECT id, fare > {FACTOR} FROM trips"),
        (in_polars, f"SELECT id, fare * {FACTOR} FROM trips"),
        (one_column, "SELECT id, sqrt(fare) FROM trips"),
    ],
)
def test_frames_by_annotation_and_functions_with_what_they_use(
    trips: Store, function: object, wanted: str
) -> None:
    trips.transform("f", function, on="trips", key="id")  # type: ignore[arg-type]
    trips.append("trips", [{"id": 50, "fare": 9.0, "zone": "n"}])
    assert trips.refresh("f")[-1].mode == "incremental"
    assert rows(trips, "FROM f") == rows(trips, wanted)
    # Another process has nothing but what the store keeps.
    with workbench.connect(trips.folder) as other:
        other.sql("UPDATE trips SET fare = 4 WHERE id = 50")
        other.refresh("f")
    assert rows(trips, "FROM f") == rows(trips, wanted)


def test_the_same_code_is_the_same_version_and_other_code_another(trips: Store) -> None:
    first = trips.transform("f", ARROW, on="trips", key="id", using="python")
    same = trips.transform(
        "f", ARROW.replace("# The last", "# Another comment: the last"), on="trips", key="id", using="python"
    )
    assert (same.version, same.snapshot) == (first.version, first.snapshot)
    other = trips.transform("f", ARROW.replace(", 2)", ", 4)"), on="trips", key="id", using="python")
    assert other.version == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def f(rows): return {'x': [1, 2]}", "returns 2 rows for 20"),
        ("def f(rows): return 'text'", "returns a str"),
        ("def f(rows): return None", "returns a NoneType"),
        ("def f(rows): exit(3)", r"row 1 \(id = 0\): SystemExit: 3"),
        ("def f(rows): return {'x': [object()] * rows.num_rows}", "is no table"),
        ("def f(rows): return {'id': rows['fare']}", "other values of the key id"),
        (
            "def f(rows):\n    return {'x': [1 / (each - 7) for each in rows['id'].to_pylist()]}",
            r"row 8 \(id = 7\): ZeroDivisionError: division by zero in line 2: return",
        ),
        ("def f(): return 1", "takes no rows"),
        ("async def f(rows): return rows", "asynchronous"),
        ("def f(rows): yield rows", "yields"),
        ("x = 1", "defines no function"),
        ("1 / 0\ndef f(rows): return rows", "before it gets any rows: ZeroDivisionError"),
        ("def f(rows: dict): return rows", "asks for"),
    ],
)
def test_bad_functions_are_named_and_nothing_is_made(trips: Store, body: str, said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        trips.transform("f", body, on="trips", key="id", using="python")
    assert "f" not in trips.names()["transform"]


def test_a_syntax_error_has_its_place(trips: Store) -> None:
    with pytest.raises(StatementError) as raised:
        trips.transform("f", "def f(rows):\n    return (", on="trips", key="id", using="python")
    assert raised.value.line == 2


def test_a_function_without_a_table_and_an_unknown_language(trips: Store) -> None:
    with pytest.raises(StatementError, match="whose rows"):
        trips.transform("f", ARROW, key="id", using="python")
    with pytest.raises(NotFound, match="'pyton'"):
        trips.transform("f", ARROW, on="trips", key="id", using="pyton")


def test_a_type_that_changes_between_batches_is_named(store: Store) -> None:
    store.load("big", store.sql("SELECT i AS id FROM range(200000) AS r(i)"), key="id")
    body = """
def f(rows):
    first = rows["id"][0].as_py() < 100_000
    return {"x": [1 if first else "a"] * rows.num_rows}
"""
    either = "(string|int64)"
    with pytest.raises(InvalidData, match=f"returns x as {either} for some rows, for the first as {either}"):
        store.transform("f", body, on="big", key="id", using="python")


def test_what_it_prints_is_shown_once(trips: Store) -> None:
    body = "def f(rows):\n    for i in range(30): print('line', i)\n    return rows"
    with pytest.warns(RuntimeWarning, match=r"printed:\nline 0\n(.|\n)*and 20 more lines"):
        trips.transform("f", body, on="trips", key="id", using="python")


def test_what_cannot_be_kept_is_refused(trips: Store) -> None:
    outside = object()

    def closure(rows: pa.RecordBatch) -> object:
        return outside, rows

    with pytest.raises(Unsupported, match="local variables"):
        trips.transform("f", closure, on="trips", key="id")
    with pytest.raises(Unsupported, match="lambda"):
        trips.transform("f", lambda rows: rows, on="trips", key="id")


def test_code_from_elsewhere_does_not_run_until_it_is_approved(
    trips: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips.transform("f", ARROW, on="trips", key="id", using="python")
    trips.sql("UPDATE trips SET fare = 1 WHERE id = 1")
    monkeypatch.setenv("MLSTORE_CONFIG", str(tmp_path / "another machine"))
    with pytest.raises(Unsupported, match="not approved") as raised:
        trips.refresh("f")
    assert "trust" in raised.value.hint
    from workbench.cli import main

    assert main(["--store", str(trips.folder), "trust", "--yes"]) == 0
    assert trips.refresh("f")[-1].mode == "incremental"


def test_a_broken_list_of_approvals_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSTORE_CONFIG", str(tmp_path))
    (tmp_path / "trusted.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidData, match=r"trusted\.json"):
        trust.approve("abc")


def test_ibis_as_expression_text_and_function(trips: Store) -> None:
    wanted = rows(trips, "SELECT id, fare * 2 FROM trips WHERE fare > 3")
    trips.transform(
        "a", "dear = trips.filter(_.fare > 3)\ndear.select('id', twice=_.fare * 2)", key="id", using="ibis"
    )
    body = (
        "import ibis\n\ndef f(t: ibis.Table):\n    return t.filter(t.fare > 3).select('id', twice=t.fare * 2)"
    )
    trips.transform("b", body, on="trips", key="id", using="python")
    assert rows(trips, "FROM a") == rows(trips, "FROM b") == wanted
    assert trips.describe("b").facts["query"].startswith("import ibis")
    trips.sql("DELETE FROM trips WHERE id = 9")
    assert [run.mode for run in trips.refresh()] == ["incremental", "incremental"]
    for body, said in (
        ("nowhere.select('id')", "nowhere"),
        ("x = 1", "does not end in an expression"),
        ("1 + 1", "int"),
    ):
        with pytest.raises((InvalidData, NotFound), match=said):
            trips.transform("c", body, key="id", using="ibis")


def test_an_annotation_says_what_a_function_gets() -> None:
    assert compile_body(in_pandas).takes == "pandas"
    assert compile_body("import polars as pl\ndef f(rows: 'pl.DataFrame'): return rows").takes == "polars"
    assert compile_body(one_column).takes == "arrow"
    assert "FACTOR = 3" in compile_body(in_pandas).source


EVALUATED = """
import ibis, os, pandas as pd

FACTOR, fare, half = 3, object(), 0.5


def summed(table: ibis.Table, by: float = half):
    return table.select("id", x=table.fare * by * FACTOR)


def framed(rows: pd.DataFrame, joined=os.path.join) -> pd.DataFrame:
    fare = rows["fare"] * FACTOR
    return rows[["id"]].assign(x=fare * 0.5)
"""


def test_what_stands_in_annotations_and_defaults_goes_along(
    trips: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the `annotations` of __future__, as in a notebook, they are values and no text."""
    (tmp_path / "evaluated.py").write_text(EVALUATED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    evaluated = importlib.import_module("evaluated")
    trips.transform("a", evaluated.summed, on="trips", key="id")
    trips.transform("b", evaluated.framed, on="trips", key="id")
    assert rows(trips, "FROM a") == rows(trips, "FROM b") == rows(trips, "SELECT id, fare * 1.5 FROM trips")
