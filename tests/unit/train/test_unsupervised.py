"""Learning without a label, against scikit-learn by hand."""

from __future__ import annotations

import itertools
from typing import Any

import mlflow.pyfunc
import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from workbench.errors import InvalidData, NotFound, StatementError, Unsupported, WorkbenchError
from workbench.lake import Lake
from workbench.store import Store
from workbench.train import Training, registry, reproduce, train
from workbench.train.encoding import encode
from workbench.train.model import Model

NUMBERS = "SELECT id, speed, coalesce(distance, 250) AS distance, delay FROM flights"

_names = (f"groups{number}" for number in itertools.count())


def fit(lake: Lake, model: str, query: str = NUMBERS, name: str | None = None, **given: Any) -> Model:
    given = {"key": "id", "model": model, **given}
    return train(lake, Training.define(name or next(_names), query, **given))


def sides(lake: Lake, model: Model) -> tuple[pa.Table, pa.Table]:
    """Return the training and the held-out rows, in the order in which a training reads them."""
    held_out = model.held_out({"id": "id"})
    order = "ORDER BY hash(t)"
    return tuple(
        lake.cursor()
        .execute(f"SELECT * FROM ({model.query}) AS t WHERE {sign} ({held_out}) {order}")
        .to_arrow_table()
        for sign in ("NOT", "")
    )


