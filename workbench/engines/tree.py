"""Queries as DuckDB's own syntax trees: read, changed and written back by the engine itself.

A tree is what `json_serialize_sql` gives: nested dictionaries, of which every expression has a
`class` and every query and FROM item a `type`. Since the engine parses and prints it, a query that
was taken apart and put together again means what it meant (https://duckdb.org/docs/stable/data/json/sql_to_and_from_json).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any

import duckdb

from workbench.engines.duckdb import Cursor
from workbench.errors import Unsupported

Node = dict[str, Any]

# Where in the text a node stood; it tells nothing of what the query means.
_PLACE = "query_location"

# Written without parentheses, these are columns to the parser and functions to the engine.
_KEYWORD_FUNCTIONS = frozenset(
    {
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "current_user",
        "user",
    }
)
_ROW_MAKERS = frozenset({"unnest", "unlist"})


@lru_cache(maxsize=1)
def _connection() -> Cursor:
    return duckdb.connect(":memory:")


def parse_tree(sql: str) -> Node:
    """Parse one query.

    Raises
    ------
    Unsupported
        If the text is no query, or one that the engine cannot hand out as a tree (PIVOT as a statement).

    Examples
    --------
    >>> parse_tree("select a from t")["from_table"]["table_name"]
    't'
    """
    row = _connection().cursor().execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    assert row is not None
    parsed = json.loads(row[0])
    if parsed["error"] or len(parsed["statements"]) != 1:
        raise Unsupported(parsed.get("error_message") or "One query was expected.")
    node: Node = parsed["statements"][0]["node"]
    return node


def render_tree(query: Node) -> str:
    """Write a query as SQL.

    Examples
    --------
    >>> render_tree(parse_tree("from t select a+1 as b"))
    'SELECT (a + 1) AS b FROM t'
    """
    statement = {"error": False, "statements": [{"node": _printable(query), "named_param_map": []}]}
    row = _connection().cursor().execute("SELECT json_deserialize_sql(?)", [json.dumps(statement)]).fetchone()
    assert row is not None
    return str(row[0])


def is_faithful(sql: str) -> bool:
    """Tell whether a query comes through parsing and printing unharmed.

    Examples
    --------
    >>> is_faithful("select 1e3 * a as b from t where c not in (1, 2)")
    True
    """
    tree = parse_tree(sql)
    again = parse_tree(render_tree(tree))
    return bool(without_places(again) == without_places(_printable(tree)))


def walk(node: object) -> Iterator[Node]:
    """Yield every dictionary in a tree, from the outside in."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for each in node:
            yield from walk(each)


def without_places(node: Any) -> Any:
    """Copy a tree without the places in the text."""
    if isinstance(node, dict):
        return {name: without_places(value) for name, value in node.items() if name != _PLACE}
    return [without_places(each) for each in node] if isinstance(node, list) else node


def canonical(expression: Node) -> str:
    """Return a text that is the same for expressions that are the same but for place and alias."""
    return json.dumps(without_places({**expression, "alias": ""}), sort_keys=True)


def column(*names: str) -> Node:
    """Make a reference to a column.

    Examples
    --------
    >>> column("t", "a")["column_names"]
    ['t', 'a']
    """
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": list(names)}


def expression_sql(expression: Node) -> str:
    """Write one expression as SQL, without its alias."""
    query = deepcopy(_bare_select())
    query["select_list"] = [{**expression, "alias": ""}]
    return render_tree(query).removeprefix("SELECT ")


def subquery_item(sql: str, alias: str, columns: list[str]) -> Node:
    """Make a FROM item of a query."""
    item: Node = deepcopy(parse_tree("SELECT * FROM (SELECT 1) AS x")["from_table"])
    item["subquery"]["node"] = parse_tree(sql)
    item["alias"], item["column_name_alias"] = alias, columns
    return item


