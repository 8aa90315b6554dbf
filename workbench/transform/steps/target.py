"""The step that replaces a category by what is known of its target."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.errors import StatementError
from workbench.names import quote
from workbench.transform.steps.categories import LIMIT
from workbench.transform.steps.step import (
    State,
    Step,
    double,
    is_nan,
    looked_up,
    nothing,
    number,
    numbers,
    place_of,
    real,
    short,
    texts,
)

FOLDS = 5
SMOOTHING = 10.0


class TargetEncode(Step):
    """`target_encode(c, y[, by[, smoothing]])`: the mean of y among rows of the same category.

    The mean is drawn towards that of all rows as if `smoothing` (10) rows more had it:
    (sum + smoothing · mean) / (count + smoothing), as in scikit-learn's
    TargetEncoder(smooth=…). A category never seen, NULL and NaN have the mean of all rows.

    A row that has a y would see its own y that way. So rows are divided into five folds by a hash
    of the columns `by`, one column or several as in `(a, b)` (default: the KEY), and such a row
    gets what the other four folds say; a row whose y is NULL gets what all say. Of more than 10,000
    values the most frequent are kept. y must be a number or a boolean. The result is a DOUBLE.

    References
    ----------
    Micci-Barreca (2001), A preprocessing scheme for high-cardinality categorical attributes, SIGKDD
    Explorations 3(1).

    Examples
    --------
    >>> TargetEncode().complete(("city", "price"), ("id",))
    ('city', 'price', '"id"')
    """

    name = "target_encode"
    signature = "target_encode(c, y[, by[, smoothing]])"
    data = 3
    least, most = 2, 4
    target = 1

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a category and a target."""
        super().check(arguments)
        if len(arguments) == 4 and self._smoothing(arguments) < 0:
            raise StatementError(
                f"The smoothing of {self.name} must not be below zero.", hint=f"Call it as {self.signature}."
            )

    def _smoothing(self, arguments: tuple[str, ...]) -> float:
        return real(self, arguments[3], "smoothing") if len(arguments) == 4 else SMOOTHING

    def complete(self, arguments: tuple[str, ...], key: Sequence[str]) -> tuple[str, ...]:
        """Return the arguments with the key as the columns that divide the rows.

        Raises
        ------
        StatementError
            If there is no key.
        """
        if len(arguments) > 2:
            return arguments
        if not key:
            raise StatementError(
                f"{self.name} must tell rows apart, to keep what a row says about itself from it.",
                hint="Give a KEY, or name the columns that do: target_encode(c, y, id).",
            )
        names = [quote(name) for name in key]
        return (*arguments, names[0] if len(names) == 1 else f"({', '.join(names)})")

    def ranking(self, arguments: tuple[str, ...]) -> str:
        """Return the query for count and sum of each category in each fold."""
        column, target, by = arguments[0], double(arguments[1]), arguments[2]
        folds = range(FOLDS)
        each = ", ".join(
            f"count(*) FILTER (f = {fold}) AS n{fold}, coalesce(sum(y) FILTER (f = {fold}), 0) AS s{fold}"
            for fold in folds
        )
        rows = (
            f"SELECT CASE WHEN NOT {is_nan(column)} THEN CAST({column} AS VARCHAR) END AS v, "
            f"{target} AS y, {_fold(by)} AS f FROM {{rows}} WHERE isfinite({target})"
        )
        ranked = "SELECT *, row_number() OVER (ORDER BY v IS NULL, n DESC, v) AS place FROM ({0})"
        grouped = f"SELECT v, count(*) AS n, {each} FROM ({rows}) GROUP BY v"
        kept = f"v IS NOT NULL AND place <= {LIMIT}"
        lists = ", ".join(
            f"list(CAST({kind}{fold} AS DOUBLE) ORDER BY place) FILTER ({kept}) AS {name}_{fold}, "
            f"CAST(sum({kind}{fold}) AS DOUBLE) AS all_{name}_{fold}"
            for fold in folds
            for kind, name in (("n", "count"), ("s", "sum"))
        )
        return (
            f"SELECT list(v ORDER BY place) FILTER ({kept}) AS categories, {lists} "
            f"FROM ({ranked.format(grouped)})"
        )

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the mean without the row's own fold, or of all rows where y is missing."""
        column, target, by = arguments[0], double(arguments[1]), arguments[2]
        if state["all_sum_0"] is None:
            return nothing(arguments[1])
        smoothing = self._smoothing(arguments)
        categories = texts(state["categories"])
        place = place_of(column, categories) if categories else ""
        whole, *others = (_encoded(place, state, smoothing, without) for without in (None, *range(FOLDS)))
        if arguments[1] == "NULL":
            return whole
        by_fold = " ".join(f"WHEN {fold} THEN {other}" for fold, other in enumerate(others))
        known = f"{target} IS NOT NULL AND isfinite({target})"
        return f"CASE WHEN {known} THEN CASE {_fold(by)} {by_fold} END ELSE {whole} END"

    def describe(self, state: State) -> str:
        """Say how many categories there are, and the mean."""
        count, total = _totals(state, None)
        mean = f", mean {short(total / count)}" if count else ""
        return f"{len(texts(state['categories'])):,} categories{mean}"


def _fold(by: str) -> str:
    columns = _parts(by)
    text = f"CAST({by} AS VARCHAR)" if len(columns) == 1 else f"CAST(row({', '.join(columns)}) AS VARCHAR)"
    return f"md5_number_lower(coalesce({text}, '')) % {FOLDS}"


def _parts(by: str) -> list[str]:
    found = re.fullmatch(r"\((.*,.*)\)", by.strip(), re.DOTALL)
    return [each.strip() for each in found.group(1).split(",")] if found else [by]


def _totals(state: State, without: int | None) -> tuple[float, float]:
    """Return count and sum over all rows but those of one fold."""
    folds = [fold for fold in range(FOLDS) if fold != without]
    return _sum(state, "all_count", folds), _sum(state, "all_sum", folds)


def _sum(state: State, statistic: str, folds: Sequence[int]) -> float:
    found = [state[f"{statistic}_{fold}"] for fold in folds]
    return sum((each for each in found if isinstance(each, float)), 0.0)


def _encoded(place: str, state: State, smoothing: float, without: int | None) -> str:
    """Return SQL for the smoothed mean of a category over all rows but those of one fold."""
    count, total = _totals(state, without)
    prior = total / count if count else 0.0
    if not place:
        return number(prior)
    folds = [fold for fold in range(FOLDS) if fold != without]
    counts = [sum(each) for each in zip(*(numbers(state[f"count_{fold}"]) for fold in folds), strict=True)]
    sums = [sum(each) for each in zip(*(numbers(state[f"sum_{fold}"]) for fold in folds), strict=True)]
    means = [
        (total + smoothing * prior) / (count + smoothing) if count + smoothing else prior
        for count, total in zip(counts, sums, strict=True)
    ]
    return f"coalesce({looked_up(place, means)}, {number(prior)})"
