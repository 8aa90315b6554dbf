"""What the store knows of itself, as ordinary lake tables in the schema `mlstore`.

All are append-only but the counters in `tables`; only old `watermarks` are removed. The newest row of a
name is the one that counts, and the virtual column `snapshot_id` says in which commit a row was made.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.derivation import Run
from workbench.engines.duckdb import Cursor, execute
from workbench.errors import Conflict
from workbench.lake.catalog import from_text, with_literals
from workbench.lake.record_tables import SPEC
from workbench.names import quote, quote_all

if TYPE_CHECKING:
    from workbench.lake.lake import Lake, Transaction

_FEW = 100
_MANY = 64


class Records:
    """Reads and appends records; `Lake.records` is the one instance."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def append(self, tx: Transaction, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, as part of the commit `tx`; absent columns become NULL."""
        spec = SPEC[table]
        values = [
            [_encode(row.get(column), kind) for column, kind in spec.items()]
            for row in rows
            if _known(row, table)
        ]
        self.append_values(tx, table, values)

    def append_values(self, tx: Transaction, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows given by the values of all columns in their order, JSON as text."""
        if not rows:
            return
        self._lake.kept.touch(tx.cursor, table)
        if len(rows) > _FEW:
            _insert_many(tx.cursor, table, rows)
            return
        marks = ", ".join("?" for _ in SPEC[table])
        places = ", ".join(f"({marks})" for _ in rows)
        execute(
            tx.cursor,
            f"INSERT INTO lake.mlstore.{quote(table)} VALUES {places}",
            [value for row in rows for value in row],
        )

    def rows(
        self,
        table: str,
        where: str = "",
        params: Mapping[str, Any] | None = None,
        *,
        cursor: Cursor | None = None,
    ) -> list[dict[str, Any]]:
        """Return rows, oldest first, with JSON decoded and the commit's id as `snapshot_id`.

        `where` compares columns of texts and whole numbers with `=`, `>=` and the like.
        """
        spec = {**SPEC[table], "snapshot_id": "BIGINT"}
        found = self._inlined(table, where, params, cursor)
        if found is None:
            condition = f" WHERE {where}" if where else ""
            found = execute(
                cursor or self._lake.cursor(),
                f"SELECT {quote_all(spec)} FROM lake.mlstore.{quote(table)}{condition} "
                "ORDER BY snapshot_id, rowid",
                params,
            ).fetchall()
        return [
            {column: _decode(value, kind) for (column, kind), value in zip(spec.items(), row, strict=True)}
            for row in found
        ]

    def _inlined(
        self, table: str, where: str, params: Mapping[str, Any] | None, cursor: Cursor | None
    ) -> list[tuple[Any, ...]] | None:
        """Return rows as the catalog holds them, for a cursor that has not written any itself; else None."""
        sight = self._lake.kept.sight(cursor)
        if cursor is None or sight is None or table in sight.touched:
            return None
        place = self._lake.kept.inlined(cursor, table)
        if place is None:
            return None
        spec, condition = SPEC[table], with_literals(where, params)
        rows = place.rows(cursor, list(spec), sight.head, condition)
        kinds = (*spec.values(), "BIGINT")
        return rows and [
            tuple(from_text(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows
        ]

    def append_run(self, tx: Transaction, run: Run, started_at: datetime) -> None:
        """Append a run, as part of the commit `tx`; the snapshot is the commit's own."""
        self.append(
            tx,
            "runs",
            [
                {
                    "id": run.id,
                    "name": run.name,
                    "kind": run.kind,
                    "mode": run.mode,
                    "reason": run.reason,
                    "inputs": {name: list(pair) for name, pair in run.inputs.items()},
                    "rows_read": run.rows_read,
                    "rows_written": run.rows_written,
                    "rows_deleted": run.rows_deleted,
                    "seconds": run.seconds,
                    "status": run.status,
                    "error": run.error,
                    "details": dict(run.details),
                    "started_at": started_at,
                }
            ],
        )

    def definitions(self, kind: str | None = None, *, cursor: Cursor | None = None) -> list[dict[str, Any]]:
        """Return the newest definition of each name that is not dropped, oldest first."""
        newest = latest(self.kept("definitions", cursor=cursor), "name")
        wanted = [row for row in newest if row["status"] != "dropped" and kind in (None, row["kind"])]
        return copy.deepcopy(wanted)

    def definition(self, name: str, *, cursor: Cursor | None = None) -> dict[str, Any] | None:
        """Return the newest definition of a name, also a dropped one; None if there never was one.

        Names that differ only in case are the same, as they are in SQL.
        """
        rows = self.history(name, cursor=cursor)
        return rows[-1] if rows else None

    def history(self, name: str, *, cursor: Cursor | None = None) -> list[dict[str, Any]]:
        """Return all that was recorded of a definition, oldest first: versions, pauses, the drop."""
        wanted, known = name.lower(), self.kept("definitions", cursor=cursor)
        return copy.deepcopy([row for row in known if row["name"].lower() == wanted])

    def kept(self, table: str, *, cursor: Cursor | None = None) -> list[dict[str, Any]]:
        """Return all rows of a record table as `rows` does, read once per commit that changes it.

        They are not to be changed, for others get the same.
        """
        return self._lake.kept.get(table, (table,), cursor, lambda reader: self.rows(table, cursor=reader))

    def spelling(self, name: str, *, cursor: Cursor | None = None) -> str:
        """Return a name as it was first written; a name that was never defined comes back as it is.

        What is recorded under a name (runs, watermarks, fitted values) is found by this spelling.
        """
        known = self.definition(name, cursor=cursor)
        return str(known["name"]) if known else name

    def define(
        self, tx: Transaction, kind: str, name: str, version: int, digest: str, definition: Mapping[str, Any]
    ) -> None:
        """Append a definition, as part of the commit `tx`."""
        self._define(tx, kind, name, version, digest, definition, "active")

    def set_status(self, tx: Transaction, name: str, status: str) -> None:
        """Mark a name as active, paused or dropped, as part of the commit `tx`."""
        row = self.definition(name, cursor=tx.cursor)
        if row is not None:
            known = (row["kind"], row["name"], row["version"], row["fingerprint"], row["definition"])
            self._define(tx, *known, status)

    def _define(
        self,
        tx: Transaction,
        kind: str,
        name: str,
        version: int,
        digest: str,
        definition: Mapping[str, Any],
        status: str,
    ) -> None:
        row = {
            "kind": kind,
            "name": name,
            "version": version,
            "fingerprint": digest,
            "definition": definition,
            "status": status,
            "recorded_at": datetime.now(UTC),
        }
        self.append(tx, "definitions", [row])

    def watermarks(self, derivation: str, *, cursor: Cursor | None = None) -> dict[str, int]:
        """Return, for each input of a derivation, the snapshot up to which it has been read."""
        rows = self.kept("watermarks", cursor=cursor)
        return {row["input"]: row["snapshot"] for row in rows if row["derivation"] == derivation}

    def set_watermarks(
        self,
        tx: Transaction,
        derivation: str,
        snapshots: Mapping[str, int],
        before: Mapping[str, int] | None = None,
    ) -> None:
        """Move the watermarks of a derivation, as part of the commit `tx`.

        They are appended, which takes a tenth of the time of an update; the newest of an input counts,
        and those before it are removed when there are many.

        Raises
        ------
        Conflict
            If they are not where they were `before`, since somebody moved them meanwhile.
        """
        known = [row for row in self.kept("watermarks", cursor=tx.cursor) if row["derivation"] == derivation]
        present = {row["input"]: row["snapshot"] for row in known}
        if before is not None and present != before:
            raise Conflict(f"{derivation!r} was refreshed by somebody else meanwhile.", hint="Run it again.")
        if present.keys() - snapshots.keys() or len(known) >= _MANY:
            self._lake.kept.touch(tx.cursor, "watermarks")
            execute(tx.cursor, "DELETE FROM lake.mlstore.watermarks WHERE derivation = ?", [derivation])
        moved = [{"derivation": derivation, "input": name, "snapshot": snapshots[name]} for name in snapshots]
        self.append(tx, "watermarks", moved)


def _insert_many(cursor: Cursor, table: str, values: Sequence[Sequence[Any]]) -> None:
    """Insert rows through Arrow, which thousands of parameters are too slow for."""
    import pyarrow as pa

    columns = {
        name: pa.array(column) for name, column in zip(SPEC[table], zip(*values, strict=True), strict=True)
    }
    cursor.register("mlstore_rows", pa.table(columns))
    try:
        execute(cursor, f"INSERT INTO lake.mlstore.{quote(table)} SELECT * FROM mlstore_rows")
    finally:
        cursor.unregister("mlstore_rows")


def latest(rows: Sequence[Mapping[str, Any]], *by: str) -> list[dict[str, Any]]:
    """Keep the newest row for each value of the columns `by`; `rows` come oldest first.

    Examples
    --------
    >>> latest([{"name": "a", "n": 1}, {"name": "b", "n": 1}, {"name": "a", "n": 2}], "name")
    [{'name': 'a', 'n': 2}, {'name': 'b', 'n': 1}]
    """
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        newest[tuple(row[column] for column in by)] = dict(row)
    return list(newest.values())


def _known(row: Mapping[str, Any], table: str) -> bool:
    unknown = row.keys() - SPEC[table].keys()
    if unknown:
        raise KeyError(f"mlstore.{table} has no column {', '.join(sorted(unknown))}")
    return True


def _encode(value: Any, kind: str) -> Any:
    return json.dumps(value, default=str) if kind == "JSON" and value is not None else value


def _decode(value: Any, kind: str) -> Any:
    return json.loads(value) if kind == "JSON" and value is not None else value