def at_version(snapshot: int) -> Node:
    """Make the clause `AT (VERSION => snapshot)` of a FROM item."""
    clause: Node = parse_tree(f"SELECT * FROM t AT (VERSION => {snapshot})")["from_table"]["at_clause"]
    return clause


@lru_cache(maxsize=1)
def aggregates() -> frozenset[str]:
    """Name the aggregate functions of the engine."""
    return _functions("function_type = 'aggregate'")


@lru_cache(maxsize=1)
def unstable() -> frozenset[str]:
    """Name the functions whose value is not a function of their arguments alone."""
    return _functions("stability <> 'CONSISTENT'") | _KEYWORD_FUNCTIONS | {"ago", "get_current_time"}


@lru_cache(maxsize=1)
def scalars() -> frozenset[str]:
    """Name the functions of one row of values, in whose place the same value can always be put."""
    return _functions("function_type = 'scalar'") - aggregates() - unstable()


def only_table(sql: str) -> str | None:
    """Name the one table of which a query gives each row by itself; None where it is another query.

    Such a query gives the same rows each time, in whatever order, and takes no more than a scan.

    Examples
    --------
    >>> only_table("select a, round(b) as b from (from main.t) where c > 1")
    'main.t'
    >>> only_table("select a, avg(b) from t group by a") or only_table("select random() from t")
    """
    try:
        return _only_table(parse_tree(sql))
    except Unsupported:
        return None


def _only_table(query: Node) -> str | None:
    expressions = [query.get("select_list"), query.get("where_clause")]
    for each in walk(expressions):
        name = function_name(each)
        if each.get("class") in {"SUBQUERY", "WINDOW"} or (name and name not in scalars()):
            return None
        if each.get("distinct") or makes_rows(each) or _is_keyword(each):
            return None
    plain = ("modifiers", "group_expressions", "group_sets", "having", "qualify", "sample")
    item: Node = query.get("from_table", {})
    if any(query.get(part) for part in plain) or query.get("cte_map", {}).get("map") or item.get("sample"):
        return None
    if query.get("aggregate_handling") != "STANDARD_HANDLING":
        return None
    if item.get("type") == "SUBQUERY":
        return _only_table(item["subquery"]["node"])
    if item.get("type") != "BASE_TABLE" or item.get("catalog_name"):
        return None
    return ".".join(name for name in (item["schema_name"], item["table_name"]) if name)


def _is_keyword(node: Node) -> bool:
    return node.get("class") == "COLUMN_REF" and node["column_names"][0].lower() in _KEYWORD_FUNCTIONS


def makes_rows(expression: Node) -> bool:
    """Tell whether an expression gives several rows, as unnest does."""
    return any(function_name(each) in _ROW_MAKERS for each in walk(expression))


def function_name(node: Node) -> str:
    """Return the name of the function that a node calls, in lower case; else an empty text."""
    return str(node.get("function_name", "")).lower() if node.get("class") == "FUNCTION" else ""


def _functions(condition: str) -> frozenset[str]:
    rows = (
        _connection()
        .cursor()
        .execute(f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE {condition}")
        .fetchall()
    )
    return frozenset(str(row[0]).lower() for row in rows)


@lru_cache(maxsize=1)
def _bare_select() -> Node:
    return parse_tree("SELECT 1")


@lru_cache(maxsize=1)
def _double() -> Node:
    cast: Node = parse_tree("SELECT CAST('1' AS DOUBLE)")["select_list"][0]
    return cast


def _printable(node: Any) -> Any:
    """Copy a tree with floating-point constants as casts: printed bare they would be read as decimals."""
    if isinstance(node, list):
        return [_printable(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") == "CONSTANT" and node["value"].get("type", {}).get("id") == "DOUBLE":
        if node["value"].get("is_null"):
            return node
        cast = deepcopy(_double())
        cast["child"]["value"]["value"] = repr(node["value"]["value"])
        cast["alias"] = node.get("alias", "")
        return cast
    return {name: _printable(value) for name, value in node.items()}
