"""Steps for missing values."""

from __future__ import annotations

from workbench.names import literal
from workbench.transform.steps.step import (
    State,
    Step,
    check_count,
    double,
    finite,
    is_nan,
    number,
    option,
    short,
)

STRATEGIES = ("mean", "median", "mode", "constant")


class Impute(Step):
    """`impute(x, 'mean'|'median'|'mode'|'constant'[, value])`: fill in missing values.

    Missing are NULL and, in columns of floats, NaN; as in scikit-learn's SimpleImputer.

    - 'mean' and 'median' (exact) are for numbers and give a DOUBLE. Infinite values stay, and are
      left out of the statistic.
    - 'mode' is the most frequent value, the smallest of several; it takes and gives any type.
    - 'constant' takes the value to put in as the third argument and fits nothing.

    Fitted on no values at all, it leaves everything as it is.

    Examples
    --------
    >>> Impute().apply(("x", "'mean'"), {"value": 2.5})
    'CASE WHEN x IS NULL OR isnan(CAST(x AS DOUBLE)) THEN 2.5e0 ELSE CAST(x AS DOUBLE) END'
    """

    name = "impute"
    signature = "impute(x, 'mean'|'median'|'mode'|'constant'[, value])"
    least, most = 2, 3

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless the strategy exists and has the arguments it needs."""
        super().check(arguments)
        strategy = option(self, arguments[1], STRATEGIES)
        check_count(self, arguments, 3 if strategy == "constant" else 2)

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregate of the value to fill in, where it is one; for the mode the type."""
        column, strategy = arguments[0], option(self, arguments[1], STRATEGIES)
        aggregates = {
            "mean": {"value": finite("favg", column)},
            "median": {"value": finite("median", column)},
            "mode": {"type": f"any_value(typeof({column}))"},
        }
        return aggregates.get(strategy, {})

    def ranking(self, arguments: tuple[str, ...]) -> str:
        """Return the query for the mode, as text."""
        column = arguments[0]
        if option(self, arguments[1], STRATEGIES) != "mode":
            return ""
        return (
            f"SELECT CAST(first(v ORDER BY n DESC, v) AS VARCHAR) AS value FROM (SELECT {column} AS v, "
            f"count(*) AS n FROM {{rows}} WHERE {column} IS NOT NULL AND NOT {is_nan(column)} GROUP BY ALL)"
        )

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the column with its missing values filled in."""
        column, strategy = arguments[0], option(self, arguments[1], STRATEGIES)
        if strategy in ("mean", "median"):
            column = double(column)
            value = state["value"]
            if not isinstance(value, float):
                return column
            return (
                f"CASE WHEN {arguments[0]} IS NULL OR isnan({column}) THEN {number(value)} ELSE {column} END"
            )
        if strategy == "constant":
            filling = f"({arguments[2]})"
        elif state["value"] is None:
            return f"({column})"
        else:
            filling = f"CAST({literal(str(state['value']))} AS {state['type']})"
        return f"CASE WHEN {column} IS NULL OR {is_nan(column)} THEN {filling} ELSE {column} END"

    def describe(self, state: State) -> str:
        """Say the value that is filled in."""
        return f"missing becomes {short(state['value'])}" if state else ""


class IsMissing(Step):
    """`is_missing(x)`: whether a value is NULL or, in columns of floats, NaN; a BOOLEAN.

    Beside `impute` it keeps what filling in takes away. It fits nothing.

    Examples
    --------
    >>> IsMissing().apply(("x",), {})[:13]
    '(x IS NULL OR'
    """

    name = "is_missing"
    signature = "is_missing(x)"

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the condition."""
        return f"({arguments[0]} IS NULL OR {is_nan(arguments[0])})"
