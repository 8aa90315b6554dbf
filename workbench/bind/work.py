"""What a refresh of a binding has to do: found at a pinned snapshot, said as a plan and as queries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.bind.definition import Binding
from workbench.bind.isolation import open_predictor
from workbench.bind.patience import Patient
from workbench.bind.predictors import prefer_way
from workbench.bind.source import Source, read_source
from workbench.derivation import Full, Incremental, Noop, Plan
from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, ModelError, NotFound
from workbench.lake.deletions import deletions_query
from workbench.lake.images import Window, count_changed, may_have_rows, window_in
from workbench.lake.inputs import behind
from workbench.lake.snapshots import read_journal
from workbench.lake.tables import TableInfo
from workbench.names import literal, quote, quote_all, quote_name

if TYPE_CHECKING:
    from workbench.bind.predictors import Predictor
    from workbench.lake import Lake

HASH = "__input_hash"
"""The column of the digest in what the model is given; no user's column is likely to be called so."""

FRESH = "mlstore_fresh"
"""The relation of the rows that were written since, where they are few enough to be read only once."""

ASKED = "asked for"

_FEW_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Work:
    """What was found of a binding at a snapshot.

    Attributes
    ----------
    columns : tuple of str
        What the model asks for, as the source spells it.
    inputs : tuple of str
        The tables that is read from, qualified.
    watermarks : dict of str to int
        Up to where each was read.
    window : Window or None
        What happened to the table since; None if all its rows are to be looked at.
    side, view : TableInfo, TableInfo or None
        Where the predictions are kept and read.
    filled : bool
        Whether there are predictions already.
    begun : bool
        Whether the last run left rows over, so that rows after the watermark may have theirs.
    staged : bool
        Whether the rows that were written are looked at in the relation `FRESH`, not in the table.
    """

    binding: Binding
    source: Source
    predictor: Predictor
    columns: tuple[str, ...]
    inputs: tuple[str, ...]
    watermarks: dict[str, int]
    head: int
    plan: Plan
    side: TableInfo
    view: TableInfo | None
    window: Window | None = None
    filled: bool = True
    begun: bool = False
    staged: bool = False

    @property
    def widened(self) -> dict[str, str]:
        """The columns of the key, as the side table has them, that have another type now; and that type."""
        pairs = zip(self.source.key, self.binding.side_key, strict=True)
        kinds = {side: self.source.columns[column] for column, side in pairs}
        return {side: kind for side, kind in kinds.items() if self.side.columns[side] != kind}

    @property
    def fresh_only(self) -> bool:
        """Whether all rows to look at were inserted since the watermark, and none changed."""
        return self.window is not None and not self.window.deletes and len(self.inputs) == 1

    @property
    def replaces(self) -> bool:
        """Whether rows that are predicted may have had a prediction before."""
        return self.filled and (self.binding.limits.errors or not self.fresh_only)

    def stage(self, cursor: Cursor) -> Work:
        """Read the rows that were written once, if they are few and would be read again to be compared."""
        window = self.window
        if window is None or not (window.deletes and window.inserts and self.filled) or self._recent:
            return self
        if len(self.inputs) > 1 or count_changed(cursor, self.source.base, window) > _FEW_ROWS:
            return self
        cursor.register(FRESH, execute(cursor, self._rows()).to_arrow_table())
        return replace(self, staged=True)

    def todo(self) -> str:
        """Write the query for the rows to predict: the key, the inputs, and their digest.

        Where a run may have to stop early, rows come in the order of their last change, newest first.
        """
        rows = FRESH if self.staged else f"({self._rows()})"
        wanted = "s.* EXCLUDE (__written, __row)" if self._recent else "s.*"
        order = " ORDER BY s.__written DESC, s.__row DESC" if self._recent else ""
        return f"SELECT {wanted} FROM {rows} AS s{self._filter()}{order}"

    @property
    def _recent(self) -> bool:
        """Whether the rows are wanted in the order of their last change."""
        return self.binding.limits.bounded and self.source.is_table

    @property
    def _where(self) -> str:
        """Which rows of the source are looked at."""
        if self.window is None:
            return ""
        some = self.window.inserts or len(self.inputs) > 1
        return f" WHERE {self.source.fresh(self.columns, self.watermarks) if some else 'false'}"

    def _rows(self) -> str:
        """Write the query for the rows that are looked at, whether or not their prediction stands."""
        source = self.source
        values = dict(zip(self.columns, source.expressions(self.columns), strict=True))
        taken = {each.lower() for each in source.key}
        shown = [f"t.{quote(each)}" for each in source.key]
        shown += [f"{value} AS {quote(name)}" for name, value in values.items() if name.lower() not in taken]
        shown.append(f"hash({', '.join(values.values()) or '0'}) AS {HASH}")
        if self._recent:
            shown += ["t.snapshot_id AS __written", "t.rowid AS __row"]
        return f"SELECT {', '.join(shown)} FROM {source.rows(self.columns)}{self._where}"

    def _filter(self) -> str:
        """Write the join that leaves out rows, of those that are looked at, whose prediction stands."""
        binding, side = self.binding, f"lake.{quote_name(self.binding.output)}"
        if not self.filled or self.plan.reason == ASKED or (self.fresh_only and not self.begun):
            return ""
        pairs = list(zip(self.source.key, binding.side_key, strict=True))
        same = " AND ".join(f"s.{quote(column)} = p.{quote(other)}" for column, other in pairs)
        key, version = quote_all(binding.side_key), literal(self.predictor.ref)
        made = f"SELECT {key}, input_hash FROM {side}"
        if binding.limits.errors:
            return f" SEMI JOIN ({made} WHERE status = 'error') AS p ON ({same})"
        if self.staged:
            # The engine knows how few rows there are, and reads no more of the side table than theirs.
            stands = f"p.input_hash = s.{HASH} AND p.model_version = {version}"
            return f" LEFT JOIN {side} AS p ON ({same}) WHERE ({stands}) IS NOT TRUE"
        if self.window is not None and len(self.inputs) == 1:
            # The keys of few rows tell the engine which parts of the side table it need not read.
            names = ", ".join(f"t.{quote(column)} AS {quote(other)}" for column, other in pairs)
            rows = f"SELECT {names} FROM {self.source.rows(())}{self._where}"
            made += f" SEMI JOIN ({rows}) USING ({key})"
        made += f" WHERE model_version = {version}"
        return f" ANTI JOIN ({made}) AS p ON ({same} AND s.{HASH} = p.input_hash)"

    def gone(self, cursor: Cursor) -> str:
        """Write the query for the keys, as the side table has them, of rows that are no longer there."""
        binding, source = self.binding, self.source
        pure = self.window is not None and not self.window.deletes
        if not self.filled or pure or self.binding.limits.errors:
            return ""
        key, side_key = quote_all(source.key), quote_all(binding.side_key)
        names = ", ".join(
            f"{quote(column)} AS {quote(other)}"
            for column, other in zip(source.key, binding.side_key, strict=True)
        )
        if self.window is not None and not self.window.moved:
            went = deletions_query(cursor, source.base, self.window, source.key)
            query = f"SELECT DISTINCT {names} FROM ({went})"
            if not self.window.inserts:
                return query
            # A key that went and is there now was written since.
            there = f"SELECT {key} FROM lake.{source.base.sql} WHERE snapshot_id > {self.window.since}"
            written = f"FROM {FRESH}" if self.staged else there
            return f"{query} ANTI JOIN ({written}) USING ({key})"
        here = f"SELECT {names} FROM lake.{source.base.sql}"
        return (
            f"SELECT {side_key} FROM lake.{quote_name(binding.output)} ANTI JOIN ({here}) USING ({side_key})"
        )


