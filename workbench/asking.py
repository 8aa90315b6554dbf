"""How the Store answers questions of its rows, now and in the past; a part of `Store`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.bind import expand_predictions
from workbench.bind.isolation import open_predictor
from workbench.errors import NotFound, Unsupported
from workbench.export import Artifact, export
from workbench.ingest.sources import read_rows
from workbench.lake import Lake, Result
from workbench.lake.history import snapshot_at
from workbench.lake.past import table_at
from workbench.lake.statements import read_past, run_sql
from workbench.names import Ref
from workbench.queries import is_expression, query_text, reads_memory, source_query
from workbench.refreshing import Refreshing
from workbench.transform.fitting import fit
from workbench.transform.steps import STEPS

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa


class Asking(Refreshing):
    """SQL, tables, predictions and files of rows; a part of `Store`."""

    def sql(
        self,
        query: str | ir.Table,
        at: int | str | datetime | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Result:
        """Run SQL, or an Ibis expression, and return the rows.

        Parameters
        ----------
        query : str or ibis.Table
            One or more statements of DuckDB's SQL. If one writes, all of them are one commit.
            `predict(model, t.*)`, `held_out(model, t.*)` and the built-in transforms can be used.
        at : int, str, datetime or None
            Read the past: a snapshot, or a time.
        params : mapping or None
            Values for the `$name` parameters.

        Raises
        ------
        StatementError, NotFound
            If the text is not SQL, or names what does not exist.
        InvalidData
            If a write would break a key.
        Unsupported
            If it would write to what the store itself keeps.
        """
        if is_expression(query) and at is None:
            return self._expression(query)
        clock = time.perf_counter()
        query = query_text(query)
        with expand_predictions(self._lake, query) as text:
            if at is not None:
                return self._past(text, query, snapshot_at(self._lake, at), params)
            result = run_sql(self._lake, self._fitted(text), shown=query, params=params)
        if not result.message or result.snapshot is None:
            return result
        said = self._follow(result.snapshot)
        return replace(result, message=result.message + said, seconds=time.perf_counter() - clock)

    def table(self, name: str, at: int | str | datetime | None = None) -> ir.Table:
        """Return a table, query or engineered table as an Ibis table, now or in the past.

        Raises
        ------
        NotFound
            If there is no such table.
        InvalidData
            If there is no such snapshot, or no such table then.
        """
        ref = Ref.parse(name)
        table = self._lake.tables.resolve(ref.name)
        moment = at if at is not None else self._snapshot_of(ref)
        backend = self._lake.ibis()
        if moment is None:
            return backend.table(table.name, database=("lake", table.schema))
        snapshot = snapshot_at(self._lake, moment)
        table_at(self._lake, self._lake.cursor(), table.qualified, snapshot)
        return backend.sql(f"SELECT * FROM {table.sql} AT (VERSION => {snapshot})", dialect="duckdb")

    def predict(self, model: str, rows: object) -> pa.Table:
        """Predict rows that are not in the store.

        Parameters
        ----------
        model : str
            A model, as in "fare", "fare@7", "fare@champion" or "py:module:function".
        rows : pyarrow.Table, pandas or polars frame, Ibis expression, Result, list of dict, or path
            Columns are matched by name.

        Returns
        -------
        pyarrow.Table
            Columns `value` and `score`, n rows in the order of `rows`.

        Raises
        ------
        ModelError, InvalidData
            If the model fails, or the rows lack a column it asks for.
        NotFound
            If there is no such model or file.
        """
        table = read_rows(self._lake, rows)
        return open_predictor(self._lake, model, table.schema).predict(table)

    def export(
        self,
        source: str | ir.Table,
        to: str | Path,
        *,
        format: str,
        label: str | None = None,
        features: Sequence[str] | None = None,
        split: str | None = None,
        holdout: float | None = None,
        shuffle: int | None = None,
        shards: int = 1,
    ) -> Artifact:
        """Write a table, `name@version` or query to a file.

        Parameters
        ----------
        format : {"csv", "jsonl", "parquet"}
        label, features : str, sequence of str
            Write only these columns, the label first.

        Raises
        ------
        InvalidData
            If the folder does not exist.
        Unsupported
            If an option is not there yet.
        """
        if split is not None or holdout is not None or shuffle is not None or shards != 1:
            raise Unsupported("SPLIT, SHUFFLE and SHARDS are not there yet.", hint="Export without them.")
        query, at = source_query(self._lake, source, self._snapshot_of)
        shown = source if isinstance(source, str) else query
        with expand_predictions(self._lake, query) as expanded:
            text = self._fitted(expanded)
            return export(
                self._lake, text, to, source=shown, file_format=format, at=at, label=label, features=features
            )

    # -- within ----------------------------------------------------------------------------------

    def _past(self, text: str, shown: str, snapshot: int, params: Mapping[str, Any] | None) -> Result:
        with self._lake.at(snapshot) as cursor:
            if self._calls_steps(text):
                text = fit(cursor, text).sql
            return read_past(self._lake, cursor, text, snapshot, shown=shown, params=params)

    def _expression(self, expression: Any) -> Result:
        if not reads_memory(expression):
            return run_sql(self._lake, query_text(expression))
        clock = time.perf_counter()
        table = self._lake.ibis().to_pyarrow(expression)
        return Result(table, self._lake.head(), time.perf_counter() - clock)

    def _calls_steps(self, text: str) -> bool:
        from workbench.engines.sql import find_calls

        lowered = text.lower()
        return any(name in lowered for name in STEPS) and bool(find_calls(text, STEPS))

    def _fitted(self, text: str) -> str:
        """Fit the built-in functions of a query on the rows it reads; other text stays as it is."""
        if not self._calls_steps(text):
            return text
        with self._lake.pinned() as (cursor, _):
            return fit(cursor, text).sql

    def _moment(self, name: str, version: int | str) -> int:
        snapshot = self._snapshot_of(Ref(name, str(version)))
        assert snapshot is not None
        return snapshot

    def _snapshot_of(self, ref: Ref) -> int | None:
        """Find the snapshot that `name@version` means: a transform's versions count its definitions."""
        if ref.version is None:
            return None
        table = self._lake.tables.find(ref.name)
        if table is None or table.schema not in ("features", "queries"):
            return snapshot_at(self._lake, ref.number if ref.number is not None else ref.version)
        if ref.number is None:
            return snapshot_at(self._lake, ref.version)
        return _last_snapshot(self._lake, table.name, ref.number)


def version_numbers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the versions among records of definitions."""
    return sorted({str(row["version"]) for row in rows})


def _last_snapshot(lake: Lake, name: str, version: int) -> int:
    """Return the last snapshot at which this version of a definition was the one in force."""
    rows = lake.records.history(name)
    if version not in {row["version"] for row in rows}:
        raise NotFound.named("version", str(version), version_numbers(rows), within=name)
    later = [
        row["snapshot_id"]
        for row in rows
        if row["version"] > version or (row["version"] == version and row["status"] == "dropped")
    ]
    return min(later) - 1 if later else lake.head()
