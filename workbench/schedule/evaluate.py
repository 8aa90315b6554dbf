"""Whether a trigger is due: pure functions of what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from workbench.schedule.triggers import (
    After,
    AllOf,
    AnyOf,
    Changed,
    Cron,
    Event,
    Every,
    Manual,
    OnWrite,
    Trigger,
)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the inputs changed since the `baseline` snapshot, at which there were so many rows."""

    changed: int
    rows: int
    baseline: int

    @property
    def percent(self) -> float:
        """The share in percent; infinite where there were no rows and now are some."""
        if self.rows:
            return 100 * self.changed / self.rows
        return float("inf") if self.changed else 0.0


@dataclass(frozen=True, slots=True)
class State:
    """What is recorded of a derivation.

    Attributes
    ----------
    last : datetime or None
        When it was last run or tried.
    snapshot : int
        The snapshot of its last success; -1 if there is none.
    changed : bool
        Whether its inputs changed since they were last read.
    share : function
        From columns to how much changed; called only if the trigger asks.
    refreshed : mapping of str to int
        The snapshot of the last success of each derivation named in `after`.
    """

    last: datetime | None = None
    snapshot: int = -1
    changed: bool = True
    share: Callable[[tuple[str, ...]], Share] = lambda _columns: Share(0, 0, 0)
    refreshed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to run, why or why not, and when a clock will make it due (None: no clock will)."""

    due: bool
    reason: str
    next_time: datetime | None = None


def evaluate(trigger: Trigger, state: State, now: datetime) -> Decision:
    """Decide whether a trigger is due.

    Something whose inputs did not change is never due: running it would do nothing. A clock that
    was turned back makes a schedule due at once rather than leave it waiting for the old time.

    Examples
    --------
    >>> from datetime import UTC
    >>> from workbench.schedule.triggers import parse_trigger
    >>> six, noon = (datetime(2026, 5, 1, hour, tzinfo=UTC) for hour in (6, 12))
    >>> evaluate(parse_trigger("every '4 hours'"), State(last=six), noon).reason
    'every 4 hours: was due at 2026-05-01 10:00 UTC'
    """
    decision = _decide(trigger.event, state, now)
    if decision.due and not state.changed:
        return Decision(False, f"nothing changed; {decision.reason}", decision.next_time)
    if decision.due and trigger.cooldown is not None and state.last is not None and state.last <= now:
        until = state.last + trigger.cooldown
        if now < until:
            return Decision(False, f"{decision.reason}, but cools down until {_said(until)}", until)
    return decision


def _decide(event: Event, state: State, now: datetime) -> Decision:
    match event:
        case Manual():
            return Decision(False, "manual: it waits for refresh")
        case OnWrite():
            return Decision(
                state.changed, "an input was written" if state.changed else "no input was written"
            )
        case Every():
            last = state.last
            return _timed(f"every {event.text}", last, None if last is None else last + event.interval, now)
        case Cron():
            last = state.last
            return _timed(
                f"cron '{event.expression}'", last, None if last is None else event.after(last), now
            )
        case Changed():
            return _changed(event, state)
        case After():
            due = state.refreshed.get(event.name, -1) > state.snapshot
            return Decision(due, f"{event.name} was {'' if due else 'not '}refreshed since")
        case AnyOf():
            return _joined([_decide(each, state, now) for each in event.parts], any)
        case AllOf():
            return _joined([_decide(each, state, now) for each in event.parts], all)


def _timed(what: str, last: datetime | None, due_at: datetime | None, now: datetime) -> Decision:
    if last is None or due_at is None:
        return Decision(True, f"{what}: it never ran", now)
    if last > now:
        return Decision(True, f"{what}: the clock went back, the last run was at {_said(last)}", now)
    if now >= due_at:
        return Decision(True, f"{what}: was due at {_said(due_at)}", due_at)
    return Decision(False, f"{what}: due at {_said(due_at)}", due_at)


def _changed(event: Changed, state: State) -> Decision:
    share = state.share(event.columns)
    due = share.changed > 0 and share.percent >= event.percent
    percent = f"{share.percent:.3g}%" if share.rows else "all"
    of = f" in {', '.join(event.columns)}" if event.columns else ""
    return Decision(
        due,
        f"{share.changed:,} of {share.rows:,} rows changed{of} since snapshot {share.baseline} ({percent}, "
        f"due at {event.percent:g}%)",
    )


def _joined(parts: list[Decision], rule: Callable[[list[bool]], bool]) -> Decision:
    due = rule([each.due for each in parts])
    telling = [each for each in parts if each.due == due] or parts
    times = [each.next_time for each in parts if each.next_time is not None]
    if rule is all and due:
        telling = parts
    chosen = (max if rule is all else min)(times) if times else None
    return Decision(due, "; ".join(each.reason for each in telling), chosen)


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
