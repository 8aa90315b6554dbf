"""The encoding of features as SQL: for the rows of a training, and for who reads a model without us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from workbench.names import literal, quote

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.train.dataset import ColumnSpec, FeatureSpec


def matrix_query(spec: FeatureSpec, relation: str) -> str:
    """Write the query that gives the numbers that `encoding.encode` gives, as columns of DOUBLE.

    Parameters
    ----------
    spec : FeatureSpec
    relation : str
        A relation, or a query in parentheses, with the columns of `spec`.

    Examples
    --------
    >>> from workbench.train.dataset import ColumnSpec, FeatureSpec
    >>> matrix_query(FeatureSpec((ColumnSpec("x", "number"),)), "t")
    'SELECT CAST("x" AS DOUBLE) AS "x" FROM t'
    """
    named = zip(_all_numbers(spec), spec.names, strict=True)
    columns = ", ".join(f"{text} AS {quote(name)}" for text, name in named)
    return f"SELECT {columns} FROM {relation}"


def float_query(spec: FeatureSpec, relation: str, others: Mapping[str, str]) -> str:
    """Write the query that gives the numbers of `encoding.encode` as FLOATs, once `without_gaps` has them.

    Parameters
    ----------
    spec : FeatureSpec
    relation : str
        What stands behind FROM, with the columns of `spec`.
    others : mapping of str to str
        Expressions by the names of further columns, which come last.

    Examples
    --------
    >>> from workbench.train.dataset import ColumnSpec, FeatureSpec
    >>> print(float_query(FeatureSpec((ColumnSpec("x", "number"),)), "t", {"y": "a + b"}))
    SELECT TRY_CAST(CAST("x" AS DOUBLE) AS FLOAT) AS f0, a + b AS y FROM t
    """
    columns = [f"TRY_CAST({text} AS FLOAT) AS f{place}" for place, text in enumerate(_all_numbers(spec))]
    columns += [f"{text} AS {name}" for name, text in others.items()]
    return f"SELECT {', '.join(columns)} FROM {relation}"


def without_gaps(batch: pa.RecordBatch, numbers: int) -> pa.RecordBatch:
    """Put NaN where one of the first so many columns, all FLOATs, is NULL or infinite.

    In SQL it would take half as long again as reading the rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> given = pa.record_batch({"x": pa.array([1.5, None, float("inf")], pa.float32()), "y": [1, None, 3]})
    >>> without_gaps(given, 1).to_pydict()
    {'x': [1.5, nan, nan], 'y': [1, None, 3]}
    """
    import numpy as np
    import pyarrow as pa

    columns = list(batch.columns)
    for place in range(numbers):
        values = columns[place].to_numpy(zero_copy_only=False)
        infinite = np.isinf(values)
        if infinite.any():
            values = np.where(infinite, np.float32(np.nan), values)
        columns[place] = pa.array(values)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _all_numbers(spec: FeatureSpec) -> Iterator[str]:
    for column in spec.columns:
        yield from _numbers(column, quote(column.name))


def _numbers(column: ColumnSpec, value: str) -> Iterator[str]:
    """Write an expression for each number that a column gives."""
    if column.kind == "struct":
        for field in column.fields:
            yield from _numbers(field, f"{value}.{quote(field.name)}")
    elif column.kind == "list":
        for place in range(column.length):
            yield from _numbers(column.fields[0], f"{value}[{place + 1}]")
    elif column.kind == "category":
        yield _code(value, column.categories)
    elif column.kind == "timestamp":
        yield f"CAST(epoch({value}) AS DOUBLE)"
    else:
        yield f"CAST({value} AS DOUBLE)"


def _code(value: str, categories: tuple[str, ...]) -> str:
    if not categories:
        return "CAST(NULL AS DOUBLE)"
    listed = ", ".join(literal(each) for each in categories)
    return f"CAST(enum_code(TRY_CAST(CAST({value} AS VARCHAR) AS ENUM ({listed}))) AS DOUBLE)"
