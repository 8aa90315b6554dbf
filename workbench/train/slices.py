"""Where a model is worst: segments of the held-out rows, with enough rows in each to tell.

A segment is a value of a category or boolean, a quarter of the values of a number or time, or that
a value is missing; and pairs of such, of the columns that tell most. Segments are written as SQL
over the columns of the training query.

The idea is that of Chung et al., "Automated data slicing for model validation" (ICDE 2019):
segments are compared by the mean loss of a row, which falls apart by rows as an AUC does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise, product
from typing import TYPE_CHECKING, Any

from workbench.names import literal, quote
from workbench.train.dataset import kind_of
from workbench.train.evaluate import MEASURES, Answers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.train.evaluate import Floats

LEAST_ROWS = 50
LEAST_SHARE = 0.02
MOST_SEGMENTS = 20
SAMPLE_CELLS = 20_000_000
"""Of so many values at most (rows × columns) the segments are made; of larger tables, of fewer rows."""

_AND = " AND "
_FEW_VALUES = 10
_PAIRED_COLUMNS = 5
_NORMAL_95 = 1.959964
_LEAST = 2.0**-52  # as for the metric logloss


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A column divided into segments.

    Attributes
    ----------
    conditions : sequence of str
        SQL for each segment.
    codes : ndarray (n rows)
        The place of each row's segment; -1 for rows in no segment.
    """

    conditions: Sequence[str]
    codes: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Some of the rows, and how much greater the mean loss is there than elsewhere (95 % interval)."""

    condition: str
    rows: int
    difference: float
    low: float
    high: float
    codes: npt.NDArray[np.int64] = field(repr=False)
    place: int

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Which rows are in it."""
        inside: npt.NDArray[np.bool_] = self.codes == self.place
        return inside


def row_losses(answers: Answers, metric: str) -> tuple[str, Floats]:
    """Return the loss of each row, and what it is called.

    Of classes it is −ln of the probability of the true one, of a regression the squared error, or
    the absolute one where `metric` is "mae".
    """
    import numpy as np

    if answers.probabilities is None:
        error = np.abs(answers.truth - answers.predicted)
        return ("absolute error", error) if metric == "mae" else ("squared error", error**2)
    true = answers.probabilities[np.arange(len(answers.truth)), answers.truth.astype(np.int64)]
    return "logloss", -np.log(np.clip(true, _LEAST, 1.0))


def worst_segments(table: pa.Table, loss: Floats) -> list[Segment]:
    """Return the segments with the greatest mean loss, those first that are worse most surely.

    Only segments of at least 50 rows and 2 % of all are looked at, and only worse ones returned: at
    most 20, by the lower end of the interval of their difference. With so many looked at, some lower
    ends are above zero by chance.

    Parameters
    ----------
    table : pyarrow.Table (n rows)
        The columns to make segments of; lists are passed over.
    loss : ndarray (n rows)
    """
    least = max(LEAST_ROWS, int(LEAST_SHARE * len(loss)))
    columns = [parts for each in _leaves(table) if (parts := divide(*each)) is not None]
    kept = [(parts, found) for parts in columns if (found := _compare(parts, loss, least))]
    kept.sort(key=lambda each: -each[1][0].low)
    segments = [segment for _, found in kept for segment in found]
    lows = {segment.condition: segment.low for segment in segments}
    for (one, _), (two, _) in combinations(kept[:_PAIRED_COLUMNS], 2):
        crossed, halves = _cross(_large(one, least), _large(two, least))
        # A pair is worth naming where it tells more than each of its halves.
        segments += [
            pair
            for pair in _compare(crossed, loss, least)
            if all(pair.low > lows.get(half, 0.0) for half in halves[pair.place])
        ]
    worse = [segment for segment in segments if segment.difference > 0]
    return sorted(worse, key=lambda segment: (-segment.low, segment.condition))[:MOST_SEGMENTS]


def compare_metric(segment: Segment, answers: Answers, metric: str) -> tuple[float, float]:
    """Return a metric of the rows inside of a segment and of all others; NaN where it has none."""
    import numpy as np

    weights = np.stack((segment.inside, ~segment.inside)).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside, outside = MEASURES[metric].compute(answers, weights).tolist()
    return inside, outside


def divide(expression: str, values: pa.Array) -> Parts | None:
    r"""Divide a column, written as `expression`, into segments; None where that cannot be done.

    Examples
    --------
    >>> import pyarrow as pa
    >>> parts = divide('"city"', pa.array(["Ulm", None, "Bonn", "Ulm"]))
    >>> parts.conditions
    ['"city" = \'Bonn\'', '"city" = \'Ulm\'', '"city" IS NULL']
    >>> parts.codes.tolist()
    [1, 2, 0, 1]
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import types

    kind = kind_of(values.type)
    if kind in {None, "list", "struct"} or types.is_null(values.type):
        return None
    present = values.drop_null()
    if kind in {"category", "boolean"}:
        text = pa.string() if kind == "category" else pa.bool_()
        different, codes = _different(present.cast(text))
        conditions = [
            f"{expression} = {literal(each)}" if kind == "category" else f"{expression} = {str(each).lower()}"
            for each in different.to_pylist()
        ]
    else:
        conditions, codes = _ranges(expression, present)
    if not values.null_count:
        return Parts(conditions, codes)
    everywhere = np.full(len(values), len(conditions))
    everywhere[values.is_valid().to_numpy(zero_copy_only=False)] = codes
    return Parts([*conditions, f"{expression} IS NULL"], everywhere)


def _leaves(table: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    """Return the columns, and the fields of structs as columns of their own."""
    for name in table.column_names:
        yield from _flat(quote(name), table[name].combine_chunks())


def _flat(expression: str, values: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    from pyarrow import types

    if not types.is_struct(values.type):
        yield expression, values
        return
    for part, held in zip(values.type, values.flatten(), strict=True):
        yield from _flat(f"{expression}.{quote(part.name)}", held)


def _different(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the different values, sorted, and the place of each row's."""
    import numpy as np
    import pyarrow.compute as pc

    encoded = values.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    places = np.empty(len(order), np.int64)
    places[order.to_numpy()] = np.arange(len(order))
    return encoded.dictionary.take(order), places[encoded.indices.to_numpy()]


