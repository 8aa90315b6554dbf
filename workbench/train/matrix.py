"""The encoding of features as SQL, for those who read a model without this package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from workbench.names import literal, quote

if TYPE_CHECKING:
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
    texts = [text for column in spec.columns for text in _numbers(column, quote(column.name))]
    columns = ", ".join(f"{text} AS {quote(name)}" for text, name in zip(texts, spec.names, strict=True))
    return f"SELECT {columns} FROM {relation}"


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
