"""Tables that a query makes, in types that the lake can keep.

The sum of whole numbers is a HUGEINT, which DuckLake writes into its files as a DOUBLE: large numbers would
come back with other digits.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute
from workbench.engines.sql import made_query
from workbench.errors import Unsupported, WorkbenchError
from workbench.lake.write import is_storable, stage

if TYPE_CHECKING:
    from workbench.lake.tables import TableInfo

_MADE = "mlstore_made"
_ROUNDED = re.compile(r"\bU?HUGEINT\b")


@contextmanager
def storable(
    cursor: Cursor, statement: str, params: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the statement to run in place of a CREATE TABLE … AS whose types the lake cannot keep.

    The query is computed before, and its columns are cast as those of a transform are; see `stage`.

    Yields
    ------
    tuple of str and mapping
        The statement with its parameters; as they were where there is nothing to do.
    """
    place = made_query(statement)
    query = statement[slice(*place)] if place else ""
    if not place or _can_keep(cursor, query, params):
        yield statement, params
        return
    stage(cursor, _MADE, query, params)
    yield f"{statement[: place[0]]}FROM temp.{_MADE}{statement[place[1] :]}", {}
    # Where it failed, the table goes with the transaction, in which nothing more can be said.
    execute(cursor, f"DROP TABLE IF EXISTS temp.{_MADE}")


def _can_keep(cursor: Cursor, query: str, params: Mapping[str, Any]) -> bool:
    try:
        described = execute(cursor, f"DESCRIBE\n{query}", params).fetchall()
    except WorkbenchError:
        return True  # The statement itself says better what is wrong with it.
    return all(is_storable(row[1]) for row in described)


def refuse_rounded(tables: Collection[TableInfo]) -> None:
    """Refuse tables that a statement made or changed if the lake would round their numbers.

    Raises
    ------
    Unsupported
        Naming the first column.
    """
    for table in tables:
        for column, kind in table.columns.items():
            kept = _ROUNDED.sub("DECIMAL(38, 0)", kind)
            if kept != kind:
                raise Unsupported(
                    f"{column!r} of {table.name!r} would be {kind}, of which Parquet keeps 15 digits; "
                    "nothing was changed.",
                    hint=f"Make it {_ROUNDED.sub('BIGINT', kind)}, or {kept}; a value becomes one by "
                    f"CAST(… AS {kept}).",
                )
