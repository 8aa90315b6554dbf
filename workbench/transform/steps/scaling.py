"""Steps that bring numbers to a common scale."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from workbench.transform.steps.step import State, check_count, finite, number, short


@dataclass(frozen=True, slots=True)
class Standardize:
    """`standardize(x)`: subtract the mean, divide by the standard deviation.

    The standard deviation is that of the population, as in scikit-learn's StandardScaler. NULL,
    NaN and infinite values are left out of the statistics and stay what they are. Every other
    value of a column without variance becomes 0.0; variance below what rounding can produce counts
    as none, by StandardScaler's rule. Fitted on no values at all, it gives NULL.

    The result is a DOUBLE.

    Examples
    --------
    >>> Standardize().apply(("x",), {"mean": 2.5, "std": 0.5, "count": 4.0})
    '((CAST(x AS DOUBLE) - 2.5e0) / 0.5e0)'
    """

    name: str = "standardize"
    signature: str = "standardize(x)"
    data: int = 1

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there is one argument."""
        check_count(self, arguments, 1)

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregates of mean, standard deviation and count."""
        (column,) = arguments
        # favg sums without losing low bits; stddev_pop is Welford's, which doesn't cancel.
        return {
            "mean": finite("favg", column),
            "std": finite("stddev_pop", column),
            "count": finite("count", column),
        }

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return `(x - mean) / std`, or zeros for a column without variance."""
        value = f"CAST({arguments[0]} AS DOUBLE)"
        mean, std, count = state["mean"], state["std"], state["count"]
        if not (isinstance(mean, float) and isinstance(std, float) and isinstance(count, float)):
            return f"({value} - CAST(NULL AS DOUBLE))"
        if _is_constant(mean, std, count):
            return f"CASE WHEN isfinite({value}) THEN 0e0 ELSE {value} END"
        return f"(({value} - {number(mean)}) / {number(std)})"

    def describe(self, state: State) -> str:
        """Say mean and standard deviation."""
        return f"mean {short(state['mean'])}, standard deviation {short(state['std'])}"


def _is_constant(mean: float, std: float, count: float) -> bool:
    """Tell whether rounding alone can have made this variance (scikit-learn's bound)."""
    epsilon = sys.float_info.epsilon
    return std <= math.hypot(math.sqrt(count * epsilon) * std, count * mean * epsilon)
