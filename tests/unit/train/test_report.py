"""What is recorded of a new model, in a store: relations, `describe`, and the same commit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc
import pytest
from sklearn.metrics import confusion_matrix

import workbench
from workbench.lake.result import Result
from workbench.store import Store

ROWS = 3000

LOANS = f"""
CREATE TABLE loans AS
SELECT i AS id, CASE WHEN i % 9 > 0 THEN (i * 7919 % 1000)::DOUBLE END AS income,
       ['Bonn', 'Ulm', 'Rome', 'Oslo', NULL][1 + i % 5] AS city,
       {{'x': (i * 31 % 100)::DOUBLE, 'kind': ['a', 'b'][1 + i % 2]}} AS place,
       [(i * 13 % 50)::DOUBLE, (i * 17 % 60)::DOUBLE] AS vector,
       -- In Rome the label is a coin; elsewhere the income decides.
       CASE WHEN i % 5 = 2 THEN hash(i) % 2 = 0 ELSE i * 7919 % 1000 > 500 END AS late,
       (i * 7919 % 1000) / 100.0 + CASE WHEN i % 5 = 2 THEN hash(i) % 40 ELSE hash(i) % 2 END AS delay,
       ['low', 'mid', 'high'][1 + (i * 7919 % 1000 // 334)] AS level,
       i % 5 = 1 AS held_out
FROM range({ROWS}) AS r(i)
"""

FAST = {"n_estimators": 20, "max_depth": 3}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a binary, a multiclass and a regression model."""
    with workbench.connect(tmp_path_factory.mktemp("report") / "store") as store:
        store.sql(LOANS)
        features = "id, income, city, place, vector"
        for name, label in (("late", "late"), ("level", "level"), ("delay", "delay")):
            store.train(
                name,
                f"SELECT {features}, {label} FROM loans",
                label=label,
                key="id",
                model="xgboost",
                params=FAST,
            )
        yield store


def table(store: Store, name: str, model: str) -> list[dict]:
    return store.sql(f"SELECT * FROM mlstore.{name} WHERE model = '{model}' ORDER BY rowid").rows()


@pytest.mark.parametrize(
    ("model", "first", "metric"),
    [("late", "income", "auc"), ("level", "income", "accuracy"), ("delay", "city", "rmse")],
)
def test_every_feature_has_an_importance(store: Store, model: str, first: str, metric: str) -> None:
    rows = table(store, "importance", model)
    assert {row["feature"] for row in rows} == {"income", "city", "place", "vector"}
    assert rows[0]["feature"] == first and rows[0]["permutation"] > 0 and rows[0]["shap"] > 0
    assert [row["permutation"] for row in rows] == sorted((row["permutation"] for row in rows), reverse=True)
    assert {row["metric"] for row in rows} == {metric}
    assert {(row["version"], row["rows"]) for row in rows} == {(1, held_out(store, model))}


def held_out(store: Store, model: str) -> int:
    split = store.sql(f"SELECT split FROM mlstore.models WHERE name = '{model}'").rows()[0]["split"]
    return int(split.partition('"held_out": ')[2].rstrip("}"))


@pytest.mark.parametrize("model", ["late", "delay"])
def test_the_segment_made_bad_comes_first(store: Store, model: str) -> None:
    worst = table(store, "slices", model)[0]
    assert worst["segment"] == "\"city\" = 'Rome'"
    assert worst["low"] > 0 and worst["of_rows"] == held_out(store, model)
    if model == "late":
        assert worst["metric"] == "auc" and worst["value"] < 0.65 and worst["rest"] > 0.95
    else:
        assert worst["metric"] == "rmse" and worst["value"] > 5 * worst["rest"]


def test_a_segment_is_sql_over_the_training_query(store: Store) -> None:
    rows = table(store, "slices", "late")
    whole = store.sql(f"SELECT count(*) AS n FROM loans WHERE {rows[0]['segment']}").rows()[0]["n"]
    assert whole == ROWS // 5
    assert rows[0]["rows"] == pytest.approx(whole * rows[0]["of_rows"] / ROWS, rel=0.15)


@pytest.mark.parametrize("model", ["late", "level"])
def test_confusion_is_that_of_the_models_own_predictions(store: Store, model: str) -> None:
    rows = store.sql("SELECT * FROM loans ORDER BY id").to_arrow()
    rule = "md5_number_lower(coalesce(strlen(id::VARCHAR) || ':' || id::VARCHAR, '-')) % 1000000 < 200000"
    tested = store.sql(f"SELECT {rule} AS held FROM loans ORDER BY id").to_arrow()["held"]
    tested = rows.filter(tested)
    predicted = store.predict(f"{model}@1", tested)
    names, truth, found = (
        [str(each).lower() for each in values.to_pylist()]
        for values in (pc.unique(rows[model]), tested[model], predicted["value"])
    )
    expected = confusion_matrix(truth, found, labels=names)
    recorded = np.zeros((len(names), len(names)), int)
    for row in table(store, "confusion", model):
        recorded[names.index(row["actual"]), names.index(row["predicted"])] = row["rows"]
    assert recorded.tolist() == expected.tolist()


def test_curves_suit_the_task(store: Store) -> None:
    kinds = {
        model: {row["curve"] for row in table(store, "curves", model)} for model in ("late", "level", "delay")
    }
    assert kinds["late"] == kinds["level"] == {"roc", "precision_recall", "calibration"}
    assert kinds["delay"] == {"residuals"}
    assert table(store, "confusion", "delay") == []
    assert {row["series"] for row in table(store, "curves", "level") if row["curve"] == "roc"} == {
        "low",
        "mid",
        "high",
    }


def test_the_report_is_in_the_commit_of_the_model(store: Store) -> None:
    for name in ("importance", "slices", "confusion", "curves"):
        found = store.sql(
            f"SELECT DISTINCT r.snapshot_id = m.snapshot_id AS same FROM mlstore.{name} AS r "
            "JOIN mlstore.models AS m ON m.name = r.model AND m.version = r.version"
        ).rows()
        assert found == [{"same": True}]


def test_describe_shows_it(store: Store) -> None:
    described = store.describe("late")
    for title in ("Importance", "Worst slices", "Confusion matrix", "Calibration"):
        assert isinstance(described.tables[title], Result)
    assert described.tables["Importance"].rows()[0]["feature"] == "income"
    assert list(described.charts) == [
        "Importance",
        "Confusion matrix",
        "ROC",
        "Precision and recall",
        "Calibration",
    ]
    assert sum(row["share"] for row in described.tables["Confusion matrix"].rows()) == pytest.approx(2)
    regression = store.describe("delay")
    assert list(regression.charts) == ["Importance", "Residuals by predicted value"]
    assert "Confusion matrix" not in regression.tables


def test_a_held_out_side_of_one_class_is_reported_as_far_as_it_goes(store: Store) -> None:
    store.sql("CREATE TABLE one_sided AS SELECT * REPLACE (late AND NOT held_out AS late) FROM loans")
    store.train(
        "sided",
        "SELECT id, income, city, held_out, late FROM one_sided",
        label="late",
        key="id",
        features=["income", "city"],
        model="xgboost",
        params=FAST,
        split="column(held_out)",
    )
    assert {row["metric"] for row in table(store, "importance", "sided")} == {"accuracy"}
    assert {row["curve"] for row in table(store, "curves", "sided")} == {"calibration"}
    assert {row["actual"] for row in table(store, "confusion", "sided")} == {"false"}
    assert "ROC" not in store.describe("sided").charts


def test_raw_columns_make_the_segments_where_the_query_computes_features(store: Store) -> None:
    query = "SELECT id, standardize(income) AS income_z, one_hot(city) AS city_hot, late FROM loans"
    store.train("raw", query, label="late", key="id", model="logistic")
    assert {row["feature"] for row in table(store, "importance", "raw")} == {"income_z", "city_hot"}
    assert all(row["shap"] is None for row in table(store, "importance", "raw"))
    worst = table(store, "slices", "raw")[0]
    assert worst["segment"] == "\"city\" = 'Rome'"


def test_a_new_version_has_its_own_report(store: Store) -> None:
    store.train("late", "SELECT id, income, late FROM loans", label="late", key="id", model="baseline")
    assert [row["feature"] for row in store.describe("late@2").tables["Importance"].rows()] == ["income"]
    assert len(store.describe("late@1").tables["Importance"]) == 4


def test_a_model_from_before_there_were_reports_is_described_without(store: Store) -> None:
    with store._lake.commit("as an older version has it") as tx:
        for name in ("importance", "slices", "confusion", "curves"):
            tx.cursor.execute(f"DELETE FROM lake.mlstore.{name} WHERE model = 'level'")
    described = store.describe("level")
    assert list(described.tables) == ["Metrics on the held-out rows", "Features", "Versions"]
    assert described.charts == {}
