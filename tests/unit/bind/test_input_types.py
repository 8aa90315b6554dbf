"""Inputs of another type are cast where nothing is lost; a value that cannot be is an error of its row."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import workbench
from tests.unit.bind.bound import column
from tests.unit.bind.model_kinds import rows, write_mlflow, write_onnx
from workbench.engines.casts import cast
from workbench.errors import InvalidData, InvalidRows, NotFound
from workbench.store import Store


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that others made, and rows that they were made from."""
    folder = tmp_path_factory.mktemp("foreign")
    write_onnx(folder, rows())
    write_mlflow(folder, rows())
    return folder


ROWS = """
SELECT *, number + whole * 3 + truth::INTEGER AS y FROM (
SELECT i AS id, ((i * 7919) % 100 / 4)::DOUBLE AS number, ((i * 31) % 7)::INTEGER AS whole,
       i % 3 = 0 AS truth, (i * 13) % 4 || '' AS kind, DATE '2026-01-01' + (i % 50)::INTEGER AS day
FROM range(200) AS r(i))
"""


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A model that learned from columns of each type, and one that computes with them first."""
    folder = tmp_path_factory.mktemp("learned") / "store"
    shutil.copytree(empty_store, folder)
    with workbench.connect(folder) as store:
        store.load("sales", store.sql(ROWS), key="id")
        for name, number in (("plain", "number"), ("prepared", "standardize(number) AS number")):
            query = f"SELECT id, {number}, whole, truth, kind, day, y FROM sales"
            store.train(
                name, query, label="y", key="id", model="xgboost", prepare="none", params={"n_estimators": 20}
            )
        store.bind("expected_plain", on="sales", model="plain")
        store.bind("expected_prepared", on="sales", model="prepared")
    return folder


@pytest.fixture
def sales(tmp_path: Path, learned: Path) -> Iterator[Store]:
    """The store with the models, as a copy."""
    shutil.copytree(learned, tmp_path / "store")
    with workbench.connect(tmp_path / "store") as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("number", "VARCHAR"),
        ("number", "FLOAT"),
        ("number", "DECIMAL(9, 1)"),
        ("whole", "VARCHAR"),
        ("whole", "BIGINT"),
        ("whole", "DOUBLE"),
        ("whole", "DECIMAL(9, 2)"),
        ("whole", "UTINYINT"),
        ("truth", "VARCHAR"),
        ("truth", "INTEGER"),
        ("truth", "DOUBLE"),
        ("kind", "INTEGER"),
        ("kind", "ENUM ('0', '1', '2', '3')"),
        ("day", "VARCHAR"),
        ("day", "TIMESTAMP"),
    ],
)
def test_what_loses_nothing_is_cast(sales: Store, name: str, given: str) -> None:
    changed = f"SELECT * EXCLUDE (y, {name}), CAST({name} AS {given}) AS {name} FROM sales"
    sales.load("other", sales.sql(changed), key="id")
    sales.bind("p", on="other", model="plain")
    sales.bind("q", on="other", model="prepared")
    assert column(sales, "p", "other") == column(sales, "expected_plain", "sales")
    assert column(sales, "q", "other") == column(sales, "expected_prepared", "sales")
    [one] = sales.sql("SELECT predict(prepared, t.*) AS p FROM other AS t WHERE id = 7").rows()
    assert one["p"] == column(sales, "expected_prepared", "sales")[7]


@pytest.mark.parametrize("model", ["plain", "prepared"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("number", "'1.5 km'", "number is '1.5 km', not DOUBLE"),
        ("number", "'inf'", "number is 'inf', not DOUBLE"),
        ("truth", "7", "truth is 7, not BOOLEAN"),
        ("day", "'2026-02-30'", "day is '2026-02-30', not"),
    ],
)
def test_a_value_that_cannot_be_cast_is_an_error_of_its_row(
    sales: Store, model: str, name: str, value: str, said: str
) -> None:
    kind = "INTEGER" if name == "truth" else "VARCHAR"
    changed = f"CASE WHEN id IN (3, 150) THEN {value} WHEN id = 5 THEN NULL ELSE CAST({name} AS {kind}) END"
    sales.load("other", sales.sql(f"SELECT * REPLACE ({changed} AS {name}) FROM sales"), key="id")
    sales.bind("p", on="other", model=model)
    wanted = column(sales, f"expected_{model}", "sales")
    found = sales.sql("SELECT p, p_status AS status FROM predictions.other ORDER BY id").rows()
    assert [row["status"] for row in found] == ["error" if n in (3, 150) else "ok" for n in range(200)]
    assert [row["p"] for n, row in enumerate(found) if n not in (3, 5, 150)] == [
        each for n, each in enumerate(wanted) if n not in (3, 5, 150)
    ]
    assert found[5]["p"] is not None
    [failed] = sales.stale("p").rows()
    assert failed["rows"] == 2
    assert f"InvalidRows: {said}" in failed["why"]
    sales.sql(f"UPDATE other SET {name} = NULL WHERE id IN (3, 150)")
    assert set(column(sales, "p_status", "other")) == {"ok"}


def test_a_value_that_cannot_be_cast_is_named_across_processes(sales: Store) -> None:
    changed = "CASE WHEN id = 3 THEN 'far' ELSE number || '' END"
    sales.load("other", sales.sql(f"SELECT * REPLACE ({changed} AS number) FROM sales"), key="id")
    sales.bind("p", on="other", model="prepared", isolate="process")
    assert [n for n, each in enumerate(column(sales, "p_status", "other")) if each != "ok"] == [3]
    assert "InvalidRows: number is 'far', not DOUBLE" in sales.stale("p").rows()[0]["why"]


def test_where_errors_end_the_run_the_value_is_named(sales: Store) -> None:
    sales.load(
        "other",
        sales.sql(
            "SELECT * REPLACE (CASE WHEN id = 150 THEN '?' ELSE number || '' END AS number) FROM sales"
        ),
        key="id",
    )
    with pytest.raises(InvalidData, match=r"1 of 200 values cannot be that: number is '\?', not DOUBLE"):
        sales.bind("p", on="other", model="plain", on_error="fail")
    with pytest.raises(InvalidData, match=r"number is '\?', not DOUBLE"):
        sales.sql("SELECT predict(plain, t.*) FROM other AS t")
    with pytest.raises(InvalidData, match=r"number is '\?', not DOUBLE"):
        sales.predict("plain", sales.sql("SELECT * FROM other"))
    sales.bind("kept", on="other", model="plain", on_error="keep", when="manual")
    before = column(sales, "kept", "other")
    sales.sql("UPDATE other SET number = 'lost' WHERE id = 9")
    sales.refresh("kept")
    assert column(sales, "kept", "other") == before
    assert column(sales, "kept_status", "other")[9] == "error"


def test_fractions_and_numbers_too_large_are_no_whole_numbers_of_the_kind(sales: Store) -> None:
    """Only where the model computes with whole numbers; any other sees numbers alone."""
    changed = "CASE id WHEN 3 THEN 1.5 WHEN 4 THEN 3e9 ELSE whole END"
    sales.load("other", sales.sql(f"SELECT * REPLACE ({changed} AS whole) FROM sales"), key="id")
    sales.bind("p", on="other", model="plain")
    assert set(column(sales, "p_status", "other")) == {"ok"}
    sales.bind("q", on="other", model="prepared")
    assert column(sales, "q_status", "other")[2:6] == ["ok", "error", "error", "ok"]


def test_a_column_of_something_else_altogether_is_refused(sales: Store) -> None:
    sales.load("other", sales.sql("SELECT * REPLACE (encode('x') AS number) FROM sales"), key="id")
    for model in ("plain", "prepared"):
        with pytest.raises(InvalidData, match="'number' holds BLOB"):
            sales.bind("p", on="other", model=model)


def test_lists_of_another_length_are_errors_of_their_rows(store: Store) -> None:
    store.load(
        "t", store.sql("SELECT i AS id, [i, i % 7] AS v, i % 7 AS y FROM range(100) AS r(i)"), key="id"
    )
    store.train("m", "SELECT * FROM t", label="y", key="id", model="xgboost", metric="rmse")
    store.sql("UPDATE t SET v = [1] WHERE id = 3; UPDATE t SET v = NULL WHERE id = 4")
    store.bind("p", on="t", model="m")
    assert column(store, "p_status")[2:6] == ["ok", "error", "ok", "ok"]
    assert "v has 1 elements, not 2" in store.stale("p").rows()[0]["why"]


def test_categories_and_missing_values_are_those_of_the_training(sales: Store) -> None:
    """What it answers for a category never seen, and for NULL, it answers wherever it is asked."""
    unseen = "SELECT * REPLACE ('new' AS kind) FROM sales WHERE id < 20"
    missing = "SELECT * REPLACE (NULL::VARCHAR AS kind) FROM sales WHERE id < 20"
    sales.load("unseen", sales.sql(unseen), key="id")
    sales.load("missing", sales.sql(missing), key="id")
    for name, model in (("p", "plain"), ("q", "prepared")):
        sales.bind(name, on="unseen", model=model)
        sales.bind(name, on="missing", model=model)
        assert set(column(sales, f"{name}_status", "unseen")) == {"ok"}
        assert column(sales, name, "unseen") == column(sales, name, "missing")


def test_an_enum_of_the_training_takes_other_texts(store: Store) -> None:
    kind = "(i % 3)::VARCHAR::ENUM ('0', '1', '2') AS kind"
    given = f"SELECT i AS id, {kind}, i::DOUBLE AS x, i % 3 AS y FROM range(90) AS r(i)"
    store.load("t", store.sql(given), key="id")
    store.train("m", "SELECT id, one_hot(kind) AS kind, standardize(x) AS x, y FROM t", label="y", key="id")
    store.load("u", [{"id": 1, "kind": "9", "x": 5.0}, {"id": 2, "kind": "1", "x": 5.0}], key="id")
    store.bind("p", on="u", model="m")
    assert column(store, "p_status", "u") == ["ok", "ok"]


def test_a_column_that_the_model_does_not_take_is_named(sales: Store) -> None:
    with pytest.raises(NotFound, match="no column 'y' in the inputs of plain@1"):
        sales.bind("p", on="sales", model="plain", inputs=["number", "whole", "truth", "kind", "day", "y"])
    # Of all columns of a table those are taken that it asks for.
    [row] = sales.sql("SELECT predict(plain, t.*) AS p FROM sales AS t WHERE id = 3").rows()
    assert row["p"] == column(sales, "expected_plain", "sales")[3]
    with pytest.raises(NotFound, match="Did you mean 'number'"):
        sales.sql("SELECT predict(plain, 1 AS numbr, t.*) FROM sales AS t")


@pytest.mark.parametrize(
    ("place", "bound"),
    [
        ("mlflow:{}/sklearn", None),
        ("mlflow:{}/tensor", ["a", "b"]),
        ("onnx:{}/matrix.onnx", ["a", "b"]),
        ("onnx:{}/named.onnx", None),
    ],
)
def test_models_of_mlflow_and_onnx_take_numbers_written_as_text(
    store: Store, foreign: Path, place: str, bound: list[str] | None
) -> None:
    store.load("r", foreign / "rows.parquet", key="id")
    text = (
        "SELECT * REPLACE (CASE WHEN id = 3 THEN 'much' ELSE a || '' END AS a, whole || '' AS whole) FROM r"
    )
    store.load("t", store.sql(text), key="id")
    for table in ("r", "t"):
        store.bind("p", on=table, model=place.format(foreign), inputs=bound)
    assert [n for n, each in enumerate(column(store, "p_status", "t")) if each != "ok"] == [3]
    wanted, found = (column(store, "p", each) for each in ("r", "t"))
    assert found[:3] + found[4:] == wanted[:3] + wanted[4:]
    assert "a is 'much', not" in store.stale("t.p").rows()[0]["why"]


def test_casts_between_all_types() -> None:
    """For each type all that fits, and what does not."""
    fine = {
        ("VARCHAR", "TINYINT"): ["127", "-5", "3.0"],
        ("VARCHAR", "DECIMAL(4,1)"): ["1.5", "100"],
        ("VARCHAR", "BOOLEAN"): ["true", "False", "1"],
        ("VARCHAR", "TIMESTAMP"): ["2026-02-28", "2026-02-28 23:59:59.5"],
        ("VARCHAR", "TIME"): ["12:30"],
        ("BIGINT", "SMALLINT"): [5, -32768],
        ("DOUBLE", "BIGINT"): [2.0, float("nan"), 9007199254740992.0],
        ("DOUBLE", "DECIMAL(4,1)"): [1.5, 0.1],
        ("BIGINT", "VARCHAR"): [5, 0],
        ("BOOLEAN", "VARCHAR"): [True],
    }
    lossy = {
        ("VARCHAR", "TINYINT"): ["128", "3.5", "", "x"],
        ("VARCHAR", "DOUBLE"): ["", "nan", "1,5"],
        ("VARCHAR", "DECIMAL(4,1)"): ["1.55", "12345"],
        ("VARCHAR", "BOOLEAN"): ["2", "maybe"],
        ("VARCHAR", "TIMESTAMP"): ["2026-02-30", "28.2.2026"],
        ("BIGINT", "SMALLINT"): [32768],
        ("BIGINT", "BOOLEAN"): [2],
        ("DOUBLE", "BIGINT"): [0.5, float("inf")],
        ("DOUBLE", "DECIMAL(4,1)"): [1.55, 12345.0],
    }
    arrow = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_()}
    for (given, kind), values in fine.items():
        made = cast(pa.array([*values, None], arrow[given]), kind, "x", "m")
        assert made.null_count == 1 + sum(value != value for value in values), (given, kind)
    for (given, kind), values in lossy.items():
        mixed = pa.array([None, *values, None], arrow[given])
        with pytest.raises(InvalidRows) as caught:
            cast(mixed, kind, "x", "m")
        assert sorted(caught.value.rows) == list(range(1, len(values) + 1)), (given, kind)
    with pytest.raises(InvalidData, match="holds DOUBLE where m takes VARCHAR"):
        cast(pa.array([1.0]), "VARCHAR", "x", "m")
