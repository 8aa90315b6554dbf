"""Steps for missing values."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.names import literal
from workbench.transform.steps.step import State, check_count, finite, is_nan, number, option, short

STRATEGIES = ("mean", "median", "mode", "constant")


@dataclass(frozen=True, slots=True)
class Impute:
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

    name: str = "impute"
    signature: str = "impute(x, 'mean'|'median'|'mode'|'constant'[, value])"
    data: int = 1

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless the strategy exists and has the arguments it needs."""
        check_count(self, arguments, 2, 3)
        strategy = option(self, arguments[1], STRATEGIES)
        check_count(self, arguments, 3 if strategy == "constant" else 2)

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregate of the value to fill in; for the mode also its type."""
        column, strategy = arguments[0], option(self, arguments[1], STRATEGIES)
        if strategy == "mean":
            return {"value": finite("favg", column)}
        if strategy == "median":
            return {"value": finite("median", column)}
        if strategy == "constant":
            return {}
        # histogram is in the order of the values, so the first of the largest is the smallest.
        counts = f"histogram({column}) FILTER (WHERE NOT {is_nan(column)})"
        first = f"list_position(map_values({counts}), list_max(map_values({counts})))"
        return {
            "value": f"CAST(map_keys({counts})[{first}] AS VARCHAR)",
            "type": f"any_value(typeof({column}))",
        }

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the column with its missing values filled in."""
        column, strategy = arguments[0], option(self, arguments[1], STRATEGIES)
        if strategy in ("mean", "median"):
            column = f"CAST({column} AS DOUBLE)"
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
