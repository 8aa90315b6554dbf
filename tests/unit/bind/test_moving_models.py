"""A new champion makes predictions stale; versions stand side by side; skewed inputs are told."""

from __future__ import annotations

from tests.unit.bind.bound import bind, column
from workbench.store import Store
from workbench.train import Model

QUERY = "SELECT * FROM trip_features"


def retrain(store: Store, trees: int) -> Model:
    return store.train("slow", QUERY, label="slow", key="id", model="xgboost", params={"n_estimators": trees})


def causes(store: Store, name: str) -> dict[str, int]:
    return {row["why"]: row["rows"] for row in store.stale(name).rows()}


def test_a_new_champion_is_followed_in_parts(trained: Store) -> None:
    trained.bind("by_hand", on="trip_features", model="slow", when="manual")
    assert retrain(trained, 3).version == 2
    assert set(column(trained, "slow_prediction_model", "trip_features")) == {"slow@2"}
    assert set(column(trained, "by_hand_model", "trip_features")) == {"slow@1"}
    assert causes(trained, "by_hand") == {"the model moved from slow@1 to slow@2": 400}
    [run] = trained.refresh("by_hand", limit=150)
    assert (run.mode, run.reason) == ("full", "the model moved from slow@1 to slow@2")
    models = column(trained, "by_hand_model", "trip_features")
    assert (models.count("slow@1"), models.count("slow@2")) == (250, 150)
    assert causes(trained, "by_hand") == {"the model moved from slow@1 to slow@2": 250}
    trained.rollback("slow")
    assert causes(trained, "by_hand") == {"the model moved from slow@2 to slow@1": 150}
    trained.refresh("by_hand")
    assert set(column(trained, "by_hand_model", "trip_features")) == {"slow@1"}


def test_two_versions_in_one_query(trained: Store) -> None:
    retrain(trained, 2)
    rows = trained.sql(
        "SELECT predict(slow, t.*) AS now, predict(slow@1, t.*) AS before, predict_proba(slow@2, t.*) AS p, "
        "v.slow_prediction AS kept, v.slow_prediction_score AS score FROM trip_features AS t "
        "JOIN predictions.trip_features AS v USING (id)"
    ).rows()
    assert all(row["now"] == row["kept"] == (row["p"] > 0.5) and row["p"] == row["score"] for row in rows)
    first = trained.sql("SELECT predict_proba(slow@1, t.*) AS p FROM trip_features AS t ORDER BY id").rows()
    second = trained.sql("SELECT predict_proba(slow@2, t.*) AS p FROM trip_features AS t ORDER BY id").rows()
    assert first != second


def test_a_binding_whose_inputs_moved_on_is_skewed(trained: Store) -> None:
    assert causes(trained, "slow_prediction") == {}
    trained.transform(
        "trip_features",
        "SELECT id, slow, distance * 2 AS distance, passengers, zone, {'sin': 0.0, 'cos': 1.0} AS hour FROM ("
        "SELECT t.id, t.slow, standardize(t.distance) AS distance, "
        "impute(t.passengers, 'median') AS passengers, one_hot(t.zone) AS zone FROM trips AS t)",
        on="trips",
        key="id",
        when="on write",
    )
    whys = [row["why"] for row in trained.stale("slow_prediction").rows()]
    assert "skewed: slow@1 was trained on version 1 of features.trip_features, now 2" in whys


def test_a_share_of_changed_rows_makes_it_due(table: Store) -> None:
    bind(table, when="changed >= 30% OF (v)")
    table.sql("UPDATE t SET v = 100 WHERE id = 0")
    assert column(table, "p")[0] == 0
    due = table.describe("p").facts["due"]
    assert due.startswith("no: 1 of 10 rows changed in v")
    table.sql("UPDATE t SET v = 100 WHERE id IN (1, 2)")
    assert column(table, "p")[:3] == [200, 200, 200]


def test_one_after_another(table: Store) -> None:
    table.transform("f", "SELECT id, v FROM t", key="id", when="manual")
    bind(table, on="f", when="after f")
    table.sql("UPDATE t SET v = 100 WHERE id = 0")
    assert column(table, "p", "f")[0] == 0
    table.refresh("f")
    assert column(table, "p", "f")[0] == 200
