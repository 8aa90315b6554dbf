"""A bound model that is asked from outside: by key, with the columns looked up, or with rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from reprlib import Repr
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from workbench.bind.definition import Binding
from workbench.bind.fill import Asker, arrow_type
from workbench.bind.lookup import Lookup, key_tuples
from workbench.bind.predictors import Predictor, Trained
from workbench.bind.source import read_source
from workbench.bind.work import find_bound
from workbench.engines.duckdb import execute, type_name
from workbench.errors import InvalidData, ModelError, NotFound, WorkbenchError
from workbench.names import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake

# What a client sent is not sent back as a whole.
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one row, or why it says nothing."""

    value: Any = None
    score: float | None = None
    error: WorkbenchError | None = None


class Endpoint:
    """A binding that answers single questions; nothing is written.

    Parameters
    ----------
    isolate : str or None
        Where the model runs, if not where the binding says.
    """

    def __init__(self, lake: Lake, binding: Binding, isolate: str | None = None) -> None:
        import pyarrow as pa

        self.binding = binding
        cursor = lake.cursor()
        source = read_source(lake, binding.on, cursor, lake.tables.all(cursor))
        where = replace(binding, isolate=isolate or binding.isolate)
        self.predictor: Predictor = find_bound(lake, cursor, where, source)
        columns = [source.spelled(each) for each in self.predictor.inputs]
        values = zip(columns, source.expressions(columns), strict=True)
        # The key may be an input as well, so it stands first, under names of its own.
        shown = [f"t.{quote(each)} AS __key_{number}" for number, each in enumerate(binding.key)]
        shown += [f"{value} AS {quote(name)}" for name, value in values]
        query = f"SELECT {', '.join(shown)} FROM {source.rows(columns)}"
        found = list(execute(cursor, f"{query} LIMIT 0").to_arrow_table().schema)
        self._lookup = Lookup(lake, query, {each: source.columns[each] for each in binding.key})
        places = zip(binding.key, found, strict=False)
        self.key: pa.Schema = pa.schema([field.with_name(name) for name, field in places])
        self.inputs: pa.Schema = pa.schema(found[len(binding.key) :])
        self._kind = arrow_type(self.predictor.value_type)
        # Whatever is loaded late is loaded now, and not when the first request waits for it.
        self.predictor.predict(_batch(self.inputs, []))
        if isinstance(self.predictor, Trained):
            self.predictor.get_ready()

    @property
    def ref(self) -> str:
        """The model with its version."""
        return self.predictor.ref

    def ask_rows(self, rows: Sequence[object]) -> list[Answer]:
        """Predict rows given by column name; a row that cannot be used has an error, the others answers."""
        batch, bad = _read(rows, self.inputs, f"the inputs of {self.ref}")
        return self._ask(batch, bad)

    def ask_keys(self, keys: Sequence[object]) -> list[Answer]:
        """Predict the rows of the table that have these keys, as they are now."""
        single = self.key.names[0] if len(self.key) == 1 else None
        given = [each if single is None or isinstance(each, Mapping) else {single: each} for each in keys]
        asked, bad = _read(given, self.key, f"the key of {self.binding.on}")
        wanted = key_tuples(asked, len(self.key))
        found = self._lookup.find(key for place, key in enumerate(wanted) if place not in bad)
        for place, key in enumerate(wanted):
            if place not in bad and key not in found.places:
                shown = ", ".join(
                    f"{name} = {_SHORT.repr(part)}" for name, part in zip(self.key.names, key, strict=True)
                )
                bad[place] = NotFound(f"There is no row with {shown} in {self.binding.table}.")
        places = [None if place in bad else found.places[key] for place, key in enumerate(wanted)]
        return self._ask(_take(found.rows, places, self.inputs), bad)

    def _ask(self, batch: pa.RecordBatch, bad: Mapping[int, WorkbenchError]) -> list[Answer]:
        """Ask about the rows that can be used, and put the answers into the places of the questions."""
        import pyarrow as pa

        usable = [place for place in range(batch.num_rows) if place not in bad]
        if not usable:
            return [Answer(error=bad[place]) for place in range(batch.num_rows)]
        asked = batch.take(pa.array(usable)) if bad else batch
        answers = iter(self._answers(asked))
        return [
            Answer(error=bad[place]) if place in bad else next(answers) for place in range(batch.num_rows)
        ]

    def _answers(self, batch: pa.RecordBatch) -> list[Answer]:
        """Ask the model; rows on which it fails are set apart, as where predictions are kept."""
        table = Asker(self.predictor, self._kind, strict=False).answer(batch)
        columns = (table[name].to_pylist() for name in ("value", "score", "error"))
        return [
            Answer(value, score, None if error is None else ModelError(error))
            for value, score, error in zip(*columns, strict=True)
        ]


