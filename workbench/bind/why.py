"""Why predictions are not what they should be, and how many of them."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from workbench.bind.definition import Binding
from workbench.bind.work import HASH, Work, look
from workbench.derivation import Noop
from workbench.engines.duckdb import Cursor, execute
from workbench.names import quote, quote_all, quote_name

if TYPE_CHECKING:
    from workbench.lake import Lake

_SHOWN = 300
"""So much of an error's text is told of many rows; the side table has all of it."""


def causes(lake: Lake, binding: Binding) -> list[tuple[str, int]]:
    """List why predictions of a binding are behind or missing, each with the number of rows.

    Raises
    ------
    WorkbenchError
        If the table or the model is gone.
    """
    with lake.pinned() as (cursor, head):
        work = look(lake, cursor, binding, head)
        found = [] if isinstance(work.plan, Noop) else _behind(cursor, work)
        return found + _failed(cursor, binding)


def _behind(cursor: Cursor, work: Work) -> list[tuple[str, int]]:
    """Compare each row with its prediction."""
    source, binding, ref = work.source, work.binding, work.predictor.ref
    pairs = list(zip(source.key, binding.side_key, strict=True))
    digest = f"hash({', '.join(source.expressions(work.columns)) or '0'})"
    names = ", ".join(f"t.{quote(column)} AS {quote(side)}" for column, side in pairs)
    rows = f"SELECT {names}, {digest} AS {HASH} FROM {source.rows(work.columns)}"
    key = quote_all(binding.side_key)
    cause = (
        f"CASE WHEN p.input_hash IS NULL THEN 'pending: never predicted' "
        f"WHEN s.{HASH} IS NULL THEN 'the row is gone' "
        f"WHEN p.model_version <> $ref THEN 'the model moved from ' || p.model_version || ' to ' || $ref "
        f"WHEN p.input_hash <> s.{HASH} THEN 'inputs changed' END"
    )
    side = f"lake.{quote_name(binding.output)}"
    return execute(
        cursor,
        f"SELECT {cause} AS why, count(*) FROM ({rows}) AS s FULL JOIN {side} AS p USING ({key}) "
        "GROUP BY why HAVING why IS NOT NULL ORDER BY why",
        {"ref": ref},
    ).fetchall()


def _failed(cursor: Cursor, binding: Binding) -> list[tuple[str, int]]:
    rows = execute(
        cursor,
        f"SELECT error, count(*) FROM lake.{quote_name(binding.output)} WHERE status = 'error' "
        "GROUP BY error ORDER BY count(*) DESC, error",
    ).fetchall()
    if not rows:
        return []
    more = f", and {len(rows) - 1:,} other" if len(rows) > 1 else ""
    text = shorten(rows[0][0], _SHOWN, placeholder=" …")
    return [(f"the model failed: {text}{more}", sum(count for _, count in rows))]
