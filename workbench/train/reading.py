"""Training rows: run the query at a pinned snapshot, check its columns, divide and digest its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.derivation import fingerprint
from workbench.engines.duckdb import fetch
from workbench.engines.sql import source_tables
from workbench.errors import InvalidData
from workbench.lake.inputs import base_tables
from workbench.names import quote, quote_all
from workbench.train.features import choose_features, find_column
from workbench.train.plan import ROW
from workbench.train.preparation import Preparation, is_raw, planned_query, prepared_query, union

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake
    from workbench.train.definition import Training
    from workbench.train.split import Split

LEAST_ROWS = 10

STAGED = "mlstore_training"
"""The temporary table that the rows of a query stand in."""

_HELD_OUT = "__held_out"
_FOLD = "__fold"
_WEIGHT = "__weight"


@dataclass(frozen=True, slots=True)
class Source:
    """What a training query gave, before any of it is read into memory.

    It stands in a temporary table of the cursor. `types` are the DuckDB types of its columns;
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
    """The labelled rows in memory, in an order that depends on nothing but the rows.

    `held_out` (n) says which are kept from the training; `kept_back` (n) which of them the champion
    was kept from, None where that is the same. `unlabelled` has the rows without a label that would
    not be held out, if they were asked for.
    """

    table: pa.Table
    held_out: npt.NDArray[np.bool_]
    split: Split
    kept_back: npt.NDArray[np.bool_] | None = None
    unlabelled: pa.Table | None = None

    @property
    def folds(self) -> npt.NDArray[np.int64]:
        """A number from 0 to 999 for each training row, by which a search divides them."""
        folds: npt.NDArray[np.int64] = self.table[_FOLD].to_numpy()[~self.held_out].astype("int64")
        return folds

    @property
    def weights(self) -> pa.ChunkedArray | None:
        """How much each training row counts, as the query says it; None if it does not."""
        import pyarrow as pa

        if _WEIGHT not in self.table.column_names:
            return None
        return self.table[_WEIGHT].filter(pa.array(~self.held_out))


def stage(
    lake: Lake, cursor: Cursor, training: Training, split: Split, *, inputs: tuple[str, ...] | None = None
) -> Source:
    """Run the query into a temporary table of a pinned cursor, and check what it gave.

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
    described = _run(lake, cursor, query)
    types = {row[0]: row[1] for row in described}
    expanded = training.query if prepared is None else prepared.blind
    planned = planned_query(lake, cursor, training, split, types, f"temp.{STAGED}")
    if planned is not None:
        prepared = prepared_query(lake, cursor, training, planned[0], split)
        query = planned[0] if prepared is None else union(lake, cursor, prepared, training, split)
        described = _run(lake, cursor, query)
    types = {row[0]: row[1] for row in described if prepared is None or not is_raw(row[0])}
    label = find_column(training.label, types, "label") if training.label else ""
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


def _run(lake: Lake, cursor: Cursor, query: str) -> list[tuple[str, str]]:
    """Run a query into the temporary table; return its columns and their types."""
    lake.run(cursor, f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM ({query}\n)")
    return [row[:2] for row in lake.run(cursor, f"DESCRIBE FROM temp.{STAGED}").fetchall()]


def read(lake: Lake, cursor: Cursor, source: Source, split: Split, *, unlabelled: bool = False) -> Rows:
    """Read the staged rows that have a label, and those without one if they are asked for.

    Raises
    ------
    InvalidData
        If the split leaves no rows on one side.
    """
    relation = f"temp.{STAGED}"
    split = replace(
        split, columns=tuple(find_column(name, source.types, "split column") for name in split.columns)
    )
    split = split.resolved(source.key, source.features)
    if split.needs_threshold:
        row = lake.run(cursor, split.threshold_query(relation, source.types)).fetchone()
        split = split.settled(row[0] if row else None)
    weight = f"{quote(source.weight)} AS {_WEIGHT}, " if source.weight else ""
    # Sorted by content: neither the engine's threads nor the order of arrival change the model.
    table = fetch(
        lake.run(
            cursor,
            f"SELECT {quote_all([*source.features, *source.raw])}, {source.truth} AS __label, "
            f"{weight}{split.fold(source.types, ROW)} AS {_FOLD}, "
            f"{split.expression(source.types)} AS {_HELD_OUT} FROM {relation} AS {ROW} "
            f"WHERE {source.labelled} ORDER BY hash({ROW})",
        )
    )
    held_out = table[_HELD_OUT].to_numpy()
    _check_sides(held_out, split)
    if not unlabelled or not source.unlabelled:
        return Rows(table, held_out, split)
    # Of these too no row of the held-out side is seen, for it may get its label later.
    others = fetch(
        lake.run(
            cursor,
            f"SELECT {quote_all(source.features)} FROM {relation} AS {ROW} WHERE {quote(source.label)} "
            f"IS NULL AND NOT ({split.expression(source.types)}) ORDER BY hash({ROW})",
        )
    )
    return Rows(table, held_out, split, unlabelled=others)


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


def _check_sides(held_out: npt.NDArray[np.bool_], split: Split) -> None:
    count = int(held_out.sum())
    if count in {0, len(held_out)}:
        raise InvalidData(
            f"SPLIT BY {split} holds out {'no' if not count else 'all'} rows of {len(held_out):,}.",
            hint="Choose another HOLDOUT, or another SPLIT BY.",
        )
