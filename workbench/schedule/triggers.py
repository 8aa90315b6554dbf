"""Triggers: what a WHEN clause says, read and checked.

manual · on write · every '1 hour' · cron '0 6 * * *' [tz 'Europe/Berlin']
changed >= 5% [OF (a, b)] · after NAME · and, or, parentheses · COOLDOWN '6 h'
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from workbench.errors import NotFound, StatementError, Unsupported
from workbench.intervals import parse_interval, write_interval

MANUAL, ON_WRITE = "manual", "on write"
_EVENTS = (MANUAL, ON_WRITE, "every", "cron", "changed", "drift", "metric", "after")
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|>=|<=|[<>(),%]|[\d.]+|[A-Za-z_][\w.]*)")


@dataclass(frozen=True, slots=True)
class Manual:
    """Only when somebody says so."""


@dataclass(frozen=True, slots=True)
class OnWrite:
    """When an input was written."""


@dataclass(frozen=True, slots=True)
class Every:
    """When so much time has gone since the last run."""

    interval: timedelta
    text: str


@dataclass(frozen=True, slots=True)
class Cron:
    """At times of the calendar, in a time zone."""

    expression: str
    zone: str = "UTC"

    def after(self, moment: datetime) -> datetime:
        """Return the first time after a moment; times that a clock change skips come right after it."""
        from cronsim import CronSim

        found: datetime = next(CronSim(self.expression, moment.astimezone(zoneinfo.ZoneInfo(self.zone))))
        return found.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Changed:
    """When at least so many percent of the rows were inserted, updated or deleted since the last run.

    Of updates only those count that concern `columns`, if any are named.
    """

    percent: float
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class After:
    """When another derivation has been refreshed since."""

    name: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """When one of these is due."""

    parts: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """When all of these are due."""

    parts: tuple[Event, ...]


Event = Manual | OnWrite | Every | Cron | Changed | After | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event, and how long to leave alone what has just run."""

    event: Event
    cooldown: timedelta | None = None

    def events(self) -> Iterator[Event]:
        """Yield the events, those that are put together as well."""
        waiting: list[Event] = [self.event]
        while waiting:
            event = waiting.pop(0)
            yield event
            if isinstance(event, AnyOf | AllOf):
                waiting += event.parts

    @property
    def follows_writes(self) -> bool:
        """Whether a write can make it due."""
        return any(isinstance(each, OnWrite | Changed | After) for each in self.events())


def check_trigger(text: str, spelled: Callable[[str], str] = str) -> str:
    """Return a trigger in its normal form.

    Parameters
    ----------
    spelled : function
        Gives the name under which something is recorded for the one that stands in `after`.

    Raises
    ------
    StatementError
        If it cannot be read, or could never be due.
    Unsupported
        If the store does not act on such a trigger yet.
    NotFound
        If there is no such trigger or time zone.

    Examples
    --------
    >>> check_trigger("ON  WRITE")
    'on write'
    >>> check_trigger("changed >= 5 % of (a, b) or every '90 min' COOLDOWN '6 h'")
    "changed >= 5% OF (a, b) or every '90 min' COOLDOWN '6 h'"
    """
    trigger = parse_trigger(text)
    return write_trigger(replace(trigger, event=_renamed(trigger.event, spelled)))


def _renamed(event: Event, spelled: Callable[[str], str]) -> Event:
    match event:
        case After():
            return After(spelled(event.name))
        case AnyOf() | AllOf():
            return replace(event, parts=tuple(_renamed(each, spelled) for each in event.parts))
        case _:
            return event


def check_names(text: str, name: str, known: Mapping[str, Collection[str]], columns: Collection[str]) -> None:
    """Check what a trigger names.

    Parameters
    ----------
    name : str
        The derivation whose trigger it is.
    known : mapping of str to collection of str
        The derivations there are, each with those that it runs after.
    columns : collection of str
        The columns of the table it is attached to; empty if it is attached to none.

    Raises
    ------
    NotFound
        If it runs after something that does not exist, or watches a column that does not.
    StatementError
        If it would wait for itself.
    """
    for event in parse_trigger(text).events():
        if isinstance(event, Changed) and columns:
            low = {each.lower() for each in columns}
            for column in event.columns:
                if column.lower() not in low:
                    raise NotFound.named("column", column, columns)
        if isinstance(event, After):
            if event.name not in known and event.name != name:
                raise NotFound.named("transform or binding", event.name, known)
            _check_waiting(event.name, name, known)


def _check_waiting(first: str, name: str, known: Mapping[str, Collection[str]]) -> None:
    path, waiting = [first], [first]
    while waiting:
        here = waiting.pop()
        if here == name:
            raise StatementError(
                f"{name!r} would wait for itself: after {' after '.join(path)}.",
                hint="Name something that does not run after it.",
            )
        further = [each for each in known.get(here, ()) if each not in path]
        path += further
        waiting += further


def parse_trigger(text: str) -> Trigger:
    """Read a trigger; see `check_trigger` for what it raises.

    Examples
    --------
    >>> parse_trigger("every '1 hour' and after features").event.parts[1]
    After(name='features')
    """
    return _Reader(text).trigger()


def write_trigger(trigger: Trigger) -> str:
    """Write a trigger in its normal form, which `parse_trigger` reads as the same one."""
    cooldown = f" COOLDOWN '{write_interval(trigger.cooldown)}'" if trigger.cooldown else ""
    return _write(trigger.event) + cooldown


