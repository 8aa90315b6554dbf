"""What built-in functions in a training query make of raw rows, kept with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import execute, fetch, scratch
from workbench.errors import InvalidData, NotFound
from workbench.names import quote
from workbench.train import algorithms
from workbench.train.evaluate import measures
from workbench.train.features import choose_features, find_column
from workbench.train.label import MOST_WHOLE_CLASSES, Task
from workbench.train.plan import Plan, look, make_plan
from workbench.transform.fitting import Only
from workbench.transform.training import RAW, Prepared, calls_steps, prepare

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake
    from workbench.train.definition import Training
    from workbench.train.split import Split

ROWS = "mlstore_raw"


@dataclass(frozen=True, slots=True)
class Preparation:
    """SQL that turns raw rows into the features of a model.

    Attributes
    ----------
    columns : mapping of str to str
        For each feature its expression in plain DuckDB SQL, with what was fitted as constants.
    types : mapping of str to str
        The raw columns to give, and the DuckDB types they had in the training.
    """

    columns: Mapping[str, str]
    types: Mapping[str, str]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns to give."""
        return tuple(self.types)

    @property
    def sql(self) -> str:
        """The query over raw rows, which stand in the relation `mlstore_raw`."""
        columns = ", ".join(f"{text} AS {quote(name)}" for name, text in self.columns.items())
        # A value that an ENUM did not have when the model learned is a category never seen, not an error.
        types = {name: "VARCHAR" if kind.startswith("ENUM") else kind for name, kind in self.types.items()}
        typed = ", ".join(f"CAST({quote(name)} AS {kind}) AS {quote(name)}" for name, kind in types.items())
        return f"SELECT {columns} FROM (SELECT {typed} FROM {ROWS})"

    def apply(self, rows: pa.RecordBatch | pa.Table) -> pa.Table:
        """Compute the features of raw rows, in their order; other columns are ignored.

        Raises
        ------
        InvalidData
            If columns are missing, or hold what cannot be computed with.
        """
        import pyarrow as pa

        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        given = {name.lower(): name for name in table.column_names}
        missing = [name for name in self.inputs if name.lower() not in given]
        if missing:
            hint = NotFound.named("column", missing[0], table.column_names).hint
            raise InvalidData(f"The model needs the columns {', '.join(missing)}, not given here.", hint=hint)
        chosen = table.select([given[name.lower()] for name in self.inputs])
        _check_whole(chosen, self.types)
        with scratch() as cursor:
            cursor.register(ROWS, chosen.rename_columns(list(self.inputs)))
            return fetch(execute(cursor, self.sql))

    @classmethod
    def of(cls, prepared: Prepared, features: Sequence[str], types: Mapping[str, str]) -> Preparation:
        """Take the features from a query; those that it does not compute are raw columns themselves.

        `types` are those of the columns of the query, the raw ones included.
        """
        columns = {name: prepared.columns.get(name, quote(name)) for name in features}
        inputs = [each for name in features for each in prepared.reads.get(name, (name,))]
        return cls(columns, {name: types.get(RAW + name) or types[name] for name in inputs})

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"columns": dict(self.columns), "types": dict(self.types)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> Preparation | None:
        """Read what `to_record` gave; None gives None."""
        return None if record is None else cls(record["columns"], record["types"])


def _check_whole(rows: pa.Table, types: Mapping[str, str]) -> None:
    """Refuse fractions where the training had whole numbers; a cast would round them."""
    from pyarrow import ArrowException, int64
    from pyarrow.types import is_floating

    for (name, kind), column in zip(types.items(), rows.columns, strict=True):
        if "INT" in kind and is_floating(column.type):
            try:
                column.cast(int64())
            except ArrowException as error:
                raise InvalidData(
                    f"The column {name!r} holds fractions where the model learned whole numbers.",
                    hint="Round them in the query, or train on fractions as well.",
                ) from error


def prepared_query(
    lake: Lake, cursor: Cursor, training: Training, query: str, split: Split
) -> Prepared | None:
    """Fit the built-in functions of a training query on its training rows; None if it calls none.

    Raises
    ------
    InvalidData
        If nothing but the features tells rows apart, for they are not there yet.
    """
    if not calls_steps(query):
        return None
    split = split.resolved(training.key, ())
    if not split.columns:
        raise InvalidData(
            f"The training of {training.name!r} has nothing by which its rows can be divided.",
            hint="Give a KEY, or name columns: SPLIT BY hash(…).",
        )

    def where(relation: str, names: Sequence[str]) -> str:
        columns = tuple(names[: len(split.columns)])
        held_out = _held_out(lake, cursor, replace(split, columns=columns), relation)
        labels = [f"{name} IS NOT NULL" for name in names[len(columns) :]]
        return " AND ".join([*labels, f"NOT ({held_out})"])

    label = [training.label] if training.label else []
    only = Only((*split.columns, *label), where)
    return prepare(cursor, query, training.key, training.label, only)


