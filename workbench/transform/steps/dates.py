"""Steps for dates and times. They fit nothing."""

from __future__ import annotations

from workbench.transform.steps.step import State, Step, option

PARTS = ("year", "month", "day", "dow", "doy", "hour", "minute")

# unit → (position within the cycle, counted from 0, length of the cycle)
CYCLES: dict[str, tuple[str, str]] = {
    "minute": ("minute({0})", "60e0"),
    "hour": ("hour({0})", "24e0"),
    "dow": ("dayofweek({0})", "7e0"),
    "month": ("(month({0}) - 1)", "12e0"),
    # A quarter of a day more, so that the seasons don't drift over the years.
    "doy": ("(dayofyear({0}) - 1)", "365.25e0"),
}


def in_utc(column: str) -> str:
    """Return SQL for the TIMESTAMP in UTC of a date, a timestamp, or one with a time zone.

    A cast of TIMESTAMPTZ would use the time zone of the session.
    """
    return f"make_timestamp(epoch_us({column}))"


class DateParts(Step):
    """`date_parts(ts)`: STRUCT(year, month, day, dow, doy, hour, minute) of SMALLINT.

    `dow` counts from 0 (Sunday) to 6, `doy` from 1 to 366. A TIMESTAMPTZ is taken in UTC, whatever
    the time zone of the session. A DATE has hour and minute 0. NULL gives NULL; infinite
    timestamps too, as they have no parts.

    Examples
    --------
    >>> DateParts().apply(("ts",), {})[:64]
    "CASE WHEN make_timestamp(epoch_us(ts)) IS NULL THEN NULL ELSE {'"
    """

    name = "date_parts"
    signature = "date_parts(ts)"

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the struct."""
        time = in_utc(arguments[0])
        fields = ", ".join(f"'{part}': CAST(date_part('{part}', {time}) AS SMALLINT)" for part in PARTS)
        return f"CASE WHEN {time} IS NULL THEN NULL ELSE {{{fields}}} END"


class Cyclical(Step):
    """`cyclical(ts, 'hour'|'dow'|'month'|'doy'|'minute')`: STRUCT(sin DOUBLE, cos DOUBLE).

    The place of `ts` on a circle, on which the end of a cycle is next to its beginning: the hour of
    the day, the day of the week (Sunday at the top), the month or the day of the year (over 365.25
    days), the minute of the hour. Whole units count: 13:59 is where 13:00 is. A TIMESTAMPTZ is
    taken in UTC. NULL and infinite timestamps give NULL.

    Examples
    --------
    >>> Cyclical().check(("ts", "'hours'"))
    Traceback (most recent call last):
    ...
    workbench.errors.StatementError: cyclical has no option 'hours'.
    Did you mean 'hour'?
    """

    name = "cyclical"
    signature = "cyclical(ts, 'hour'|'dow'|'month'|'doy'|'minute')"
    least = most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there is a column and a known cycle."""
        super().check(arguments)
        option(self, arguments[1], tuple(CYCLES))

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the struct of sine and cosine."""
        position, length = CYCLES[option(self, arguments[1], tuple(CYCLES))]
        time = in_utc(arguments[0])
        angle = f"2e0 * pi() * {position.format(time)} / {length}"
        return f"CASE WHEN {time} IS NULL THEN NULL ELSE {{'sin': sin({angle}), 'cos': cos({angle})}} END"
