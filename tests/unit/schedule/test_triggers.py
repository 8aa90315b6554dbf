"""Triggers: reading them, refusing what can never be, and when they are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import NotFound, StatementError, Unsupported
from workbench.schedule import check_trigger, clock
from workbench.schedule.evaluate import Share, State, evaluate
from workbench.schedule.triggers import Cron, check_names, parse_trigger, write_trigger
from workbench.store import Store

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("MANUAL", "manual"),
        ("On  Write", "on write"),
        ("every '90 min'", "every '90 min'"),
        ("cron '0  6 * * *'", "cron '0 6 * * *'"),
        ("cron '0 6 * * *' TZ 'Europe/Berlin'", "cron '0 6 * * *' tz 'Europe/Berlin'"),
        ("changed >= 5 % of (a,b)", "changed >= 5% OF (a, b)"),
        ("changed>=0.5% OF a", "changed >= 0.5% OF (a)"),
        ("after f or on write cooldown '90 s'", "after f or on write COOLDOWN '90 s'"),
        ("every '1 h' and (after f or changed >= 120%)", "every '1 h' and (after f or changed >= 120%)"),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    assert check_trigger(text) == normal
    assert check_trigger(normal) == normal


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("every '0 s'", StatementError, "no time at all"),
        ("every 'soon'", StatementError, "no length of time"),
        ("every '-5 min'", StatementError, "no length of time"),
        ("every", StatementError, "ends where how often"),
        ("cron '0 0 31 2 *'", StatementError, "cron expression"),
        ("cron '61 * * * *'", StatementError, "cron expression"),
        ("cron '* *'", StatementError, "cron expression"),
        ("cron '0 6 * * *' tz 'Europe/Berln'", NotFound, "Europe/Berln"),
        ("changed >= 0%", StatementError, "always so"),
        ("changed > 5%", StatementError, "cannot be read"),
        ("on write adn after f", StatementError, "'adn'"),
        ("manual or on write", StatementError, "cannot be joined"),
        ("manual COOLDOWN '1 h'", StatementError, "no COOLDOWN"),
        ("evry '1 h'", NotFound, "evry"),
        ("drift(psi) > 0.2", Unsupported, "drift"),
    ],
)
def test_what_can_never_be_due_is_refused(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(")):
        check_trigger(text)


def test_a_time_zone_nearby_is_suggested() -> None:
    with pytest.raises(NotFound) as raised:
        check_trigger("cron '0 6 * * *' tz 'Europe/Berln'")
    assert "Europe/Berlin" in raised.value.hint


def test_names_that_a_trigger_uses_must_exist() -> None:
    check_names("after a and changed >= 5% OF (X)", "c", {"a": (), "c": ()}, {"x"})
    with pytest.raises(NotFound, match="nowhere"):
        check_names("after nowhere", "c", {"a": ()}, ())
    with pytest.raises(NotFound, match="'y'"):
        check_names("changed >= 5% OF (y)", "c", {}, {"x"})
    with pytest.raises(StatementError, match="wait for itself"):
        check_names("after c", "c", {}, ())
    with pytest.raises(StatementError, match="'c' would wait for itself: after b after a after c"):
        check_names("after b", "c", {"b": ("a",), "a": ("c",), "c": ()}, ())


INTERVALS = st.sampled_from(["1 s", "5 min", "2 h", "1 day", "1 w"])
EVENTS = st.recursive(
    st.one_of(
        st.just("on write"),
        INTERVALS.map(lambda each: f"every '{each}'"),
        st.sampled_from(["cron '*/5 * * * *'", "cron '0 6 * * 1-5' tz 'America/New_York'"]),
        st.floats(0.01, 500).map(lambda each: f"changed >= {each:.2f}%"),
        st.sampled_from(["after f", "after g", "changed >= 10% OF (a, b)"]),
    ),
    lambda inner: st.tuples(st.lists(inner, min_size=2, max_size=3), st.sampled_from([" or ", " and "])).map(
        lambda each: "(" + each[1].join(each[0]) + ")"
    ),
    max_leaves=5,
)


@given(EVENTS, st.none() | INTERVALS, st.integers(-(10**6), 10**7), st.booleans())
def test_any_trigger_reads_back_and_can_be_evaluated(
    text: str, cooldown: str | None, seconds: int, changed: bool
) -> None:
    trigger = parse_trigger(text + (f" COOLDOWN '{cooldown}'" if cooldown else ""))
    assert parse_trigger(write_trigger(trigger)) == trigger
    last = NOON - timedelta(seconds=seconds)
    state = State(last, 7, changed, lambda _columns: Share(3, 50, 6), {"f": 9, "g": 2})
    decision = evaluate(trigger, state, NOON)
    assert decision.reason
    assert changed or not decision.due


@given(INTERVALS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_is_due_stays_due_until_it_runs(interval: str, first: int, more: int) -> None:
    trigger, state = parse_trigger(f"every '{interval}'"), State(last=NOON)
    earlier = evaluate(trigger, state, NOON + timedelta(seconds=first))
    later = evaluate(trigger, state, NOON + timedelta(seconds=first + more))
    assert later.due or not earlier.due


def test_an_interval() -> None:
    trigger = parse_trigger("every '4 hours'")
    early = evaluate(trigger, State(last=NOON), NOON + timedelta(hours=3))
    assert (early.due, early.next_time) == (False, NOON + timedelta(hours=4))
    assert evaluate(trigger, State(last=NOON), NOON + timedelta(hours=4)).due
    assert evaluate(trigger, State(last=None), NOON).due
    quiet = evaluate(trigger, State(last=NOON, changed=False), NOON + timedelta(days=9))
    assert not quiet.due
    assert quiet.reason.startswith("nothing changed")


def test_a_clock_that_goes_back_makes_a_schedule_due() -> None:
    for text in ("every '1 hour'", "cron '0 6 * * *'", "every '1 hour' COOLDOWN '2 h'"):
        decision = evaluate(parse_trigger(text), State(last=NOON + timedelta(days=30)), NOON)
        assert decision.due
        assert "the clock went back" in decision.reason


@pytest.mark.parametrize(
    ("expression", "zone", "after", "then"),
    [
        # The clock goes forward on 29 March 2026 in Berlin: 02:30 is not there, and comes right after.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T03:00"),
        # It goes back on 25 October: 02:30 is there twice, and counts once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T02:30"),
        ("0 6 * * 1-5", "America/New_York", "2026-05-01T07:00", "2026-05-04T06:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_a_calendar(expression: str, zone: str, after: str, then: str) -> None:
    local = ZoneInfo(zone)
    moment = datetime.fromisoformat(after).replace(tzinfo=local)
    wanted = datetime.fromisoformat(then).replace(tzinfo=local).astimezone(UTC)
    assert Cron(expression, zone).after(moment) == wanted


def test_missed_times_of_a_calendar_are_caught_up_once() -> None:
    trigger = parse_trigger("cron '0 * * * *'")
    week_later = NOON + timedelta(days=7)
    assert evaluate(trigger, State(last=NOON), week_later).due
    assert not evaluate(trigger, State(last=week_later), week_later + timedelta(minutes=5)).due


def test_a_share_of_the_rows() -> None:
    trigger = parse_trigger("changed >= 5%")

    def decide(changed: int, rows: int) -> tuple[bool, str]:
        decision = evaluate(trigger, State(share=lambda _columns: Share(changed, rows, 3)), NOON)
        return decision.due, decision.reason

    assert decide(4, 100) == (False, "4 of 100 rows changed since snapshot 3 (4%, due at 5%)")
    assert decide(5, 100)[0]
    assert decide(1, 0)[0], "any row is a change of an empty table"
    assert not decide(0, 0)[0]


def test_cooling_down() -> None:
    trigger = parse_trigger("on write COOLDOWN '6 h'")
    decision = evaluate(trigger, State(last=NOON), NOON + timedelta(hours=5))
    assert (decision.due, decision.next_time) == (False, NOON + timedelta(hours=6))
    assert evaluate(trigger, State(last=NOON), NOON + timedelta(hours=6)).due


# -- in a store ------------------------------------------------------------------------------------


@pytest.fixture
def numbers(store: Store) -> Store:
    store.load("t", store.sql("SELECT i AS id, i AS x, 0 AS note FROM range(10) AS r(i)"), key="id")
    return store


def total(store: Store, name: str) -> object:
    return store.sql(f"SELECT sum(x) AS s FROM {name}").rows()[0]["s"]


def test_a_transform_waits_until_enough_rows_changed(numbers: Store) -> None:
    numbers.transform("f", "SELECT id, x FROM t", on="t", key="id", when="changed >= 30% OF (x)")
    numbers.sql("UPDATE t SET x = x + 1 WHERE id < 2")
    # A column that is not watched; the same rows again; a change and its undoing.
    numbers.sql("UPDATE t SET note = 1 WHERE id > 5")
    numbers.sql("UPDATE t SET x = x + 1 WHERE id < 2")
    assert total(numbers, "f") == 45
    facts = numbers.describe("f").facts
    assert facts["due"].startswith("no: 2 of 10 rows changed in x since snapshot")
    assert "(20%, due at 30%)" in facts["due"]
    assert "not due" in numbers.plan("refresh", name=None).action
    assert numbers.refresh() == []
    said = numbers.sql("DELETE FROM t WHERE id = 9").message
    assert "f refreshed" in said
    assert total(numbers, "f") == 45 + 4 - 9
    numbers.sql("DELETE FROM t WHERE id = 8")
    assert total(numbers, "f") == 40
    # Asked for by name, no trigger is asked.
    numbers.refresh("f")
    assert total(numbers, "f") == 32


def test_a_schedule_runs_when_its_time_has_come(numbers: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers.transform("f", "SELECT id, x FROM t", key="id", when="every '1 hour'")
    numbers.sql("DELETE FROM t WHERE id = 9")
    assert numbers.refresh() == []
    assert "due at" in numbers.describe("f").facts["due"]
    later = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert [run.name for run in numbers.refresh()] == ["f"]
    assert total(numbers, "f") == 36


def test_one_runs_after_another(numbers: Store) -> None:
    numbers.transform("first", "SELECT id, x FROM t WHERE id < 5", key="id", when="manual")
    numbers.transform("second", "SELECT id, x FROM t", key="id", when="after first")
    numbers.sql("UPDATE t SET x = 100 WHERE id = 1")
    assert total(numbers, "second") == 45
    assert [run.name for run in numbers.refresh("first")] == ["first"]
    assert [run.name for run in numbers.refresh()] == ["second"]
    assert total(numbers, "second") == 144
    with pytest.raises(StatementError, match="wait for itself"):
        numbers.transform("first", "SELECT id, x FROM t WHERE id < 5", key="id", when="after second")
    with pytest.raises(NotFound, match="thrid"):
        numbers.transform("x", "SELECT id FROM t", key="id", when="after thrid")


def test_one_that_fails_holds_up_only_what_needs_it(numbers: Store) -> None:
    numbers.transform("bad", "SELECT 10 // (id - 20) AS id, x FROM t WHERE id > 50", key="id")
    numbers.transform("on_bad", "SELECT id, x FROM bad", key="id")
    numbers.transform("good", "SELECT id, x FROM t", key="id")
    numbers.sql("INSERT INTO t VALUES (60, 1, 0), (61, 2, 0)")
    with pytest.raises(Exception, match="not unique"):
        numbers.refresh()
    assert total(numbers, "good") == 48
    assert [row["status"] for row in numbers.runs("on_bad").rows()] == ["ok"]
    assert numbers.stale("bad").rows()


def test_a_schedule_that_fails_waits_for_its_next_time(
    numbers: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers.transform("f", "SELECT x AS id FROM t", key="id", when="every '1 hour'")
    numbers.sql("UPDATE t SET x = 1")
    later = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(Exception, match="not unique"):
        numbers.refresh()
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(minutes=1))
    assert numbers.refresh() == [], "it was tried just now"
