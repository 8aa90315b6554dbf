"""What a model of MLflow may answer, with a signature and without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from workbench.bind.predictors import Predictor, resolve
from workbench.lake import Lake

ROWS = pa.table({"a": [0.5, -1.5, 2.0], "b": pa.array([3, 0, 7], pa.int64()), "c": ["x", "y", "x"]})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = Lake.open(tmp_path_factory.mktemp("answers") / "store")
    yield lake
    lake.close()


def saved(folder: Path, answer: Callable[[Any], Any], outputs: Any = None) -> Path:
    """Save a model that answers a frame in this way; with a signature if `outputs` is an example."""
    import mlflow.pyfunc
    from mlflow.models import infer_signature

    class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: object, model_input: Any, params: object = None) -> Any:
            return answer(model_input)

    signature = None if outputs is None else infer_signature(ROWS.to_pandas(), outputs)
    mlflow.pyfunc.save_model(folder, python_model=Model(), signature=signature, pip_requirements=[])
    return folder


def bound(lake: Lake, folder: Path) -> Predictor:
    return resolve(lake, f"mlflow:{folder}", ROWS.schema)


ANSWERS: dict[str, tuple[Callable[[Any], Any], str, list[Any], list[Any]]] = {
    "texts": (lambda rows: [each.upper() for each in rows["c"]], "VARCHAR", ["X", "Y", "X"], [None] * 3),
    "series of texts": (lambda rows: rows["c"], "VARCHAR", ["x", "y", "x"], [None] * 3),
    "truths": (lambda rows: (rows["a"] > 0).to_numpy(), "BOOLEAN", [True, False, True], [None] * 3),
    "whole numbers": (lambda rows: rows["b"], "DOUBLE", [3.0, 0.0, 7.0], [None] * 3),
    "column": (lambda rows: rows[["a"]].to_numpy(), "DOUBLE", [0.5, -1.5, 2.0], [None] * 3),
    "matrix": (
        lambda rows: rows[["a", "b"]].to_numpy(),
        "DOUBLE[]",
        [[0.5, 3], [-1.5, 0], [2, 7]],
        [None] * 3,
    ),
    "label and score": (
        lambda rows: rows[["c", "a"]].set_axis(["label", "score"], axis=1),
        "VARCHAR",
        ["x", "y", "x"],
        [0.5, -1.5, 2.0],
    ),
    "columns": (lambda rows: {"out": rows["a"].tolist()}, "DOUBLE", [0.5, -1.5, 2.0], [None] * 3),
    "row by row": (
        lambda rows: [{"label": label, "score": 0.25} for label in rows["c"]],
        "VARCHAR",
        ["x", "y", "x"],
        [0.25] * 3,
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_without_a_signature_a_made_up_row_shows_the_type(lake: Lake, tmp_path: Path, name: str) -> None:
    answer, kind, values, scores = ANSWERS[name]
    predictor = bound(lake, saved(tmp_path / "model", answer))
    assert predictor.value_type == kind
    predicted = predictor.predict(ROWS)
    assert predicted["value"].to_pylist() == values
    assert predicted["score"].to_pylist() == scores
    assert predictor.predict(ROWS.slice(0, 0)).schema == predicted.schema


def test_a_model_that_fails_on_a_made_up_row_gives_numbers(lake: Lake, tmp_path: Path) -> None:
    def picky(rows: Any) -> Any:
        assert rows["c"].iloc[0] != ""
        return rows["a"]

    predictor = bound(lake, saved(tmp_path / "model", picky))
    assert predictor.value_type == "DOUBLE"
    assert predictor.predict(ROWS)["value"].to_pylist() == [0.5, -1.5, 2.0]


@pytest.mark.parametrize(
    ("columns", "kind", "values"),
    [
        (("label", "score"), "VARCHAR", ["x", "y", "x"]),
        (("low", "high"), "DOUBLE[]", [[0.5, 3.0], [-1.5, 0.0], [2.0, 7.0]]),
    ],
)
def test_a_signature_of_several_outputs(
    lake: Lake, tmp_path: Path, columns: tuple[str, str], kind: str, values: list[Any]
) -> None:
    sources = {"label": "c", "score": "a", "low": "a", "high": "b"}

    def answer(rows: Any) -> Any:
        return rows[[sources[each] for each in columns]].set_axis(list(columns), axis=1)

    predictor = bound(lake, saved(tmp_path / "model", answer, answer(ROWS.to_pandas())))
    assert predictor.value_type == kind
    assert predictor.predict(ROWS)["value"].to_pylist() == values
