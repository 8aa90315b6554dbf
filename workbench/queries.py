"""Whatever stands for a query (text, an Ibis expression, a name with a version) as SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData
from workbench.names import Ref, quote_name

if TYPE_CHECKING:
    from workbench.lake import Lake

_QUERY_WORDS = {
    "select",
    "with",
    "from",
    "values",
    "pivot",
    "unpivot",
    "summarize",
    "describe",
    "show",
    "table",
}
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_CATALOG = re.compile(r'"lake"\.')


def is_expression(query: object) -> bool:
    """Say whether something is an Ibis expression, without importing Ibis."""
    return type(query).__module__.partition(".")[0] == "ibis"


def query_text(query: Any) -> str:
    """Return SQL for a query given as text or as an Ibis expression.

    Raises
    ------
    InvalidData
        If the expression reads data that is only in memory, so that it cannot be kept.

    Examples
    --------
    >>> query_text("select 1")
    'select 1'
    """
    if not is_expression(query):
        return str(query)
    import ibis

    if reads_memory(query):
        raise InvalidData(
            "The expression reads data that is only in memory.",
            hint="Load it into a table of the store first.",
        )
    return _CATALOG.sub("", str(ibis.to_sql(query, dialect="duckdb")))


def reads_memory(expression: Any) -> bool:
    """Say whether an Ibis expression reads a table that is only in memory."""
    from ibis.expr.operations import InMemoryTable

    return bool(expression.op().find(InMemoryTable))


def source_query(lake: Lake, source: Any, snapshot_of: Callable[[Ref], int | None]) -> tuple[str, int | None]:
    """Return SQL for a table, a `name@version` or a query, and the snapshot to read it at."""
    if is_expression(source):
        return query_text(source), None
    text = source.strip().rstrip(";")
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    words = _COMMENT.sub(" ", text).split(None, 1)
    if words and words[0].lower() in _QUERY_WORDS and len(words) > 1:
        return text, None
    ref = Ref.parse(text)
    snapshot = snapshot_of(ref)
    if snapshot is None:
        return f"SELECT * FROM {lake.tables.resolve(ref.name).sql}", None
    with lake.at(snapshot) as cursor:
        lake.run(cursor, f"SELECT 1 FROM {quote_name(ref.name)} LIMIT 0")
    return f"SELECT * FROM {quote_name(ref.name)}", snapshot
