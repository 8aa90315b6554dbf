"""Load rows into a table: append, merge by key, or replace; one commit each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.derivation import Run
from workbench.engines.duckdb import Cursor, execute, fetch
from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.ingest import sources
from workbench.ingest.fit import check_names, complete, fit_columns
from workbench.ingest.loaded import describe_source, loaded_before
from workbench.lake import write
from workbench.lake.keys import AUTO_KEY, check_key
from workbench.lake.tables import TableInfo
from workbench.names import check_name, spelled
from workbench.progress import step

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake, Transaction

MODES = ("append", "merge", "replace")
_STAGED = "mlstore_staged"
_COMPLETE = "mlstore_complete"


@dataclass(frozen=True, slots=True)
class Load:
    """What to load: a source into a table, with a key and a mode.

    Attributes
    ----------
    key : tuple of str, "auto" or None
        The columns that identify a row. "auto" adds a column `_id` and fills it. None keeps the key
        the table has, or makes a keyless table.
    mode : {"append", "merge", "replace"}
        Add the rows; update rows of the same key and add the others; or make the table hold just
        these rows.
    """

    table: str
    source: object
    key: tuple[str, ...] | str | None = None
    mode: str = "append"
    format: str | None = None
    options: Mapping[str, Any] | None = None


def load(lake: Lake, request: Load) -> Run:
    """Load a source into a table and return the Run.

    Files that were appended to the table before, with the same content, are not read again.

    Raises
    ------
    InvalidData
        If a key is NULL or repeated, a row is broken, or columns do not fit; nothing is changed.
    NotFound
        If there is no such file.
    """
    if request.mode not in MODES:
        raise NotFound.named("mode", request.mode, MODES)
    started, clock = datetime.now(UTC), time.perf_counter()
    table = request.table.removeprefix("lake.").removeprefix("main.")
    known = lake.tables.find(f"main.{table}")
    _check_target(lake, request, known)
    request = replace(request, table=known.name if known is not None else table)
    details = describe_source(request.source, request.format, request.options)
    if known is not None and request.mode == "append":
        before = loaded_before(lake, known, details)
        if before is not None:
            return replace(before, seconds=time.perf_counter() - clock)
    with step(f"Loading {request.table}"):
        return _load(lake, request, known, Run(request.table, "load", details=details), started, clock)


def append(lake: Lake, table: str, rows: object) -> Run:
    """Append rows to a table that exists."""
    lake.tables.resolve(f"main.{table}" if "." not in table else table)
    return load(lake, Load(table, rows))


def merge(lake: Lake, table: str, rows: object, key: Sequence[str] | None = None) -> Run:
    """Update the rows that have the same key and add the others."""
    lake.tables.resolve(f"main.{table}" if "." not in table else table)
    return load(lake, Load(table, rows, key=tuple(key) if key else None, mode="merge"))


def _check_target(lake: Lake, request: Load, known: TableInfo | None) -> None:
    if known is None:
        check_name(request.table, "table")
        other = lake.tables.find(request.table)
        if other is not None:
            raise InvalidData(
                f"{request.table!r} is the name of a {other.kind} already.",
                hint="Give the table another name.",
            )
        for row in lake.records.definitions():
            if row["name"].lower() == request.table.lower():
                raise InvalidData(
                    f"{request.table!r} is the name of a {row['kind']} already.",
                    hint="Give the table another name.",
                )
        return
    wanted = spelled(_key_columns(request.key), known.columns)
    if request.key is not None and wanted != known.key:
        has = f"the key ({', '.join(known.key)})" if known.key else "no key"
        raise InvalidData(
            f"The table {known.name!r} has {has}, not the key ({', '.join(wanted)}).",
            hint="Leave KEY out, or load it under another name.",
        )
    if request.mode == "merge" and not known.key:
        raise Unsupported(
            f"{known.name!r} has no key to merge by.",
            hint=f"Give it one, as in: ALTER TABLE {known.name} ADD PRIMARY KEY (id).",
        )


def _key_columns(key: tuple[str, ...] | str | None) -> tuple[str, ...]:
    if key is None:
        return ()
    if isinstance(key, str):
        return (AUTO_KEY,) if key == "auto" else (key,)
    return tuple(key)


def _load(
    lake: Lake, request: Load, known: TableInfo | None, run: Run, started: datetime, clock: float
) -> Run:
    """Read the source once, then write it; only the writing is tried again after a conflict."""
    source = request.source
    if not isinstance(source, str | Path):
        source = sources.to_arrow(lake, source)
        if not source.schema.names:
            if known is None:
                raise InvalidData(
                    f"The source of {request.table!r} has no columns.", hint="A new table needs some."
                )
            if request.mode != "replace":
                return replace(run, mode="noop", reason="no rows", seconds=time.perf_counter() - clock)
            source = _no_rows(lake, known)
    cursor = lake.transaction_cursor()
    try:
        with ExitStack() as until_written:
            read = _stage(lake, cursor, request, source, until_written)
            run = replace(run, reason=request.mode, rows_read=read)
            return lake.retry(lambda: _commit(lake, cursor, request, run, started, clock))
    finally:
        cursor.close()


def _no_rows(lake: Lake, table: TableInfo) -> pa.Table:
    return fetch(execute(lake.cursor(), f"SELECT * FROM lake.{table.sql} LIMIT 0"))


def _stage(lake: Lake, cursor: Cursor, request: Load, source: object, until_written: ExitStack) -> int:
    """Let a temporary table stand for the rows of the source, and count them.

    Rows that are in memory already, in types that the lake can store, are not copied.
    """
    import pyarrow as pa

    try:
        relation = sources.relation(lake, cursor, source, request.format, request.options)
        rows = until_written.enter_context(relation)
        columns = write.stand_for(cursor, _STAGED, rows) if isinstance(source, pa.Table) else {}
        check_names(columns or write.stage(cursor, _STAGED, f"SELECT * FROM {rows}"))
        return source.num_rows if isinstance(source, pa.Table) else sources.count_rows(cursor, _STAGED)
    except InvalidData as error:
        raise _explain(cursor, request, error) from error


def _commit(lake: Lake, cursor: Cursor, request: Load, run: Run, started: datetime, clock: float) -> Run:
    """Write the staged rows; they stay as they are, so that this can be tried again."""
    with lake.commit(_message(request), run_id=run.id, cursor=cursor) as tx:
        written, deleted = _write(lake, tx, request)
        run = replace(run, rows_written=written, rows_deleted=deleted, seconds=time.perf_counter() - clock)
        lake.records.append_run(tx, run, started)
    return replace(run, snapshot=tx.snapshot)


def _explain(cursor: Cursor, request: Load, error: InvalidData) -> InvalidData:
    """Say which rows of a file are broken, in place of the engine's long guess."""
    if error.hint or not isinstance(request.source, str | Path):
        return error
    source = str(request.source)
    engine = error.message.partition("Possible fixes")[0].partition("The search space")[0].strip()
    broken = sources.broken_rows(cursor, source, request.options or {}) if "CSV" in error.message else []
    return InvalidData(
        f"{source} cannot be loaded; nothing was changed.\n" + ("\n".join(broken) or engine),
        hint="Mend the file, or say how to read it: OPTIONS {ignore_errors: true} leaves broken rows "
        "out, OPTIONS {nullstr: 'NA'} names what stands for a missing value.",
    )


