"""The gate: what it reads, what it decides, and where a condition is wrong."""

import math

import pytest

from workbench.errors import StatementError
from workbench.train.gate import Condition, Gate, decide, parse


def test_words_and_conditions() -> None:
    assert parse(" ALWAYS ") == Gate()
    assert parse("never") == Gate(never=True)
    assert parse("when AUC >= champion + .5e-2 and logloss<=0.5").conditions == (
        Condition("auc", ">=", 0.005, champion=True),
        Condition("logloss", "<=", 0.5),
    )
    assert parse("rmse < champion - 1").conditions == (Condition("rmse", "<", -1.0, champion=True),)
    assert parse("r2 > -0.5").conditions == (Condition("r2", ">", -0.5),)


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("auc champion", 5, ">="),
        ("auc >=", 7, "champion"),
        ("auc >= champion +", 18, "a number"),
        ("auc >= 0.5 or f1 > 0.5", 12, "AND"),
        ("auc >= 0.5 and", 15, "a metric"),
        ("auc = 0.5", 5, ">="),
        ("", 1, "a metric"),
        ("0.5 < auc", 1, "a metric"),
        ("auc >= champion * 2", 17, "AND"),
    ],
)
def test_a_mistake_is_reported_with_its_place(text: str, column: int, expected: str) -> None:
    with pytest.raises(StatementError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert expected in caught.value.expected


@pytest.mark.parametrize(
    ("text", "score", "champion", "deploy"),
    [
        ("auc >= champion", 0.8, 0.8, True),
        ("auc > champion", 0.8, 0.8, False),
        ("auc >= champion + 0.1", 0.85, 0.8, False),
        ("auc >= champion - 0.1", 0.75, 0.8, True),
        ("auc >= 0.7 and auc >= champion", 0.75, 0.8, False),
        ("auc >= 0.7", 0.75, 0.8, True),
        ("auc < 0.7", 0.75, 0.8, False),
        ("auc >= champion", math.nan, 0.8, False),
        ("auc >= champion", 0.8, math.nan, False),
        ("always", math.nan, 0.8, True),
        ("never", 1.0, 0.0, False),
    ],
)
def test_decisions(text: str, score: float, champion: float, deploy: bool) -> None:
    decision = decide(parse(text), {"auc": score}, {"auc": champion}, rows=10)
    assert decision.deploy is deploy
    assert decision.reason.startswith("deployed" if deploy else "not deployed")


def test_without_a_champion_only_the_fixed_limits_count() -> None:
    assert decide(parse("auc >= champion"), {"auc": 0.5}, None).deploy
    assert "no champion yet" in decide(parse("auc >= champion"), {"auc": 0.5}, None).reason
    assert not decide(parse("auc >= champion and auc > 0.6"), {"auc": 0.5}, None).deploy


def test_the_reason_names_both_scores_and_the_rows() -> None:
    reason = decide(parse("auc > champion"), {"auc": 0.7}, {"auc": 0.8}, named="late@3", rows=1234).reason
    assert reason == "not deployed: auc 0.7 > 0.8 of late@3 does not hold, on the same 1,234 held-out rows"
