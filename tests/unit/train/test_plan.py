"""The plan of PREPARE auto: what it makes of columns, what it leaves out, and that it can be pasted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench
from workbench.store import Store
from workbench.train.plan import Column, make_plan


def column(name: str, kind: str = "DOUBLE", **known: Any) -> Column:
    facts = {"rows": 5000, "present": 5000, "distinct": 900, "words": 1.0, "alone": 0.1} | known
    return Column(name, kind, **facts)


def test_trees_get_columns_as_they_are() -> None:
    assert make_plan([column("x"), column("c", "VARCHAR"), column("b", "BOOLEAN")], "nothing", "y") is None
    plan = make_plan([column("x"), column("at", "TIMESTAMP")], "nothing", "y")
    assert plan is not None
    assert plan.features == {"x": '"x"', "at": '"at"', "at_parts": 'date_parts("at")'}


def test_lines_get_numbers_of_one_scale_without_gaps() -> None:
    columns = [
        column("x"),
        column("few", "VARCHAR", distinct=4),
        column("many", "VARCHAR", distinct=400),
        column("day", "DATE"),
        column("said", "VARCHAR", distinct=4000, words=7.5),
    ]
    plan = make_plan(columns, "scaled", "y")
    assert plan is not None
    assert plan.features == {
        "x": "standardize(impute(\"x\", 'median'))",
        "few": 'one_hot("few", 100)',
        "many": 'target_encode("many", y)',
        "day": "standardize(impute(epoch(\"day\"), 'median'))",
        "day_dow": "cyclical(\"day\", 'dow')",
        "day_doy": "cyclical(\"day\", 'doy')",
        "said": 'tfidf("said", 100)',
    }
    complete = make_plan(columns[:3], "complete", None)
    assert complete is not None
    assert list(complete.features.values()) == [
        "impute(\"x\", 'median')",
        'one_hot("few", 100)',
        'one_hot("many", 100)',
    ]


def test_identifiers_and_leaks_are_left_out_and_said() -> None:
    columns = [
        column("x"),
        column("user_id", "BIGINT", distinct=4990),
        column("hash", "VARCHAR", distinct=5000),
        column("price", "BIGINT", distinct=5000),
        column("paid", "BOOLEAN", alone=1.0),
    ]
    plan = make_plan(columns, "nothing", "y")
    assert plan is not None
    assert list(plan.features) == ["x", "price"]
    assert [note.split(" is ")[0] for note in plan.notes] == ["user_id", "hash", "paid"]
    asked = make_plan(columns, "nothing", "y", named=True)
    assert asked is None
    few = [column("x", alone=1.0, rows=200)]
    assert make_plan(few, "nothing", "y") is None


def test_nothing_is_planned_where_nothing_would_be_left() -> None:
    assert make_plan([column("paid", alone=1.0)], "nothing", "y") is None


@pytest.fixture
def sales(tmp_path: Path) -> Iterator[Store]:
    store = workbench.connect(tmp_path / "store")
    store.sql(
        "CREATE TABLE made AS SELECT i AS n, i + 7000 AS order_id, (hash(i) % 1000) / 10.0 AS price, "
        "['red', 'blue', 'green'][i % 3 + 1] AS colour, DATE '2024-01-01' + (i % 300)::INT AS day, "
        "hash(i) % 1000 + (hash(i + 9) % 400) > 700 AS returned, "
        "CASE WHEN hash(i) % 1000 + (hash(i + 9) % 400) > 700 THEN 'refund' ELSE 'none' END AS outcome "
        "FROM range(4000) r(i)"
    )
    store.load("sales", store.table("made"), key="n")
    yield store
    store.close()


def test_what_gives_the_label_away_is_left_out_of_a_training(sales: Store) -> None:
    model = sales.train("back", "SELECT * FROM sales", label="returned", key="n", model="xgboost")
    assert "outcome" not in model.features.inputs
    assert "order_id" not in model.features.inputs
    assert "outcome is left out: alone it tells the label nearly perfectly" in model.reason
    assert "order_id is left out" in model.reason
    assert 0.6 < model.metrics["auc"]["value"] < 0.999
    given = sales.train(
        "asked", "SELECT * FROM sales", label="returned", key="n", features=["outcome", "price"]
    )
    assert given.metrics["auc"]["value"] > 0.999


@pytest.mark.parametrize("algorithm", ["xgboost", "logistic", "random_forest"])
def test_the_plan_pasted_gives_the_same_model(sales: Store, algorithm: str) -> None:
    query = "SELECT n, price, colour, day, returned FROM sales"
    asked = sales.train("auto", query, label="returned", key="n", model=algorithm)
    assert asked.prepared_as
    described = sales.describe("auto").facts["prepared as"]
    pasted = sales.train("pasted", described, label="returned", key="n", model=algorithm, prepare="none")
    assert pasted.features.inputs == asked.features.inputs
    assert pasted.metrics["auc"]["value"] == pytest.approx(asked.metrics["auc"]["value"], abs=1e-6)
    assert sales.describe("auto").tables["Features"].rows()[0]["made by"]


def test_a_plan_takes_no_name_that_a_column_has() -> None:
    columns = [column("at", "TIMESTAMP"), column("at_parts"), column("AT_parts_2")]
    found = make_plan(columns, "nothing", "y", kept=["y", "at_parts_3"])
    assert found is not None
    assert list(found.features) == ["at", "at_parts_4", "at_parts", "AT_parts_2"]


def test_a_feature_that_divides_the_rows_is_not_planned(sales: Store) -> None:
    """The split looks at its values, which a plan would change; the model's own pipeline prepares it."""
    model = sales.train(
        "back",
        "SELECT * FROM sales",
        label="returned",
        features=["colour", "price"],
        split="hash(colour)",
        holdout=0.4,
        model="logistic",
    )
    assert model.prepared_as == ""
    assert model.features.inputs == ("colour", "price")
