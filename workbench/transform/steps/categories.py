"""Steps for columns of categories."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.names import literal
from workbench.transform.steps.step import State, check_count, is_nan, positive, short

MOST = 50


@dataclass(frozen=True, slots=True)
class OneHot:
    """`one_hot(c[, max])`: a list with a 1 at the place of the value and 0 elsewhere.

    The places belong to the `max` (50) most frequent values at the time of the fit, the most
    frequent first, equally frequent ones in the order of their values. All other values, those
    never seen, NULL and NaN give zeros only. The result is a UTINYINT[] of one length.

    Examples
    --------
    >>> OneHot().apply(("c",), {"categories": ("b",)})
    "[CAST(c IS NOT DISTINCT FROM 'b' AS UTINYINT)]"
    """

    name: str = "one_hot"
    signature: str = "one_hot(c[, max])"
    data: int = 1

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there is a column, and perhaps a number."""
        check_count(self, arguments, 1, 2)
        if len(arguments) == 2:
            positive(self, arguments[1], "maximum")

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregate of the most frequent values, as text."""
        column = arguments[0]
        most = positive(self, arguments[1], "maximum") if len(arguments) == 2 else MOST
        counts = f"map_entries(histogram({column}) FILTER (WHERE NOT {is_nan(column)}))"
        # Structs sort by their first field, then by the next.
        ranked = f"list_sort([{{'n': -CAST(e.value AS BIGINT), 'v': e.key}} FOR e IN {counts}])"
        return {"categories": f"[CAST(e.v AS VARCHAR) FOR e IN {ranked}[1:{most}]]"}

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the list; text constants take the type of the column they are compared with."""
        column, categories = arguments[0], state["categories"]
        if not isinstance(categories, tuple):
            # Naming the column keeps an aggregate an aggregate.
            return f"[CAST(({column}) IS NULL AS UTINYINT)][:0]"
        return "[" + ", ".join(_flag(column, str(category)) for category in categories) + "]"

    def describe(self, state: State) -> str:
        """Say the categories in their order."""
        return f"categories {short(state['categories'])}"


def _flag(column: str, category: str) -> str:
    operand = column if column.isidentifier() else f"({column})"
    return f"CAST({operand} IS NOT DISTINCT FROM {literal(category)} AS UTINYINT)"