def _read(
    rows: Sequence[object], schema: pa.Schema, within: str
) -> tuple[pa.RecordBatch, dict[int, WorkbenchError]]:
    """Make a batch of rows of JSON, and say of which rows that cannot be done, by place."""
    names = {name.lower(): name for name in schema.names}
    bad: dict[int, WorkbenchError] = {}
    columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in schema.names}
    for place, row in enumerate(rows):
        problem = _place_row(row, place, names, columns, within)
        if problem is not None:
            bad[place] = problem
    arrays = []
    for field in schema:
        values = columns[field.name]
        try:
            array = _array(values, field.type)
        except ValueError:
            # Only now, for it is slow: which values are they?
            array = _array([_or_bad(values, place, field, bad) for place in range(len(rows))], field.type)
        arrays.append(array)
    return _batch(schema, arrays), bad


def _place_row(
    row: object, place: int, names: Mapping[str, str], columns: Mapping[str, list[Any]], within: str
) -> WorkbenchError | None:
    """Put the values of a row into the columns, by name whatever the case."""
    if not isinstance(row, Mapping):
        return InvalidData(f"It is {_SHORT.repr(row)}, not an object of values by column name.")
    given = {str(name).lower(): (str(name), value) for name, value in row.items()}
    if len(given) < len(row):
        twice = next(name for name in row if given[str(name).lower()][0] != name)
        return InvalidData(f"It has the column {twice!r} twice, in upper and in lower case.")
    unknown = [name for lowered, (name, _) in given.items() if lowered not in names]
    if unknown:
        return NotFound.named("column", shorten(unknown[0], 80), names.values(), within=within)
    missing = [name for lowered, name in names.items() if lowered not in given]
    if missing:
        return InvalidData(f"It lacks {', '.join(missing)}.", hint="Give null where a value is not known.")
    for lowered, (_, value) in given.items():
        columns[names[lowered]][place] = value
    return None


def _or_bad(values: list[Any], place: int, field: pa.Field, bad: dict[int, WorkbenchError]) -> Any:
    try:
        _array([values[place]], field.type)
    except ValueError as error:
        what = f"{field.name} is {_SHORT.repr(values[place])}, not {type_name(field.type)}"
        bad.setdefault(place, InvalidData(f"{what}: {shorten(str(error), 200)}"))
        return None
    return values[place]


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Make an array of values of JSON, without losing anything of them.

    Raises
    ------
    ValueError
        If one of them is of another type.
    """
    import pyarrow as pa
    from pyarrow import types

    if types.is_temporal(kind) or types.is_decimal(kind):
        # JSON has no word for these; what is written is read.
        return pa.array([None if each is None else str(each) for each in values], pa.string()).cast(kind)
    if not types.is_boolean(kind) and any(isinstance(each, bool) for each in values):
        raise ValueError("true and false are no numbers, and no text")
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _batch(schema: pa.Schema, arrays: Sequence[pa.Array]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(arrays or [pa.array([], each.type) for each in schema], schema=schema)


def _take(rows: pa.Table, places: list[int | None], schema: pa.Schema) -> pa.RecordBatch:
    """Take rows by place, and those of no place as nulls."""
    import pyarrow as pa

    taken = rows.select(schema.names).take(pa.array(places, pa.int64()))
    return _batch(schema, [taken[name].combine_chunks() for name in schema.names])