def _write(lake: Lake, tx: Transaction, request: Load) -> tuple[int, int]:
    """Write the staged rows; return how many rows were written and deleted."""
    table = lake.tables.find(f"main.{request.table}", tx.cursor)
    if table is None:
        return _write_new(lake, tx, request), 0
    staged = fit_columns(tx.cursor, table, _STAGED)
    if request.mode == "append":
        return write.insert_all(tx, table, _STAGED), 0
    if request.mode == "replace" and (not table.key or table.auto):
        return _replace_all(tx, table)
    complete(tx.cursor, table, _STAGED, _COMPLETE, staged, keep=request.mode == "merge")
    check_key(tx.cursor, f"temp.{_COMPLETE}", table.key, table.name)
    delta = write.compare(tx.cursor, table, _COMPLETE, table.key, replace=request.mode == "replace")
    write.apply(tx, table, delta, sealed=True)
    return delta.inserted + delta.updated, delta.deleted


def _write_new(lake: Lake, tx: Transaction, request: Load) -> int:
    columns = write.stored_columns(tx.cursor, f"temp.{_STAGED}")
    if not columns:
        raise InvalidData(f"The source of {request.table!r} has no columns.")
    key = spelled(_key_columns(request.key), columns)
    auto = request.key == "auto"
    if auto and AUTO_KEY not in columns:
        columns = {AUTO_KEY: "BIGINT", **columns}
    for column in key:
        if column not in columns:
            raise NotFound.named("column", column, columns, within=request.table)
    table = replace(write.create(tx, "main", request.table, columns), key=key, auto=auto)
    if key:
        lake.tables.declare(tx, "main", request.table, key, auto=auto)
    return write.insert_all(tx, table, _STAGED)


def _replace_all(tx: Transaction, table: TableInfo) -> tuple[int, int]:
    """Replace the rows of a table without a key of the user's own."""
    row = execute(tx.cursor, f"SELECT count(*) FROM lake.{table.sql}").fetchone()
    execute(tx.cursor, f"DELETE FROM lake.{table.sql}")
    assert row is not None
    return write.insert_all(tx, table, _STAGED), int(row[0])


def _message(request: Load) -> str:
    source = request.source
    label = Path(source).name if isinstance(source, str | Path) else f"a {type(source).__name__}"
    return f"load {request.table} FROM {label}"
