"""Steps that look back at earlier rows of the same entity. They fit nothing, and see no future.

The row itself and rows at the same time are not seen either: which of them came first nobody knows.
Where the time is NULL the result is. `entity` is one column or several, as in `(a, b)`.
"""

from __future__ import annotations

import re

from workbench.errors import StatementError
from workbench.transform.steps.dates import in_utc
from workbench.transform.steps.step import State, Step, double, option, positive

AGGREGATES = ("mean", "sum", "min", "max", "std", "count")


class LagFeature(Step):
    """`lag_feature(x, entity, ts[, n])`: the value of x at the n-th (1) time before, of any type.

    NULL where there is no such time. Of several values at one time the largest counts.

    Examples
    --------
    >>> LagFeature().apply(("x", "shop", "day"), {})[:48]
    'CASE WHEN day IS NOT NULL THEN max(x) OVER (PART'
    """

    name = "lag_feature"
    signature = "lag_feature(x, entity, ts[, n])"
    data = 3
    least, most = 3, 4

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a column, an entity and a time."""
        super().check(arguments)
        if len(arguments) == 4:
            positive(self, arguments[3], "lag")

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the window over the one group of rows with that time."""
        column, entity, time = arguments[:3]
        lag = positive(self, arguments[3], "lag") if len(arguments) == 4 else 1
        frame = f"GROUPS BETWEEN {lag} PRECEDING AND {lag} PRECEDING"
        return f"CASE WHEN {time} IS NOT NULL THEN max({column}) OVER ({_window(entity, time)} {frame}) END"


class Rolling(Step):
    """`rolling(x, 'mean'|'sum'|'min'|'max'|'std'|'count', entity, ts, n|'interval')`: a DOUBLE.

    The aggregate of x over the n times before, or over the rows of an interval such as '7 days'
    before. Missing values are left out; 'std' is that of a sample. Where there is nothing to look
    at, 'count' is 0 and all else NULL.

    Examples
    --------
    >>> Rolling().check(("x", "'mean'", "shop", "day", "'a week'"))
    Traceback (most recent call last):
    ...
    workbench.errors.StatementError: rolling cannot look back 'a week'.
    Write how many times, as in 7, or an interval, as in '7 days'.
    """

    name = "rolling"
    signature = "rolling(x, 'mean'|'sum'|'min'|'max'|'std'|'count', entity, ts, n|'interval')"
    data = 1
    least = most = 5

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless aggregate and width are known ones."""
        super().check(arguments)
        option(self, arguments[1], AGGREGATES)
        self._frame(arguments[4])

    def _frame(self, width: str) -> str:
        width = width.strip()
        if re.fullmatch(r"[1-9][0-9]*", width):
            return f"GROUPS BETWEEN {width} PRECEDING AND 1 PRECEDING"
        found = re.fullmatch(
            r"'\s*([0-9]+(?:\.[0-9]+)?)\s*(second|minute|hour|day|week|month|year)s?\s*'",
            width,
            re.IGNORECASE,
        )
        if found is None:
            raise StatementError(
                f"{self.name} cannot look back {width}.",
                hint="Write how many times, as in 7, or an interval, as in '7 days'.",
            )
        # One microsecond is the step of a TIMESTAMP: everything before the row's own time.
        return f"RANGE BETWEEN INTERVAL {width} PRECEDING AND INTERVAL '1 microsecond' PRECEDING"

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the window over the times before."""
        column, entity, time = double(arguments[0]), arguments[2], arguments[3]
        function = {"mean": "avg", "std": "stddev_samp"}.get(
            word := option(self, arguments[1], AGGREGATES), word
        )
        frame = self._frame(arguments[4])
        order = in_utc(time) if frame.startswith("RANGE") else time
        window = f"{function}({column}) OVER ({_window(entity, order)} {frame})"
        return f"CASE WHEN {time} IS NOT NULL THEN CAST({window} AS DOUBLE) END"


def _window(entity: str, time: str) -> str:
    found = re.fullmatch(r"\((.*)\)", entity.strip(), re.DOTALL)
    return f"PARTITION BY {found.group(1) if found else entity} ORDER BY {time}"
