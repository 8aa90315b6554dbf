"""Models that are trained again by their trigger, through the gate, with bindings following."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import workbench
from workbench.errors import NotFound
from workbench.schedule import clock
from workbench.store import Store
from workbench.train import registry

QUERY = "SELECT id, x, y FROM points"


@pytest.fixture
def points(tmp_path: Path) -> Iterator[Store]:
    store = workbench.connect(tmp_path / "store")
    store.sql(
        "CREATE TABLE made AS SELECT i AS id, (hash(i) % 100)::DOUBLE AS x, "
        "(hash(i) % 100) * 2.0 + (hash(i + 1) % 10) AS y FROM range(300) r(i)"
    )
    store.load("points", store.table("made"), key="id")
    yield store
    store.close()


def versions(store: Store) -> int:
    return registry.get(store._lake, "line@latest").version


def train(store: Store, when: str, deploy: str = "always") -> None:
    store.train("line", QUERY, label="y", key="id", model="ridge", when=when, deploy=deploy)


def test_a_trigger_of_a_model_counts_columns_in_any_case_and_refuses_those_not_there(store: Store) -> None:
    rows = [{"id": number, "Price": float(number), "late": number % 3 == 0} for number in range(60)]
    store.load("t", rows, key="id")
    query = "select id, Price, late from t"
    given = {"label": "late", "key": "id", "model": "logistic"}
    with pytest.raises(NotFound, match="no column 'prize'"):
        store.train("m", query, when="changed >= 10% OF (prize)", **given)
    store.train("m", query, when="changed >= 10% OF (price)", **given)
    store.sql("update t set Price = Price + 1 where id < 3")
    assert store.describe("m").facts["due"] == (
        "no: 3 of 60 rows changed in price since snapshot 3 (5%, due at 10%)"
    )
    assert store.describe("m").facts["to be trained again"] == "main.t changed"
    store.sql("update t set Price = Price + 1 where id < 9")
    assert [row["version"] for row in store.models().rows()] == [1, 2]
    assert store.describe("m").facts["to be trained again"] == "no, it is up to date"


def test_a_share_of_changed_rows_trains_again_and_predictions_follow(points: Store) -> None:
    train(points, "changed >= 30%")
    points.bind("guess", on="points", model="line")
    before = points.sql("SELECT guess FROM predictions.points WHERE id = 299").rows()[0]["guess"]
    points.sql("UPDATE points SET y = y + 500 WHERE id < 50")
    assert versions(points) == 1
    points.sql("UPDATE points SET y = y + 500 WHERE id >= 50")
    assert versions(points) == 2
    row = points.sql("SELECT guess, guess_model FROM predictions.points WHERE id = 299").rows()[0]
    assert row["guess_model"] == "line@2"
    assert row["guess"] > before + 300
    points.sql("UPDATE points SET y = y + 1 WHERE id = 1")
    assert versions(points) == 2


def test_the_gate_decides_about_a_model_trained_by_its_trigger(points: Store) -> None:
    train(points, "on write", deploy="rmse <= 0.001")
    points.sql("UPDATE points SET y = y + 1 WHERE id = 1")
    latest = registry.get(points._lake, "line@latest")
    assert latest.version == 2
    assert not latest.deployed


def test_a_schedule_trains_at_the_next_refresh(points: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    train(points, "every '1 day'")
    points.sql("UPDATE points SET y = y + 1 WHERE id < 100")
    points.refresh()
    assert versions(points) == 1
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=2))
    assert [run.kind for run in points.refresh()] == ["model"]
    assert versions(points) == 2


def test_a_manual_model_waits_to_be_asked(points: Store) -> None:
    train(points, "manual")
    points.sql("UPDATE points SET y = y + 1")
    points.refresh()
    assert versions(points) == 1
    points.refresh("line")
    assert versions(points) == 2


def test_a_training_that_fails_leaves_the_write_and_the_model(points: Store) -> None:
    train(points, "on write")
    points.sql("DELETE FROM points WHERE id > 3")
    assert versions(points) == 1
    assert points.sql("SELECT count(*) AS n FROM points").rows() == [{"n": 4}]
    assert points.runs("line").rows()[0]["status"] == "failed"