def matrices(lake: Lake, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Scale both sides by the training rows, with scikit-learn alone."""
    learned, tested = (encode(rows, model.features) for rows in sides(lake, model))
    scaler = StandardScaler().fit(learned)
    return scaler.transform(learned), scaler.transform(tested)


def test_kmeans_gives_what_scikit_learn_gives(lake: Lake) -> None:
    model = fit(lake, "kmeans", params={"n_clusters": 3}, seed=4)
    assert (model.task, model.value_type, model.label) == ("clustering", "BIGINT", "")
    assert model.features.inputs == ("speed", "distance", "delay")
    learned, tested = matrices(lake, model)
    direct = KMeans(n_clusters=3, random_state=4).fit(learned)
    found = registry.load(lake, model).predict(sides(lake, model)[1])
    assert found["value"].type == pa.int64()
    assert found["value"].to_pylist() == direct.predict(tested).tolist()
    nearest = direct.transform(tested).min(axis=1)
    np.testing.assert_allclose(found["score"], nearest, rtol=1e-5)
    assert model.metrics["silhouette"]["value"] == pytest.approx(
        silhouette_score(tested, direct.predict(tested)), abs=1e-5
    )
    distortion = model.metrics["distortion"]
    assert distortion["value"] == pytest.approx((nearest**2).mean(), rel=1e-5)
    assert distortion["baseline"] == pytest.approx(
        ((tested - learned.mean(axis=0)) ** 2).sum(1).mean(), rel=1e-5
    )
    assert distortion["low"] < distortion["value"] < distortion["high"]


def test_the_groups_are_listed_as_slices(lake: Lake) -> None:
    model = fit(lake, "kmeans", params={"n_clusters": 3})
    rows = lake.records.rows("slices", "model = $name", {"name": model.name})
    assert sum(row["rows"] for row in rows) == model.split["held_out"]
    assert {row["segment"] for row in rows} == {"group 0", "group 1", "group 2"}
    values = [row["value"] for row in rows]
    assert values == sorted(values)


def test_isolation_forest_gives_what_scikit_learn_gives(lake: Lake) -> None:
    model = fit(lake, "isolation_forest", params={"contamination": 0.1})
    assert (model.task, model.value_type) == ("anomaly", "BOOLEAN")
    learned, tested = (encode(rows, model.features) for rows in sides(lake, model))
    direct = IsolationForest(contamination=0.1, random_state=0).fit(learned)
    found = registry.load(lake, model).predict(sides(lake, model)[1])
    assert found["value"].to_pylist() == (direct.predict(tested) == -1).tolist()
    np.testing.assert_allclose(found["score"], -direct.score_samples(tested), rtol=1e-6)
    flagged = model.metrics["flagged"]
    assert flagged["value"] == pytest.approx((direct.predict(tested) == -1).mean())
    assert flagged["baseline"] == pytest.approx(0.1, abs=0.01)
    curve = lake.records.rows("curves", "model = $name", {"name": model.name})
    assert (curve[0]["y"], curve[-1]["y"]) == (
        min(found["score"].to_pylist()),
        max(found["score"].to_pylist()),
    )


def test_pca_gives_what_scikit_learn_gives(lake: Lake) -> None:
    model = fit(lake, "pca", params={"n_components": 2})
    assert (model.task, model.value_type) == ("components", "DOUBLE[]")
    learned, tested = matrices(lake, model)
    direct = PCA(n_components=2, random_state=0).fit(learned)
    found = registry.load(lake, model).predict(sides(lake, model)[1])
    np.testing.assert_allclose(np.array(found["value"].to_pylist()), direct.transform(tested), atol=1e-4)
    again = direct.inverse_transform(direct.transform(tested))
    np.testing.assert_allclose(found["score"], ((tested - again) ** 2).mean(axis=1), atol=1e-4)
    share = 1 - ((tested - again) ** 2).sum() / ((tested - direct.mean_) ** 2).sum()
    assert model.metrics["explained_variance"]["value"] == pytest.approx(share, abs=1e-5)
    curve = lake.records.rows("curves", "model = $name", {"name": model.name})
    np.testing.assert_allclose(
        [row["y"] for row in curve], direct.explained_variance_ratio_.cumsum(), atol=1e-5
    )


@pytest.mark.parametrize(
    ("path", "task", "params"),
    [
        ("sklearn.cluster.MiniBatchKMeans", "clustering", {"n_clusters": 3}),
        ("sklearn.mixture.GaussianMixture", "clustering", {"n_components": 3}),
        ("sklearn.covariance.EllipticEnvelope", "anomaly", {}),
        ("sklearn.decomposition.FastICA", "components", {}),
    ],
)
def test_others_go_by_their_path(lake: Lake, path: str, task: str, params: dict[str, Any]) -> None:
    model = fit(lake, path, params=params)
    assert model.task == task
    assert model.metrics[model.metric]["value"] is not None


def test_texts_and_gaps_are_prepared(lake: Lake) -> None:
    model = fit(lake, "kmeans", "SELECT id, speed, distance, carrier, day, weekend FROM flights")
    found = registry.load(lake, model).predict(sides(lake, model)[1])
    assert found["score"].null_count == 0
    assert model.metrics["distortion"]["value"] < model.metrics["distortion"]["baseline"]


@pytest.mark.parametrize("algorithm", ["kmeans", "isolation_forest", "pca"])
def test_no_rows_give_no_predictions_of_the_right_type(lake: Lake, algorithm: str) -> None:
    fitted = registry.load(lake, fit(lake, algorithm, name=f"empty_{algorithm}"))
    rows = lake.cursor().execute(f"SELECT * FROM ({NUMBERS}) LIMIT 1").to_arrow_table()
    none, one = fitted.predict(rows.slice(0, 0)), fitted.predict(rows)
    assert (len(none), none.schema) == (0, one.schema)


@pytest.mark.parametrize("algorithm", ["kmeans", "isolation_forest", "pca"])
def test_plain_mlflow_predicts_the_same(lake: Lake, algorithm: str) -> None:
    model = fit(lake, algorithm, name=f"plain_{algorithm}")
    tested = sides(lake, model)[1]
    loaded = mlflow.pyfunc.load_model(str(lake.folder / model.model_uri))
    theirs = np.asarray(loaded.predict(tested.to_pandas()))
    ours = registry.load(lake, model).predict(tested)["value"].to_pylist()
    np.testing.assert_allclose(theirs, np.array(ours), atol=1e-5)


@pytest.mark.parametrize("algorithm", ["kmeans", "isolation_forest", "pca"])
def test_it_is_reproduced(lake: Lake, algorithm: str) -> None:
    model = fit(lake, algorithm, name=f"again_{algorithm}")
    assert "was reproduced exactly" in reproduce(lake, model.ref).message


def test_built_in_functions_learn_from_training_rows_alone(lake: Lake) -> None:
    query = "SELECT id, standardize(speed) AS speed, impute(distance, 'median') AS distance FROM flights"
    model = fit(lake, "kmeans", query)
    assert model.preparation is not None
    assert model.raw_inputs == ("speed", "distance")
    learned, _ = sides_of_raw(lake, model)
    mean = np.mean(learned["speed"].to_numpy())
    assert f"{mean:.6f}"[:6] in model.preparation.columns["speed"]


def sides_of_raw(lake: Lake, model: Model) -> tuple[pa.Table, pa.Table]:
    held_out = model.held_out({"id": "id"})
    return tuple(
        lake.cursor().execute(f"SELECT * FROM flights WHERE {sign} ({held_out})").to_arrow_table()
        for sign in ("NOT", "")
    )


def test_the_gate_compares_with_the_champion(lake: Lake) -> None:
    fit(lake, "kmeans", name="gated", params={"n_clusters": 6})
    worse = fit(
        lake,
        "kmeans",
        name="gated",
        params={"n_clusters": 2},
        deploy="distortion <= champion",
        metric="distortion",
    )
    assert not worse.deployed
    assert "distortion" in worse.reason
    better = fit(lake, "kmeans", name="gated", params={"n_clusters": 9}, deploy="distortion <= champion")
    assert better.deployed


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"model": "kmeans", "label": "delay"}, InvalidData, "without a label"),
        ({"model": "kmeans", "params": {"n_cluster": 3}}, NotFound, "n_clusters"),
        ({"model": "kmeans", "tune": 5}, Unsupported, "nothing to search"),
        ({"model": "kmeans", "metric": "auc"}, NotFound, "auc"),
        ({"model": "kmeans", "deploy": "auc > 0.5"}, NotFound, "auc"),
        ({"model": "xgboost"}, StatementError, "no label"),
        ({"model": "sklearn.cluster.DBSCAN"}, Unsupported, "is not an estimator"),
        ({"model": "pca", "weight": "delay"}, Unsupported, "takes no weights"),
    ],
)
def test_what_does_not_go_together(
    lake: Lake, given: dict[str, Any], error: type[WorkbenchError], said: str
) -> None:
    with pytest.raises(error, match=said):
        fit(lake, **given)


def test_more_groups_than_rows_are_refused(lake: Lake) -> None:
    with pytest.raises(WorkbenchError, match="n_clusters"):
        fit(lake, "kmeans", f"{NUMBERS} WHERE id < 30", params={"n_clusters": 500})


def test_groups_beside_the_rows(store: Store) -> None:
    """From the statement to the column and back: trained, bound, read with SQL, followed on write."""
    store.load(
        "points",
        store.sql("SELECT i AS id, (i % 3) * 10.0 + i % 2 AS x, i % 5 AS y FROM range(300) AS t(i)"),
        key="id",
    )
    store.execute("train groups KEY (id) MODEL kmeans PARAMS {n_clusters: 3} AS SELECT id, x FROM points")
    store.execute("train axes KEY (id) MODEL pca AS SELECT id, x, y FROM points")
    store.execute("bind grp ON points MODEL groups")
    store.execute("bind axis ON points MODEL axes")
    store.sql("INSERT INTO points VALUES (900, 20.5, 1)")
    rows = store.sql(
        "SELECT count(DISTINCT grp) AS groups, count(*) FILTER (len(axis) = 2) AS axes "
        "FROM predictions.points"
    ).to_arrow()
    assert rows.to_pylist() == [{"groups": 3, "axes": 301}]
    one = store.sql(
        "SELECT predict(axes, t.*) AS p, predict(groups, t.*) AS g FROM points AS t WHERE id = 900"
    )
    assert len(one.to_arrow()["p"][0]) == 2
    described = store.describe("groups")
    assert "label" not in described.facts
    assert "Worst slices" in described.tables
    assert "Explained variance" in store.describe("axes").charts
