"""Run a body of SQL: questions at one snapshot, writes as one commit."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, classify, execute, fetch
from workbench.engines.sql import primary_key, set_columns
from workbench.errors import InvalidData, Unsupported, WorkbenchError
from workbench.lake.keys import declare_key
from workbench.lake.made import refuse_rounded, storable
from workbench.lake.result import Result
from workbench.lake.targets import COMMENT, read_targets, refuse_managed, refuse_upkeep
from workbench.names import quote_name

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake.lake import Lake, Transaction

Parameters = Mapping[str, Any]

_VIRTUAL = ("rowid", "snapshot_id")
_SETTING = re.compile(r"\bpragma\b", re.IGNORECASE)
_RENAME = re.compile(r"\balter\s+table\b.*\brename\s+to\b", re.IGNORECASE | re.DOTALL)
_RETYPE = re.compile(r"\balter\s+table\b.*\balter\b.*\btype\b", re.IGNORECASE | re.DOTALL)
_PRIMARY = re.compile(r"\bprimary\s+key\b", re.IGNORECASE)
_UNLESS = re.compile(r"\btable\s+if\s+not\s+exists\b", re.IGNORECASE)
_DONE = {
    "insert": "inserted",
    "update": "updated",
    "delete": "deleted",
    "truncate": "deleted",
    "merge": "merged",
    "copy": "copied",
}
_DEFINED = {"create": "created", "drop": "dropped", "alter": "altered"}
_OBJECTS = ("table", "view", "macro", "function", "type", "sequence", "schema")
_SHOWN = 72


def run_sql(lake: Lake, sql: str, *, shown: str | None = None, params: Parameters | None = None) -> Result:
    """Run one or more statements and return the rows of the last.

    Parameters
    ----------
    sql : str
        Any SQL of DuckDB. If a statement writes, all of them are one commit.
    shown : str or None
        The text as the user wrote it, for the history; None means `sql` itself.
    params : mapping or None
        Values for the `$name` parameters; each statement gets those it names.
    """
    clock = time.perf_counter()
    statements = classify(sql)
    refuse_upkeep(sql)
    bound = [(text, {name: _given(params, name) for name in names}) for text, _, names in statements]
    if all(kind == "read" for _, kind, _ in statements):
        with lake.pinned(discard=True, reuse=not _SETTING.search(sql)) as (cursor, snapshot):
            table = [_fetch(lake, cursor, text, values) for text, values in bound][-1]
        return Result(table, snapshot, time.perf_counter() - clock, shown or sql)
    return lake.retry(lambda: _write(lake, sql, shown or sql, bound, clock))


def read_past(
    lake: Lake,
    cursor: Cursor,
    sql: str,
    snapshot: int,
    *,
    shown: str | None = None,
    params: Parameters | None = None,
) -> Result:
    """Run statements that read, on a cursor of `Lake.at`.

    Raises
    ------
    Unsupported
        If one would write: the past does not change.
    """
    clock = time.perf_counter()
    refuse_upkeep(sql)
    statements = classify(sql)
    if any(kind == "write" for _, kind, _ in statements):
        raise Unsupported(
            "The past cannot be written.", hint="Leave out `at`, or undo the table to a snapshot."
        )
    bound = [(text, {name: _given(params, name) for name in names}) for text, _, names in statements]
    cursor.execute("BEGIN")
    try:
        table = [_fetch(lake, cursor, text, values) for text, values in bound][-1]
    finally:
        cursor.execute("ROLLBACK")
    return Result(table, snapshot, time.perf_counter() - clock, shown or sql)


def _given(params: Parameters | None, name: str) -> Any:
    if params is None or name not in params:
        raise InvalidData(f"The parameter ${name} has no value.", hint=f"Pass params={{{name!r}: …}}.")
    return params[name]


def _fetch(lake: Lake, cursor: Cursor, text: str, values: Parameters) -> pa.Table:
    return fetch(lake.run(cursor, text, values))


def _write(lake: Lake, sql: str, shown: str, bound: list[tuple[str, dict[str, Any]]], clock: float) -> Result:
    import pyarrow as pa

    targets = read_targets(sql)
    refuse_managed(lake, targets)
    _refuse_rows_of_another_type([text for text, _ in bound])
    done: list[str] = []
    table = pa.table({})
    with lake.commit(_first_words(shown)) as tx:
        _declare_targets(lake, tx, sql, targets)
        for text, values in bound:
            fetched = _run_declaring(lake, tx, text, values)
            count = _count(fetched)
            if count is None:
                table = fetched
            else:
                done.append(_describe(text, count))
        _keep_house(lake, tx, sql, targets)
    message = ", ".join(each for each in done if each) or "done"
    return Result(table, tx.snapshot, time.perf_counter() - clock, shown, message)


def _refuse_rows_of_another_type(statements: list[str]) -> None:
    """Refuse to write rows after the type of a column changed, in the same commit.

    DuckLake then forgets the least and the greatest value of the column and takes those of the next write
    for them; the engine trusts these, and gives wrong rows in sorts and groups.

    Raises
    ------
    Unsupported
        If that is so.
    """
    retyped = next((place for place, text in enumerate(statements) if _RETYPE.search(text)), None)
    if retyped is None:
        return
    for text in statements[retyped + 1 :]:
        words = COMMENT.sub(" ", text).split()
        if words and words[0].lower() in (*_DONE, "with"):
            raise Unsupported(
                "A commit that changes the type of a column writes no rows after it; nothing was changed.",
                hint=f"Put what begins with {words[0]} into a cell of its own.",
            )


def _run_declaring(lake: Lake, tx: Transaction, text: str, values: Parameters) -> pa.Table:
    """Run a statement; a primary key that it declares, which DuckLake does not know, is kept by the store."""
    import pyarrow as pa

    declared = primary_key(text) if _PRIMARY.search(text) else None
    if declared is None:
        with storable(tx.cursor, text, values) as (kept, given):
            return fetch(lake.run(tx.cursor, kept, given))
    if not declared.statement:
        declare_key(lake, tx, declared.table, declared.columns)
        return pa.table({})
    stays = _UNLESS.search(text) is not None and lake.tables.find(declared.table, tx.cursor) is not None
    done = fetch(lake.run(tx.cursor, declared.statement, values))
    if not stays:
        declare_key(lake, tx, declared.table, declared.columns, anew=True)
    return done


def _declare_targets(lake: Lake, tx: Transaction, sql: str, targets: frozenset[str]) -> None:
    """Tell the commit whose keys to check: where rows may be new, or a part of the key is set."""
    assert tx.written is not None
    changed = set_columns(sql)
    for target in targets:
        found = lake.tables.find(target, tx.cursor)
        if found is not None and (
            target not in changed or not changed[target].isdisjoint(map(str.lower, found.key))
        ):
            tx.written.add(found.qualified)


def _keep_house(lake: Lake, tx: Transaction, sql: str, targets: frozenset[str]) -> None:
    """After DDL: forget keys of tables that are gone, and refuse what would break definitions."""
    lowered = sql.lower()
    if not any(word in lowered for word in ("create", "drop", "alter")):
        return
    tables = lake.tables.all(tx.cursor)
    present = {table.qualified for table in tables}
    written = [lake.tables.find(target, among=tables) for target in targets]
    refuse_rounded([table for table in written if table is not None and table.schema == "main"])
    _keep_keys(lake, tx, sql, present)
    for row in lake.records.definitions(cursor=tx.cursor):
        gone = [
            name for name in row["definition"].get("inputs", []) if _is_table(name) and name not in present
        ]
        if gone:
            raise InvalidData(
                f"{gone[0].rpartition('.')[2]!r} is read by the {row['kind']} {row['name']!r}; "
                "nothing was changed.",
                hint=f"Drop {row['name']} first.",
            )
    check_views(lake, tx)
    names = [table.name.lower() for table in tables if table.schema in ("main", "queries", "features")]
    names += [row["name"].lower() for row in lake.records.definitions("model", cursor=tx.cursor)]
    for table in tables:
        if table.schema == "main" and names.count(table.name.lower()) > 1:
            raise InvalidData(f"{table.name!r} is the name of something else already; nothing was changed.")
        virtual = [column for column in table.columns if column.lower() in _VIRTUAL]
        if table.schema == "main" and virtual:
            raise InvalidData(
                f"{table.name!r} cannot have a column {virtual[0]!r}: that is a name of the engine's own.",
                hint="Give the column another name.",
            )


def _is_table(name: str) -> bool:
    return name.partition(".")[0] in ("main", "features", "predictions")


def _keep_keys(lake: Lake, tx: Transaction, sql: str, present: set[str]) -> None:
    """Forget the keys of tables that are gone; a renamed one would lose its key, so refuse that."""
    known = {name.lower() for name in present}
    for row in lake.records.rows("tables", cursor=tx.cursor):
        if f"{row['schema']}.{row['name']}".lower() in known:
            continue
        if _RENAME.search(sql):
            raise Unsupported(
                f"{row['name']!r} has a key, so it cannot be renamed.",
                hint=f"Load it under the new name: load NEW FROM … KEY ({', '.join(row['key'])}).",
            )
        lake.tables.forget(tx, row["schema"], row["name"])


def check_views(lake: Lake, tx: Transaction) -> None:
    """Refuse what the commit did if a named query or a view of predictions could no longer be read.

    Those of predictions follow the columns of their tables.

    Raises
    ------
    InvalidData
        Naming the first of them.
    """
    lake.follow_columns(tx, True)
    views = tx.cursor.execute(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE database_name = 'lake'"
    ).fetchall()
    for (name,) in views:
        try:
            execute(tx.cursor, f"SELECT * FROM lake.{quote_name(name)} LIMIT 0")
        except WorkbenchError as error:
            raise InvalidData(
                f"{name!r} could no longer be read; nothing was changed.\n{error.message}",
                hint=f"Change or drop {name.rpartition('.')[2]} first.",
            ) from error


def _count(table: pa.Table) -> int | None:
    """Return the number of rows a statement reports to have changed; None if it returned rows."""
    if table.column_names == ["Count"] and table.num_rows == 1:
        return int(table.column(0)[0].as_py())
    return 0 if table.num_columns == 0 or table.column_names == ["Success"] else None


def _describe(text: str, count: int) -> str:
    words = [word.lower() for word in COMMENT.sub(" ", text).split()]
    if not words:
        return ""
    if words[0] in _DEFINED:
        noun = next((word for word in words[1:] if word in _OBJECTS), "object")
        rows = f" with {count:,} {'row' if count == 1 else 'rows'}" if count else ""
        return f"{noun} {_DEFINED[words[0]]}{rows}"
    verb = "changed" if words[0] == "with" else _DONE.get(words[0])
    return f"{count:,} {'row' if count == 1 else 'rows'} {verb}" if verb else ""


def _first_words(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
