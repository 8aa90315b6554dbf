"""Run a body of SQL: questions at one snapshot, writes as one commit."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, classify, fetch
from workbench.engines.sql import written_tables
from workbench.errors import InvalidData, Unsupported
from workbench.lake.result import Result

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake.lake import Lake, Transaction

Parameters = Mapping[str, Any]

_MANAGED = {
    "features": "is kept up to date by its transform; change what it reads, or the transform",
    "predictions": "holds the predictions of a binding; change the table or the model",
    "queries": "holds named queries; use the statement: query NAME AS …",
    "mlstore": "holds the store's own records",
}
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
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
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
    statements = classify(sql)
    clock = time.perf_counter()
    bound = [(text, {name: _given(params, name) for name in names}) for text, _, names in statements]
    if all(kind == "read" for _, kind, _ in statements):
        with lake.pinned() as (cursor, snapshot):
            table = None
            for text, values in bound:
                table = _fetch(lake, cursor, text, values)
        assert table is not None
        return Result(table, snapshot, time.perf_counter() - clock, shown or sql)
    return lake.retry(lambda: _write(lake, sql, shown or sql, bound, clock))


def _given(params: Parameters | None, name: str) -> Any:
    if params is None or name not in params:
        raise InvalidData(f"The parameter ${name} has no value.", hint=f"Pass params={{{name!r}: …}}.")
    return params[name]


def _fetch(lake: Lake, cursor: Cursor, text: str, values: Parameters) -> pa.Table:
    return fetch(lake.run(cursor, text, values))


def _write(lake: Lake, sql: str, shown: str, bound: list[tuple[str, dict[str, Any]]], clock: float) -> Result:
    import pyarrow as pa

    targets = written_tables(sql)
    if targets is not None:
        _refuse_managed(lake, targets)
    done: list[str] = []
    table = pa.table({})
    with lake.commit(_first_words(shown)) as tx:
        _declare_targets(lake, tx, targets)
        for text, values in bound:
            fetched = fetch(lake.run(tx.cursor, text, values))
            count = _count(fetched)
            if count is None:
                table = fetched
            else:
                done.append(_describe(text, count))
        _keep_house(lake, tx, sql)
    message = ", ".join(each for each in done if each) or "done"
    return Result(table, tx.snapshot, time.perf_counter() - clock, shown, message)


def _refuse_managed(lake: Lake, targets: frozenset[str]) -> None:
    for target in targets:
        schema = target.rpartition(".")[0].rpartition(".")[2]
        if not schema:
            found = lake.tables.find(target)
            schema = found.schema if found else ""
        if schema in _MANAGED:
            raise Unsupported(f"{target!r} {_MANAGED[schema]}.")


def _declare_targets(lake: Lake, tx: Transaction, targets: frozenset[str] | None) -> None:
    """Tell the commit whose keys to check; when the text does not say, all of them."""
    if targets is None:
        tx.written = None
        return
    assert tx.written is not None
    for target in targets:
        found = lake.tables.find(target, tx.cursor)
        if found is not None:
            tx.written.add(found.qualified)


def _keep_house(lake: Lake, tx: Transaction, sql: str) -> None:
    """After DDL: forget keys of tables that are gone, and refuse what would break definitions."""
    lowered = sql.lower()
    if not any(word in lowered for word in ("create", "drop", "alter")):
        return
    tables = lake.tables.all(tx.cursor)
    present = {table.qualified for table in tables}
    for row in lake.records.rows("tables", cursor=tx.cursor):
        if f"{row['schema']}.{row['name']}" not in present:
            lake.tables.forget(tx, row["schema"], row["name"])
    for row in lake.records.definitions(cursor=tx.cursor):
        gone = [name for name in row["definition"].get("inputs", []) if name not in present]
        if gone:
            raise InvalidData(
                f"{gone[0].rpartition('.')[2]!r} is read by the {row['kind']} {row['name']!r}; "
                "nothing was changed.",
                hint=f"Drop {row['name']} first.",
            )
    names = [table.name for table in tables if table.schema in ("main", "queries", "features")]
    for name in names:
        if names.count(name) > 1:
            raise InvalidData(f"{name!r} is the name of something else already; nothing was changed.")


def _count(table: pa.Table) -> int | None:
    """Return the number of rows a statement reports to have changed; None if it returned rows."""
    if table.column_names == ["Count"] and table.num_rows == 1:
        return int(table.column(0)[0].as_py())
    return 0 if table.num_columns == 0 or table.column_names == ["Success"] else None


def _describe(text: str, count: int) -> str:
    words = [word.lower() for word in _COMMENT.sub(" ", text).split()]
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
