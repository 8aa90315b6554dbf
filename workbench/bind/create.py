"""Attach a model to a column: what is checked, what is recorded, and the first fill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.bind.definition import KIND, OUTPUTS, Binding, bindings
from workbench.bind.patience import calls_per_second
from workbench.bind.predictors import Predictor, choose_way, prefer_way, way_of
from workbench.bind.predictors.fastest import SAMPLE_ROWS
from workbench.bind.refresh import fill_new, refresh_binding
from workbench.bind.source import Source, read_source
from workbench.bind.view import columns_of, show_bindings, shown_columns
from workbench.bind.work import Work, find_predictor
from workbench.derivation import Full, fingerprint
from workbench.engines.duckdb import execute
from workbench.errors import Conflict, InvalidData, InvalidRows, NotFound, WorkbenchError
from workbench.lake import write
from workbench.lake.circles import find_circle
from workbench.lake.tables import TableInfo
from workbench.names import check_name

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake, Transaction

_TRIED = 16


def create_binding(lake: Lake, draft: Binding) -> Binding:
    """Attach a model to a column and predict all rows; the same binding again changes nothing.

    Raises
    ------
    NotFound
        If there is no such table or model.
    InvalidData
        If the table lacks an input of the model or has a column of that name already, or if the
        binding would read itself.
    Unsupported
        If the rows have no key, or the isolation asked for is not there.
    """
    check_name(draft.column, "bound column")
    _check_options(draft)
    binding, behind = lake.retry(lambda: _create(lake, draft))
    if behind:
        with _kept(binding):
            refresh_binding(lake, binding)
    return binding


@contextmanager
def _kept(binding: Binding) -> Iterator[None]:
    """Say of a failure that the binding is there all the same."""
    try:
        yield
    except Conflict:
        raise
    except WorkbenchError as error:
        kept = f"The binding is there, its values are not: refresh {binding.column} tries again."
        error.hint = f"{error.hint}\n{kept}".strip()
        raise


def _create(lake: Lake, draft: Binding) -> tuple[Binding, bool]:
    """Define a binding; also says whether it has to be refreshed still."""
    reader = lake.transaction_cursor()
    try:
        with lake.pinned(reader) as (cursor, head):
            new = _prepare(lake, cursor, draft)
            if isinstance(new, Binding):
                return new, False
            if new.side is not None and new.binding.mode == "sync":
                with _kept(new.binding):
                    snapshot, alone = fill_new(lake, reader, new.work(head, new.side), new.define)
                return new.defined(snapshot), not alone
    finally:
        reader.close()
    with lake.commit(new.binding.statement) as tx:
        new.define(tx)
    return new.defined(tx.snapshot), new.binding.mode == "sync"


def _prepare(lake: Lake, cursor: Cursor, draft: Binding) -> _New | Binding:
    """Check what is to be bound, and find what it needs; or return the same binding if it is there."""
    known = lake.tables.all(cursor)
    source = read_source(lake, draft.on, cursor, known)
    draft = replace(draft, on=lake.tables.resolve(draft.on, among=known).qualified, key=source.key)
    draft = _as_known(lake, draft)
    _check_free(lake, draft, source, known)
    _check_view(lake, draft, source)
    predictor = find_predictor(lake, cursor, draft, source)
    columns = _check_inputs(draft, source, predictor)
    if draft.columns is not None:
        draft = replace(draft, columns=tuple(source.spelled(each) for each in draft.columns))
    if ":" not in draft.model and columns:
        _try(predictor, _sample(cursor, source, columns, _TRIED))
    draft = replace(draft, reads=columns, sources=source.inputs(columns))
    draft = replace(
        draft, fingerprint=fingerprint(KIND, draft.on, draft.model, draft.columns, draft.on_error)
    )
    circle = find_circle(lake, draft.output, draft.inputs)
    if circle:
        raise InvalidData(
            f"{draft.column!r} would read itself: {circle}.", hint="Leave one of them out of the circle."
        )
    side = _side_columns(draft, source, predictor)
    existing = lake.tables.find(draft.output, among=known)
    makes = existing is None or existing.columns != side or existing.key != draft.side_key
    previous = lake.records.definition(draft.name)
    if previous and previous["status"] == "active" and not makes:
        same = Binding.from_record(previous)
        if replace(same, version=1, snapshot=None, limits=draft.limits) == draft:
            return same
    draft = replace(draft, version=previous["version"] + 1 if previous else 1)
    before = previous["definition"].get("choice") if previous else None
    draft = draft.chosen(_choose(cursor, source, columns, predictor, before))
    table = TableInfo("predictions", draft.name, side, draft.side_key)
    return _New(lake, draft, source, predictor, table if makes else None, previous)


def _try(predictor: Predictor, rows: pa.Table) -> None:
    """Ask a model trained here about a few rows, to see whether their types are those that it learned.

    Raises
    ------
    InvalidData
        If not. Where that is so of some of the rows alone, they get an error each when they are predicted.
    """
    try:
        predictor.predict(rows)
    except InvalidRows as error:
        if len(error.rows) == rows.num_rows:
            raise


def _choose(
    cursor: Cursor,
    source: Source,
    columns: tuple[str, ...],
    predictor: Predictor,
    before: dict[str, Any] | None,
) -> Mapping[str, Any] | None:
    """Choose on rows of the table in which way the model is asked, unless that was done `before`."""
    if not hasattr(predictor, "choose") or not columns:
        return None
    if before is not None and before["model"] == predictor.ref:
        prefer_way(predictor, before)
        return before
    return choose_way(predictor, _sample(cursor, source, columns, SAMPLE_ROWS))


def _sample(cursor: Cursor, source: Source, columns: tuple[str, ...], rows: int) -> pa.Table:
    return execute(cursor, f"{source.select(columns)} LIMIT {rows}").to_arrow_table()


@dataclass(frozen=True, slots=True)
class _New:
    """A binding that is checked and not defined yet; `side` is its side table, where that has to be made."""

    lake: Lake
    binding: Binding
    source: Source
    predictor: Predictor
    side: TableInfo | None
    previous: dict[str, Any] | None

    def work(self, head: int, side: TableInfo) -> Work:
        """Say what is to be done at the snapshot `head`: all."""
        binding = self.binding
        columns, inputs, plan = binding.reads or (), binding.inputs, Full("first run")
        return Work(
            binding, self.source, self.predictor, columns, inputs, {}, head, plan, side, None, filled=False
        )

    def defined(self, snapshot: int | None) -> Binding:
        """Return the binding as it was recorded in a snapshot."""
        return replace(self.binding.chosen(way_of(self.predictor)), snapshot=snapshot)

    def define(self, tx: Transaction) -> None:
        """Record the binding; make its side table, if it gets one, and its view.

        Raises
        ------
        Conflict
            If it was bound by somebody else meanwhile, or the table is no longer what it was.
        """
        lake, source = self.lake, self.source
        binding = self.binding.chosen(way_of(self.predictor))
        if lake.records.definition(binding.name, cursor=tx.cursor) != self.previous:
            raise Conflict(f"{binding.column!r} was bound by somebody else meanwhile.", hint="Run it again.")
        base = lake.tables.find(source.base.qualified, tx.cursor)
        if base != source.base:
            raise Conflict(
                f"{source.base.name!r} was changed by somebody else meanwhile.", hint="Run it again."
            )
        if self.side is not None:
            write.create(tx, "predictions", binding.name, self.side.columns)
            lake.tables.declare(tx, "predictions", binding.name, binding.side_key)
            lake.records.set_watermarks(tx, binding.name, {})
        record = binding.to_record()
        lake.records.define(tx, KIND, binding.name, binding.version, binding.fingerprint, record)
        lake.records.append(tx, "lineage", _lineage_rows(binding, source, self.predictor))
        known = [Binding.from_record(row) for row in lake.records.definitions(KIND, cursor=tx.cursor)]
        show_bindings(tx, source.base, [each for each in known if each.view == binding.view])


def _side_columns(binding: Binding, source: Source, predictor: Predictor) -> dict[str, str]:
    keys = zip(binding.side_key, source.key, strict=True)
    return {
        **{side: source.columns[column] for side, column in keys},
        "value": predictor.value_type,
        **OUTPUTS,
    }


def _check_options(draft: Binding) -> None:
    for option, value, allowed in (
        ("MODE", draft.mode, ("sync", "async")),
        ("ON ERROR", draft.on_error, ("null", "keep", "fail")),
    ):
        if value not in allowed:
            raise NotFound.named(option, value, allowed)
    # Whoever calls from Python may give anything.
    batch: object = draft.batch
    retry: object = draft.retry
    if batch is not None and not (isinstance(batch, int) and batch > 0):
        raise InvalidData(f"BATCH {draft.batch} is no number of rows.", hint="Give a whole number from 1 on.")
    if not (isinstance(retry, int) and retry >= 0):
        raise InvalidData(
            f"RETRY {draft.retry} is no number of times.", hint="Give a whole number from 0 on."
        )
    named = [each.lower() for each in draft.columns or ()]
    if draft.columns == ():
        raise InvalidData(
            f"{draft.column!r} is given no inputs.", hint="Name some columns, or leave the list out for all."
        )
    twice = [each for each in draft.columns or () if named.count(each.lower()) > 1]
    if twice:
        raise InvalidData(f"The input {twice[0]!r} is named twice.", hint="Name each column once.")
    if draft.rate is not None:
        calls_per_second(draft.rate)


def _as_known(lake: Lake, draft: Binding) -> Binding:
    """Spell the column as the binding of this name does, if there is one, and the model as it is called."""
    earlier = lake.records.definition(draft.name)
    if ":" not in draft.model:
        name, at, version = draft.model.partition("@")
        draft = replace(draft, model=f"{lake.records.spelling(name)}{at}{version}")
    return replace(draft, column=earlier["definition"]["column"]) if earlier else draft


def _check_free(lake: Lake, draft: Binding, source: Source, known: list[TableInfo]) -> None:
    """Refuse a column called like one of the table, or like a table: verbs take the names of both."""
    present = {column.lower() for column in source.base.columns}
    taken = [each for each in columns_of(draft).values() if each.lower() in present]
    if taken:
        raise InvalidData(
            f"{source.base.name!r} has a column {taken[0]!r} already.", hint="Bind under another name."
        )
    other = lake.tables.find(draft.column, among=known)
    if other is not None and other.schema in ("main", "queries", "features"):
        raise InvalidData(
            f"{draft.column!r} is the name of a {other.kind} already.", hint="Bind under another name."
        )


def _check_view(lake: Lake, draft: Binding, source: Source) -> None:
    """Refuse a column that the view has already, as `p_score` is where `p` is bound."""
    others = [each for each in bindings(lake) if each.view == draft.view and each.name != draft.name]
    shown_columns(source.base, [*others, draft])


def _check_inputs(binding: Binding, source: Source, predictor: Predictor) -> tuple[str, ...]:
    """Return what the model asks for, as the source spells it."""
    columns = tuple(source.spelled(each) for each in predictor.inputs)
    named = {column.lower() for column in binding.columns or columns}
    missing = [column for column in columns if column.lower() not in named]
    if missing:
        raise InvalidData(
            f"The model {predictor.ref} also asks for {', '.join(missing)}.",
            hint=f"Bind it on {binding.table}({', '.join(columns)}).",
        )
    asked = {column.lower() for column in columns}
    for column in binding.columns or ():
        if column.lower() not in asked:
            raise NotFound.named("column", column, columns, within=f"the inputs of {predictor.ref}")
    return columns


def _lineage_rows(binding: Binding, source: Source, predictor: Predictor) -> list[dict[str, object]]:
    edges = []
    for column in binding.reads or ():
        bound = source.bound.get(column.lower())
        edges.append((bound.binding.output, bound.column) if bound else (source.base.qualified, column))
    edges.append((f"model.{predictor.ref.partition('@')[0]}", "*"))
    return [
        {
            "name": binding.name,
            "version": binding.version,
            "output_column": "value",
            "input": table,
            "input_column": column,
            "kind": "value",
        }
        for table, column in edges
    ]