def look(lake: Lake, cursor: Cursor, binding: Binding, head: int, *, full: bool = False) -> Work:
    """Find what a refresh would have to do, on a pinned cursor.

    Raises
    ------
    NotFound
        If the table, a column of it or the model is gone.
    InvalidData
        If the key of the table, or the type of what the model gives, is another than it was.
    """
    known = lake.tables.all(cursor)
    source = read_source(lake, binding.on, cursor, known)
    if source.key != binding.key:
        raise InvalidData(
            f"The key of {source.base.name!r} is now ({', '.join(source.key)}); {binding.column!r} was bound "
            f"by ({', '.join(binding.key)}).",
            hint=f"Say again: {binding.statement}.",
        )
    predictor = find_bound(lake, cursor, binding, source)
    columns = tuple(source.spelled(each) for each in predictor.inputs)
    inputs = source.inputs(columns)
    watermarks = lake.records.watermarks(binding.name, cursor=cursor)
    # A pause is recorded with the definition too: what was predicted before it still counts.
    versions = lake.records.history(binding.name, cursor=cursor)
    defined = min(row["snapshot_id"] for row in versions if row["version"] == binding.version)
    models, begun = made_by(lake, cursor, binding, max(defined, min(watermarks.values(), default=0)))
    journal = read_journal(cursor, min(watermarks.values(), default=head), head)
    numbers = lake.tables.numbers(cursor)
    changed = behind(watermarks, inputs, journal.changed_tables(numbers))
    plan = _decide(binding, predictor.ref, models, inputs, watermarks, changed, full=full)
    window = None
    if isinstance(plan, Incremental) and source.is_table and not binding.limits.errors:
        this = source.base.qualified
        number = next((number for number, name in numbers.items() if name == this), None)
        window = window_in(cursor, source.base, watermarks[this], journal, number)
    side = lake.tables.resolve(binding.output, among=known)
    return Work(
        binding,
        source,
        predictor,
        columns,
        inputs,
        watermarks,
        head,
        plan,
        side,
        lake.tables.find(binding.view, among=known),
        None if window is None or window.obstacle else window,
        not isinstance(plan, Noop) and (bool(models) or may_have_rows(cursor, side, head)),
        begun,
    )


