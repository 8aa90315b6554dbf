"""Whatever stands for a query (text, an Ibis expression, a name with a version) as SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData
from workbench.lake import Exploration, Result
from workbench.lake.past import relation_at
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


def explore(
    lake: Lake,
    source: Any,
    snapshot_of: Callable[[Ref], int | None],
    run: Callable[[str, int | None], Result],
) -> Exploration:
    """Return a table, a `name@version`, a query or a Result as something to look at page by page.

    `run` runs a query at a snapshot: what holds no rows of its own is computed once.
    """
    if isinstance(source, Result):
        head = source.snapshot if source.snapshot is not None else lake.head()
        return Exploration.of_rows(lake, "result", head, source.to_arrow())
    ref = _table_ref(source)
    if ref is None:
        query = source_query(lake, source, snapshot_of)[0]
        return explore(lake, run(query, None), snapshot_of, run)
    snapshot = snapshot_of(ref)
    found = relation_at(lake, ref.name, snapshot)
    if not found.is_view:
        return Exploration.of_table(lake, found)
    result = run(f"SELECT * FROM {quote_name(found.qualified)}", snapshot)
    assert result.snapshot is not None
    return Exploration.of_rows(lake, found.name, result.snapshot, result.to_arrow())


def _table_ref(source: Any) -> Ref | None:
    """Read the name of a table; None where it is a query."""
    if is_expression(source):
        return None
    text = str(source).strip()
    words = _COMMENT.sub(" ", text).split(None, 1)
    query = text.startswith("(") or (len(words) > 1 and words[0].lower() in _QUERY_WORDS)
    return None if query else Ref.parse(text)


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
