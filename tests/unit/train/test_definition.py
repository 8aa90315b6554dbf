"""Wrong arguments are refused before anything is read."""

import pytest

from workbench.errors import InvalidData, NotFound, StatementError, Unsupported, WorkbenchError
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
        ({"params": {"max_depth": range(3, 9)}}, Unsupported, "range"),
        ({"tune": 30}, Unsupported, "TUNE"),
        ({"budget": "5 min"}, Unsupported, "BUDGET"),
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
