"""The view `predictions.<table>`: every column of the table, and its predictions beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.bind.definition import Binding
from workbench.engines.duckdb import Cursor, execute
from workbench.names import quote, quote_all, quote_name

if TYPE_CHECKING:
    from workbench.lake import Lake

SUFFIXES = {"score": "score", "status": "status", "model_version": "model", "predicted_at": "at"}
"""Columns of a side table, and the ending of the view's column that shows each."""


def show_bindings(lake: Lake, cursor: Cursor, on: str, bound: list[Binding]) -> None:
    """Make the view of a table with these bindings; without any, remove it.

    The columns are listed one by one, so the view is made anew when the table has other columns.
    """
    table = lake.tables.resolve(on, cursor)
    view = f"predictions.{table.name}"
    if not bound:
        execute(cursor, f"DROP VIEW IF EXISTS lake.{quote_name(view)}")
        return
    columns, joins = [quote_all(list(table.columns), "t.")], []
    for number, each in enumerate(bound, start=1):
        alias = f"p{number}"
        columns.append(f"{alias}.value AS {quote(each.column)}")
        for column, suffix in SUFFIXES.items():
            value = f"{alias}.{column}" if column != "status" else f"coalesce({alias}.status, 'pending')"
            columns.append(f"{value} AS {quote(f'{each.column}_{suffix}')}")
        match = " AND ".join(f"t.{quote(column)} = {alias}.{quote(column)}" for column in each.key)
        joins.append(f"LEFT JOIN {quote_name(each.output)} AS {alias} ON {match}")
    body = f"SELECT {', '.join(columns)} FROM {table.sql} AS t {' '.join(joins)}"
    wanted = [*table.columns, *(f"{each.column}{end}" for each in bound for end in endings())]
    shown = lake.tables.find(view, cursor)
    if shown is None or list(shown.columns) != wanted:
        execute(cursor, f"CREATE OR REPLACE VIEW lake.{quote_name(view)} AS {body}")


def endings() -> list[str]:
    """List what is put behind the bound column's name for each of its columns in the view."""
    return ["", *(f"_{suffix}" for suffix in SUFFIXES.values())]
