"""Champion against challenger: the same rows for both, rows both were kept from, latencies, records."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from workbench.errors import InvalidData, NotFound
from workbench.lake import Lake
from workbench.train import mlflow_client, registry
from workbench.train.definition import Training
from workbench.train.evaluate import RESAMPLES
from workbench.train.model import Model
from workbench.train.training import train

QUERY = "SELECT id, speed, distance, carrier, day, weekend, late FROM flights"


def fit(lake: Lake, name: str, query: str = QUERY, **words: object) -> Model:
    given = {"label": "late", "key": "id", "model": "xgboost", "params": {"n_estimators": 20}, **words}
    return train(lake, Training.define(name, query, **given))


def scores(lake: Lake, ref: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Predict the rows for which `where` holds, in the order in which training reads them."""
    rows = (
        lake.cursor().execute(f"SELECT * FROM ({QUERY}) AS t WHERE {where} ORDER BY hash(t)").to_arrow_table()
    )
    predicted = registry.load(lake, registry.get(lake, ref)).predict(rows)["score"].to_numpy()
    return rows["late"].to_numpy(), predicted


def held_out(share: int) -> str:
    return f"md5_number_lower(strlen(id::VARCHAR) || ':' || id::VARCHAR) % 1000000 < {share * 10_000}"


def decisions(lake: Lake, name: str) -> list[dict[str, object]]:
    return lake.records.rows("decisions", "model = $name", {"name": name})


def test_the_difference_is_that_of_the_same_resamples_of_the_same_rows(lake: Lake) -> None:
    fit(lake, "paired", query=QUERY.replace("speed, ", ""))
    model = fit(lake, "paired", deploy="auc >= champion + 0.005", prepare="none")
    truth, new = scores(lake, "paired@2", held_out(20))
    _, old = scores(lake, "paired@1", held_out(20))
    drawn = np.random.default_rng(0).integers(0, len(truth), (RESAMPLES, len(truth)))
    apart = [roc_auc_score(truth[rows], new[rows]) - roc_auc_score(truth[rows], old[rows]) for rows in drawn]
    [check] = decisions(lake, "paired")[1]["conditions"]
    low, high = np.quantile(apart, [0.025, 0.975])
    assert check["score"] == pytest.approx(roc_auc_score(truth, new), abs=1e-6)
    assert check["champion"] == pytest.approx(roc_auc_score(truth, old), abs=1e-6)
    assert (check["low"], check["high"]) == pytest.approx((low, high), abs=1e-5)
    assert f"interval {low:+.3g} to {high:+.3g}), on the same {len(truth)} held-out rows" in model.reason


def test_with_another_share_only_rows_held_out_by_both_are_compared(lake: Lake) -> None:
    fit(lake, "shares", holdout=0.2)
    model = fit(lake, "shares", holdout=0.4, seed=1, deploy="auc >= champion - 1")
    truth, new = scores(lake, "shares@2", held_out(20))
    _, old = scores(lake, "shares@1", held_out(20))
    assert len(truth) < model.split["held_out"]
    assert f"on the {len(truth)} held-out rows that shares@1 was kept from as well" in model.reason
    [check] = decisions(lake, "shares")[1]["conditions"]
    assert check["score"] == pytest.approx(roc_auc_score(truth, new), abs=1e-6)
    assert check["champion"] == pytest.approx(roc_auc_score(truth, old), abs=1e-6)
    assert decisions(lake, "shares")[1]["rows"] == len(truth)


def test_a_champion_that_may_have_learned_from_the_rows_is_said_to(lake: Lake) -> None:
    query = QUERY.replace("id,", "id, id AS number,")
    fit(lake, "unfair", query=query, split="hash(number)")
    model = fit(lake, "unfair", query=QUERY, deploy="auc >= champion - 1")
    assert "some of which unfair@1, divided by hash(number), may have learned from" in model.reason
    few = fit(lake, "few", split="time(day)", holdout=0.01)
    assert few.split["held_out"] < 30
    other = fit(lake, "few", deploy="auc >= champion - 1")
    assert "some of which few@1, divided by time(day), may have learned from" in other.reason


def test_another_word_for_the_same_rule_is_the_same_rule(lake: Lake) -> None:
    fit(lake, "worded", seed=1)
    model = fit(lake, "worded", split="hash(ID)", seed=2, deploy="auc >= champion - 1")
    assert f"on the same {model.split['held_out']} held-out rows" in model.reason
    random = fit(lake, "worded", split="random", seed=2, deploy="auc >= champion - 1")
    assert "was kept from as well" in random.reason


