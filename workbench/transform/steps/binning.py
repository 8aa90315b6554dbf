"""Steps that divide numbers into bins, counted from 0."""

from __future__ import annotations

import re
from itertools import pairwise

from workbench.errors import StatementError
from workbench.transform.steps.scaling import quantiles
from workbench.transform.steps.step import (
    State,
    Step,
    double,
    finite,
    number,
    numbers,
    positive,
    real,
    short,
)

_NARROW = 1e-8  # scikit-learn removes narrower bins


class Bucketize(Step):
    """`bucketize(x, n)` or `bucketize(x, [bound, …])`: the number of the bin, a SMALLINT.

    With a number, n bins of one width from the smallest to the largest value, as in scikit-learn's
    KBinsDiscretizer(strategy="uniform"); what lies outside goes into the first or the last. With a
    list nothing is fitted, and the bin is the number of bounds that are not above x. NULL and NaN
    give NULL; a constant column has bin 0 only.

    Examples
    --------
    >>> Bucketize().apply(("x", "[0, 10]"), {})[:60]
    'CASE WHEN isnan(CAST(x AS DOUBLE)) OR CAST(x AS DOUBLE) IS N'
    """

    name = "bucketize"
    signature = "bucketize(x, n|[bounds])"
    least = most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a column and a number, or bounds that rise."""
        super().check(arguments)
        bounds = self._bounds(arguments[1])
        if bounds is None:
            positive(self, arguments[1], "number of bins")
        elif not bounds or any(low >= high for low, high in pairwise(bounds)):
            raise StatementError(
                f"The bounds of {self.name} must rise, not {arguments[1].strip()}.",
                hint="Write them as a list: bucketize(x, [0, 10, 100]).",
            )

    def _bounds(self, argument: str) -> tuple[float, ...] | None:
        found = re.fullmatch(r"\[(.*)\]", argument.strip(), re.DOTALL)
        if found is None:
            return None
        return tuple(real(self, each, "bound") for each in found.group(1).split(",") if each.strip())

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregates of the smallest and the largest value; none for given bounds."""
        if self._bounds(arguments[1]) is not None:
            return {}
        return {"min": finite("min", arguments[0]), "max": finite("max", arguments[0])}

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the number of inner edges that are not above the value."""
        bounds = self._bounds(arguments[1])
        if bounds is not None:
            return bin_of(arguments[0], bounds)
        low, high = state["min"], state["max"]
        if not (isinstance(low, float) and isinstance(high, float)):
            return f"CASE WHEN false THEN CAST({double(arguments[0])} AS SMALLINT) END"
        count = positive(self, arguments[1], "number of bins")
        width = (high - low) / count
        return bin_of(arguments[0], [low + place * width for place in range(1, count)] if width else [])

    def describe(self, state: State) -> str:
        """Say the range."""
        return f"from {short(state['min'])} to {short(state['max'])}" if state else ""


class QuantileBin(Step):
    """`quantile_bin(x, n)`: the number of the bin, a SMALLINT, of n bins with as many values each.

    The edges are exact quantiles, interpolated between values, as in scikit-learn's
    KBinsDiscretizer(strategy="quantile", quantile_method="linear"); bins without width are left
    out. NULL and NaN give NULL.

    Examples
    --------
    >>> QuantileBin().statistics(("x", "4"))["edges"][:52]
    'quantile_cont(CAST(x AS DOUBLE), [0.0, 0.25, 0.5, 0.'
    """

    name = "quantile_bin"
    signature = "quantile_bin(x, n)"
    least = most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a column and a number."""
        super().check(arguments)
        positive(self, arguments[1], "number of bins")

    def statistics(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """Return the aggregate of the edges, the outer ones included."""
        count = positive(self, arguments[1], "number of bins")
        return {"edges": quantiles(arguments[0], tuple(place / count for place in range(count + 1)))}

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the number of inner edges that are not above the value."""
        edges = numbers(state["edges"])
        if not edges:
            return f"CASE WHEN false THEN CAST({double(arguments[0])} AS SMALLINT) END"
        kept = list(edges[:1])
        for edge in edges[1:]:
            if edge - kept[-1] > _NARROW:
                kept.append(edge)
        return bin_of(arguments[0], kept[1:-1])

    def describe(self, state: State) -> str:
        """Say the edges."""
        return f"edges {short(state['edges'])}"


def bin_of(column: str, edges: list[float] | tuple[float, ...]) -> str:
    """Return SQL for the number of edges that are not above a value."""
    value = double(column)
    passed = " + ".join(f"CAST({value} >= {number(edge)} AS SMALLINT)" for edge in edges)
    # An empty sum still has to be NULL where the value is.
    passed = passed or f"CAST({value} IS NULL AS SMALLINT)"
    return f"CASE WHEN isnan({value}) OR {value} IS NULL THEN NULL ELSE CAST({passed} AS SMALLINT) END"
