"""The rows of a table that were deleted or updated in a window, as they were at its start.

DuckLake's `table_deletions` reads whole files. The delete files say by themselves which rows of
which file went when: `pos` is the row's place in the file, and where a file of deletes holds those
of several snapshots, `_ducklake_internal_snapshot_id` is the snapshot of each
(https://ducklake.select/docs/stable/specification/tables/ducklake_delete_file).
"""

from __future__ import annotations

from collections.abc import Sequence
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
_SMALL = 20_000
_VIRTUAL = ("filename", "file_row_number")


@dataclass(frozen=True, slots=True)
class _Deletes:
    """A delete file: the data file it belongs to, and whether it says the snapshot of each row.

    `exact` ones name no row that had gone before a window in which they were written.
    """

    path: str
    data_file: str
    dated: bool
    exact: bool


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
    old = f"SELECT {quote_all(columns)} FROM lake.{table.sql} AT (VERSION => {window.since}) WHERE filename"
    if emptied:
        parts.append(f"{old} IN ({_list(emptied)})")
    touched = [each for each in known if each.data_file in before]
    if touched:
        _stage_positions(cursor, window, touched)
        sizes = {each.data_file: before[each.data_file] if each.exact else None for each in touched}
        parts += _reads(cursor, sizes, f"SELECT {_casts(table, columns)} FROM read_parquet", old)
    nothing = f"SELECT {quote_all(columns)} FROM lake.{table.sql} LIMIT 0"
    return " UNION ALL ".join(parts) if parts else f"SELECT * FROM ({nothing})"


def _reads(cursor: Cursor, sizes: dict[str, int | None], own: str, old: str) -> list[str]:
    """Write the queries for the rows at the staged places of data files.

    `sizes` has the rows of a file that is read by itself, for which `own` begins the query; the others
    are read as part of the table, by `old`. To open all files of a table takes longer than to read those
    few that lost rows.
    """
    small = [file for file, size in sizes.items() if size is not None and size <= _SMALL]
    parts = []
    if small:
        parts.append(
            f"{own}([{_list(small)}], hive_partitioning => false, filename = 'mlstore_path') AS r "
            f"SEMI JOIN temp.{_POSITIONS} AS d ON r.mlstore_path = d.file AND r.file_row_number = d.place"
        )
    places = _few_places(cursor)
    for file, size in sizes.items():
        if file in small or (places and file not in places):
            continue
        # In a large file, a join on the file's name as well would compare a text per row.
        chosen = f"file_row_number IN ({places.get(file) or _places_query(file)})"
        if size is None:
            parts.append(f"{old} = {literal(file)} AND {chosen}")
        else:
            parts.append(f"{own}({literal(file)}, hive_partitioning => false) WHERE {chosen}")
    return parts


def _casts(table: TableInfo, columns: Sequence[str]) -> str:
    """Write the columns of a data file in the types of the table, not all of which Parquet has."""
    kinds = {name.lower(): kind for name, kind in table.columns.items()}
    return ", ".join(f"CAST({quote(each)} AS {kinds[each.lower()]}) AS {quote(each)}" for each in columns)


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
) -> dict[str, int | None]:
    """Name the data files there were at the start of a window, with the rows of those read by themselves.

    Those have the columns that the table has, by the same names; where DuckLake has to fill in or
    translate some, or has files that others wrote, it reads them.
    """
    rows = ask(
        cursor,
        "SELECT path, end_snapshot, mapping_id IS NULL AND partition_id IS NULL AND encryption_key IS NULL "
        "AND begin_snapshot >= (SELECT max(begin_snapshot) FROM ducklake_column AS c WHERE "
        f"c.table_id = f.table_id AND {at(window.head, 'c')}), record_count FROM ducklake_data_file AS f "
        f"WHERE table_id = {window.table_id} AND {at(window.since, 'f')}",
    )
    sizes = {_file_name(path): number(size) if own == "1" else None for path, _, own, size in rows}
    if any(end is not None and number(end) <= window.head for _, end, *_ in rows):
        return {path: sizes.get(_file_name(path)) for path in _files(cursor, table, window.since)}
    return {path: sizes[_file_name(path)] for path in now if _file_name(path) in sizes}


def _delete_files(cursor: Cursor, window: Window, now: dict[str, str | None]) -> list[_Deletes] | None:
    """Return the delete files with rows that went in the window; None if one is of an unknown kind."""
    rows = ask(
        cursor,
        "SELECT path, begin_snapshot, partial_max, EXISTS (SELECT 1 FROM ducklake_delete_file AS e WHERE "
        "e.data_file_id = d.data_file_id AND e.begin_snapshot < d.begin_snapshot) "
        f"FROM ducklake_delete_file AS d WHERE table_id = {window.table_id} AND {at(window.head, 'd')}",
    )
    catalog = {_file_name(row[0]): row[1:] for row in rows}
    found = []
    for data_file, path in now.items():
        if path is None:
            continue
        known = catalog.get(_file_name(path))
        if known is None:
            return None
        begin, last, again = known
        if max(number(begin), number(last)) > window.since:
            dated = last is not None
            found.append(_Deletes(path, data_file, dated, dated or again == "0"))
    return found


def _file_name(path: str | None) -> str:
    return str(path).rpartition("/")[2]


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
