"""When bindings run: by the clock, by the calendar, by the share of what changed, each with its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.bind.bound import bind, column
from workbench.errors import StatementError
from workbench.schedule import clock
from workbench.store import Store


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


def due(store: Store) -> str:
    said: str = store.describe("p").facts["due"]
    return said


def test_a_schedule(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bind(table, when="every '1 hour'")
    now = datetime.now(UTC)
    table.sql("UPDATE t SET v = 100 WHERE id = 0")
    assert column(table, "p_status")[0] == "pending"
    assert table.refresh() == []
    assert due(table).startswith("no: ")
    assert "due at" in due(table)
    at(monkeypatch, now + timedelta(minutes=59))
    assert table.refresh() == []
    at(monkeypatch, now + timedelta(hours=1, minutes=1))
    assert due(table).startswith("yes: ")
    assert [run.name for run in table.refresh()] == ["t__p"]
    assert column(table, "p")[0] == 200
    # An hour on, nothing has changed: nothing is done.
    at(monkeypatch, now + timedelta(hours=3))
    assert table.refresh() == []
    assert "nothing changed" in due(table)


@pytest.mark.parametrize("name", ["p", "P", "t__p", "T__p", "t.p"])
def test_after_a_bound_column(table: Store, name: str) -> None:
    bind(table, when="manual")
    table.transform("f", "SELECT id, p FROM predictions.t", key="id", when=f"AFTER {name}")
    assert table.describe("f").facts["when"] == "after t__p"
    with pytest.raises(StatementError, match="wait for itself"):
        table.bind("p", on="t", model="py:test_models:triple", inputs=["v"], isolate="none", when="after F")


def test_a_calendar(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six in the morning of Berlin; what was missed for a week is caught up once."""
    bind(table, when="cron '0 6 * * *' tz 'Europe/Berlin'")
    day = datetime.now(UTC).replace(hour=12, minute=0) + timedelta(days=1)
    table.sql("UPDATE t SET v = 100 WHERE id = 0")
    assert table.refresh() == []
    at(monkeypatch, day + timedelta(days=7))
    assert due(table).startswith("yes: ")
    assert len(table.refresh()) == 1
    assert table.refresh() == []
    assert column(table, "p")[0] == 200


def test_a_share_of_the_rows(table: Store) -> None:
    """Those inserted and deleted count, and updates of the columns named; by hand it runs at any time."""
    bind(table, when="changed >= 30% OF (v)")
    table.sql("ALTER TABLE t ADD COLUMN note VARCHAR")
    table.sql("UPDATE t SET note = 'x'")
    assert due(table).startswith("no: 0 of 10 rows changed in v since snapshot")
    table.sql("INSERT INTO t (id, v) VALUES (20, 20)")
    table.sql("DELETE FROM t WHERE id = 0")
    assert "2 of 10 rows changed in v" in due(table)
    assert "(20%, due at 30%)" in due(table)
    assert table.refresh() == []
    assert column(table, "p", order="id")[-1] is None
    assert "not due" in table.plan("refresh", name=None).action
    table.sql("UPDATE t SET v = 7 WHERE id = 1")
    assert column(table, "p")[0] == 14
    assert column(table, "p")[-1] == 40
    table.sql("UPDATE t SET v = 8 WHERE id = 1")
    assert column(table, "p")[0] == 14
    table.refresh("p")
    assert column(table, "p")[0] == 16


def test_triggers_together_and_a_time_to_cool_down(table: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bind(table, when="on write or every '1 day' COOLDOWN '6 h'")
    now = datetime.now(UTC)
    table.sql("UPDATE t SET v = 100 WHERE id = 0")
    assert column(table, "p")[0] == 0, "it has just run"
    assert due(table).startswith("no: ")
    at(monkeypatch, now + timedelta(hours=7))
    assert len(table.refresh()) == 1
    assert column(table, "p")[0] == 200


def test_what_is_paused_does_not_run_until_it_is_resumed(
    table: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(table, when="every '1 hour'")
    table.sql("UPDATE t SET v = 100 WHERE id = 0")
    table.pause("p")
    assert table.describe("p").facts["to be refreshed"] == "main.t changed"
    at(monkeypatch, datetime.now(UTC) + timedelta(hours=2))
    assert table.refresh() == []
    table.resume("p")
    [run] = table.refresh()
    assert (run.mode, run.rows_written) == ("incremental", 1)
    assert column(table, "p")[0] == 200
