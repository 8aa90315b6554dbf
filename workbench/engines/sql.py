"""What SQL text says, read with sqlglot: calls, tables, columns, provenance. Pure functions.

sqlglot is imported by the modules `sql_*` beside this one, which are imported when first needed.
DuckDB stays the judge of what is valid; where sqlglot cannot read a text, each function says what
it does instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

EdgeKind = Literal["value", "filter", "join", "group"]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call in a text: the function's name in lower case, its place, its arguments as written.

    `text[start:end]` is the whole call, from the name to the closing parenthesis; `places` are the
    start and end of each argument. `column` is the start and end of the column of a query's result that it
    stands in, if that is given no name.
    """

    name: str
    start: int
    end: int
    arguments: tuple[str, ...]
    places: tuple[tuple[int, int], ...] = ()
    column: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """What an output column takes from a column of a table.

    `kind` is 'value' where it goes into the column's value. Columns that decide which rows there
    are ('filter', 'join') or how they are grouped ('group') concern every output column, so their
    `output_column` is '*'. `column` is '*' where only the table is known.
    """

    output_column: str
    table: str
    column: str
    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class PrimaryKey:
    """A primary key that a statement declares.

    Attributes
    ----------
    table : str
        As it is written.
    columns : tuple of str
    statement : str
        What is left of the statement without it; empty if nothing is.
    """

    table: str
    columns: tuple[str, ...]
    statement: str


def find_calls(sql: str, names: Collection[str]) -> list[FunctionCall]:
    """Find the calls of the functions `names` (lower case) in `sql`, in the order of the text.

    Nested calls are found too. Nothing is found inside strings, `$$` bodies, comments or quoted
    identifiers, nor after a dot. The text needs to be SQL only as far as its tokens go.

    Raises
    ------
    StatementError
        If a string, comment or parenthesis is left open.

    Examples
    --------
    >>> sql = "select standardize(impute(x, 'mean')), 'impute(y)' from t"
    >>> [(call.name, call.arguments) for call in find_calls(sql, {"standardize", "impute"})]
    [('standardize', ("impute(x, 'mean')",)), ('impute', ('x', "'mean'"))]
    """
    from workbench.engines import sql_text

    return sql_text.find_calls(sql, names)


def replace_spans(sql: str, spans: Iterable[tuple[int, int, str]]) -> str:
    """Replace the parts `(start, end, text)` of `sql`; everything else stays byte for byte.

    Raises
    ------
    ValueError
        If two spans overlap.

    Examples
    --------
    >>> replace_spans("select f(x)  from t", [(7, 11, "x + 1")])
    'select x + 1  from t'
    """
    pieces, position = [], 0
    for start, end, text in sorted(spans):
        if start < position:
            raise ValueError(f"The spans overlap at {start}.")
        pieces += [sql[position:start], text]
        position = end
    return "".join((*pieces, sql[position:]))


def source_tables(sql: str) -> tuple[str, ...]:
    """Name the relations that `sql` reads, in the order in which they first appear.

    `schema.name` is kept as written, without quotes and without the catalog `lake`. Names of CTEs
    are left out where they are in scope; so are table functions and files (`FROM 'a.csv'`).

    Raises
    ------
    StatementError
        If sqlglot cannot parse the text, with the place.

    Examples
    --------
    >>> source_tables("with t as (select * from t) select * from t join features.daily using (id)")
    ('t', 'features.daily')
    """
    from workbench.engines import sql_tables

    return sql_tables.source_tables(sql)


def inline_views(sql: str, views: Mapping[str, str]) -> str:
    """Put the queries of views in the place of their names, also of views within views.

    `views` maps names as `source_tables` gives them, in lower case, to queries.

    Raises
    ------
    StatementError
        If sqlglot cannot parse a text.

    Examples
    --------
    >>> inline_views("select a from big", {"big": "select * from t where a > 9"})
    'SELECT a FROM (SELECT * FROM t WHERE a > 9) AS big'
    """
    from workbench.engines import sql_tables

    return sql_tables.inline_views(sql, views)


def kept_calls(sql: str, prefix: str) -> bool:
    """Tell whether a view or a macro is made in which a function is called whose name begins with `prefix`.

    Raises
    ------
    StatementError
        If sqlglot cannot parse the text, with the place.

    Examples
    --------
    >>> [kept_calls(f"create {made} as select my_f(a) from t", "my_") for made in ("view v", "table u")]
    [True, False]
    """
    from workbench.engines import sql_tables

    return sql_tables.kept_calls(sql, prefix)


