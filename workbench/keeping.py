"""The verbs of the Store that look back, look around, and put away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import answers
from workbench.answers import PlanReport
from workbench.bind import Binding, bindings, find_binding
from workbench.bind.view import show_bindings
from workbench.derivation import Run
from workbench.engines.duckdb import fetch
from workbench.errors import InvalidData, NotFound
from workbench.lake import Lake, Result, Snapshot, Transaction
from workbench.lake.description import Description
from workbench.lake.history import diff, store_history, table_history
from workbench.lake.snapshots import read_snapshot
from workbench.lake.undo import undo_table
from workbench.lineage import Lineage, Trace, build, trace
from workbench.names import SCHEMAS, Ref, quote_name
from workbench.schedule import after_write
from workbench.train import Model, registry
from workbench.transform import Query, Transform, define_query, find_transform
from workbench.transform.create import redefine


class Keeping:
    """What the Store answers about its past and its parts; a part of `Store`."""

    _lake: Lake

    @property
    def folder(self) -> Path:
        """The folder of the store."""
        return self._lake.folder

    # -- look back -------------------------------------------------------------------------------

    def history(self, name: str | None = None) -> Result:
        """List what happened, newest first: to a table (with rows inserted, updated, deleted), or in all."""
        if name is None:
            return store_history(self._lake)
        return table_history(self._lake, self._relation(name))

    def diff(self, name: str, a: int | str, b: int | str | None = None) -> Result:
        """Compare a table at two snapshots, or an engineered table at two versions.

        Parameters
        ----------
        a, b : int or str
            Snapshots of a table, or versions of a transform; `b` None means as it is now.

        Returns
        -------
        Result
            A row for each row that was added, removed or changed; its message counts them.
        """
        table = self._relation(name)
        first = self._moment(table.name, a)
        second = self._lake.head() if b is None else self._moment(table.name, b)
        return diff(self._lake, table, first, second)

    def undo(self, name: str, to: int | str) -> Snapshot:
        """Bring a table back to a snapshot, or a transform or query to a version; as a new snapshot.

        What is kept up to date follows.
        """
        table = self._lake.tables.find(name)
        if table is not None and table.schema in ("features", "queries"):
            return self._undo_definition(name, to)
        number = Ref(name, str(to)).number
        if number is None:
            raise InvalidData(f"{to!r} is not a snapshot.", hint=f"See: history {name}.")
        snapshot = undo_table(self._lake, name, number)
        self._follow_warning(snapshot.id)
        return snapshot

    def trace(self, table: str, key: Any) -> Trace:
        """Follow a row to the rows it came from, as they were, and what became of them.

        Parameters
        ----------
        key : value or sequence of values
            The row's key, in the order of the key's columns.
        """
        return trace(self._lake, table, key)

    def lineage(self, name: str, column: str | None = None) -> Lineage:
        """Return what a table, column or model is made from, and what is made from it."""
        if column is None and "." in name and self._lake.tables.find(name) is None:
            table, _, last = name.rpartition(".")
            if table not in SCHEMAS:
                name, column = table, last
        return build(self._lake, name, column)

    def runs(self, name: str | None = None) -> Result:
        """List loads, refreshes and trainings, newest first."""
        where = "WHERE name = $name" if name is not None else ""
        if name is not None:
            name = self._recorded_name(name)
        sql = (
            "SELECT name, kind, mode, reason, rows_read, rows_written, rows_deleted, seconds, status, error, "
            f"snapshot_id AS snapshot, started_at FROM lake.mlstore.runs {where} "
            "ORDER BY snapshot_id DESC, rowid DESC"
        )
        params = {"name": name} if name is not None else None
        return Result(fetch(self._lake.run(self._lake.cursor(), sql, params)), self._lake.head())

    # -- look around -----------------------------------------------------------------------------

    def describe(self, name: str) -> Description:
        """Say what a table, query, transform, model or binding is."""
        return answers.describe(self._lake, name)

    def stale(self, name: str | None = None) -> Result:
        """List what is behind its inputs, and why."""
        return answers.stale(self._lake, name)

    def tables(self) -> Result:
        """List the tables, queries and engineered tables."""
        return answers.tables(self._lake)

    def models(self) -> Result:
        """List the versions of all models, the newest first."""
        return Result(registry.models(self._lake), self._lake.head())

    def plan(self, verb: str, **arguments: Any) -> PlanReport:
        """Say what the method `verb` would do with these arguments; nothing is done."""
        return answers.make_plan(self._lake, verb, arguments)

    def catalog(self) -> Mapping[str, list[str]]:
        """Return the columns of every relation, by name."""
        return answers.catalog(self._lake)

    def names(self) -> Mapping[str, list[str]]:
        """Return the names of everything, by kind."""
        return answers.names(self._lake)

    # -- put away --------------------------------------------------------------------------------

    def drop(self, name: str) -> Snapshot:
        """Drop a table, query, transform, binding or model; its past stays readable.

        Raises
        ------
        InvalidData
            If something reads it; it is named.
        """
        snapshot = self._drop(name)
        return read_snapshot(self._lake, snapshot if snapshot is not None else self._lake.head())

    def pause(self, name: str) -> Snapshot:
        """Stop refreshing a transform or binding until `resume`."""
        return self._set_status(name, "paused")

    def resume(self, name: str) -> Snapshot:
        """Let a paused transform or binding be refreshed again, and bring it up to date if it is on write."""
        snapshot = self._set_status(name, "active")
        recorded = self._recorded_name(name)
        for each in answers.derivations(self._lake):
            if each.name == recorded and each.trigger == "on write":
                each.refresh(self._lake)
                after_write(self._lake, self._on_write(), [each.output])
        return snapshot

    def deploy(self, ref: str) -> Model:
        """Make a version of a model the champion, as in deploy("fare@7")."""
        model = registry.deploy(self._lake, ref, "deployed by hand")
        self._follow_model(model.name)
        return model

    def rollback(self, name: str) -> Model:
        """Make the previous champion of a model the champion again."""
        model = registry.rollback(self._lake, name)
        self._follow_model(model.name)
        return model

    # -- within ----------------------------------------------------------------------------------

    def _follow_warning(self, snapshot: int) -> None:
        raise TypeError("Keeping is a part of Store")

    def _on_write(self) -> list[Any]:
        raise TypeError("Keeping is a part of Store")

    def _follow_model(self, name: str) -> None:
        raise TypeError("Keeping is a part of Store")

    def _relation(self, name: str) -> Any:
        """Look up a table by name; a bound column stands for its side table."""
        table = self._lake.tables.find(name)
        if table is not None:
            return table
        for each in bindings(self._lake):
            if name in (each.column, f"{each.table}.{each.column}"):
                return self._lake.tables.resolve(each.output)
        return self._lake.tables.resolve(name)

    def _recorded_name(self, name: str) -> str:
        for each in bindings(self._lake):
            if name in (each.column, f"{each.table}.{each.column}"):
                return each.name
        return name

    def _moment(self, name: str, version: int | str) -> int:
        snapshot = self._snapshot_of(Ref(name, str(version)))
        assert snapshot is not None
        return snapshot

    def _snapshot_of(self, ref: Ref) -> int | None:
        """Find the snapshot that `name@version` means: a transform's versions count its definitions."""
        if ref.version is None:
            return None
        if ref.number is None:
            raise InvalidData(
                f"{ref.version!r} is not a version of {ref.name!r}.", hint=f"See: history {ref.name}."
            )
        table = self._lake.tables.find(ref.name)
        if table is None or table.schema not in ("features", "queries"):
            return ref.number
        return _last_snapshot(self._lake, table.name, ref.number)

    def _undo_definition(self, name: str, to: int | str) -> Snapshot:
        number = Ref(name, str(to)).number
        rows = self._lake.records.rows("definitions", "name = $name", {"name": name})
        wanted = [row for row in rows if row["version"] == number]
        if not wanted:
            known = sorted({str(row["version"]) for row in rows})
            raise NotFound.named("version", str(to), known, within=name)
        made: Query | Transform
        if wanted[-1]["kind"] == "query":
            made = define_query(self._lake, name, wanted[-1]["definition"]["query"])
        else:
            made = redefine(self._lake, find_transform(self._lake, name, number))
        snapshot = made.snapshot if made.snapshot is not None else self._lake.head()
        self._follow_warning(snapshot)
        return read_snapshot(self._lake, snapshot)

    def _refit(self, transform: Transform) -> Run:
        made = redefine(self._lake, transform, refit=True)
        assert made.snapshot is not None
        self._follow_warning(made.snapshot)
        rows = self._lake.records.rows("runs", "name = $name", {"name": transform.name})
        row = rows[-1]
        return Run(
            transform.name,
            "transform",
            "full",
            f"refitted: version {made.version}",
            {name: (pair[0], pair[1]) for name, pair in row["inputs"].items()},
            made.snapshot,
            row["rows_read"],
            row["rows_written"],
            row["rows_deleted"],
            row["seconds"],
        )

    def _set_status(self, name: str, status: str) -> Snapshot:
        recorded = self._recorded_name(name)
        kinds = ("transform", "binding")
        known = {each["name"] for each in self._lake.records.definitions() if each["kind"] in kinds}
        if recorded not in known:
            raise NotFound.named("transform or binding", name, known)
        word = "pause" if status == "paused" else "resume"
        with self._lake.commit(f"{word} {name}") as tx:
            self._lake.records.set_status(tx, recorded, status)
        return read_snapshot(self._lake, tx.snapshot if tx.snapshot is not None else self._lake.head())

    def _drop(self, name: str) -> int | None:
        table = self._lake.tables.find(name)
        if table is not None and table.schema in ("main", "queries", "features"):
            self._refuse_dependents(name, table.qualified)
            return self._drop_relation(table)
        if name in registry.names(self._lake):
            self._refuse_dependents(name, f"model.{name}")
            return registry.drop(self._lake, name)
        try:
            binding = find_binding(self._lake, name)
        except NotFound:
            known = [*self._lake.tables.names(), *registry.names(self._lake)]
            raise NotFound.named("table, query, transform, model or binding", name, known) from None
        return self._drop_binding(binding)

    def _refuse_dependents(self, name: str, qualified: str) -> None:
        found = answers.dependents(self._lake, qualified)
        if found:
            raise InvalidData(
                f"{name!r} is read by {', '.join(found)}; nothing was changed.", hint="Drop those first."
            )

    def _drop_relation(self, table: Any) -> int | None:
        with self._lake.commit(f"drop {table.name}") as tx:
            kind = "VIEW" if self._is_view(table) else "TABLE"
            self._lake.run(tx.cursor, f"DROP {kind} lake.{table.sql}")
            self._lake.tables.forget(tx, table.schema, table.name)
            self._lake.records.set_status(tx, table.name, "dropped")
            self._record_drop(tx, table.name)
        return tx.snapshot

    def _is_view(self, table: Any) -> bool:
        sql = (
            "SELECT 1 FROM duckdb_views() WHERE database_name = 'lake' AND schema_name = ? AND view_name = ?"
        )
        return self._lake.run(self._lake.cursor(), sql, [table.schema, table.name]).fetchone() is not None

    def _drop_binding(self, binding: Binding) -> int | None:
        with self._lake.commit(f"drop {binding.column} ON {binding.table}") as tx:
            self._lake.records.set_status(tx, binding.name, "dropped")
            rest = [
                each for each in bindings(self._lake) if each.on == binding.on and each.name != binding.name
            ]
            show_bindings(self._lake, tx.cursor, binding.on, rest)
            self._lake.run(tx.cursor, f"DROP TABLE lake.{quote_name(binding.output)}")
            self._lake.tables.forget(tx, "predictions", binding.name)
            self._lake.records.set_watermarks(tx, binding.name, {})
            self._record_drop(tx, binding.name)
        return tx.snapshot

    def _record_drop(self, tx: Transaction, name: str) -> None:
        self._lake.records.append_run(tx, Run(name, "drop", reason="dropped"), datetime.now(UTC))


def _last_snapshot(lake: Lake, name: str, version: int) -> int:
    """Return the last snapshot at which this version of a definition was the one in force."""
    rows = lake.records.rows("definitions", "name = $name", {"name": name})
    if version not in {row["version"] for row in rows}:
        known = sorted({str(row["version"]) for row in rows})
        raise NotFound.named("version", str(version), known, within=name)
    later = [row["snapshot_id"] for row in rows if row["version"] > version]
    return min(later) - 1 if later else lake.head()
