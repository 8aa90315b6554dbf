"""The Store: what the user holds, with one method per verb."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import answers
from workbench.bind import (
    Binding,
    Limits,
    create_binding,
    expand_predictions,
    find_binding,
    reads_predictions,
    within,
)
from workbench.bind.isolation import open_predictor, stop_workers
from workbench.bodies import read_body
from workbench.derivation import Run
from workbench.errors import InvalidData, NotFound, Unsupported, WorkbenchError
from workbench.export import Artifact, export
from workbench.ingest import Load, append, load, merge
from workbench.ingest.sources import to_arrow
from workbench.keeping import Keeping
from workbench.lake import Lake, Result, Snapshot
from workbench.lake.history import snapshot_at
from workbench.lake.snapshots import changed_tables, read_snapshot
from workbench.lake.statements import read_past, run_sql
from workbench.looking import Looking
from workbench.names import Ref
from workbench.queries import is_expression, query_text, reads_memory, source_query
from workbench.schedule import after_write, check_names, check_trigger, refresh, waits_for
from workbench.serving import Serving
from workbench.train import Model, Training, registry, train
from workbench.transform import Query, Transform, create_transform, define_query, find_transform
from workbench.transform.fitting import fit
from workbench.transform.steps import STEPS

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa


_FAILED = "was not refreshed"

Execute = Callable[["Store", str, Mapping[str, Any] | None], object]


class Store(Keeping, Serving, Looking):
    """A datastore in a folder; get one with `workbench.connect`.

    Every method that writes is one commit, which makes one snapshot; what is kept up to date `on
    write` follows before the method returns. Nothing is printed. A Store can be used from several
    threads, and the same folder from several processes.

    Examples
    --------
    >>> import workbench
    >>> store = workbench.connect(getfixture("tmp_path") / "store")
    >>> run = store.load("pets", [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bo"}], key="id")
    >>> run.rows_written
    2
    >>> store.sql("select name from pets order by id").to_arrow()["name"].to_pylist()
    ['Ada', 'Bo']
    >>> store.close()
    """

    def __init__(self, lake: Lake, execute: Execute) -> None:
        self._lake = lake
        self._execute = execute

    # -- ask -------------------------------------------------------------------------------------

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
        text = expand_predictions(self._lake, query)
        if at is not None:
            return self._past(text, query, snapshot_at(self._lake, at), params)
        text = self._fitted(text)
        result = run_sql(self._lake, text, shown=query, params=params)
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
        """
        ref = Ref.parse(name)
        table = self._lake.tables.resolve(ref.name)
        moment = at if at is not None else self._snapshot_of(ref)
        backend = self._lake.ibis()
        if moment is None:
            return backend.table(table.name, database=("lake", table.schema))
        snapshot = snapshot_at(self._lake, moment)
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
        """
        import pyarrow as pa

        table = to_arrow(self._lake, rows)
        if isinstance(table, pa.RecordBatchReader):
            table = table.read_all()
        return open_predictor(self._lake, model, table.schema).predict(table)

    # -- define ----------------------------------------------------------------------------------

    def query(self, name: str, query: str | ir.Table) -> Query:
        """Give a query a name, so that it can be used wherever a table can."""
        text = query_text(query)
        if reads_predictions(text) or self._calls_steps(text):
            raise Unsupported(
                "predict(), held_out() and the built-in transforms do not go into a named query.",
                hint="Use bind, or a transform, and query their tables.",
            )
        return define_query(self._lake, name, text)

    def transform(
        self,
        name: str,
        query: str | ir.Table | Callable[..., Any],
        *,
        on: str | None = None,
        key: str | Sequence[str],
        when: str = "manual",
        refit_when: str | None = None,
        using: str = "sql",
    ) -> Transform:
        """Make an engineered table `features.<name>` that the store keeps up to date.

        Parameters
        ----------
        query : str, ibis.Table or function
            What the table holds. Built-in functions in it are fitted now, and keep their state. A
            Python function gets the rows of the table `on`, batch by batch, and returns as many.
        on : str or None
            The table it is attached to.
        key : str or sequence of str
            Columns of the result that identify a row.
        when : str
            When it is refreshed: "manual", "on write", "every '1 hour'", "cron '0 6 * * *'",
            "changed >= 5%", "after name", and these with and, or, COOLDOWN.
        refit_when : str or None
            When the built-in functions are fitted anew, as a new version; counted from the last fit.
        using : {"sql", "ibis", "python"}
            The language of a text; a function or an expression says it by itself.

        Raises
        ------
        InvalidData
            If the result lacks its key, or the key is not unique.
        """
        body = read_body(self._lake, query, using, on)
        if reads_predictions(body.sql or body.query) and body.using != "python":
            raise Unsupported(
                "predict() and held_out() do not go into a transform.", hint="Bind the model to its table."
            )
        fits = body.using != "python" and self._calls_steps(body.sql or body.query)
        if refit_when is not None and not fits:
            raise InvalidData(
                f"The query of {name!r} calls no built-in function, so nothing can be fitted anew.",
                hint="Leave REFIT WHEN out.",
            )
        before = self._lake.head()
        draft = Transform(
            name,
            body.query,
            "",
            _names(key),
            on=on,
            trigger=check_trigger(when),
            refit_when=None if refit_when is None else check_trigger(refit_when),
            using=body.using,
            sql=body.sql,
            code=body.code,
        )
        self._check_trigger(draft.name, draft.trigger, [on] if on else [])
        if draft.refit_when is not None:
            self._check_trigger(draft.name, draft.refit_when, [on] if on else [])
        made = create_transform(self._lake, draft)
        if made.snapshot is not None and made.snapshot > before:
            self._follow_warning(made.snapshot)
        return made

    def train(
        self,
        name: str,
        query: str | ir.Table,
        *,
        label: str | None = None,
        key: str | Sequence[str] | None = None,
        features: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        prepare: str = "auto",
        model: str = "auto",
        params: Mapping[str, Any] | None = None,
        tune: int | None = None,
        budget: str | None = None,
        split: str = "hash",
        holdout: float = 0.2,
        metric: str | None = None,
        seed: int = 0,
        when: str = "manual",
        deploy: str = "always",
        weight: str | None = None,
    ) -> Model:
        """Train a model on the rows of a query, track it in MLflow, and deploy it through the gate.

        Parameters
        ----------
        label : str or None
            The column to predict; None for an algorithm that learns without one, such as "kmeans".
        key : str, sequence of str or None
            Columns that identify a row; they are no features, and decide the split.
        features, exclude : sequence of str or None
            Use only these columns, or all but these.
        model : str
            "xgboost", another short name, or the import path of a scikit-learn estimator.
        params : mapping or None
            Parameters of the algorithm; a `workbench.Range` is searched.
        tune, budget : int or None, str or None
            How many settings to try, and how long the training may take in all, such as "5 min".
        weight : str or None
            A column that says how much each row counts.
        split, holdout : str, float
            How rows are held out, and which share of them: "hash", "hash(column)", "group(column)",
            "stratified(column)", "time(column)", "random" or "column(column)".
        deploy : str
            "always", "never", or a condition such as "auc >= champion + 0.005".

        Returns
        -------
        Model
            The version made; the one there was if neither the definition nor the data changed.

        Raises
        ------
        InvalidData
            If there are no rows to train on, or the label has one class.
        NotFound
            If a column, algorithm or parameter does not exist.
        """
        self._check_trigger(name, check_trigger(when), [])
        text = query_text(query)
        if reads_predictions(text):
            raise Unsupported(
                "predict() and held_out() do not go into a training query.",
                hint="Read predictions.<table> instead.",
            )
        training = Training.define(
            name,
            text,
            label=label,
            key=key,
            features=features,
            exclude=exclude,
            prepare=prepare,
            model=model,
            params=params,
            tune=tune,
            budget=budget,
            split=split,
            holdout=holdout,
            metric=metric,
            seed=seed,
            when=check_trigger(when),
            deploy=deploy,
            weight=weight,
        )
        trained = train(self._lake, training)
        self._follow_model(name)
        return trained

    def bind(
        self,
        column: str,
        *,
        on: str,
        model: str,
        inputs: Sequence[str] | None = None,
        when: str = "on write",
        mode: str = "sync",
        on_error: str = "null",
        batch: int | None = None,
        isolate: str | None = None,
        retry: int = 0,
        rate: str | None = None,
    ) -> Binding:
        """Attach a model to a column: its predictions are kept beside the rows of a table.

        Read them in the view `predictions.<table>`: `column`, `column_score`, `column_status`,
        `column_model`, `column_at`.

        Parameters
        ----------
        on : str
            A table, transform or named query, or a view of predictions: "predictions.reviews" lets the
            columns that are bound there be inputs too.
        mode : {"sync", "async"}
            Whether a write waits for its predictions; "async" leaves them to a later refresh.
        on_error : {"null", "keep", "fail"}
            What a row gets that cannot be predicted.
        retry, rate : int, str or None
            For models that are far away: how often a call is made again that failed for a passing
            reason, and how many calls are made in a time, such as "5/s".

        Raises
        ------
        NotFound, InvalidData
            If the table or the model does not exist, or they do not fit together.
        Unsupported
            If the rows have no key.
        """
        draft = Binding(
            column,
            on,
            model,
            key=(),
            columns=tuple(inputs) if inputs is not None else None,
            trigger=check_trigger(when),
            mode=mode,
            on_error=on_error,
            batch=batch,
            isolate=isolate,
            retry=retry,
            rate=rate,
        )
        self._check_trigger(draft.name, draft.trigger, [on])
        return create_binding(self._lake, draft)

    # -- write -----------------------------------------------------------------------------------

    def load(
        self,
        table: str,
        source: object,
        *,
        key: str | Sequence[str] | None = None,
        mode: str = "append",
        format: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Run:
        """Load rows into a table; a table that does not exist is made.

        Parameters
        ----------
        source : str, Path, pyarrow.Table, pandas or polars frame, Ibis expression, Result, list of dict
            A path may be a pattern, and a .zip with one file. Files that were appended before, with
            the same content, are not read again.
        key : str, sequence of str or None
            The columns that identify a row; "auto" adds a column `_id` and fills it.
        mode : {"append", "merge", "replace"}
        format : str or None
            csv, json, parquet or arrow, where the file's ending does not say.
        options : mapping or None
            For DuckDB's reader, such as {"nullstr": "NA"}.

        Raises
        ------
        InvalidData
            If a key is NULL or repeated, or a row is broken; nothing is changed.
        NotFound
            If there is no such file.
        """
        wanted = key if key is None or isinstance(key, str) else tuple(key)
        return self._followed(load(self._lake, Load(table, source, wanted, mode, format, options)))

    def append(self, table: str, rows: object) -> Snapshot:
        """Append rows to a table that exists; see `load` for what rows can be."""
        return self._snapshot(self._followed(append(self._lake, table, rows)))

    def merge(self, table: str, rows: object, key: str | Sequence[str] | None = None) -> Snapshot:
        """Update the rows of a table that have the same key, and add the others."""
        return self._snapshot(
            self._followed(merge(self._lake, table, rows, _names(key) if key is not None else None))
        )

    def delete(self, table: str, where: str) -> Snapshot:
        """Delete the rows of a table for which the SQL condition `where` holds."""
        found = self._lake.tables.resolve(table)
        result = self.sql(f"DELETE FROM {found.sql} WHERE {where}")
        return read_snapshot(
            self._lake, result.snapshot if result.snapshot is not None else self._lake.head()
        )

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
        text = self._fitted(expand_predictions(self._lake, query))
        shown = source if isinstance(source, str) else query
        return export(
            self._lake, text, to, source=shown, file_format=format, at=at, label=label, features=features
        )

    # -- keep up to date -------------------------------------------------------------------------

    def refresh(
        self,
        name: str | None = None,
        *,
        full: bool = False,
        errors: bool = False,
        limit: int | None = None,
        budget: str | None = None,
    ) -> list[Run]:
        """Bring a transform or binding, with all it is made from, up to date; without a name, what is due.

        A model is trained again if the data it was trained on changed, but only when it is named.

        Parameters
        ----------
        errors : bool
            Predict only the rows again on which the model failed.
        limit, budget : int or None, str or None
            How many rows are predicted at most, and how long, such as "30 s"; the rows that changed
            last come first, and the rest is left to the next refresh.

        Returns
        -------
        list of Run
            Those that did something, and always that of `name`.

        Raises
        ------
        NotFound
            If nothing of that name is kept up to date.
        """
        limits = Limits.of(limit, budget, errors=errors)
        known = answers.scheduled(self._lake)
        if name is not None and not any(each.name == name and each.kind != "model" for each in known):
            if name in registry.names(self._lake):
                within([], name, limits, full=full)
                run = registry.get(self._lake, f"{name}@latest").refresh(self._lake, full=full)
                self._follow_model(name)
                return [run]
            name = self._lake.records.spelling(name)
            if name not in {each.name for each in known}:
                name = self._derivation_name(name)
        known = within(known, name, limits, full=full)
        runs = refresh(self._lake, known, name, full=full)
        changed = [each.output for each in known for run in runs if run.name == each.name]
        if changed:
            runs += after_write(self._lake, self._on_write(), changed)
        self._follow_models(runs)
        return runs

    def refit(self, name: str) -> Run:
        """Fit the built-in functions of a transform to its rows as they are now: a new version."""
        transform = find_transform(self._lake, name)
        return self._refit(transform)

    def execute(self, statement: str, variables: Mapping[str, Any] | None = None) -> object:
        """Run a statement of the language; `variables` are what its `$name`s stand for.

        Examples
        --------
        >>> import workbench
        >>> store = workbench.connect(getfixture("tmp_path") / "store")
        >>> store.execute("load pets FROM $rows KEY id", {"rows": [{"id": 1}]}).rows_written
        1
        >>> store.close()
        """
        return self._execute(self, statement, variables)

    def close(self) -> None:
        """Close the store; closing twice does nothing."""
        stop_workers(self._lake.folder)
        self._lake.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"

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

    def _snapshot(self, run: Run) -> Snapshot:
        return read_snapshot(self._lake, run.snapshot if run.snapshot is not None else self._lake.head())

    def _followed(self, run: Run) -> Run:
        """Let what is kept up to date follow a load; what it did goes into the run's details."""
        if run.snapshot is None or run.mode == "noop":
            return run
        clock = time.perf_counter()
        said = self._follow(run.snapshot)
        if not said:
            return run
        seconds = run.seconds + time.perf_counter() - clock
        return replace(run, seconds=seconds, details={**run.details, "then": said.removeprefix("; ")})

    def _check_trigger(self, name: str, trigger: str, tables: Sequence[str]) -> None:
        """Refuse a trigger that names what is not there, or waits for itself."""
        check_names(
            trigger,
            name,
            {each.name: waits_for(each.trigger) for each in answers.derivations(self._lake)},
            {column for table in tables for column in self._lake.tables.resolve(table).columns},
        )

    def _follow(self, snapshot: int) -> str:
        """Refresh what is to follow the write of a snapshot; say what was refreshed, and what failed."""
        with self._lake.pinned() as (cursor, _):
            changed = changed_tables(cursor, snapshot - 1, snapshot)
        runs = after_write(self._lake, self._on_write(), changed)
        self._follow_models(runs)
        return "".join(f"; {_said(run)}" for run in runs)

    def _follow_models(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.kind == "model" and run.status == "ok":
                self._follow_model(run.name)

    def _follow_warning(self, snapshot: int) -> None:
        """Let what is kept up to date follow a commit; what fails is warned of, for the commit stands."""
        said = self._follow(snapshot)
        if _FAILED in said:
            warnings.warn(said.removeprefix("; "), RuntimeWarning, stacklevel=4)

    def _on_write(self) -> list[Any]:
        """List what a write waits for: an asynchronous binding is left to a later refresh."""
        return [each for each in answers.scheduled(self._lake) if getattr(each, "mode", "sync") == "sync"]

    def _follow_model(self, name: str) -> None:
        """Predict anew what is bound to a model whose champion may have changed."""
        for each in self._on_write():
            if (
                isinstance(each, Binding)
                and each.model.partition("@")[0] == name
                and each.trigger == "on write"
            ):
                try:
                    each.refresh(self._lake)
                except WorkbenchError as error:
                    warnings.warn(f"{each.column} {_FAILED}: {error}", RuntimeWarning, stacklevel=3)
                    continue
                after_write(self._lake, self._on_write(), [each.output])

    def _derivation_name(self, name: str) -> str:
        try:
            return find_binding(self._lake, name).name
        except NotFound:
            known = [getattr(each, "column", each.name) for each in answers.derivations(self._lake)]
            paused = {row["name"] for row in self._lake.records.definitions() if row["status"] == "paused"}
            if name in paused or any(each.rpartition("__")[2] == name for each in paused):
                raise InvalidData(f"{name!r} is paused.", hint=f"Say: resume {name}.") from None
            raise NotFound.named("transform or binding", name, known) from None


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _said(run: Run) -> str:
    name = run.name.rpartition("__")[2]
    if run.status == "failed":
        return f"{name} {_FAILED}: {run.error}"
    if run.kind == "model":
        deployed = "deployed" if run.details.get("deployed") else "not deployed"
        return f"{run.details.get('model', name)} trained, {deployed}"
    rows = run.rows_written + run.rows_deleted
    return f"{name} refreshed, {rows:,} {'row' if rows == 1 else 'rows'}"