def test_a_prepared_challenger_meets_an_unprepared_champion_on_raw_rows(lake: Lake) -> None:
    """Both learn from a column called speed, which for the challenger is standardized first."""
    fit(lake, "raw", query="SELECT id, speed, weekend, late FROM flights", prepare="none")
    columns = "* EXCLUDE (speed, distance, carrier, day, delay, level), standardize(speed) AS speed"
    query = f"SELECT {columns} FROM flights"
    model = fit(lake, "raw", query=query, deploy="auc >= champion - 1")
    truth, old = scores(lake, "raw@1", held_out(20))
    [check] = decisions(lake, "raw")[1]["conditions"]
    assert check["champion"] == pytest.approx(roc_auc_score(truth, old), abs=1e-6)
    assert check["champion"] > 0.8
    # And the other way round: a prepared champion, of which a column comes through *.
    assert model.deployed
    again = fit(lake, "raw", query=query, seed=3, deploy="auc >= champion - 1")
    assert "of raw@2" in again.reason


def test_the_gate_times_single_rows(lake: Lake) -> None:
    model = fit(lake, "timed", model="logistic", params={}, deploy="auc > 0.5 and latency_p95 < '10 s'")
    assert model.deployed
    assert " < 10 s" in model.reason
    slow = fit(lake, "timed", model="logistic", params={}, seed=1, deploy="latency_p50 < '1 us'")
    assert not slow.deployed
    assert "< 1 us does not hold" in slow.reason
    against = fit(lake, "timed", model="logistic", params={}, deploy="latency_p95 <= champion + '10 s'")
    assert against.deployed
    [check] = decisions(lake, "timed")[2]["conditions"]
    assert 0 < check["score"] < 10
    assert 0 < check["champion"] < 10
    assert check["difference"] is None
    assert check["limit"] == pytest.approx(check["champion"] + 10)


def test_latencies_are_not_timed_unless_asked(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("workbench.train.latency.measure", measure)
    assert fit(lake, "untimed", deploy="auc > 0.5").deployed


def test_unknown_latencies_are_refused_before_anything_is_read(lake: Lake) -> None:
    with pytest.raises(NotFound, match="latency_p99"):
        fit(lake, "p99", query="SELECT nothing FROM nowhere", deploy="latency_p99 < '1 s'")


def test_every_decision_is_a_record(lake: Lake) -> None:
    fit(lake, "decided")
    fit(lake, "decided", seed=1, deploy="never")
    fit(lake, "decided", seed=2, deploy="auc >= champion + 1 and accuracy > 0.1")
    fit(lake, "decided", query=QUERY.replace("late", "late::INT AS late"), deploy="auc >= champion")
    rows = (
        lake.cursor()
        .execute(
            "SELECT version, deployed, gate, champion, rows, "
            "conditions::JSON->>'$[*].condition', conditions::JSON->>'$[*].holds' "
            "FROM mlstore.decisions WHERE model = 'decided' ORDER BY version"
        )
        .fetchall()
    )
    held = registry.get(lake, "decided").split["held_out"]
    both = "auc >= champion + 1 and accuracy > 0.1"
    assert rows == [
        (1, True, "always", None, held, [], []),
        (2, False, "never", None, held, [], []),
        (3, False, both, 1, held, both.split(" and "), ["false", "true"]),
        (4, False, "auc >= champion", 1, held, [], []),
    ]
    reasons = [row["reason"] for row in decisions(lake, "decided")]
    assert [model.reason.split("; ")[0] for model in registry.versions(lake, "decided")] == reasons
    client = mlflow_client.open_client(lake.folder)
    tags = {
        each.tags["mlstore.version"]: each.tags["mlstore.decision"]
        for each in client.search_model_versions("name = 'decided'")
    }
    assert tags["2"] == "not deployed: DEPLOY never"
    assert len(tags) == 4


def test_deployments_tell_which_version_was_the_champion_at_a_time(lake: Lake) -> None:
    moments = [datetime.now(UTC)]

    def after(act: Callable[[], object]) -> None:
        act()
        moments.append(datetime.now(UTC))

    after(lambda: fit(lake, "then"))
    after(lambda: fit(lake, "then", seed=1))
    after(lambda: fit(lake, "then", seed=2, deploy="never"))
    after(lambda: registry.rollback(lake, "then"))
    after(lambda: registry.deploy(lake, "then@3"))
    after(lambda: registry.drop(lake, "then"))
    after(lambda: fit(lake, "then", seed=3, deploy="never"))
    after(lambda: registry.deploy(lake, "then@4"))
    found = [
        lake.cursor()
        .execute(
            "SELECT version FROM mlstore.deployments WHERE model = 'then' AND deployed_at <= $moment "
            "ORDER BY deployed_at DESC LIMIT 1",
            {"moment": moment},
        )
        .fetchone()
        for moment in moments
    ]
    assert found == [None, (1,), (2,), (2,), (1,), (3,), (None,), (None,), (4,)]


def test_rollback_does_not_go_back_behind_a_drop(lake: Lake) -> None:
    fit(lake, "gone")
    fit(lake, "gone", seed=1)
    registry.drop(lake, "gone")
    fit(lake, "gone", seed=2, deploy="never")
    with pytest.raises(InvalidData, match="no earlier champion"):
        registry.rollback(lake, "gone")
