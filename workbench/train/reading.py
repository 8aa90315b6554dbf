"""Training rows: run the query at a pinned snapshot, check its columns, divide and digest its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.derivation import fingerprint
from workbench.engines.duckdb import stream
from workbench.engines.sql import source_tables
from workbench.engines.tree import only_table
from workbench.errors import InvalidData, below
from workbench.lake.inputs import base_tables
from workbench.names import quote, quote_all
from workbench.train.dataset import describe
from workbench.train.features import choose_features, find_column
from workbench.train.label import check_type
from workbench.train.matrix import float_query, without_gaps
from workbench.train.plan import ROW
from workbench.train.preparation import Preparation, is_raw, planned_query, prepared_query, union
from workbench.train.spool import HASH, Numbers, Spool, batch_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake
    from workbench.train.dataset import FeatureSpec
    from workbench.train.definition import Training
    from workbench.train.split import Split

LEAST_ROWS = 10

STAGED = "mlstore_training"
"""The temporary view of a query's rows, while its snapshot is pinned."""

_LABEL = "__label"
_FOLD = "__fold"
_WEIGHT = "__weight"


@dataclass(frozen=True, slots=True)
class Source:
    """What a training query gave, before any of it is read into memory.

    A temporary view of the cursor has it. `types` are the DuckDB types of its columns;
    `label`, `key` and `features` are spelt as the query has them. `expanded` is the query in plain
    SQL, for those who want to know what it reads. `plan` is the query that
    `PREPARE auto` made of it, if it did, and `notes` say what is worth knowing of that.
    """

    snapshot: int
    inputs: tuple[str, ...]
    input_versions: Mapping[str, int | None]
    types: Mapping[str, str]
    label: str
    key: tuple[str, ...]
    features: tuple[str, ...]
    digest: str
    rows: int
    unlabelled: int
    preparation: Preparation | None = None
    raw: tuple[str, ...] = ()
    expanded: str = ""
    plan: str = ""
    notes: tuple[str, ...] = ()
    weight: str | None = None

    @property
    def truth(self) -> str:
        """The label in SQL; NULL where there is none."""
        return quote(self.label) if self.label else "NULL"

    @property
    def labelled(self) -> str:
        """The condition that a row has a label, or that none is asked for."""
        return f"{quote(self.label)} IS NOT NULL" if self.label else "true"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The labelled rows of both sides, in files and in an order that depends on nothing but the rows.

    Attributes
    ----------
    spec : FeatureSpec
        What the features mean, learned from the training rows.
    training : Spool (n rows)
        Their numbers.
    tested : Spool (m rows)
        The rows held out, as the query gives them.
    split : Split
    kept_back : ndarray (m) or None
        Which rows held out the champion was kept from, None where that is all.
    unlabelled : Numbers or None
        The rows without a label that would not be held out, if they were asked for.
    """

    spec: FeatureSpec
    training: Spool
    tested: Spool
    split: Split
    kept_back: npt.NDArray[np.bool_] | None = None
    unlabelled: Numbers | None = None

    @property
    def label(self) -> pa.ChunkedArray:
        """The label of the training rows, and behind them of those held out."""
        import pyarrow as pa

        both = pa.concat_tables([self.training.kept.select([_LABEL]), self.tested.kept])
        return both[_LABEL]

    @property
    def folds(self) -> npt.NDArray[np.int16]:
        """A number from 0 to 999 for each training row, by which a search divides them."""
        folds: npt.NDArray[np.int16] = self.training.kept[_FOLD].to_numpy()
        return folds

    @property
    def weights(self) -> pa.ChunkedArray | None:
        """How much each training row counts, as the query says it; None if it does not."""
        return self.training.kept[_WEIGHT] if _WEIGHT in self.training.kept.column_names else None


def stage(
    lake: Lake, cursor: Cursor, training: Training, split: Split, *, inputs: tuple[str, ...] | None = None
) -> Source:
    """Make the rows of the query ready to be read on a pinned cursor, and check what it gives.

    Built-in functions in it are fitted on the rows that `split` does not hold out. `inputs` are the
    tables it reads, where they are known and perhaps no longer there.

    Raises
    ------
    NotFound
        If a column does not exist.
    InvalidData
        If there are too few rows, or no features.
    """
    if inputs is None:
        inputs = base_tables(lake, source_tables(training.query), source_tables, cursor)
    prepared = prepared_query(lake, cursor, training, training.query, split)
    query = training.query if prepared is None else union(lake, cursor, prepared, training, split)
    described = _run(lake, cursor, query, inputs)
    types = {row[0]: row[1] for row in described}
    label = find_column(training.label, types, "label") if training.label else ""
    if label:
        check_type(label, _arrow_schema(lake, cursor, quote(label)).field(0).type)
    expanded = training.query if prepared is None else prepared.blind
    planned = planned_query(lake, cursor, training, split, types, f"temp.{STAGED}")
    if planned is not None:
        prepared = prepared_query(lake, cursor, training, planned[0], split)
        query = planned[0] if prepared is None else union(lake, cursor, prepared, training, split)
        described = _run(lake, cursor, query, inputs)
    types = {row[0]: row[1] for row in described if prepared is None or not is_raw(row[0])}
    features = tuple(planned[1].features) if planned else choose_features(training, types)
    row = lake.run(
        cursor,
        f"SELECT count(*), count({quote(label) if label else '*'}), sum(hash({ROW})::HUGEINT)::VARCHAR "
        f"FROM temp.{STAGED} AS {ROW}",
    ).fetchone()
    assert row is not None
    _check_count(training, label, row[0], row[1])
    return Source(
        snapshot=lake.head(cursor),
        inputs=inputs,
        input_versions=_versions(lake, cursor, inputs),
        types=types,
        label=label,
        key=tuple(find_column(name, types, "key column") for name in training.key),
        features=features,
        # A sum does not depend on the order of the rows; names and types are part of the data.
        digest=fingerprint(row[0], row[2], described),
        rows=row[1],
        unlabelled=row[0] - row[1],
        preparation=None if prepared is None else Preparation.of(prepared, features, dict(described)),
        expanded=expanded,
        plan=planned[0] if planned else "",
        notes=planned[1].notes if planned else (),
        raw=tuple(row[0] for row in described if row[0] not in types),
        weight=find_column(training.weight, types, "weight") if training.weight else None,
    )


def _run(lake: Lake, cursor: Cursor, query: str, inputs: Sequence[str]) -> list[tuple[str, str]]:
    """Make a query's rows ready to be read several times; return its columns and their types.

    Where it takes no more than a scan of a table of the lake, they are read from there each time.
    Anything else is run once: it may take long, and come out another way the next time.
    """
    table = only_table(query)
    found = lake.tables.find(table, cursor) if table else None
    with below(1):
        if found is None or found.qualified not in inputs:  # views are not among these
            lake.run(cursor, f"CREATE OR REPLACE TEMP TABLE {STAGED}_rows AS FROM (\n{query}\n)")
            query = f"FROM temp.{STAGED}_rows"
        lake.run(cursor, f"CREATE OR REPLACE TEMP VIEW {STAGED} AS FROM (\n{query}\n)")
    return [row[:2] for row in lake.run(cursor, f"DESCRIBE FROM temp.{STAGED}").fetchall()]


def _arrow_schema(lake: Lake, cursor: Cursor, columns: str) -> pa.Schema:
    return lake.run(cursor, f"SELECT {columns} FROM temp.{STAGED} LIMIT 0").to_arrow_table().schema


def read(lake: Lake, cursor: Cursor, source: Source, split: Split, *, unlabelled: bool = False) -> Rows:
    """Read the staged rows that have a label, and those without one if they are asked for.

    Raises
    ------
    InvalidData
        If the split leaves no rows on one side, or the lists of a feature differ in length.
    Unsupported
        If a feature is of a type that has no numbers in it.
    """
    split = _settled(lake, cursor, source, split)
    held_out = split.expression(source.types)
    trained, tested = _count_sides(lake, cursor, source, split)
    without = unlabelled and bool(source.unlabelled)
    here = f"temp.{STAGED} AS {ROW} WHERE"
    learned = f"{here} {source.labelled} AND NOT ({held_out})"
    # Of the rows without a label too, none of the held-out side is seen: it may get its label later.
    others = f"{here} NOT ({source.labelled}) AND NOT ({held_out})"
    features = quote_all(source.features)
    seen = f"{here} NOT ({held_out})" if without else learned
    schema = _arrow_schema(lake, cursor, features)
    spec = describe(schema, f"(SELECT {features} FROM {seen})", lambda sql: lake.run(cursor, sql).fetchall())
    place = {HASH: f"hash({ROW})"}
    beside = {_LABEL: source.truth, _FOLD: f"CAST({split.fold(source.types, ROW)} AS SMALLINT)"}
    beside |= {_WEIGHT: quote(source.weight)} if source.weight else {}
    numbers = float_query(spec, learned, beside | place)
    whole = (
        f"SELECT {quote_all([*source.features, *source.raw])}, {source.truth} AS {_LABEL}, "
        f"{place[HASH]} AS {HASH} FROM {here} {source.labelled} AND {held_out}"
    )
    width = len(spec.leaves)
    unknown = None
    if without:
        query = float_query(spec, others, place)
        unknown = Numbers(_spool_numbers(lake, cursor, query, source.unlabelled, width))
    return Rows(
        spec,
        _spool_numbers(lake, cursor, numbers, trained, width, tuple(beside)),
        Spool(*stream(lake.run(cursor, whole), batch_rows(width)), tested, (_LABEL,)),
        split,
        unlabelled=unknown,
    )


def _spool_numbers(
    lake: Lake, cursor: Cursor, query: str, rows: int, width: int, kept: tuple[str, ...] = ()
) -> Spool:
    schema, batches = stream(lake.run(cursor, query), batch_rows(width))
    return Spool(schema, (without_gaps(batch, width) for batch in batches), rows, kept)


def _settled(lake: Lake, cursor: Cursor, source: Source, split: Split) -> Split:
    """Return the split with its columns as the query spells them, and with its threshold."""
    columns = tuple(find_column(name, source.types, "split column") for name in split.columns)
    split = replace(split, columns=columns).resolved(source.key, source.features)
    if not split.needs_threshold:
        return split
    row = lake.run(cursor, split.threshold_query(f"temp.{STAGED}", source.types)).fetchone()
    return split.settled(row[0] if row else None)


def _versions(lake: Lake, cursor: Cursor, inputs: Sequence[str]) -> dict[str, int | None]:
    """Say for each input which version of its definition filled it; plain tables have none."""
    defined = {row["name"]: int(row["version"]) for row in lake.records.definitions(cursor=cursor)}
    return {name: defined.get(name.rpartition(".")[2]) for name in inputs}


def _check_count(training: Training, label: str, rows: int, labelled: int) -> None:
    if not rows:
        raise InvalidData(
            f"The query of {training.name!r} returns no rows.", hint="Check its WHERE clause, and its tables."
        )
    if labelled < LEAST_ROWS:
        unlabelled = f" with a label ({label} is NULL in {rows - labelled:,})" if labelled < rows else ""
        raise InvalidData(
            f"The query of {training.name!r} returns {labelled:,} rows{unlabelled}.",
            hint=f"At least {LEAST_ROWS} are needed to learn from and to test on.",
        )


def _count_sides(lake: Lake, cursor: Cursor, source: Source, split: Split) -> tuple[int, int]:
    """Count the rows with a label that are learned from, and those held out; there must be some of both."""
    row = lake.run(
        cursor,
        f"SELECT count(*), count(*) FILTER ({split.expression(source.types)}) FROM temp.{STAGED} AS {ROW} "
        f"WHERE {source.labelled}",
    ).fetchone()
    assert row is not None
    rows, held_out = row
    if held_out in {0, rows}:
        raise InvalidData(
            f"SPLIT BY {split} holds out {'no' if not held_out else 'all'} rows of {rows:,}.",
            hint="Choose another HOLDOUT, or another SPLIT BY.",
        )
    return rows - held_out, held_out
