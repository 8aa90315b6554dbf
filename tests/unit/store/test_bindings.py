"""Bindings: errors by row, policies, models that are functions, asynchronous ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import InvalidData, ModelError, NotFound, StatementError, Unsupported
from workbench.store import Store

FUNCTIONS = """
import pyarrow as pa
import pyarrow.compute as pc

CALLS = []

def double(rows):
    CALLS.append(rows.num_rows)
    return pc.multiply(rows.column("v"), 2)

def picky(rows):
    if 13 in rows.column("v").to_pylist():
        raise ValueError("thirteen")
    return pc.multiply(rows.column("v"), 10)

def short(rows):
    return pa.array([1.0])

def scored(rows):
    return pa.StructArray.from_arrays(
        [pc.cast(rows.column("v"), pa.string()), pc.cast(rows.column("v"), pa.float64())], ["value", "score"])
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of prediction functions, on the path."""
    (tmp_path / "own_models.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_models"
    sys.modules.pop("own_models", None)


@pytest.fixture
def table(store: Store, functions: str) -> Store:
    """A store with a keyed table of ten rows."""
    store.load("t", [{"id": number, "v": number} for number in range(10)], key="id")
    return store


def column(store: Store, name: str) -> list[object]:
    return store.sql(f"SELECT {name} FROM predictions.t ORDER BY id").to_arrow()[name].to_pylist()


def test_a_function_predicts_a_column(table: Store) -> None:
    table.bind("twice", on="t", model="py:own_models:double", inputs=["v"])
    assert column(table, "twice") == [number * 2 for number in range(10)]
    assert column(table, "twice_score") == [None] * 10
    table.sql("UPDATE t SET v = 100 WHERE id = 3; DELETE FROM t WHERE id = 4")
    assert column(table, "twice") == [0, 2, 4, 200, 10, 12, 14, 16, 18]


def test_unchanged_inputs_are_not_predicted_twice(table: Store) -> None:
    table.bind("twice", on="t", model="py:own_models:double", inputs=["v"])
    calls: list[int] = sys.modules["own_models"].CALLS
    calls.clear()
    table.sql("UPDATE t SET v = v WHERE id < 5; UPDATE t SET v = 77 WHERE id = 8")
    assert sum(calls) == 1


def test_a_value_with_a_score(table: Store) -> None:
    table.bind("text", on="t", model="py:own_models:scored", inputs=["v"])
    assert column(table, "text")[:3] == ["0", "1", "2"]
    assert column(table, "text_score")[:3] == [0.0, 1.0, 2.0]


def test_several_bindings_on_one_table(table: Store) -> None:
    table.bind("twice", on="t", model="py:own_models:double", inputs=["v"])
    table.bind("text", on="t", model="py:own_models:scored", inputs=["v"])
    rows = table.sql("SELECT twice, text FROM predictions.t WHERE id = 3").rows()
    assert rows == [{"twice": 6, "text": "3"}]
    table.drop("twice")
    assert "twice" not in table.sql("FROM predictions.t").columns
    assert "text" in table.sql("FROM predictions.t").columns
    table.drop("text")
    with pytest.raises(NotFound):
        table.sql("FROM predictions.t")


@pytest.mark.parametrize(("policy", "value"), [("null", None), ("keep", 30)])
def test_a_row_that_fails_does_not_take_others_with_it(table: Store, policy: str, value: object) -> None:
    table.bind("ten", on="t", model="py:own_models:picky", inputs=["v"], on_error=policy)
    table.sql("UPDATE t SET v = 13 WHERE id = 3; UPDATE t SET v = 5 WHERE id = 0")
    assert column(table, "ten") == [50, 10, 20, value, 40, 50, 60, 70, 80, 90]
    assert column(table, "ten_status")[2:5] == ["ok", "error", "ok"]
    error = table.sql("SELECT error FROM predictions.t__ten WHERE status = 'error'").rows()
    assert "thirteen" in error[0]["error"]
    table.sql("UPDATE t SET v = 14 WHERE id = 3")
    assert column(table, "ten_status") == ["ok"] * 10


def test_on_error_fail_writes_nothing(table: Store) -> None:
    table.bind("ten", on="t", model="py:own_models:picky", inputs=["v"], on_error="fail")
    result = table.sql("UPDATE t SET v = 13 WHERE id = 3; UPDATE t SET v = 5 WHERE id = 0")
    assert "was not refreshed" in result.message and "thirteen" in result.message
    assert column(table, "ten")[0] == 0
    with pytest.raises(ModelError):
        table.refresh("ten")


def test_a_model_that_answers_with_too_few_rows(table: Store) -> None:
    with pytest.raises(ModelError, match="own_models:short"):
        table.bind("few", on="t", model="py:own_models:short", inputs=["v"], on_error="fail")


def test_an_asynchronous_binding_is_pending_until_refreshed(table: Store) -> None:
    table.bind("twice", on="t", model="py:own_models:double", inputs=["v"], mode="async")
    assert column(table, "twice_status") == ["pending"] * 10
    table.refresh("twice")
    assert column(table, "twice_status") == ["ok"] * 10
    table.sql("INSERT INTO t VALUES (50, 50)")
    assert column(table, "twice_status")[-1] == "pending"
    assert "twice" in table.stale().rows()[0]["name"]
    table.refresh()
    assert column(table, "twice")[-1] == 100


def test_a_small_batch_gives_the_same(table: Store) -> None:
    table.bind("twice", on="t", model="py:own_models:double", inputs=["v"], batch=3)
    assert column(table, "twice") == [number * 2 for number in range(10)]
    assert max(sys.modules["own_models"].CALLS) == 3


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"on": "tt"}, NotFound, "'t'"),
        ({"on": "loose"}, Unsupported, "no key"),
        ({"model": "py:own_models:doubel"}, NotFound, "double"),
        ({"model": "py:no_such_module:f"}, NotFound, "no_such_module"),
        ({"model": "onnx:model.onnx"}, NotFound, "model.onnx"),
        ({"model": "nothing"}, NotFound, "nothing"),
        ({"inputs": ["w"]}, NotFound, "'w'"),
        ({"on_error": "ignore"}, NotFound, "ignore"),
        ({"mode": "later"}, NotFound, "later"),
        ({"isolate": "container"}, Unsupported, "does not say which packages"),
        ({"isolate": "jail"}, NotFound, "'jail'"),
        ({"when": "every '1 parsec'"}, StatementError, "parsec"),
        ({"when": "drift(psi) > 0.2"}, Unsupported, "drift"),
        ({"column": "v"}, InvalidData, "column 'v' already"),
    ],
)
def test_bad_bindings_are_refused(
    table: Store, change: dict[str, object], error: type[Exception], said: str
) -> None:
    table.load("loose", [{"v": 1}])
    head = table._lake.head()
    arguments: dict[str, object] = {
        "column": "p",
        "on": "t",
        "model": "py:own_models:double",
        "inputs": ["v"],
    }
    arguments |= change
    with pytest.raises(error, match=said):
        table.bind(arguments.pop("column"), **arguments)  # type: ignore[arg-type]
    assert table._lake.head() == head


def test_the_table_may_get_a_column(table: Store) -> None:
    table.bind("twice", on="t", model="py:own_models:double", inputs=["v"])
    table.sql("ALTER TABLE t ADD COLUMN w INTEGER; UPDATE t SET w = 1 WHERE id = 1")
    assert column(table, "w")[:3] == [None, 1, None]
    assert column(table, "twice")[:3] == [0, 2, 4]


def test_the_same_binding_in_another_case_is_the_same(store: Store) -> None:
    rows = [{"id": number, "v": float(number), "late": number % 2 == 0} for number in range(40)]
    store.load("t", rows, key="id")
    store.train("Late", "select id, v, late from t", label="late", key="id", model="logistic")
    bound = store.bind("guess", on="t", model="Late@champion", inputs=["v"])
    head = store._lake.head()
    assert store.bind("Guess", on="T", model="late@champion", inputs=["V"]) == bound
    assert store._lake.head() == head


def test_a_view_of_predictions_tells_of_its_key_and_its_past(table: Store) -> None:
    table.bind("twice", on="t", model="py:own_models:double", inputs=["v"])
    table.bind("word", on="t", model="py:own_models:scored", inputs=["v"])
    table.append("t", [{"id": 10, "v": 10}])
    described = table.describe("predictions.t")
    assert described.facts["key"] == "id"
    assert described.facts["bound"] == "twice by py:own_models:double, word by py:own_models:scored"
    rows = table.history("predictions.t").rows()
    assert [row["snapshot"] for row in rows] == sorted((row["snapshot"] for row in rows), reverse=True)
    assert sum(row["inserts"] for row in rows) == 2 * 11
    # What a binding fills is no name to suggest.
    with pytest.raises(NotFound) as caught:
        table.describe("nothing")
    assert "t__" not in str(caught.value)
    with pytest.raises(NotFound, match="There is: t, twice, word"):
        table.drop("nothing")


def test_a_character_of_no_width_in_a_key_is_said(store: Store) -> None:
    store.load("t", [{"k": "a\0b", "v": 1}], key="k")
    with pytest.raises(InvalidData, match=r"character NUL in it.*\n.*replace\(column, chr\(0\)"):
        store.append("t", [{"k": "c\0d", "v": 1}])
    assert store.sql("select v from t").rows() == [{"v": 1}]
