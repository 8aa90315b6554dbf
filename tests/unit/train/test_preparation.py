"""Built-in functions in training queries: fitted on training rows alone, and applied to raw rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import workbench
from workbench.errors import InvalidData, StatementError, Unsupported
from workbench.store import Store
from workbench.train import registry

QUERY = """
SELECT t.id, standardize(impute(t.fare, 'median')) AS fare, one_hot(t.city, 3, 1, 'other') AS city,
       target_encode(t.driver, t.tip) AS driver, t.miles, tip
FROM trips AS t WHERE t.miles > 0
"""


@pytest.fixture
def trips(tmp_path: Path) -> Iterator[Store]:
    store = workbench.connect(tmp_path / "store")
    store.sql(
        "CREATE TABLE made AS SELECT i AS id, nullif((hash(i) % 500) / 10.0, 7) AS fare, "
        "['Ulm', 'Bonn', 'Jena', 'Trier', NULL][(i * 7) % 5 + 1] AS city, 'd' || (i % 40) AS driver, "
        "(hash(i + 1) % 100)::DOUBLE AS miles, (i % 40) + (hash(i + 3) % 100) / 50.0 AS tip "
        "FROM range(1200) r(i)"
    )
    store.load("trips", store.table("made"), key="id")
    yield store
    store.close()


def held_out(store: Store) -> str:
    rule = "md5_number_lower(coalesce(strlen(id::VARCHAR) || ':' || id::VARCHAR, '-')) % 1000000 < 200000"
    assert store.sql(f"SELECT count(*) AS n FROM trips WHERE {rule}").rows()[0]["n"] in range(180, 300)
    return rule


def test_nothing_is_fitted_on_the_holdout(trips: Store) -> None:
    """Change the held-out rows beyond recognition: what was fitted stays to the last digit."""
    first = trips.train("tips", QUERY, label="tip", key="id", model="ridge")
    rule = held_out(trips)
    trips.sql(f"UPDATE trips SET fare = 1e6, city = 'Nowhere', driver = 'd1', tip = -1e6 WHERE {rule}")
    second = trips.train("tips", QUERY, label="tip", key="id", model="ridge")
    assert second.version == 2
    assert second.preparation == first.preparation
    assert first.preparation is not None
    mean = trips.sql(f"SELECT median(fare) AS m FROM trips WHERE miles > 0 AND NOT ({rule})").rows()[0]["m"]
    assert f"{float(mean)!r}" in first.preparation.columns["fare"]


def test_raw_rows_are_prepared_the_same_when_predicting(trips: Store) -> None:
    model = trips.train("tips", QUERY, label="tip", key="id", model="xgboost")
    assert set(model.raw_inputs) == {"fare", "city", "driver", "miles"}
    assert set(model.features.inputs) == {"fare", "city", "driver", "miles"}
    trips.bind("tip_guess", on="trips", model="tips")
    bound = trips.sql("SELECT id, tip_guess FROM predictions.trips WHERE miles > 0 ORDER BY id").to_arrow()
    rows = trips.sql("SELECT * FROM trips WHERE miles > 0 ORDER BY id").to_arrow()
    fitted = registry.load(trips._lake, model)
    by_hand = fitted.predict(rows)["value"].to_pylist()
    assert bound["tip_guess"].to_pylist() == by_hand
    inline = trips.sql(
        "SELECT predict(tips, t.*) AS p FROM trips AS t WHERE miles > 0 ORDER BY id"
    ).to_arrow()["p"]
    assert inline.to_pylist() == pytest.approx(by_hand)
    errors = np.array(by_hand) - rows["tip"].to_numpy()
    assert np.sqrt((errors**2).mean()) < np.std(rows["tip"].to_numpy()) / 3
    one = trips.predict("tips", [{"fare": None, "city": "?", "driver": "never", "miles": 3.0}])
    assert one.num_rows == 1


def test_a_training_row_does_not_see_its_own_target(trips: Store) -> None:
    """A driver for each row: its own tip must not come back as its encoding."""
    trips.sql("UPDATE trips SET driver = 'd' || id")
    query = "SELECT id, target_encode(driver, tip, id, 0) AS driver, tip FROM trips"
    model = trips.train("leak", query, label="tip", key="id", model="linear")
    assert model.metrics["rmse"]["value"] == pytest.approx(model.metrics["rmse"]["baseline"], rel=0.1)


def test_retraining_fits_anew_and_the_gate_starts_from_raw_rows(trips: Store) -> None:
    first = trips.train("tips", QUERY, label="tip", key="id", model="ridge", deploy="rmse <= champion")
    trips.sql("UPDATE trips SET fare = fare * 1000")
    runs = trips.refresh("tips")
    second = registry.get(trips._lake, "tips@2")
    assert runs[-1].details["model"] == "tips@2"
    assert second.preparation != first.preparation
    assert "cannot be scored" not in second.reason
    assert first.ref in second.reason


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ("SELECT id, f, tip FROM (SELECT id, min_max(fare) AS f, tip FROM trips)", Unsupported, "outermost"),
        ("SELECT id, fare, tip FROM trips WHERE min_max(fare) > 0", Unsupported, "outermost"),
        ("SELECT id, min_max(fare) AS f, tip FROM trips LIMIT 50", Unsupported, "cuts off"),
        (
            "SELECT id, rolling(fare, 'sum', city, DATE '2024-01-01', 3) AS f, tip FROM trips",
            Unsupported,
            "one row",
        ),
        ("FROM trips SELECT id, min_max(fare) AS f, tip", StatementError, "SELECT … FROM"),
        ("SELECT id, min_max(city) AS f, tip FROM trips", InvalidData, "convert"),
        (
            "SELECT a.id, min_max(a.fare) AS f, b.fare AS g, a.tip FROM trips a JOIN trips b USING (id)",
            Unsupported,
            "'fare'",
        ),
        ("SELECT * REPLACE (fare * 2 AS fare), min_max(miles) AS m FROM trips", Unsupported, "REPLACE"),
        ("SELECT * RENAME (fare AS f), min_max(miles) AS m FROM trips", Unsupported, "RENAME"),
        ("SELECT COLUMNS('fare|tip|id'), min_max(miles) AS m FROM trips", Unsupported, "COLUMNS"),
        ("SELECT * LIKE '%i%', min_max(fare) AS f FROM trips", Unsupported, "LIKE"),
        ("SELECT id, min_max(s.a) AS f, tip FROM (SELECT *, {a: fare} AS s FROM trips)", Unsupported, "part"),
        ("SELECT id, fare + 1, min_max(fare) AS f, tip FROM trips", StatementError, "no name"),
        ("SELECT *, min_max(fare) AS fare FROM trips", StatementError, "two columns called 'fare'"),
        ("SELECT id, fare * 2 AS f, min_max(f) AS g, tip FROM trips", Unsupported, "same SELECT"),
        ("SELECT id, min_max(fare) AS f, min_max(tip) AS tip FROM trips", Unsupported, "'tip' is fitted"),
        (
            "WITH q AS (SELECT * FROM trips) FROM q SELECT id, min_max(fare) AS f, tip",
            StatementError,
            "SELECT … FROM",
        ),
    ],
)
def test_what_cannot_be_prepared_is_refused(
    trips: Store, query: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        trips.train("bad", query, label="tip", key="id", model="ridge")
    assert trips.models().rows() == []


@pytest.mark.parametrize(
    "query",
    [
        'SELECT id, min_max(Fare) AS f, fare * 2 AS g, "FARE" + 1 AS h, tip FROM trips',
        "SELECT id, min_max(main.trips.fare) AS f, trips.fare * 2 AS g, fare + 1 AS h, tip FROM trips",
        "SELECT t.* EXCLUDE (city, driver, miles), min_max(fare) AS f, fare AS g FROM trips AS t",
        "SELECT id, min_max(a.fare) AS f, b.miles AS g, a.tip FROM trips a JOIN trips b USING (id)",
    ],
)
def test_a_column_may_be_written_in_several_ways(trips: Store, query: str) -> None:
    model = trips.train("tips", query, label="tip", key="id", model="ridge")
    rows = trips.sql("SELECT * FROM trips ORDER BY id").to_arrow()
    scaled = trips.sql(f"SELECT * FROM ({model.preparation.sql.replace('mlstore_raw', 'trips')})")  # type: ignore[union-attr]
    assert scaled.to_arrow().num_rows == rows.num_rows
    predictor = registry.load(trips._lake, model)
    shuffled = rows.select(rows.column_names[::-1])
    assert predictor.predict(rows)["value"].equals(predictor.predict(shuffled)["value"])


def test_a_label_may_use_the_name_of_another_column(trips: Store) -> None:
    """The label is computed beside what is fitted, from an alias of the same SELECT."""
    query = "SELECT id, tip * 2 AS twice, twice + 1 AS goal, min_max(fare) AS f FROM trips"
    model = trips.train("tips", query, label="goal", key="id", features=["f"], model="ridge")
    assert model.preparation is not None
    assert model.preparation.inputs == ("fare",)


def test_a_column_called_as_an_alias_does_not_stand_for_the_row(trips: Store) -> None:
    """All rows have the same t; hashed alone it would make them one."""
    query = "SELECT id, 1 AS t, fare, miles, tip FROM trips"
    first = trips.train("tips", query, label="tip", key="id", model="ridge")
    trips.sql("UPDATE trips SET tip = tip + 1000 WHERE id = 5")
    assert trips.train("tips", query, label="tip", key="id", model="ridge").digest != first.digest


def test_fractions_are_refused_where_whole_numbers_were_learnt(trips: Store, tmp_path: Path) -> None:
    import mlflow
    import pandas as pd

    query = "SELECT id, min_max(n) AS n, tip FROM (SELECT *, (id % 50)::INTEGER AS n FROM trips)"
    model = trips.train("tips", query, label="tip", key="id", model="ridge")
    portable = mlflow.pyfunc.load_model(str(trips.folder / model.model_uri))
    assert len(portable.predict(pd.DataFrame({"n": [1.0, 2.0]}))) == 2
    with pytest.raises(Exception, match="'n' holds fractions"):
        portable.predict(pd.DataFrame({"n": [1.5, 2.0]}))


def test_rows_must_be_divided_by_something(trips: Store) -> None:
    with pytest.raises(InvalidData, match="by which its rows can be divided"):
        trips.train("bad", "SELECT min_max(fare) AS f, tip FROM trips", label="tip", model="ridge")
    by_time = trips.train(
        "timed", "SELECT min_max(fare) AS f, id, tip FROM trips", label="tip", split="time(id)", model="ridge"
    )
    assert by_time.preparation is not None
    assert by_time.preparation.inputs == ("fare",)


def test_plain_mlflow_predicts_from_raw_rows_what_the_store_does(trips: Store, tmp_path: Path) -> None:
    """Row by row, also for NULL, NaN and unseen values, in a process without this package."""
    trips.sql("ALTER TABLE trips ADD COLUMN started TIMESTAMP; ALTER TABLE trips ADD COLUMN hot BOOLEAN")
    trips.sql("UPDATE trips SET started = TIMESTAMP '2024-01-01' + to_hours(id::INT), hot = id % 3 = 0")
    mixed = QUERY.replace(
        "t.miles,", "t.miles, t.started, t.hot, t.city AS raw_city, cyclical(t.started, 'hour') AS h,"
    )
    label = "SELECT * REPLACE (CASE WHEN tip > 20 THEN 'high' ELSE 'low' END AS tip) FROM trips"
    trips.query("labelled", label)
    kinds = mixed.replace("FROM trips", "FROM labelled").replace(
        "t.driver, t.tip", "t.driver, t.tip = 'high'"
    )
    models = [
        trips.train("tips", mixed, label="tip", key="id", model="xgboost"),
        trips.train("lines", mixed, label="tip", key="id", model="ridge"),
        trips.train("kinds", kinds, label="tip", key="id", model="logistic"),
    ]
    rows = trips.sql(
        "SELECT * FROM trips UNION ALL BY NAME "
        "SELECT NULL AS id, 'NaN'::DOUBLE AS fare, '' AS city, 'new' AS driver"
    ).to_arrow()
    pq.write_table(rows, tmp_path / "rows.parquet")
    program = """
import json, sys, mlflow, pandas
rows = pandas.read_parquet(sys.argv[1])
out = [mlflow.pyfunc.load_model(path).predict(rows).tolist() for path in sys.argv[2:]]
assert not any(name.startswith("workbench") for name in sys.modules)
print(json.dumps(out))
"""
    paths = [str(trips.folder / model.model_uri) for model in models]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "rows.parquet"), *paths],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert done.returncode == 0, done.stderr
    for model, found in zip(models, json.loads(done.stdout.splitlines()[-1]), strict=True):
        wanted = registry.load(trips._lake, model).predict(rows)["value"].to_pylist()
        assert len(found) == len(wanted) == rows.num_rows
        assert found == (wanted if model.name == "kinds" else pytest.approx(wanted, rel=1e-6))
