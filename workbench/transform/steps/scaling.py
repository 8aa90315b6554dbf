"""Steps that bring numbers to a common scale.

All give a DOUBLE. NULL, NaN and infinite values are left out of what is fitted, and but for
`clip_quantile` they stay what they are. A column without spread becomes one value. What overflows
is infinite, as in IEEE 754. Fitted on no values at all, a step that needs some gives NULL.
"""

from __future__ import annotations

import math
import sys

from workbench.errors import StatementError
from workbench.transform.steps.step import State, Step, double, finite, nothing, number, numbers, real, short


class Standardize(Step):
    """`standardize(x)`: subtract the mean, divide by the standard deviation.

    The standard deviation is that of the population, as in scikit-learn's StandardScaler. Every
    finite value of a column without variance becomes 0.0; variance below what rounding can produce
    counts as none, by StandardScaler's rule. Values beyond 1e154, whose squares overflow, are
    refused.

    Examples
    --------
    >>> Standardize().apply(("x",), {"mean": 2.5, "std": 0.5, "count": 4.0})
    '((CAST(x AS DOUBLE) - 2.5e0) / 0.5e0)'
    """

    name = "standardize"
    signature = "standardize(x)"

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
        value = double(arguments[0])
        mean, std, count = state["mean"], state["std"], state["count"]
        if not (isinstance(mean, float) and isinstance(std, float) and isinstance(count, float)):
            return nothing(arguments[0])
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


class MinMax(Step):
    """`min_max(x)`: the smallest value becomes 0, the largest 1, as in scikit-learn's MinMaxScaler.

    Values outside the range that was fitted fall outside 0 to 1. Every finite value of a constant
    column becomes 0.0.

    Examples
    --------
    >>> MinMax().apply(("x",), {"min": 1.0, "max": 5.0})
    '((CAST(x AS DOUBLE) - 1.0e0) / 4.0e0)'
    """

    name = "min_max"
    signature = "min_max(x)"

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregates of the smallest and the largest value."""
        return {"min": finite("min", arguments[0]), "max": finite("max", arguments[0])}

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return `(x - min) / (max - min)`, or zeros for a constant column."""
        value, low, high = double(arguments[0]), state["min"], state["max"]
        if not (isinstance(low, float) and isinstance(high, float)):
            return nothing(arguments[0])
        if low == high:
            return f"CASE WHEN isfinite({value}) THEN 0e0 ELSE {value} END"
        return f"(({value} - {number(low)}) / {number(high - low)})"

    def describe(self, state: State) -> str:
        """Say the range."""
        return f"from {short(state['min'])} to {short(state['max'])}"


class RobustScale(Step):
    """`robust_scale(x)`: subtract the median, divide by the distance of the quartiles.

    As in scikit-learn's RobustScaler: the quartiles are exact, interpolated between values, and
    where they coincide nothing is divided by.

    Examples
    --------
    >>> RobustScale().apply(("x",), {"quartiles": (1.0, 2.0, 5.0)})
    '((CAST(x AS DOUBLE) - 2.0e0) / 4.0e0)'
    """

    name = "robust_scale"
    signature = "robust_scale(x)"

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregate of the three quartiles."""
        return {"quartiles": quantiles(arguments[0], (0.25, 0.5, 0.75))}

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return `(x - median) / (third quartile - first quartile)`."""
        quartiles = numbers(state["quartiles"])
        if not quartiles:
            return nothing(arguments[0])
        low, middle, high = quartiles
        spread = high - low if high - low > 10 * sys.float_info.epsilon else 1.0
        return f"(({double(arguments[0])} - {number(middle)}) / {number(spread)})"

    def describe(self, state: State) -> str:
        """Say the quartiles."""
        return f"quartiles {short(state['quartiles'])}"


class Log1pSigned(Step):
    """`log1p_signed(x)`: the logarithm of 1 + |x|, with the sign of x.

    For numbers of both signs and many magnitudes; near zero it is x itself. It fits nothing.

    Examples
    --------
    >>> Log1pSigned().name
    'log1p_signed'
    """

    name = "log1p_signed"
    signature = "log1p_signed(x)"

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the expression; `log(1 + x)` alone would lose the digits of a small x."""
        value = double(arguments[0])
        # ln(1 + x) = 2 artanh(x / (x + 2)), and artanh keeps the sign and the digits.
        small = f"2e0 * atanh({value} / (abs({value}) + 2e0))"
        # Half of the smallest numbers is nothing; so near zero the logarithm is x to the last digit.
        return (
            f"CASE WHEN abs({value}) < 1e-16 THEN {value} WHEN abs({value}) < 1e0 THEN {small} "
            f"ELSE sign({value}) * ln(1e0 + abs({value})) END"
        )


class ClipQuantile(Step):
    """`clip_quantile(x[, low, high])`: cut off what lies beyond two quantiles (0.01 and 0.99).

    The quantiles are exact, interpolated between values. Infinite values are cut as well; NULL and
    NaN stay. Fitted on no values at all, everything stays.

    Examples
    --------
    >>> ClipQuantile().check(("x", "0.9", "0.1"))
    Traceback (most recent call last):
    ...
    workbench.errors.StatementError: clip_quantile cuts between 0 and 1, from low to high, not 0.9 to 0.1.
    Call it as clip_quantile(x[, low, high]).
    """

    name = "clip_quantile"
    signature = "clip_quantile(x[, low, high])"
    most = 3

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there is a column, and perhaps two quantiles."""
        super().check(arguments)
        low, high = self._range(arguments)
        if not 0 <= low < high <= 1:
            raise StatementError(
                f"{self.name} cuts between 0 and 1, from low to high, not {low:g} to {high:g}.",
                hint=f"Call it as {self.signature}.",
            )

    def _range(self, arguments: tuple[str, ...]) -> tuple[float, float]:
        low = real(self, arguments[1], "lower quantile") if len(arguments) > 1 else 0.01
        high = real(self, arguments[2], "upper quantile") if len(arguments) > 2 else 0.99
        return low, high

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregate of the two quantiles."""
        return {"range": quantiles(arguments[0], self._range(arguments))}

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the column between the two quantiles."""
        value, found = double(arguments[0]), numbers(state["range"])
        if not found:
            return value
        low, high = (number(each) for each in found)
        # least and greatest pass over NULL, and take NaN for the largest number.
        cut = f"least(greatest({value}, {low}), {high})"
        return f"CASE WHEN isnan({value}) OR {value} IS NULL THEN {value} ELSE {cut} END"

    def describe(self, state: State) -> str:
        """Say the range."""
        found = numbers(state["range"])
        return f"from {found[0]:g} to {found[1]:g}" if found else "no values"


def quantiles(column: str, shares: tuple[float, ...]) -> str:
    """Return the aggregate of exact quantiles, interpolated between values, as a list of DOUBLE."""
    listed = ", ".join(f"{share!r}" for share in shares)
    return f"quantile_cont({double(column)}, [{listed}]) FILTER (WHERE isfinite({double(column)}))"
