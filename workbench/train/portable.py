"""Load a model of a store with plain MLflow: a copy of this file lies with each model.

It stands by itself. The folder of a model holds `mlstore.json`, with the SQL that turns raw rows
into the matrix that the estimator learned from, beside the files of the estimator.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

ABOUT = "mlstore.json"
ROWS = "mlstore_raw"
EMBED = "mlstore_embed"


class RawModel:
    """Predicts raw rows, in the values of the label."""

    def __init__(self, about: dict[str, Any], estimator: Any) -> None:
        self.about = about
        self.estimator = estimator

    def predict(self, model_input: Any, params: Any = None) -> np.ndarray[Any, Any]:
        """Predict the rows of a frame by column name; one value for each, or a row of components."""
        return self.scored(model_input)[0]

    def scored(self, model_input: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
        """Predict rows as `predict` does, and give the probability of the positive, or predicted, class."""
        matrix = self.matrix(self._whole(pd.DataFrame(model_input)))
        if self.about["task"] == "regression":
            return np.asarray(self.estimator.predict(matrix), np.float64), None
        if self.about["task"] == "clustering":
            return np.asarray(self.estimator.predict(matrix), np.int64), None
        if self.about["task"] == "anomaly":
            return np.asarray(self.estimator.predict(matrix)) == -1, None
        if self.about["task"] == "components":
            return np.asarray(self.estimator.transform(matrix), np.float64), None
        probabilities = np.asarray(self.estimator.predict_proba(matrix), np.float64)
        best = probabilities.argmax(axis=1)
        classes = self.about["classes"]
        kind = object if any(isinstance(each, str) for each in classes) else None
        answered: np.ndarray[Any, Any] = np.array(classes, dtype=kind)[best]
        place = 1 if self.about["task"] == "binary" else best
        return answered, probabilities[np.arange(len(best)), place]

    def _whole(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Refuse fractions where the model learned whole numbers; a cast in SQL would round them."""
        given = {str(name).lower(): name for name in frame.columns}
        for name in self.about.get("whole", ()):
            values = frame[given[name.lower()]] if name.lower() in given else pd.Series(dtype=float)
            if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 != 0).any():
                raise ValueError(
                    f"The column {name!r} holds fractions where the model learned whole numbers."
                )
        return frame

    def matrix(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Turn raw rows into the matrix of the estimator (rows × features)."""
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            if f"{EMBED}(" in self.about["sql"].lower():
                _provide_embeddings(connection)
            connection.register(ROWS, frame)
            columns: list[Any] = list(connection.execute(self.about["sql"]).fetchnumpy().values())
        # NULL is masked, and what a float32 cannot hold is missing too.
        with np.errstate(over="ignore"):
            filled = [np.ma.filled(each.astype(np.float64), np.nan) for each in columns]
            matrix = np.column_stack(filled).astype(np.float32)
        matrix[np.isinf(matrix)] = np.nan
        return matrix


def _provide_embeddings(connection: Any) -> None:
    """Let the SQL call the function that embeds texts; what computes it lies beside this file."""
    encoder = importlib.import_module("mlstore_encoder")
    connection.create_function(
        EMBED,
        lambda *columns: encoder.embed(*columns),  # noqa: PLW0108 (a function of any number of arguments)
        None,
        "FLOAT[]",
        type="arrow",
        null_handling="special",
    )


def _load_pyfunc(path: str) -> RawModel:
    """Load a model from its folder; MLflow calls this."""
    folder = Path(path)
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    if (folder / "model.ubj").exists():
        import xgboost

        estimator = xgboost.XGBRegressor() if about["task"] == "regression" else xgboost.XGBClassifier()
        estimator.load_model(folder / "model.ubj")
        return RawModel(about, estimator)
    import cloudpickle  # type: ignore[import-untyped]

    return RawModel(about, cloudpickle.loads((folder / "model.pkl").read_bytes()))
