"""Wrong arguments are refused before anything is read."""

import pytest

from workbench.errors import InvalidData, NotFound, StatementError, Unsupported, WorkbenchError
from workbench.ranges import Range
from workbench.train.definition import Training


def define(**words: object) -> Training:
    given = {"name": "late", "query": "select * from flights;\n", "label": "late", "key": "id", **words}
    return Training.define(given.pop("name"), given.pop("query"), **given)


def test_the_arguments_are_brought_into_one_form() -> None:
    training = define(features=["a", "b"], params={"max_depth": 3})
    assert (training.query, training.key, training.features) == ("select * from flights", ("id",), ("a", "b"))
    assert Training.from_record(training.to_record()) == training


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ({"name": "a-b"}, InvalidData, "'a-b'"),
        ({"query": " ; "}, StatementError, "no query"),
        ({"label": ""}, StatementError, "no label"),
        ({"features": ["a"], "exclude": ["b"]}, InvalidData, "together"),
        ({"features": []}, InvalidData, "empty"),
        ({"features": ["LATE"]}, InvalidData, "label"),
        ({"prepare": "all"}, NotFound, "'all'"),
        ({"model": "xgbost"}, NotFound, "Did you mean 'xgboost'"),
        ({"model": "sklearn.nowhere.Thing"}, NotFound, "sklearn.nowhere"),
        ({"model": "sklearn.linear_model.LogisticRegresion"}, NotFound, "LogisticRegression"),
        ({"model": "sklearn.metrics.accuracy_score"}, Unsupported, "not an estimator"),
        ({"params": {"max_dept": 3}}, NotFound, "Did you mean 'max_depth'"),
        ({"model": "logistic", "params": {"n_estimators": 3}}, NotFound, "'n_estimators'"),
        ({"params": {"random_state": 3}}, InvalidData, "SEED"),
        ({"params": {"max_depth": range(3, 9)}}, InvalidData, "a whole number, not range"),
        ({"params": {"max_depth": Range(9, 3)}}, InvalidData, "empty: 9..3"),
        ({"params": {"etha": Range(0, 1)}}, NotFound, "etha"),
        ({"model": "ridge", "params": {"eta": 1}}, NotFound, "eta"),
        ({"params": {"learning_rate": Range(0, 1, log=True)}}, InvalidData, "no logarithm"),
        ({"params": {"max_depth": "deep"}}, InvalidData, "a whole number, not 'deep'"),
        ({"params": {"max_depth": 2.5}}, InvalidData, "a whole number, not 2.5"),
        ({"params": {"subsample": True}}, InvalidData, "a number, not True"),
        ({"params": {"max_deph": 3}}, NotFound, "max_depth"),
        ({"model": "ridge", "params": {"alpha": Range(-1.0, 1.0)}}, InvalidData, "alpha"),
        ({"model": "knn", "params": {"n_neighbors": 0}}, InvalidData, "n_neighbors"),
        ({"tune": 0}, InvalidData, "at least one"),
        ({"budget": "soon"}, StatementError, "no length of time"),
        ({"tune": 3, "params": {"max_depth": 3}, "model": "auto"}, InvalidData, "MODEL xgboost"),
        ({"tune": 3, "model": "linear"}, Unsupported, "no ranges of its own"),
        ({"tune": 3, "model": "ridge", "params": {"alpha": 1.0}}, InvalidData, "Leave TUNE"),
        ({"weight": "late"}, InvalidData, "cannot be the weight"),
        ({"split": "hsh"}, NotFound, "Did you mean 'hash'"),
        ({"holdout": 20}, InvalidData, "0.2"),
        ({"metric": "acuracy"}, NotFound, "accuracy"),
        ({"model": "logistic", "metric": "rmse"}, InvalidData, "classes"),
        ({"model": "ridge", "metric": "auc"}, InvalidData, "regression"),
        ({"model": "sklearn.svm.SVR", "metric": "auc"}, InvalidData, "regression"),
        ({"seed": -1}, InvalidData, "SEED"),
        ({"seed": 1.5}, InvalidData, "SEED"),
        ({"deploy": "auc >"}, StatementError, "champion"),
        ({"deploy": "ac > 0.5"}, NotFound, "'ac'"),
    ],
)
def test_a_wrong_argument_is_refused(words: dict, error: type[WorkbenchError], said: str) -> None:
    with pytest.raises(error) as caught:
        define(**words)
    assert said in str(caught.value)


def test_the_fingerprint_is_of_all_but_layout_and_trigger() -> None:
    one = define()
    assert (
        define(query="SELECT *  -- all\nFROM flights", when="every '1 hour'").fingerprint == one.fingerprint
    )
    for words in (
        {"seed": 1},
        {"query": "select * from other"},
        {"deploy": "never"},
        {"params": {"max_depth": 3}},
    ):
        assert define(**words).fingerprint != one.fingerprint


def test_ranges_and_limits_come_back_from_a_record() -> None:
    import json

    made = Training.define(
        "late",
        "select 1",
        label="late",
        model="xgboost",
        params={"max_depth": Range(3, 9), "learning_rate": Range(0.01, 0.3, log=True), "subsample": 0.5},
        tune=30,
        budget="2 min",
        weight="w",
    )
    assert made.budget == 120
    assert Training.from_record(json.loads(json.dumps(made.to_record()))) == made


def test_a_definition_of_an_older_store_is_the_same_definition() -> None:
    made = Training.define("late", "select 1", label="late")
    old = {
        name: value for name, value in made.to_record().items() if name not in ("weight", "tune", "budget")
    }
    assert Training.from_record(old) == made
    assert Training.from_record(old).fingerprint == made.fingerprint
    assert Training.define("late", "select 1", label="late", tune=3).fingerprint != made.fingerprint
