"""Lengths of time as people write them: '90 min', '1 day 2 hours', '20 ms'."""

from __future__ import annotations

import re
from datetime import timedelta

from workbench.errors import StatementError

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_UNITS = {
    "us": 1e-6, "ms": 1e-3,
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip


def parse_interval(text: object) -> timedelta:
    """Read a length of time such as "90 min" or "1 day 2 hours".

    Raises
    ------
    StatementError
        If it is no length of time, or zero.

    Examples
    --------
    >>> parse_interval("1 h 30 min")
    datetime.timedelta(seconds=5400)
    """
    if not isinstance(text, str):
        raise StatementError(f"{text!r} is no length of time.", hint="Write it as a text, such as '30 min'.")
    amounts = _AMOUNT.findall(text)
    unknown = [unit for _, unit in amounts if unit.lower() not in _UNITS]
    if not amounts or unknown or _AMOUNT.sub("", text).strip():
        raise StatementError(
            f"{text!r} is no length of time.", hint="Write it as '30 min', '6 hours' or '1 day'."
        )
    seconds = sum(float(amount) * _UNITS[unit.lower()] for amount, unit in amounts)
    if seconds <= 0:
        raise StatementError(f"{text!r} is no time at all.", hint="Say on write, if it is to run at once.")
    return timedelta(seconds=seconds)


def write_interval(interval: timedelta) -> str:
    """Write a length of time in its largest whole unit.

    Examples
    --------
    >>> write_interval(timedelta(minutes=90)), write_interval(timedelta(hours=2))
    ('90 min', '2 h')
    """
    seconds = interval.total_seconds()
    for name in ("d", "h", "min"):
        if seconds % _UNITS[name] == 0:
            return f"{seconds / _UNITS[name]:g} {name}"
    return f"{seconds:g} s"
