"""The paired difference: against scikit-learn on the same resamples, drawn by hand."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from workbench.train.evaluate import RESAMPLES, SAMPLE_ROWS, Answers, evaluate
from workbench.train.paired import differences


def answers(seed: int, rows: int, noise: float) -> tuple[Answers, Answers]:
    """Make two models of the same rows, the second with more noise."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    shared = rng.normal(size=rows)

    def made(extra: float) -> Answers:
        score = 1 / (1 + np.exp(-(truth - 0.5 + shared + extra * rng.normal(size=rows))))
        return Answers(truth, (score > 0.5).astype(np.int64), np.column_stack((1 - score, score)))

    return made(0.05), made(noise)


def test_differences_are_those_of_the_same_resamples_by_hand() -> None:
    one, other = answers(1, 400, 0.5)
    drawn = np.random.default_rng(7).integers(0, 400, (RESAMPLES, 400))
    for name, score in (("auc", roc_auc_score), ("logloss", log_loss)):
        by_hand = [
            score(one.truth[rows], one.probabilities[rows, 1])
            - score(other.truth[rows], other.probabilities[rows, 1])
            for rows in drawn
        ]
        found = differences(one, other, [name], seed=7)[name]
        expected = score(one.truth, one.probabilities[:, 1]) - score(other.truth, other.probabilities[:, 1])
        assert found.value == pytest.approx(expected)
        np.testing.assert_allclose((found.low, found.high), np.quantile(by_hand, [0.025, 0.975]))


def test_pairing_makes_the_interval_narrower_than_the_two_scores_do() -> None:
    one, other = answers(2, 500, 0.3)
    found = differences(one, other, ["auc"], seed=0)["auc"]
    single = evaluate("binary", one, other, seed=0)["auc"]
    assert found.low < found.value < found.high
    assert found.high - found.low < (single["high"] - single["low"]) / 1.5


def test_a_model_differs_from_itself_by_nothing() -> None:
    one, _ = answers(3, 200, 0.5)
    found = differences(one, one, ["auc", "accuracy", "f1"], seed=0)
    assert {(each.value, each.low, each.high) for each in found.values()} == {(0.0, 0.0, 0.0)}


def test_many_rows_are_sampled_and_the_interval_narrowed() -> None:
    rng = np.random.default_rng(4)
    rows = 4 * SAMPLE_ROWS
    truth, errors = np.zeros(rows), rng.normal(0.1, 1, rows)
    found = differences(Answers(truth, errors), Answers(truth, np.zeros(rows)), ["mae"], seed=1)["mae"]
    assert found.value == pytest.approx(np.abs(errors).mean())
    deviation = 1.96 * np.abs(errors).std() / np.sqrt(rows)
    assert (found.high - found.low) / 2 == pytest.approx(deviation, rel=0.25)
    assert found.low < found.value < found.high


def test_what_cannot_be_computed_is_nan_and_said_without_an_interval() -> None:
    truth = np.ones(50, np.int64)
    probabilities = np.column_stack((np.zeros(50), np.ones(50)))
    one = Answers(truth, truth, probabilities)
    found = differences(one, one, ["auc"], seed=0)["auc"]
    assert np.isnan([found.value, found.low, found.high]).all()
    assert "interval" not in str(found)