def _write(event: Event, within: type | None = None) -> str:
    match event:
        case Manual():
            return MANUAL
        case OnWrite():
            return ON_WRITE
        case Every():
            return f"every '{event.text}'"
        case Cron():
            zone = f" tz '{event.zone}'" if event.zone != "UTC" else ""
            return f"cron '{event.expression}'{zone}"
        case Changed():
            columns = f" OF ({', '.join(event.columns)})" if event.columns else ""
            return f"changed >= {event.percent:g}%{columns}"
        case After():
            return f"after {event.name}"
        case AnyOf() | AllOf():
            word = " or " if isinstance(event, AnyOf) else " and "
            said = word.join(_write(each, type(event)) for each in event.parts)
            return f"({said})" if within is not None else said


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0

    def _split(self, text: str) -> list[str]:
        tokens, place = [], 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._error(text[place:].strip()[0])
            tokens.append(found.group(1))
            place = found.end()
        return tokens

    def trigger(self) -> Trigger:
        event = self._any()
        cooldown = parse_interval(self._string("how long")) if self._skip("cooldown") else None
        if self._next < len(self._tokens):
            raise self._error(self._tokens[self._next])
        if cooldown is not None and isinstance(event, Manual):
            raise StatementError("A manual trigger has no COOLDOWN: nothing runs by itself.")
        return Trigger(event, cooldown)

    def _any(self) -> Event:
        parts = [self._all()]
        while self._skip("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else AnyOf(_alone(parts))

    def _all(self) -> Event:
        parts = [self._event()]
        while self._skip("and"):
            parts.append(self._event())
        return parts[0] if len(parts) == 1 else AllOf(_alone(parts))

    def _event(self) -> Event:
        if self._skip("("):
            event = self._any()
            self._expect(")")
            return event
        word = self._take("an event").lower()
        if word == "on":
            rest = self._take("'write'").lower()
            if rest != "write":
                raise NotFound.named("trigger", f"on {rest}", _EVENTS)
            return OnWrite()
        if word == "manual":
            return Manual()
        if word == "every":
            return self._every()
        if word == "cron":
            return self._cron()
        if word == "changed":
            return self._changed()
        if word == "after":
            return After(self._take("a name"))
        if word in _EVENTS:
            raise Unsupported(
                f"The trigger {word!r} is not there yet.", hint="Use changed >= N%, every or cron meanwhile."
            )
        raise NotFound.named("trigger", word, _EVENTS)

    def _every(self) -> Every:
        text = self._string("how often")
        return Every(parse_interval(text), text)

    def _cron(self) -> Cron:
        expression = self._string("a cron expression")
        zone = self._string("a time zone") if self._skip("tz") else "UTC"
        if zone not in zoneinfo.available_timezones():
            raise NotFound.named("time zone", zone, zoneinfo.available_timezones())
        _check_cron(expression)
        return Cron(" ".join(expression.split()), zone)

    def _changed(self) -> Changed:
        self._expect(">=")
        percent = float(self._take("a percentage"))
        self._expect("%")
        if percent <= 0:
            raise StatementError(
                f"changed >= {percent:g}% is always so.", hint="Say on write, or a percentage above 0."
            )
        return Changed(percent, self._columns() if self._skip("of") else ())

    def _columns(self) -> tuple[str, ...]:
        if not self._skip("("):
            return (self._take("a column"),)
        columns = [self._take("a column")]
        while self._skip(","):
            columns.append(self._take("a column"))
        self._expect(")")
        return tuple(columns)

    # -- tokens ------------------------------------------------------------------------------------

    def _take(self, what: str) -> str:
        if self._next >= len(self._tokens):
            raise StatementError(f"The trigger {self._text!r} ends where {what} should stand.")
        self._next += 1
        return self._tokens[self._next - 1]

    def _skip(self, word: str) -> bool:
        here = self._next < len(self._tokens) and self._tokens[self._next].lower() == word
        self._next += here
        return here

    def _expect(self, word: str) -> None:
        found = self._take(repr(word))
        if found.lower() != word:
            raise self._error(found, word)

    def _string(self, what: str) -> str:
        found = self._take(f"{what} in quotes")
        if not found.startswith("'"):
            raise self._error(found, f"{what} in quotes")
        return found[1:-1].replace("''", "'")

    def _error(self, found: str, wanted: str = "") -> StatementError:
        near = difflib.get_close_matches(found.lower(), ("or", "and", "cooldown", "of", "tz", "write"), 1)
        hint = f"{wanted} should stand there." if wanted else (f"Did you mean {near[0]!r}?" if near else "")
        return StatementError(f"The trigger {self._text!r} cannot be read at {found!r}.", hint=hint)


def _alone(parts: list[Event]) -> tuple[Event, ...]:
    if any(isinstance(each, Manual) for each in parts):
        raise StatementError(
            "manual cannot be joined with another trigger.", hint="Leave it out: refresh works always."
        )
    return tuple(parts)


def _check_cron(expression: str) -> None:
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it never comes"
        raise StatementError(
            f"The cron expression {expression!r} cannot be used: {why}.",
            hint="Five fields: minute, hour, day of the month, month, day of the week; as in '0 6 * * *'.",
        ) from error
