"""DuckLake's catalog of a lake, asked in the SQL of the database that holds it.

DuckDB could read the tables of the catalog as its own, but looks up each of them, and begins to read
the lake, for every question; that takes longer than all the rest of a small commit. A question that is
handed through takes a third of a millisecond
(https://ducklake.select/docs/stable/specification/tables/overview).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workbench.engines.duckdb import Cursor, execute
from workbench.names import METADATA, literal, quote

TABLES = "ducklake_table AS t JOIN ducklake_schema AS s ON s.schema_id = t.schema_id"
"""All tables there ever were, with their schemas."""

Row = tuple[str | None, ...]


def ask(cursor: Cursor, sql: str) -> list[Row]:
    """Ask the catalog of the lake of a cursor what it says now, also where the cursor reads the past.

    What the cursor itself has not committed is not seen.

    Parameters
    ----------
    sql : str
        A query in the SQL of SQLite, with literals in place of parameters.

    Returns
    -------
    list of tuple
        The rows; all values are text or None.
    """
    # A connection of its own has nothing to do with the transaction that is open.
    with cursor.cursor() as asking:
        query = f"FROM sqlite_query({literal(METADATA)}, {literal(sql)})"
        return execute(asking, query).fetchall()


def at(snapshot: int, *tables: str) -> str:
    """Write the condition that rows of the catalog are of what there is at a snapshot.

    Examples
    --------
    >>> at(7, "t")
    't.begin_snapshot <= 7 AND (t.end_snapshot IS NULL OR t.end_snapshot > 7)'
    """
    return " AND ".join(
        f"{table}.begin_snapshot <= {snapshot} "
        f"AND ({table}.end_snapshot IS NULL OR {table}.end_snapshot > {snapshot})"
        for table in tables
    )


def table_ids(cursor: Cursor, snapshot: int) -> dict[int, str]:
    """Name the tables there are at a snapshot, `schema.name`, by their ids in the catalog."""
    rows = ask(
        cursor, f"SELECT t.table_id, s.schema_name, t.table_name FROM {TABLES} WHERE {at(snapshot, 't')}"
    )
    return {number(row[0]): f"{row[1]}.{row[2]}" for row in rows}


def number(value: str | None) -> int:
    """Return a number of the catalog; what is not there is 0."""
    return int(value or 0)


def moment(value: str) -> datetime:
    """Return a time of the catalog.

    Examples
    --------
    >>> moment("2026-01-31 06:05:49.08+00").isoformat()
    '2026-01-31T06:05:49.080000+00:00'
    """
    return datetime.fromisoformat(value).astimezone(UTC)


def from_text(value: str | None, kind: str) -> Any:
    """Return a value of a type of the engine's, of those that records have, from the catalog's text.

    Examples
    --------
    >>> from_text("0.5", "DOUBLE"), from_text("1", "BOOLEAN"), from_text(None, "BIGINT")
    (0.5, True, None)
    """
    if value is None:
        return None
    read = _READ.get(kind)
    return value if read is None else read(value)


@dataclass(frozen=True, slots=True)
class Inlined:
    """Where DuckLake keeps the rows of a small table: a table of its catalog.

    Notes
    -----
    https://ducklake.select/docs/stable/specification/tables/ducklake_inlined_data_tables
    """

    table_id: int
    place: str

    def rows(
        self, cursor: Cursor, columns: Sequence[str], snapshot: int, where: str = ""
    ) -> list[Row] | None:
        """Return the rows as of a snapshot, oldest first.

        Parameters
        ----------
        columns : sequence of str
            The columns wanted; the snapshot of each row follows them.
        where : str
            A condition in the SQL of SQLite.

        Returns
        -------
        list of tuple or None
            None if there are rows of the table in files too.
        """
        wanted = ", ".join(map(quote, columns))
        condition = f" AND ({where})" if where else ""
        found = ask(
            cursor,
            f"SELECT files, {wanted}, snapshot_id FROM (SELECT count(*) AS files FROM ducklake_data_file "
            f"WHERE table_id = {self.table_id}) LEFT JOIN (SELECT *, begin_snapshot AS snapshot_id "
            f"FROM {quote(self.place)}) AS t ON {at(snapshot, 't')}{condition} ORDER BY snapshot_id, row_id",
        )
        if found[0][0] != "0":
            return None
        return [row[1:] for row in found if row[-1] is not None]


def inlined(cursor: Cursor, schema: str) -> dict[str, Inlined]:
    """Find where the rows of the small tables of a schema are; one whose columns changed has no one place."""
    rows = ask(
        cursor,
        f"SELECT t.table_name, t.table_id, i.table_name AS place FROM {TABLES} "
        "JOIN ducklake_inlined_data_tables AS i ON i.table_id = t.table_id "
        f"WHERE t.end_snapshot IS NULL AND s.schema_name = {literal(schema)}",
    )
    names = [str(row[0]) for row in rows]
    return {
        name: Inlined(number(row[1]), str(row[2]))
        for name, row in zip(names, rows, strict=True)
        if names.count(name) == 1
    }


def with_literals(where: str, params: Mapping[str, Any] | None) -> str:
    """Write the values of `$name` parameters, texts or whole numbers, into a condition.

    Examples
    --------
    >>> with_literals("name = $name AND version >= $low", {"name": "it's $low", "low": 2})
    "name = 'it''s $low' AND version >= 2"
    """
    values = {f"${name}": _literal(value) for name, value in (params or {}).items()}
    return re.sub(r"\$\w+", lambda found: values.get(found[0], found[0]), where)


def _literal(value: str | int) -> str:
    return literal(value) if isinstance(value, str) else str(int(value))


_READ: dict[str, Callable[[str], Any]] = {
    "BIGINT": int,
    "DOUBLE": float,
    "BOOLEAN": lambda value: value == "1",
    "TIMESTAMPTZ": moment,
}
