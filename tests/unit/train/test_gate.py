"""The gate: what it reads, what it decides, and where a condition is wrong."""

import math

import pytest

from workbench.errors import NotFound, StatementError
from workbench.train.gate import Comparison, Condition, Decision, Gate, decide, parse
from workbench.train.paired import Difference


def against_champion(text: str, score: float, champion: float) -> Decision:
    against = Comparison(
        "late@3", {"auc": score}, {"auc": champion}, {}, "on the same 1,234 held-out rows", 1234
    )
    return decide(parse(text), {"auc": score}, against)


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
        ("auc >= '20 ms'", 8, "a number"),
        ("latency_p95 < 20", 15, "a time such as '20 ms'"),
        ("latency_p95 < '20'", 15, "a time such as '20 ms'"),
        ("latency_p95 < '20 m'", 15, "a time such as '20 ms'"),
        ("latency_p95 < champion + 5", 26, "a time such as '20 ms'"),
        ("latency_p95 < '20 ms", 15, "champion"),
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
    decision = against_champion(text, score, champion)
    assert decision.deploy is deploy
    assert decision.reason.startswith("deployed" if deploy else "not deployed")


def test_a_number_may_be_a_percentage() -> None:
    [condition] = parse("accuracy >= 92.5%").conditions
    assert condition.number == pytest.approx(0.925)
    [condition] = parse("auc >= champion + 0.5%").conditions
    assert condition.number == pytest.approx(0.005)


def test_without_a_champion_only_the_fixed_limits_count() -> None:
    assert decide(parse("auc >= champion"), {"auc": 0.5}).deploy
    assert "no champion yet" in decide(parse("auc >= champion"), {"auc": 0.5}).reason
    assert not decide(parse("auc >= champion and auc > 0.6"), {"auc": 0.5}).deploy


def test_the_reason_names_both_scores_and_the_rows() -> None:
    reason = against_champion("auc > champion", 0.7, 0.8).reason
    assert reason == "not deployed: auc 0.7 > 0.8 of late@3 does not hold, on the same 1,234 held-out rows"


def test_the_reason_names_the_difference_with_its_interval() -> None:
    apart = {"auc": Difference(0.0123, -0.004, 0.016)}
    against = Comparison("late@2", {"auc": 0.8}, {"auc": 0.7877}, apart, "on the same 100 held-out rows", 100)
    decision = decide(parse("auc >= champion - 0.1"), {"auc": 0.75}, against)
    assert decision.reason == (
        "deployed: auc 0.8 >= 0.7877 - 0.1 of late@2 "
        "(difference +0.0123, 95 % interval -0.004 to +0.016), on the same 100 held-out rows"
    )
    assert [check.to_record() for check in decision.checks] == [
        {
            "condition": "auc >= champion - 0.1",
            "metric": "auc",
            "score": 0.8,
            "limit": pytest.approx(0.6877),
            "champion": 0.7877,
            "difference": 0.0123,
            "low": -0.004,
            "high": 0.016,
            "holds": True,
        }
    ]
    assert (decision.gate, decision.champion, decision.rows) == ("auc >= champion - 0.1", "late@2", 100)


def test_a_score_that_cannot_be_computed_is_recorded_as_none() -> None:
    [check] = against_champion("auc > champion", math.nan, 0.8).checks
    assert (check.to_record()["score"], check.to_record()["holds"]) == (None, False)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("'20 ms'", 0.02), ("'1.5s'", 1.5), ("' 300 us '", 3e-4), ("'2e1 MS'", 0.02)],
)
def test_a_latency_is_a_time_with_its_unit(text: str, seconds: float) -> None:
    [condition] = parse(f"latency_p95 < {text}").conditions
    assert condition == Condition("latency_p95", "<", pytest.approx(seconds))
    assert parse(str(condition)).conditions[0].number == pytest.approx(seconds)
    assert parse(f"latency_p50 <= champion + {text}").conditions[0].number == pytest.approx(seconds)
    assert parse(f"latency_p50 <= champion + {text}").asks_latency


def test_latencies_decide_and_are_said_with_a_unit() -> None:
    gate = parse("auc > 0.5 and latency_p95 < '20 ms' and latency_p50 <= '100 us'")
    decision = decide(gate, {"auc": 0.6, "latency_p95": 0.0031, "latency_p50": 0.00009})
    assert (
        decision.reason == "deployed: auc 0.6 > 0.5, latency_p95 3.1 ms < 20 ms, latency_p50 90 us <= 100 us"
    )
    slow = decide(gate, {"auc": 0.6, "latency_p95": 1.5, "latency_p50": 0.002})
    assert slow.reason == ("not deployed: latency_p95 1.5 s < 20 ms, latency_p50 2 ms <= 100 us do not hold")


@pytest.mark.parametrize(
    ("metric", "limit", "nearest"),
    [("latency_p99", "'1 s'", "latency_p95"), ("latency", "'1 s'", "latency_p"), ("acc", "1", "auc")],
)
def test_an_unknown_metric_is_refused_with_the_nearest(metric: str, limit: str, nearest: str) -> None:
    with pytest.raises(NotFound, match=f"no metric '{metric}'") as caught:
        parse(f"{metric} < {limit}").check()
    assert nearest in caught.value.hint


def test_a_metric_of_another_task_is_refused() -> None:
    parse("rmse < 1 and latency_p95 < '1 s'").check("regression")
    with pytest.raises(NotFound, match="rmse"):
        parse("rmse < 1").check("binary")