def find_bound(lake: Lake, cursor: Cursor, binding: Binding, source: Source) -> Predictor:
    """Find the model of a binding that there is; if it is gone, say whose it was and what can be done.

    Raises
    ------
    NotFound, ModelError
        If it is gone, or its files are.
    """
    for column in binding.columns or ():
        source.spelled(column)  # A column that is gone is no fault of the model.
    try:
        return find_predictor(lake, cursor, binding, source)
    except (NotFound, ModelError) as error:
        raise type(error)(
            f"{binding.column!r} on {binding.table} cannot ask its model {binding.model}: {error.message}",
            hint=f"{error.hint}\nIts values stay readable. Bring the model back, bind {binding.column} anew, "
            f"or say: drop {binding.column}.".lstrip(),
        ) from error


def find_predictor(lake: Lake, cursor: Cursor, binding: Binding, source: Source) -> Predictor:
    """Find the model; one that does not say what it needs gets the bound columns."""
    columns = [source.spelled(each) for each in binding.columns or source.columns]
    schema = execute(cursor, f"{source.select(columns)} LIMIT 0").to_arrow_table().schema
    found = open_predictor(lake, binding.model, schema, isolate=binding.isolate)
    prefer_way(found, binding.choice)
    if binding.retry or binding.rate:
        return Patient(found, binding.retry, binding.rate)
    return found


def _decide(
    binding: Binding,
    ref: str,
    models: list[str],
    inputs: tuple[str, ...],
    watermarks: dict[str, int],
    changed: list[str],
    *,
    full: bool,
) -> Plan:
    if full:
        return Full(ASKED)
    if binding.limits.errors:
        return Incremental(binding.key, "rows that failed")
    if not models:
        return Full("first run")
    others = [each for each in models if each != ref]
    if others:
        return Full(f"the model moved from {others[0]} to {ref}")
    if not changed:
        return Noop()
    if not all(each in watermarks for each in inputs):
        return Full(f"{changed[0]} was not read before")
    return Incremental(binding.key, f"{', '.join(changed)} changed")


def made_by(lake: Lake, cursor: Cursor, binding: Binding, since: int = 0) -> tuple[list[str], bool]:
    """Return by which models predictions were made, and whether the last run left rows over.

    The model that made them all comes first, then those of the runs since that left rows over; there is
    none if no run made them all. `since` is a snapshot before which no run counts.
    """
    runs = lake.records.rows(
        "runs",
        "name = $name AND kind = 'binding' AND status = 'ok' AND snapshot_id >= $since",
        {"name": binding.name, "since": since},
        cursor=cursor,
    )
    found: list[str] = []
    for details in (row["details"] for row in reversed(runs)):
        found.append(str(details["model"]))
        if not details.get("partial"):
            return list(dict.fromkeys(reversed(found))), len(found) > 1
    return [], bool(found)
