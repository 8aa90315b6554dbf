"""The view `predictions.<table>`: every column of the table, and its predictions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.bind.definition import Binding, bindings
from workbench.engines.duckdb import execute
from workbench.errors import InvalidData
from workbench.names import quote, quote_all, quote_name

if TYPE_CHECKING:
    from workbench.lake import Lake, TableInfo, Transaction

SUFFIXES = {"score": "score", "status": "status", "model_version": "model", "predicted_at": "at"}
"""Columns of a side table, and the ending of the view's column that shows each."""


def show_bindings(tx: Transaction, base: TableInfo, bound: Sequence[Binding]) -> None:
    """Make the view of a table with these bindings, as part of the commit `tx`; without any, remove it."""
    tx.reshape()
    view = quote_name(f"predictions.{base.name}")
    if not bound:
        execute(tx.cursor, f"DROP VIEW IF EXISTS lake.{view}")
        return
    execute(tx.cursor, f"CREATE OR REPLACE VIEW lake.{view} AS {_body(base, bound)}")


def shown_columns(base: TableInfo, bound: Sequence[Binding]) -> list[str]:
    """List the columns of the view.

    Raises
    ------
    InvalidData
        If two of them would have the same name.
    """
    columns = _columns(base, bound)
    seen: set[str] = set()
    for column in columns:
        if column.lower() in seen:
            raise InvalidData(
                f"predictions.{base.name} would have two columns {column!r}.", hint="Bind under another name."
            )
        seen.add(column.lower())
    return columns


def _columns(base: TableInfo, bound: Sequence[Binding]) -> list[str]:
    return [*base.columns, *(name for each in bound for name in columns_of(each).values())]


def follow_columns(lake: Lake, tx: Transaction, strict: bool) -> None:
    """Make the views anew whose tables have other columns than they show, as part of the commit `tx`.

    Parameters
    ----------
    strict : bool
        Whether to refuse what takes away a column that a binding reads, or gives two the same name.

    Raises
    ------
    InvalidData
        If `strict`, and that is so.
    """
    bound = bindings(lake, tx.cursor)
    known = {table.qualified: table for table in lake.tables.all(tx.cursor)} if bound else {}
    for view in dict.fromkeys(each.view for each in bound):
        here = [each for each in bound if each.view == view]
        base = known.get(next((each.on for each in here if each.on != view), ""))
        if base is None or (view in known and list(known[view].columns) == _columns(base, here)):
            continue
        if strict:
            _refuse_gone(base, here)
        try:
            shown_columns(base, here)
        except InvalidData:
            if strict:
                raise
            continue  # The view stays as it is; the next refresh says why.
        show_bindings(tx, base, here)


def _refuse_gone(base: TableInfo, bound: Sequence[Binding]) -> None:
    """Refuse to leave a binding without a column of its table that it reads."""
    shown = {name.lower() for each in bound for name in columns_of(each).values()}
    present = {column.lower() for column in base.columns} | shown
    for each in bound:
        gone = [column for column in (*each.key, *(each.reads or ())) if column.lower() not in present]
        if gone:
            raise InvalidData(
                f"{base.name}.{gone[0]} is read by the binding {each.column!r}; nothing was changed.",
                hint=f"Drop {each.column} first.",
            )


def columns_of(binding: Binding) -> dict[str, str]:
    """Return the view's column for each column of the side table that it shows.

    Examples
    --------
    >>> list(columns_of(Binding("late", "main.t", "m", key=("id",))).values())
    ['late', 'late_score', 'late_status', 'late_model', 'late_at']
    """
    return {"value": binding.column} | {name: f"{binding.column}_{end}" for name, end in SUFFIXES.items()}


def match(binding: Binding, alias: str, base: TableInfo) -> str:
    """Write the condition that joins a table `t` with the side table of a binding.

    A table with another key than it was bound by has no predictions until it is bound anew.
    """
    if not set(binding.key) <= set(base.columns):
        return "false"
    pairs = zip(binding.key, binding.side_key, strict=True)
    return " AND ".join(f"t.{quote(column)} = {alias}.{quote(side)}" for column, side in pairs)


def _body(base: TableInfo, bound: Sequence[Binding]) -> str:
    """Write the view's query: the columns one by one, for the table may get others."""
    columns, joins = [quote_all(list(base.columns), "t.")], []
    values = {column.lower(): f"t.{quote(column)}" for column in base.columns}
    for number, each in enumerate(bound, start=1):
        alias = f"p{number}"
        values |= {shown.lower(): f"{alias}.{column}" for column, shown in columns_of(each).items()}
        joins.append(f"LEFT JOIN {quote_name(each.output)} AS {alias} ON {match(each, alias, base)}")
    for number, each in enumerate(bound, start=1):
        alias = f"p{number}"
        for column, shown in columns_of(each).items():
            value = _status(each, alias, values) if column == "status" else f"{alias}.{column}"
            columns.append(f"{value} AS {quote(shown)}")
    return f"SELECT {', '.join(columns)} FROM {base.sql} AS t {' '.join(joins)}"


def _status(binding: Binding, alias: str, values: dict[str, str]) -> str:
    """Write the status of a prediction: pending where there is none, or for other inputs than now."""
    status = f"coalesce({alias}.status, 'pending')"
    read = [values.get(each.lower()) for each in binding.reads or ()]
    if not read or None in read:
        return status
    now = f"hash({', '.join(str(each) for each in read)})"
    return f"CASE WHEN {alias}.input_hash <> {now} THEN 'pending' ELSE {status} END"
