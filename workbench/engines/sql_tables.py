"""The tables that SQL reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sqlglot import exp

from workbench.engines.sql_text import parse, render
from workbench.errors import StatementError

CATALOG = "lake"

_FILE = re.compile(
    r"[/*\\]|\.(csv|tsv|txt|json|jsonl|ndjson|parquet|arrow|feather|xlsx|db)(\.\w+)?$", re.IGNORECASE
)

# Statements whose target is written without being read.
_TARGETS = (exp.Insert, exp.Create, exp.Drop, exp.Alter, exp.AlterRename, exp.Copy)

# Statements that write no rows of any table.
_HARMLESS = (
    exp.Query,
    exp.Values,
    exp.Pivot,
    exp.Describe,
    exp.Summarize,
    exp.Set,
    exp.Use,
    exp.Attach,
    exp.Detach,
    exp.Comment,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
)
# What CREATE, ALTER and DROP can be about without touching the rows of a table.
_NOT_TABLES = {"VIEW", "MACRO", "FUNCTION", "SCHEMA", "TYPE", "INDEX", "SEQUENCE"}


def table_name(table: exp.Table) -> str:
    """Write the name of a table without quotes and without the catalog `lake`."""
    parts = [part.name for part in table.parts]
    if len(parts) > 1 and parts[0].lower() == CATALOG:
        parts = parts[1:]
    return ".".join(parts)


def is_relation(table: exp.Table) -> bool:
    """Tell a table or a view from a table function or a file."""
    name = table.this
    if not isinstance(name, exp.Identifier):
        return False
    return not (name.args.get("quoted") and _FILE.search(name.name))


def cte_name(cte: exp.CTE) -> str:
    """Return the name of a CTE as it is compared: in lower case."""
    return cte.alias.lower()


def ctes_of(node: exp.Expr) -> list[exp.CTE]:
    """Return the CTEs that a query defines itself."""
    clause = node.args.get("with_")
    return list(clause.expressions) if clause else []


def used_ctes(tree: exp.Expr, visible: list[exp.CTE]) -> list[exp.CTE]:
    """Keep the CTEs that `tree` uses, also through one another, in their order."""
    by_name = {cte_name(cte): cte for cte in visible}
    found: set[str] = set()
    trees: list[exp.Expr] = [tree]
    while trees:
        names = {table.name.lower() for each in trees for table in each.find_all(exp.Table)}
        fresh = (names & by_name.keys()) - found
        found |= fresh
        trees = [by_name[name] for name in fresh]
    return [cte for cte in visible if cte_name(cte) in found]


def source_tables(sql: str) -> tuple[str, ...]:
    """Name the relations that `sql` reads; see `workbench.engines.sql.source_tables`."""
    found: list[exp.Table] = []
    for statement in parse(sql):
        if isinstance(statement, exp.TruncateTable):
            continue
        if isinstance(statement, exp.Command):
            raise StatementError("What this statement reads cannot be told.", hint="Write a query.")
        found += base_tables(statement)
    names: dict[str, str] = {}
    for table in sorted(found, key=_position):
        names.setdefault(table_name(table).lower(), table_name(table))
    return tuple(names.values())


def _position(table: exp.Table) -> int:
    return int(table.parts[0].meta.get("start", 0))


def base_tables(node: exp.Expr, hidden: frozenset[str] = frozenset()) -> Iterator[exp.Table]:
    """Yield the tables below `node` that are no CTE; `hidden` are the CTEs in scope."""
    clause = node.args.get("with_")
    for cte in ctes_of(node):
        own = {cte_name(cte)}
        yield from base_tables(cte.this, hidden | own if clause and clause.args.get("recursive") else hidden)
        hidden |= own
    if isinstance(node, exp.Table) and is_relation(node) and not _is_hidden(node, hidden):
        yield node
    target = _target(node)
    for child in node.iter_expressions():
        if child is not clause and child is not target:
            yield from base_tables(child, hidden)


def _is_hidden(table: exp.Table, hidden: frozenset[str]) -> bool:
    return len(table.parts) == 1 and table.name.lower() in hidden


def _target(node: exp.Expr) -> exp.Expr | None:
    if isinstance(node, exp.Copy) and not node.args.get("kind"):
        return None
    target = node.this if isinstance(node, _TARGETS) else None
    return target if isinstance(target, exp.Expr) else None


# -- writes ----------------------------------------------------------------------------------------


def kept_calls(sql: str, prefix: str) -> bool:
    """Tell whether a view or a macro is made in which a function is called whose name begins so."""
    made = (each for each in parse(sql) if isinstance(each, exp.Create) and each.kind in ("VIEW", "FUNCTION"))
    return any(call.name.startswith(prefix) for each in made for call in each.find_all(exp.Anonymous))


def written_tables(sql: str) -> frozenset[str] | None:
    """Name the tables that `sql` writes; see `workbench.engines.sql.written_tables`."""
    try:
        statements = parse(sql)
    except StatementError:
        return None
    written: set[str] = set()
    for statement in statements:
        names = _written(statement)
        if names is None:
            return None
        written |= names
    return frozenset(written)


def _written(statement: exp.Expr) -> set[str] | None:
    if isinstance(statement, _HARMLESS):
        return set()
    if isinstance(statement, exp.Command):
        return _written_by_command(statement)
    if isinstance(statement, exp.Copy):
        return _named(statement.this) if statement.args.get("kind") else set()
    if isinstance(statement, exp.TruncateTable):
        return {name for each in statement.expressions for name in _named(each) or ()}
    if isinstance(statement, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        return _named(statement.this)
    if isinstance(statement, exp.Create | exp.Drop | exp.Alter):
        return _written_by_ddl(statement)
    return None


def _written_by_ddl(statement: exp.Create | exp.Drop | exp.Alter) -> set[str] | None:
    kind = str(statement.args.get("kind", "")).upper()
    if kind == "TABLE":
        names = _named(statement.this)
        for action in statement.args.get("actions") or ():
            if names is not None and isinstance(action, exp.AlterRename):
                names |= _named(action.this) or set()
        return names
    dropped_whole = kind == "SCHEMA" and isinstance(statement, exp.Drop)
    return set() if kind in _NOT_TABLES and not dropped_whole else None


def _written_by_command(statement: exp.Command) -> set[str] | None:
    """EXPLAIN without ANALYZE runs nothing; of other commands nothing is known."""
    rest = statement.expression
    rest = rest.name if isinstance(rest, exp.Expr) else str(rest or "")
    word = str(statement.this).upper()
    analyzes = rest.lstrip().upper().startswith("ANALYZE") or "ANALYZE" in rest.upper().partition(")")[0]
    return set() if word == "EXPLAIN" and not analyzes else None


def _named(target: exp.Expr | None) -> set[str] | None:
    if isinstance(target, exp.Schema):
        target = target.this
    if isinstance(target, exp.Table) and isinstance(target.this, exp.Identifier):
        return {table_name(target)}
    return None


def set_columns(sql: str) -> Mapping[str, frozenset[str]]:
    """Say which columns `sql` sets in rows that stay; see `workbench.engines.sql.set_columns`."""
    try:
        statements = parse(sql)
    except StatementError:
        return {}
    found: dict[str, frozenset[str]] = {}
    for statement in statements:
        if isinstance(statement, exp.Query):
            continue
        names, columns = _written(statement), _set_by(statement)
        if not names or columns is None:
            return {}
        for name in names:
            found[name] = found.get(name, frozenset()) | columns
    return found


def _set_by(statement: exp.Expr) -> frozenset[str] | None:
    """Name the columns that an UPDATE sets; none of them for a DELETE, None for anything less plain."""
    if isinstance(statement, exp.Delete):
        return frozenset()
    if not isinstance(statement, exp.Update) or statement.args.get("from_"):
        return None
    targets = [each.this if isinstance(each, exp.EQ) else None for each in statement.expressions]
    columns = [each.name.lower() for each in targets if isinstance(each, exp.Column) and len(each.parts) == 1]
    return frozenset(columns) if columns and len(columns) == len(targets) else None


# -- views -----------------------------------------------------------------------------------------


def inline_views(sql: str, views: Mapping[str, str]) -> str:
    """Put the queries of `views` in the place of their names; see `workbench.engines.sql.inline_views`."""
    trees = parse(sql)
    for _ in range(len(views) + 1):
        found = [
            (table, views[table_name(table).lower()])
            for tree in trees
            for table in base_tables(tree)
            if table_name(table).lower() in views
        ]
        for table, query in found:
            alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
            for join in table.args.get("joins") or ():
                # `FROM a JOIN b SELECT …` hangs the joins onto the first table.
                if table.parent is not None and table.parent.parent is not None:
                    table.parent.parent.append("joins", join)
            table.replace(exp.Subquery(this=parse(query)[0], alias=alias))
        if not found:
            break
    return ";\n".join(render(tree) for tree in trees)
