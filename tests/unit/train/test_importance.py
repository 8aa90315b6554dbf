"""Importances against scikit-learn's permutation_importance and XGBoost's own contributions."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import xgboost
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression

from workbench.train import importance as room
from workbench.train.dataset import FeatureSpec, describe
from workbench.train.encoding import encode
from workbench.train.importance import Importance, column_groups, importance, shap_values
from workbench.train.scoring import Fitted

ROWS = 2000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS, 2))
    return pa.table(
        {
            "strong": pa.array(rng.normal(size=ROWS), mask=rng.random(ROWS) < 0.1),
            "list": pa.array(numbers.tolist()),
            "weak": rng.normal(size=ROWS),
            "city": rng.choice(["Bonn", "Rome", "Ulm"], ROWS),
            "noise": rng.normal(size=ROWS),
            "place": pa.array([{"x": x, "y": y} for x, y in rng.normal(size=(ROWS, 2)).tolist()]),
        }
    )


@pytest.fixture(scope="module")
def spec(table: pa.Table) -> FeatureSpec:
    with duckdb.connect() as connection:
        connection.register("given", table)
        return describe(table.schema, "given", lambda sql: connection.execute(sql).fetchall())


@pytest.fixture(scope="module")
def matrix(table: pa.Table, spec: FeatureSpec) -> np.ndarray:
    return encode(table, spec)


@pytest.fixture(scope="module")
def margin(table: pa.Table) -> np.ndarray:
    strong = np.nan_to_num(table["strong"].to_numpy(), nan=0.5)
    lists = np.array(table["list"].to_pylist())
    ulm = np.array(table["city"].to_pylist()) == "Ulm"
    return 2 * strong + lists[:, 0] - lists[:, 1] + 0.3 * table["weak"].to_numpy() + 0.8 * ulm


def fitted(estimator, task: str, spec: FeatureSpec, matrix: np.ndarray, truth: np.ndarray) -> Fitted:
    estimator.fit(matrix, truth)
    if hasattr(estimator, "get_booster"):
        estimator.get_booster().feature_names = list(spec.names)
    classes = () if task == "regression" else tuple(str(each) for each in np.unique(truth))
    return Fitted("m", task, spec, classes, estimator)  # type: ignore[arg-type]


def by_sklearn(model: Fitted, matrix: np.ndarray, truth: np.ndarray, scoring: str) -> np.ndarray:
    """Permute all columns of a feature together: scikit-learn permutes those of a data frame one by one."""
    import pandas as pd

    groups = column_groups(model.features)
    rows = pd.DataFrame({name: range(len(matrix)) for name in model.features.inputs})

    class ByRow(type(model.estimator)):  # type: ignore[misc]
        """Takes the number of the row that each feature is to be taken from."""

        def _matrix(self, places):
            taken = [matrix[places.iloc[:, i].to_numpy(), group] for i, group in enumerate(groups)]
            return np.column_stack(taken)

        def predict(self, places):
            return super().predict(self._matrix(places))

        def predict_proba(self, places):
            return super().predict_proba(self._matrix(places))

    estimator = model.estimator
    before = estimator.__class__
    estimator.__class__ = ByRow
    try:
        found = permutation_importance(estimator, rows, truth, scoring=scoring, n_repeats=10, random_state=1)
    finally:
        estimator.__class__ = before
    return found.importances_mean


def measured(model: Fitted, matrix: np.ndarray, truth: np.ndarray, metric: str, **more) -> Importance:
    return importance(model, matrix, truth, metric, **{"seed": 0, "trained": ROWS, **more})


def check(found: Importance, expected: np.ndarray) -> None:
    assert not found.note and found.rows == ROWS
    error = 4 * found.deviation + 0.02 * np.abs(expected).max()
    assert (np.abs(found.permutation - expected) <= error).all(), (found.permutation, expected)
    assert found.permutation.argmax() == expected.argmax() == 0


def test_of_a_binary_model(table, spec, matrix, margin) -> None:
    truth = (margin + np.random.default_rng(1).logistic(size=ROWS) > 0).astype(int)
    model = fitted(xgboost.XGBClassifier(n_estimators=30, max_depth=3), "binary", spec, matrix, truth)
    found = measured(model, matrix, truth, "auc")
    check(found, by_sklearn(model, matrix, truth, "roc_auc"))
    assert found.permutation.shape == found.deviation.shape == (6,)
    assert found.shap is not None and found.shap.argmax() == 0


def test_of_a_regression_less_is_better(table, spec, matrix, margin) -> None:
    truth = margin + np.random.default_rng(2).normal(size=ROWS)
    model = fitted(HistGradientBoostingRegressor(max_iter=8), "regression", spec, matrix, truth)
    found = measured(model, matrix, truth, "rmse")
    check(found, by_sklearn(model, matrix, truth, "neg_root_mean_squared_error"))
    assert found.permutation[0] > 0
    assert found.shap is None and found.shap_rows == 0


def test_of_several_classes(table, spec, matrix, margin) -> None:
    truth = np.digitize(margin, [-1.5, 1.5])
    filled = np.nan_to_num(matrix)
    model = fitted(LogisticRegression(), "multiclass", spec, filled, truth)
    check(measured(model, filled, truth, "accuracy"), by_sklearn(model, filled, truth, "accuracy"))


@pytest.mark.parametrize("classes", [2, 3])
def test_shap_values_are_xgboosts_contributions_added_up(classes, table, spec, matrix, margin) -> None:
    truth = np.digitize(margin, np.linspace(-1, 1, classes - 1))
    task = "binary" if classes == 2 else "multiclass"
    model = fitted(xgboost.XGBClassifier(n_estimators=5, max_depth=3), task, spec, matrix, truth)
    found, rows = shap_values(model, matrix, column_groups(spec), ROWS)
    booster = model.estimator.get_booster()
    each = booster.predict(xgboost.DMatrix(matrix[:rows], feature_names=list(spec.names)), pred_contribs=True)
    each = each.reshape(rows, -1, len(spec.names) + 1)
    expected = [
        sum(np.abs(each[:, k, places].sum(axis=1)).mean() for k in range(each.shape[1]))
        for places in ([0], [1, 2], [3], [4], [5], [6, 7])
    ]
    assert found == pytest.approx(expected, rel=1e-4)
    assert each.shape[1] == (1 if classes == 2 else 3) and rows == ROWS


def test_shap_values_of_a_large_model_are_of_fewer_rows(table, spec, matrix, margin) -> None:
    model = fitted(xgboost.XGBRegressor(n_estimators=300, max_depth=8), "regression", spec, matrix, margin)
    found, rows = shap_values(model, matrix, column_groups(spec), ROWS)
    assert 20 <= rows < 500
    assert found is not None and found.argmax() == 0


def test_the_same_seed_gives_the_same(table, spec, matrix, margin) -> None:
    model = fitted(xgboost.XGBRegressor(n_estimators=5), "regression", spec, matrix, margin)
    one, same, other = (measured(model, matrix, margin, "rmse", seed=seed) for seed in (0, 0, 1))
    assert one.permutation.tolist() == same.permutation.tolist() != other.permutation.tolist()


def test_blocks_do_not_matter(table, spec, matrix, margin, monkeypatch) -> None:
    model = fitted(xgboost.XGBRegressor(n_estimators=5), "regression", spec, matrix, margin)
    whole = measured(model, matrix, margin, "mae", budget=60.0)
    monkeypatch.setattr(room, "_BLOCK_CELLS", matrix.size * 3)
    assert measured(model, matrix, margin, "mae", budget=60.0).permutation == pytest.approx(whole.permutation)


def test_when_time_is_up_the_most_important_are_there_and_it_is_said(table, spec, matrix, margin) -> None:
    model = fitted(xgboost.XGBRegressor(n_estimators=5), "regression", spec, matrix, margin)
    found = measured(model, matrix, margin, "rmse", budget=1e-9)
    assert found.rows == 500
    assert "0 of 6 features" in found.note
    assert np.isnan(found.permutation[1:]).all()
    # A budget for some: what XGBoost says matters most is permuted first.
    assert found.shap is not None and found.shap.argmax() == 0


def test_a_metric_that_a_sample_has_not_is_unknown_and_not_zero(table, spec, matrix) -> None:
    truth = np.zeros(ROWS, int)
    model = fitted(xgboost.XGBClassifier(n_estimators=2), "binary", spec, matrix, np.arange(ROWS) % 2)
    assert np.isnan(measured(model, matrix, truth, "auc").permutation).all()
