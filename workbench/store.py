"""The Store: what the user holds, with one method per verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench import answers
from workbench.bind import Binding, create_binding, follow_columns, reads_predictions
from workbench.bind.isolation import stop_workers
from workbench.bodies import read_body
from workbench.derivation import Run
from workbench.engines.sql import source_tables
from workbench.errors import InvalidData, Unsupported
from workbench.ingest import Load, append, load, merge
from workbench.keeping import Keeping
from workbench.lake import Lake, Snapshot
from workbench.lake.inputs import base_tables
from workbench.lake.snapshots import read_snapshot
from workbench.looking import Looking
from workbench.names import listed
from workbench.queries import query_text
from workbench.schedule import check_names, check_trigger, waits_for
from workbench.serving import Serving
from workbench.train import Model, Training, train
from workbench.transform import Query, Transform, create_transform, define_query

if TYPE_CHECKING:
    import ibis.expr.types as ir

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
        lake.follow_columns = partial(follow_columns, lake)

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
            listed(key),
            on=on,
            trigger=self._read_trigger(when),
            refit_when=None if refit_when is None else self._read_trigger(refit_when),
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
            when=self._read_trigger(when),
            deploy=deploy,
            weight=weight,
        )
        with self._lake.pinned() as (cursor, _):
            tables = base_tables(self._lake, source_tables(training.query), source_tables, cursor)
        self._check_trigger(name, training.when, tables)
        trained = train(self._lake, training)
        self._follow_model(name)
        return trained

    def bind(
        self,
        column: str,
        *,
        on: str,
        model: str,
        inputs: str | Sequence[str] | None = None,
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
            columns=listed(inputs) if inputs is not None else None,
            trigger=self._read_trigger(when),
            mode=mode,
            on_error=on_error,
            batch=batch,
            isolate=isolate,
            retry=retry,
            rate=rate,
        )
        self._check_trigger(draft.name, draft.trigger, [on])
        before = self._lake.head()
        made = create_binding(self._lake, draft)
        if made.snapshot is not None and made.snapshot > before:
            self._follow_warning(made.snapshot, made.output)
        return made

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
        with self._lake.kept.once():
            return self._snapshot(self._followed(append(self._lake, table, rows)))

    def merge(self, table: str, rows: object, key: str | Sequence[str] | None = None) -> Snapshot:
        """Update the rows of a table that have the same key, and add the others."""
        with self._lake.kept.once():
            return self._snapshot(
                self._followed(merge(self._lake, table, rows, listed(key) if key is not None else None))
            )

    def delete(self, table: str, where: str) -> Snapshot:
        """Delete the rows of a table for which the SQL condition `where` holds."""
        found = self._lake.tables.resolve(table)
        result = self.sql(f"DELETE FROM {found.sql} WHERE {where}")
        return read_snapshot(
            self._lake, result.snapshot if result.snapshot is not None else self._lake.head()
        )

    # -- run and close -----------------------------------------------------------------------------

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

    def _snapshot(self, run: Run) -> Snapshot:
        return read_snapshot(self._lake, run.snapshot if run.snapshot is not None else self._lake.head())

    def _read_trigger(self, text: str) -> str:
        """Return a trigger in its normal form; `after` takes all names that `refresh` does."""
        return check_trigger(text, partial(answers.recorded_name, self._lake))

    def _check_trigger(self, name: str, trigger: str, tables: Sequence[str]) -> None:
        """Refuse a trigger that names what is not there, or waits for itself."""
        check_names(
            trigger,
            name,
            {each.name: waits_for(each.trigger) for each in answers.derivations(self._lake)},
            {column for table in tables for column in self._lake.tables.resolve(table).columns},
        )
