"""Fit the staged columns of a source to the columns of a table, losing nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.lake import write
from workbench.lake.tables import TableInfo
from workbench.names import quote, quote_all

RESERVED = ("rowid", "snapshot_id")
"""Names of columns that DuckLake gives to every table itself."""

_INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_REAL = re.compile(r"FLOAT|DOUBLE")
_DECIMAL = re.compile(r"DECIMAL\(.*\)")


def check_names(columns: Iterable[str]) -> None:
    """Refuse columns that no query could read again, because DuckLake has its own of that name.

    Raises
    ------
    InvalidData
        If one is called `rowid` or `snapshot_id`.
    """
    for column in columns:
        if column.lower() in RESERVED:
            raise InvalidData(
                f"A column cannot be called {column!r}: every table has one of its own; nothing was changed.",
                hint=f"Rename it in the query, as in: SELECT {quote(column)} AS {column.lower()}_, …",
            )


def fit_columns(cursor: Cursor, table: TableInfo, staged: str) -> list[str]:
    """Check that the table can hold every staged column as it is; return the staged columns.

    Raises
    ------
    InvalidData
        If the table lacks a column, or its type would round a value or cut it off.
    """
    columns = write.stored_columns(cursor, f"temp.{quote(staged)}")
    target = {column.lower(): kind for column, kind in table.columns.items()}
    for column in columns:
        if column.lower() not in target:
            error = NotFound.named("column", column, table.columns, within=table.name)
            raise InvalidData(f"{error.message} Nothing was changed.", hint=error.hint)
    for column, kind in columns.items():
        if narrows(kind, target[column.lower()]):
            _check_exact(cursor, table, staged, column, kind, target[column.lower()])
    return list(columns)


def narrows(source: str, target: str) -> bool:
    """Tell whether a cast from one type of DuckDB to another can lose a part of a value.

    Examples
    --------
    >>> narrows("DOUBLE", "BIGINT"), narrows("BIGINT", "DOUBLE"), narrows("TIMESTAMP", "DATE")
    (True, False, True)
    """
    if source == target:
        return False
    numeric = any(kind.fullmatch(source) for kind in (_INTEGER, _REAL, _DECIMAL))
    exact = any(kind.fullmatch(target) for kind in (_INTEGER, _DECIMAL))
    return (numeric and exact) or (source.startswith("TIMESTAMP") and target == "DATE")


def _check_exact(
    cursor: Cursor, table: TableInfo, staged: str, column: str, source: str, target: str
) -> None:
    """Raise InvalidData if a value is not the same after the way to the table's type and back."""
    name = quote(column)
    back = f"TRY_CAST(TRY_CAST({name} AS {target}) AS {source})"
    found = execute(
        cursor,
        f"SELECT count(*), CAST(min({name}) AS VARCHAR) FROM temp.{quote(staged)} "
        f"WHERE {back} IS DISTINCT FROM {name}",
    ).fetchone()
    if found and found[0]:
        rows = f"{found[0]:,} {'row' if found[0] == 1 else 'rows'}"
        raise InvalidData(
            f"{found[1]} does not fit the column {column!r} of {table.name!r}, which is {target} "
            f"({rows} like that); nothing was changed.",
            hint=f"Round it in the query, as in CAST({name} AS {target}), or load it into another column.",
        )


def complete(
    cursor: Cursor, table: TableInfo, staged: str, into: str, columns: Sequence[str], *, keep: bool
) -> None:
    """Copy the staged rows to the temporary table `into`, with all columns of `table` in its types.

    Parameters
    ----------
    columns : sequence of str
        The columns of `staged`.
    keep : bool
        Whether a row keeps the values of columns that the source does not have; else they are NULL.

    Raises
    ------
    InvalidData
        If a part of the key is missing.
    Unsupported
        If that part is the number which the store gave to the rows itself.
    """
    present = {column.lower() for column in columns}
    for column in table.key:
        if column.lower() not in present:
            raise _no_key(table, column)
    parts = []
    for column, kind in table.columns.items():
        if column.lower() in present:
            parts.append(f"CAST(s.{quote(column)} AS {kind}) AS {quote(column)}")
        else:
            kept = f"t.{quote(column)}" if keep else f"CAST(NULL AS {kind})"
            parts.append(f"{kept} AS {quote(column)}")
    execute(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE {quote(into)} AS SELECT {', '.join(parts)} "
        f"FROM temp.{quote(staged)} AS s LEFT JOIN lake.{table.sql} AS t USING ({quote_all(table.key)})",
    )


def _no_key(table: TableInfo, column: str) -> InvalidData | Unsupported:
    if table.auto:
        return Unsupported(
            f"{table.name!r} numbers its rows itself, and the source has no {column!r} to merge by.",
            hint=f"Append the rows, or give them the {column} of those they are to update.",
        )
    return InvalidData(f"The source lacks {column!r}, a part of the key of {table.name!r}.")
