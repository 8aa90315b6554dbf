"""The verbs of the Store that look back, look around, and put away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench import answers, trust
from workbench.answers import PlanReport
from workbench.asking import Asking, version_numbers
from workbench.bind import Binding, bindings, bindings_in, find_binding, hide_binding
from workbench.derivation import Run
from workbench.engines.duckdb import fetch
from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.lake import Result, Snapshot, TableInfo, Transaction
from workbench.lake.description import Description
from workbench.lake.difference import diff
from workbench.lake.history import definition_history, merged, snapshot_at, store_history, table_history
from workbench.lake.past import last_table
from workbench.lake.snapshots import read_snapshot
from workbench.lake.undo import undo_table
from workbench.lineage import Lineage, Trace, build, trace
from workbench.names import SCHEMAS, Ref, quote_name
from workbench.schedule import after_write
from workbench.train import Model, registry, reproduce
from workbench.transform import Query, Transform, define_query, redefine
from workbench.trust import Unapproved

_KINDS = "table, query, transform, model or binding"


class Keeping(Asking):
    """What the Store answers about its past and its parts; a part of `Store`."""

    @property
    def folder(self) -> Path:
        """The folder of the store."""
        return self._lake.folder

    # -- look back -------------------------------------------------------------------------------

    def history(self, name: str | None = None) -> Result:
        """List what happened, newest first: in all, or to a table, query, transform, model or binding.

        Of a table, also a dropped one, it counts the rows inserted, updated and deleted in each
        snapshot; of what is kept up to date it says how much was computed, and why. Of a view of
        predictions it tells of all that is bound in it.

        Raises
        ------
        NotFound
            If there never was anything of that name.
        """
        if name is None:
            return store_history(self._lake)
        table = self._find_relation(name)
        if table is None:
            row = self._lake.records.definition(name)
            if row is not None and row["kind"] in ("model", "query"):
                return definition_history(self._lake, row["name"])
            table = last_table(self._lake, name, self._known_names())
        if table.schema == "queries":
            return definition_history(self._lake, table.name)
        if bound := bindings_in(self._lake, table):
            return merged([table_history(self._lake, "predictions", each.name) for each in bound])
        return table_history(self._lake, table.schema, table.name)

    def diff(self, name: str, a: int | str, b: int | str | None = None) -> Result:
        """Compare a table at two snapshots or times, or an engineered table at two versions.

        Parameters
        ----------
        a, b : int or str
            Snapshots or times of a table, or versions of a transform or query; `b` None means as it
            is now.

        Returns
        -------
        Result
            A row for each row that was added, removed or changed; its message counts them.
        """
        found = self._find_relation(name)
        table = found if found is not None else last_table(self._lake, name, self._known_names())
        first = self._moment(table.name, a)
        second = self._lake.head() if b is None else self._moment(table.name, b)
        defined = table.schema in ("features", "queries")
        said = tuple(
            f"{table.name}@{version if defined and version is not None else snapshot}"
            for version, snapshot in ((a, first), (b, second))
        )
        if b is None:
            said = (said[0], f"{table.name} now")
        return diff(self._lake, table.qualified, first, second, (said[0], said[1]))

    def undo(self, name: str, to: int | str) -> Snapshot:
        """Bring a table back to a snapshot or time, or a transform or query to a version.

        That is a new snapshot, so it can be undone as well, and what is kept up to date follows.
        """
        table = self._lake.tables.find(name)
        row = self._lake.records.definition(name)
        gone = table is None and row is not None and row["kind"] in ("transform", "query")
        if row is not None and (gone or (table is not None and table.schema in ("features", "queries"))):
            return self._undo_definition(row["name"], to)
        if table is None and name.lower() in {each.column.lower() for each in bindings(self._lake)}:
            raise Unsupported(
                f"The binding {name!r} is not undone by itself.", hint="Undo what it reads, or bind it anew."
            )
        snapshot = undo_table(self._lake, name, snapshot_at(self._lake, to))
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
        """List loads, refreshes and trainings, newest first.

        Raises
        ------
        NotFound
            If there never was anything of that name.
        """
        where = "WHERE lower(name) = lower($name)" if name is not None else ""
        if name is not None:
            name = answers.recorded_name(self._lake, name)
        sql = (
            "SELECT name, kind, mode, reason, rows_read, rows_written, rows_deleted, seconds, status, error, "
            f"snapshot_id AS snapshot, started_at FROM lake.mlstore.runs {where} "
            "ORDER BY snapshot_id DESC, rowid DESC"
        )
        params = {"name": name} if name is not None else None
        found = fetch(self._lake.run(self._lake.cursor(), sql, params))
        if name is not None and not found.num_rows and self._lake.records.definition(name) is None:
            known = self._known_names()
            if name not in known:
                raise NotFound.named(_KINDS, name, known)
        return Result(found, self._lake.head())

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

    def catalog(self) -> Mapping[str, Mapping[str, str]]:
        """Return the columns of every relation, by name."""
        return answers.catalog(self._lake)

    def names(self) -> Mapping[str, list[str]]:
        """Return the names of everything, by kind."""
        return answers.names(self._lake)

    def unapproved(self) -> list[Unapproved]:
        """List the Python code and the pickled models that were not approved on this machine."""
        return answers.unapproved(self._lake)

    def approve(self, names: Iterable[str]) -> None:
        """Let the code of these transforms, and these models, run on this machine."""
        wanted = set(names)
        for each in self.unapproved():
            if each.name in wanted:
                trust.approve(each.fingerprint)

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
        recorded = answers.recorded_name(self._lake, name)
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

    def reproduce(self, ref: str) -> Result:
        """Train a version of a model again on the rows as they were, and compare; nothing is recorded.

        Parameters
        ----------
        ref : str
            As in "fare@7"; "fare" means the champion.

        Returns
        -------
        Result
            A row for each thing compared: the digest of the rows, the features, the predictions for the
            held-out rows, the metrics, and the versions of the libraries. Its message says whether the
            version was reproduced exactly, and what differs.

        Raises
        ------
        NotFound
            If there is no such version.
        InvalidData
            If the snapshot it was trained at has expired.
        """
        return reproduce(self._lake, ref)

    # -- within ----------------------------------------------------------------------------------

    def _find_relation(self, name: str) -> TableInfo | None:
        """Look up a table by name; a bound column stands for its side table."""
        table = self._lake.tables.find(name)
        if table is not None:
            return table
        try:
            return self._lake.tables.resolve(find_binding(self._lake, name).output)
        except NotFound:
            return None

    def _known_names(self) -> list[str]:
        bound = [each.column for each in bindings(self._lake)]
        return [*self._lake.tables.names(), *registry.names(self._lake), *bound]

    def _undo_definition(self, name: str, to: int | str) -> Snapshot:
        number = Ref(name, str(to)).number
        rows = self._lake.records.history(name)
        wanted = [row for row in rows if row["version"] == number and row["kind"] == rows[-1]["kind"]]
        if not wanted:
            raise NotFound.named("version", str(to), version_numbers(rows), within=name)
        made: Query | Transform
        if wanted[-1]["kind"] == "query":
            made = define_query(self._lake, name, wanted[-1]["definition"]["query"])
        else:
            made = redefine(self._lake, Transform.from_record(wanted[-1]))
        snapshot = made.snapshot if made.snapshot is not None else self._lake.head()
        self._follow_warning(snapshot)
        return read_snapshot(self._lake, snapshot)

    def _set_status(self, name: str, status: str) -> Snapshot:
        recorded = answers.find_pausable(self._lake, name)["name"]
        word = "pause" if status == "paused" else "resume"
        with self._lake.commit(f"{word} {name}") as tx:
            self._lake.records.set_status(tx, recorded, status)
        return read_snapshot(self._lake, tx.snapshot if tx.snapshot is not None else self._lake.head())

    def _drop(self, name: str) -> int | None:
        table = self._lake.tables.find(name)
        if table is not None and table.schema in ("main", "queries", "features"):
            self._refuse_dependents(name, table.qualified)
            return self._drop_relation(table)
        spelled = self._lake.records.spelling(name)
        if spelled in registry.names(self._lake):
            self._refuse_dependents(name, f"model.{spelled}")
            return registry.drop(self._lake, spelled)
        try:
            binding = find_binding(self._lake, name)
        except NotFound:
            raise NotFound.named(_KINDS, name, self._known_names()) from None
        return self._drop_binding(binding)

    def _refuse_dependents(self, name: str, qualified: str) -> None:
        found = answers.dependents(self._lake, qualified)
        if found:
            raise InvalidData(
                f"{name!r} is read by {', '.join(found)}; nothing was changed.", hint="Drop those first."
            )

    def _drop_relation(self, table: Any) -> int | None:
        with self._lake.commit(f"drop {table.name}") as tx:
            kind = "VIEW" if self._lake.tables.is_view(table) else "TABLE"
            self._lake.run(tx.cursor, f"DROP {kind} lake.{table.sql}")
            self._lake.tables.forget(tx, table.schema, table.name)
            self._lake.records.set_status(tx, table.name, "dropped")
            self._record_drop(tx, table.name)
        return tx.snapshot

    def _drop_binding(self, binding: Binding) -> int | None:
        self._refuse_dependents(binding.column, binding.output)
        with self._lake.commit(f"drop {binding.column} ON {binding.table}") as tx:
            self._lake.records.set_status(tx, binding.name, "dropped")
            hide_binding(self._lake, tx, binding)
            self._lake.run(tx.cursor, f"DROP TABLE lake.{quote_name(binding.output)}")
            self._lake.tables.forget(tx, "predictions", binding.name)
            self._lake.records.set_watermarks(tx, binding.name, {})
            self._record_drop(tx, binding.name)
        return tx.snapshot

    def _record_drop(self, tx: Transaction, name: str) -> None:
        self._lake.records.append_run(tx, Run(name, "drop", reason="dropped"), datetime.now(UTC))
