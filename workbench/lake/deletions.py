"""The rows of a table that were deleted or updated in a window, as they were at its start.

DuckLake's `table_deletions` reads whole files. The delete files say by themselves which rows of
which file went when: `pos` is the row's place in the file, and where a file of deletes holds those
of several snapshots, `_ducklake_internal_snapshot_id` is the snapshot of each
(https://ducklake.select/docs/stable/specification/tables/ducklake_delete_file).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.lake.catalog import ask, at, number
from workbench.lake.tables import TableInfo
from workbench.names import literal, quote, quote_all

if TYPE_CHECKING:
    from workbench.lake.images import Window

_POSITIONS = "mlstore_deleted"
_FEW = 2_000
_VIRTUAL = ("filename", "file_row_number")


@dataclass(frozen=True, slots=True)
class _Deletes:
    """A delete file: the data file it belongs to, and whether it says the snapshot of each row."""

    path: str
    data_file: str
    dated: bool
    begin: int


def deletions_query(cursor: Cursor, table: TableInfo, window: Window, columns: Sequence[str]) -> str:
    """Write the query for rows that were there at the start of a window and went in it.

    Rows that came and went inside the window may be among them. A temporary table is made.
    """
    if any(column.lower() in _VIRTUAL for column in table.columns):
        return _feed(table, window, columns)
    now = _files(cursor, table, window.head)
    before = _files_before(cursor, table, window, now)
    known = _delete_files(cursor, window, now)
    if known is None:
        return _feed(table, window, columns)
    parts = []
    emptied = [path for path in before if path not in now]
    old = f"lake.{table.sql} AT (VERSION => {window.since})"
    if emptied:
        parts.append(f"SELECT {quote_all(columns)} FROM {old} WHERE filename IN ({_list(emptied)})")
    touched = [each for each in known if each.data_file in before]
    if touched:
        _stage_positions(cursor, window, touched)
        places = _few_places(cursor)
        # A join on the file's name as well would compare a text per row.
        parts += [
            f"SELECT {quote_all(columns)} FROM {old} WHERE filename = {literal(file)} AND "
            f"file_row_number IN ({places.get(file) or _places_query(file)})"
            for file in (each.data_file for each in touched)
            if file in places or not places
        ]
    nothing = f"SELECT {quote_all(columns)} FROM lake.{table.sql} LIMIT 0"
    return " UNION ALL ".join(parts) if parts else f"SELECT * FROM ({nothing})"


def _feed(table: TableInfo, window: Window, columns: Sequence[str]) -> str:
    return (
        f"SELECT {quote_all(columns)} FROM ducklake_table_deletions('lake', {literal(table.schema)}, "
        f"{literal(table.name)}, {window.since + 1}, {window.head})"
    )


def _files(cursor: Cursor, table: TableInfo, snapshot: int) -> dict[str, str | None]:
    """Return the data files of a table at a snapshot, each with its delete file."""
    rows = execute(
        cursor,
        f"SELECT data_file, delete_file FROM ducklake_list_files('lake', {literal(table.name)}, "
        f"schema => {literal(table.schema)}, snapshot_version => {snapshot})",
    ).fetchall()
    return dict(rows)


def _files_before(
    cursor: Cursor, table: TableInfo, window: Window, now: dict[str, str | None]
) -> Collection[str]:
    """Name the data files there were at the start of a window; those there are `now` are known."""
    rows = ask(
        cursor,
        f"SELECT path, end_snapshot FROM ducklake_data_file AS f "
        f"WHERE table_id = {window.table_id} AND {at(window.since, 'f')}",
    )
    if any(end is not None and number(end) <= window.head for _, end in rows):
        return _files(cursor, table, window.since)
    known = {str(path).rpartition("/")[2] for path, _ in rows}
    return [path for path in now if path.rpartition("/")[2] in known]


def _delete_files(cursor: Cursor, window: Window, now: dict[str, str | None]) -> list[_Deletes] | None:
    """Return the delete files with rows that went in the window; None if one is of an unknown kind."""
    rows = ask(
        cursor,
        "SELECT path, begin_snapshot, partial_max FROM ducklake_delete_file AS d "
        f"WHERE table_id = {window.table_id} AND {at(window.head, 'd')}",
    )
    catalog = {
        str(path).rpartition("/")[2]: (number(begin), None if last is None else number(last))
        for path, begin, last in rows
    }
    found = []
    for data_file, path in now.items():
        if path is None:
            continue
        known = catalog.get(path.rpartition("/")[2])
        if known is None:
            return None
        begin, last = known
        if max(begin, last or 0) > window.since:
            found.append(_Deletes(path, data_file, last is not None, begin))
    return found


def _stage_positions(cursor: Cursor, window: Window, files: list[_Deletes]) -> None:
    """Put the places of the rows that went in the window into a temporary table."""
    parts = []
    for dated in (True, False):
        some = [each for each in files if each.dated is dated]
        if not some:
            continue
        owners = ", ".join(f"({literal(each.path)}, {literal(each.data_file)})" for each in some)
        when = (
            f" WHERE p._ducklake_internal_snapshot_id BETWEEN {window.since + 1} AND {window.head}"
            if dated
            else ""
        )
        parts.append(
            f"SELECT o.file, p.pos AS place FROM read_parquet([{_list([each.path for each in some])}], "
            f"filename = 'mlstore_path') AS p JOIN (VALUES {owners}) AS o(path, file) "
            f"ON p.mlstore_path = o.path{when}"
        )
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(_POSITIONS)} AS {' UNION ALL '.join(parts)}")


def _few_places(cursor: Cursor) -> dict[str, str]:
    """Write out the places staged for each file, if they are few; nothing if they are many.

    Values written out are compared while a file is read, before other columns are decoded.
    """
    rows = execute(
        cursor,
        f"SELECT file, string_agg(place, ', ') FROM temp.{_POSITIONS} "
        f"WHERE (SELECT count(*) FROM temp.{_POSITIONS}) <= {_FEW} GROUP BY file",
    ).fetchall()
    return dict(rows)


def _places_query(file: str) -> str:
    return f"SELECT place FROM temp.{_POSITIONS} WHERE file = {literal(file)}"


def _list(texts: list[str]) -> str:
    return ", ".join(literal(each) for each in texts)