def union(lake: Lake, cursor: Cursor, prepared: Prepared, training: Training, split: Split) -> str:
    """Write the query whose training rows know their target, and whose other rows do not."""
    if prepared.sql == prepared.blind:
        return prepared.sql
    held_out = _held_out(lake, cursor, split.resolved(training.key, ()), f"{prepared.blind}\n")
    known = f"coalesce(NOT ({held_out}), false)"
    known += f" AND {quote(training.label)} IS NOT NULL" if training.label else ""
    return (
        f"SELECT * FROM ({prepared.sql}\n) WHERE {known} "
        f"UNION ALL SELECT * FROM ({prepared.blind}\n) WHERE NOT ({known})"
    )


def _held_out(lake: Lake, cursor: Cursor, split: Split, relation: str) -> str:
    """Write the condition that a row of a relation is held out."""
    described = lake.run(cursor, f"DESCRIBE FROM ({relation})").fetchall()
    types = {row[0]: row[1] for row in described}
    columns = tuple(find_column(column, types, "split column") for column in split.columns)
    split = replace(split, columns=columns)
    if split.needs_threshold:
        row = lake.run(cursor, split.threshold_query(f"({relation})", types)).fetchone()
        split = split.settled(row[0] if row else None)
    return split.expression(types)


def is_raw(name: str) -> bool:
    """Tell whether a column of a prepared query is a raw one beside the others."""
    return name.startswith(RAW)


def planned_query(
    lake: Lake, cursor: Cursor, training: Training, split: Split, types: Mapping[str, str], staged: str
) -> tuple[str, Plan] | None:
    """Plan the features of `PREPARE auto` from the rows in the table `staged`; None if nothing is to be done.

    Returns
    -------
    tuple
        The plan as a query, and the plan.
    """
    split = split.resolved(training.key, ())
    # Without a label, what goes before the estimator prepares the columns.
    if training.prepare != "auto" or not training.label:
        return None
    if calls_steps(training.query) or not split.columns:
        return None
    features = choose_features(training, types)
    if {name.lower() for name in split.columns} & {name.lower() for name in features}:
        return None  # the split looks at values that a plan would change
    label = find_column(training.label, types, "label")
    task = _task(lake, cursor, training, types[label], label, staged)
    rows = f"(SELECT * FROM {staged} WHERE {quote(label)} IS NOT NULL AND NOT ("
    rows += f"{_held_out(lake, cursor, split, f'FROM {staged}')}))"
    kinds = {name: types[name] for name in features}
    needs = algorithms.needs(training.model, task)
    key = [find_column(name, types, "key column") for name in training.key]
    classes = task != "regression"
    columns = look(lake, cursor, rows, label, kinds, classes=classes, needs=needs, key=key)
    if needs != "nothing" and any(not (c.is_number or c.is_text or c.is_time) for c in columns):
        return None
    text = types[label] == "VARCHAR" or types[label].startswith("ENUM")
    target = quote(label) if not text and task != "multiclass" else None
    weight = [training.weight] if training.weight else []
    wanted = (*training.key, *split.columns, *weight, label)
    kept = list(dict.fromkeys(find_column(name, types, "column") for name in wanted))
    plan = make_plan(columns, needs, target, named=training.features is not None, kept=kept)
    if plan is None:
        return None
    others = [name for name in kept if name not in plan.features]
    return plan.text(training.query, others), plan


def _task(lake: Lake, cursor: Cursor, training: Training, kind: str, label: str, staged: str) -> Task:
    """Tell what kind of task a label makes, before its values are read."""
    row = lake.run(cursor, f"SELECT count(DISTINCT {quote(label)}) FROM {staged}").fetchone()
    values = row[0] if row else 0
    wanted = algorithms.wants(training.model)
    if training.metric is not None:
        wanted = "regression" if training.metric in measures("regression") else "classes"
    whole = "INT" in kind or (kind.startswith("DECIMAL") and kind.endswith(",0)"))
    quantity = kind.startswith(("FLOAT", "DOUBLE", "DECIMAL")) and not whole
    quantity |= whole and values > MOST_WHOLE_CLASSES
    if wanted == "regression" or (wanted is None and quantity):
        return "regression"
    return "binary" if values <= 2 else "multiclass"


def raw_rows(table: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    """Return rows as a model is given them: what stands beside prepared columns, under its own name.

    Columns that nothing is prepared from are raw themselves, and stay.
    """
    raw = {name.removeprefix(RAW).lower(): name for name in table.schema.names if is_raw(name)}
    plain = [name for name in table.schema.names if not is_raw(name) and name.lower() not in raw]
    chosen = [*raw.values(), *plain]
    return table.select(chosen).rename_columns([name.removeprefix(RAW) for name in chosen])