def written_tables(sql: str) -> frozenset[str] | None:
    """Name the tables that the statements in `sql` write, or None if that cannot be told.

    Views, macros, schemas and settings are not tables.

    Examples
    --------
    >>> written_tables("insert into t select * from u")
    frozenset({'t'})
    >>> written_tables("select * from t")
    frozenset()
    >>> written_tables("call refresh_all()") is None
    True
    """
    from workbench.engines import sql_tables

    return sql_tables.written_tables(sql)


def set_columns(sql: str) -> Mapping[str, frozenset[str]]:
    """Name, of tables in which `sql` only deletes rows or sets columns, those columns, in lower case.

    It is empty if another statement writes as well, or if a table is updated from others.

    Examples
    --------
    >>> set_columns("update t set A = 1, b = id; delete from t where id < 3")["t"] == {"a", "b"}
    True
    >>> set_columns("update t set (a, id) = (1, 2)")
    {}
    """
    from workbench.engines import sql_tables

    return sql_tables.set_columns(sql)


def primary_key(statement: str) -> PrimaryKey | None:
    """Find the primary key that a CREATE TABLE or ALTER TABLE declares, and the statement without it.

    Examples
    --------
    >>> primary_key("create table t (id int primary key, x double)")
    PrimaryKey(table='t', columns=('id',), statement='create table t (id int , x double)')
    >>> primary_key("alter table t add primary key (day, city)")
    PrimaryKey(table='t', columns=('day', 'city'), statement='')
    >>> primary_key("create table t (id int)") is None
    True
    """
    from workbench.engines import sql_keys

    return sql_keys.primary_key(statement)


def made_query(statement: str) -> tuple[int, int] | None:
    """Find the query in a CREATE TABLE … AS query: where it begins, and where it ends; None for all else.

    Examples
    --------
    >>> statement = "create or replace table t as from u;"
    >>> place = made_query(statement)
    >>> statement[slice(*place)]
    'from u'
    >>> made_query("create temp table t as from u") is None
    True
    """
    from workbench.engines import sql_keys

    return sql_keys.made_query(statement)


def normalise(sql: str) -> str:
    """Return a canonical text of `sql`, for fingerprints.

    Whitespace, comments, the case of keywords and identifiers, and redundant parentheses make no
    difference; literals and the structure do. Of a text that sqlglot cannot parse only whitespace,
    comments and the case of keywords are evened out.

    Examples
    --------
    >>> normalise("select (A) from T -- all of it") == normalise('SELECT a  FROM "t";')
    True
    >>> normalise("select (a + b) * c") == normalise("select a + b * c")
    False
    """
    from workbench.engines import sql_text

    return sql_text.normalise(sql)


def column_lineage(
    sql: str, schema: Mapping[str, Mapping[str, str]], names: Sequence[str] = ()
) -> list[Edge]:
    """Say which columns of which tables each output column of a query comes from.

    Parameters
    ----------
    sql : str
        A query.
    schema : mapping of str to mapping of str to str
        The columns (name → type) of the relations; `main.flights` is found as `flights` too.
    names : sequence of str
        The output columns as DuckDB names them, where the caller knows; else an expression
        without an alias is called by its text.

    Returns
    -------
    list of Edge
        Values in the order of the output columns, then the rest. Never raises: of SQL that it
        cannot follow it says which tables are read, with '*' for the columns.

    Examples
    --------
    >>> schema = {"main.t": {"a": "INTEGER", "b": "INTEGER"}}
    >>> for edge in column_lineage("select a + 1 as c from t where b > 0", schema):
    ...     print(edge.output_column, edge.table, edge.column, edge.kind)
    c main.t a value
    * main.t b filter
    """
    from workbench.engines import sql_lineage

    return sql_lineage.column_lineage(sql, schema, names)


def provenance(
    sql: str, schema: Mapping[str, Mapping[str, str]], key: Sequence[str]
) -> dict[str, str] | None:
    """Write, for each table a query reads, a query for the rows behind the output rows of one key.

    The key's values are the parameters `$k0`, `$k1`, … in the order of `key`. GROUP BY, HAVING,
    QUALIFY, ORDER BY and LIMIT are dropped, so the answer of an aggregate is the rows of the
    group, and of a window function the row itself, not its frame. The padding of an outer join is
    left out. CTEs, subqueries in FROM and unions are gone through.

    Returns
    -------
    dict of str to str or None
        Table → query that returns its rows, each once. Tables that cannot be traced (those read
        only by subqueries in expressions) are absent. None if no table can be.

    Examples
    --------
    >>> sql = "select day, sum(x) as x from t group by day"
    >>> print(provenance(sql, {"t": {"day": "DATE", "x": "DOUBLE"}}, ["day"])["t"])
    SELECT DISTINCT t.* FROM t WHERE day IS NOT DISTINCT FROM $k0
    """
    from workbench.engines import sql_provenance

    return sql_provenance.provenance(sql, schema, key)