def _ranges(expression: str, values: pa.Array) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Divide numbers or times at their quartiles, or into the values where there are few."""
    import numpy as np
    import pyarrow as pa

    numbers, dtype = _sortable(values)
    ordered = np.sort(numbers)  # NaN comes last, as it does in DuckDB
    different = ordered[np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])] if len(ordered) else ordered
    few = len(different) <= _FEW_VALUES and not np.isnan(different.astype(np.float64)).any()
    quarters = ordered[[len(ordered) * part // 4 for part in (1, 2, 3)]] if not few else different
    edges = np.unique(quarters)
    texts = [_literal(each) for each in pa.array(edges).cast(dtype)]
    codes: npt.NDArray[np.int64] = np.searchsorted(edges, numbers)
    if few:
        return [f"{expression} = {text}" for text in texts], codes
    inner = [f"{expression} > {low}{_AND}{expression} <= {high}" for low, high in pairwise(texts)]
    return [f"{expression} <= {texts[0]}", *inner, f"{expression} > {texts[-1]}"], codes


def _sortable(values: pa.Array) -> tuple[npt.NDArray[Any], pa.DataType]:
    """Return numbers in the order of the values, and the type they are to be cast to for reading."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_decimal(values.type):
        return values.cast(pa.float64()).to_numpy(), pa.float64()
    if types.is_temporal(values.type):
        whole = pa.int32() if values.type.bit_width == 32 else pa.int64()
        return values.cast(whole).to_numpy(), values.type
    return values.to_numpy(), values.type


def _literal(value: pa.Scalar) -> str:
    import pyarrow as pa
    from pyarrow import types

    if types.is_floating(value.type):
        number = float(value.as_py())
        return repr(number) if math.isfinite(number) else f"'{number}'::DOUBLE"
    if types.is_integer(value.type):
        return str(value.as_py())
    kind = "DATE" if types.is_date(value.type) else "TIME" if types.is_time(value.type) else "TIMESTAMP"
    kind += "TZ" if types.is_timestamp(value.type) and value.type.tz else ""
    return f"{kind} {literal(value.cast(pa.string()).as_py())}"


def _cross(one: Parts, two: Parts) -> tuple[Parts, list[tuple[str, str]]]:
    """Divide by both of two columns; say of each segment which two it was made of."""
    import numpy as np

    halves = list(product(one.conditions, two.conditions))
    both = (one.codes >= 0) & (two.codes >= 0)
    codes = np.where(both, one.codes * len(two.conditions) + two.codes, -1)
    return Parts([_AND.join(pair) for pair in halves], codes), halves


def _large(parts: Parts, least: int) -> Parts:
    """Keep the segments of at least so many rows."""
    import numpy as np

    counts = np.bincount(parts.codes[parts.codes >= 0], minlength=len(parts.conditions))
    kept = np.flatnonzero(counts >= least)
    places = np.full(len(parts.conditions) + 1, -1)  # the last place is that of no segment
    places[kept] = np.arange(len(kept))
    return Parts([parts.conditions[place] for place in kept.tolist()], places[parts.codes])


def _compare(parts: Parts, loss: Floats, least: int) -> list[Segment]:
    """Compare the mean loss of each segment of enough rows with that of all other rows, worst first.

    The interval is that of the difference of two means of unequal variance, normally distributed.
    """
    import numpy as np

    size = len(parts.conditions)
    known = parts.codes >= 0
    codes, each = parts.codes[known], loss[known]
    # Centred, for the difference of two large sums would lose the digits that count.
    centre = loss.mean()
    rows = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, weights=each - centre, minlength=size)
    squares = np.bincount(codes, weights=(each - centre) ** 2, minlength=size)
    every = ((loss - centre) ** 2).sum()
    segments = []
    for place in np.flatnonzero((rows >= least) & (len(loss) - rows >= least)).tolist():
        inside, others = int(rows[place]), len(loss) - int(rows[place])
        mean, rest = sums[place] / inside, -sums[place] / others
        spread = _variance(squares[place], inside, mean) / inside
        spread += _variance(every - squares[place], others, rest) / others
        difference, margin = float(mean - rest), _NORMAL_95 * float(spread) ** 0.5
        segments.append(
            Segment(
                parts.conditions[place],
                inside,
                difference,
                difference - margin,
                difference + margin,
                parts.codes,
                place,
            )
        )
    return sorted(segments, key=lambda segment: -segment.low)


def _variance(squares: float, rows: int, mean: float) -> float:
    """Return the variance of values from their sum of squares, their count and their mean."""
    return max(0.0, squares / rows - mean**2) * rows / max(1, rows - 1)
