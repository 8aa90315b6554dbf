"""Bring a table to a wanted state with the fewest writes.

What is computed first stands in a temporary table. Only rows that are new or different are
written, so that whoever reads the changes of the table sees no false ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import Conflict, InvalidData, below
from workbench.lake.images import is_untouched
from workbench.lake.keys import check_added
from workbench.lake.tables import TableInfo
from workbench.names import quote, quote_all

if TYPE_CHECKING:
    from workbench.lake.lake import Transaction

# Types that Parquet or DuckLake cannot keep exactly, and what is stored in their place.
_STORED = {"HUGEINT": "BIGINT", "UHUGEINT": "BIGINT", '"NULL"': "VARCHAR", "BIT": "VARCHAR"}

# Sums of integers come in 128 bits, which Parquet would round: what holds them all is chosen.
_WIDE = ("HUGEINT", "UHUGEINT")
_WHOLE = {"BIGINT": 2**63, "DECIMAL(38,0)": 10**38}

_ROW = "__row"
_NOISE = 1e-12  # relative


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table: the rows whose columns `unit` are among those of the relation `values`.

    `owned` is the relation of the keys that rows of the part had so far, where `values` may also
    name keys of rows outside it.
    """

    unit: Sequence[str]
    values: str
    owned: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What separates a table from its wanted state: two temporary tables, and how many rows.

    `fresh` holds whole rows to write, `gone` the rows to delete; a changed row is in both. Rows to
    delete are named by their `key`, or where that is empty by the row ids of the `snapshot`.
    """

    fresh: str
    gone: str
    inserted: int
    updated: int
    deleted: int
    snapshot: int | None = None
    key: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing has to be written."""
        return not (self.inserted or self.updated or self.deleted)


def stored_columns(cursor: Cursor, relation: str) -> dict[str, str]:
    """Describe the columns of a relation by the types in which the lake can store them.

    HUGEINT (which sums of integers give) becomes BIGINT, ENUM becomes VARCHAR, and arrays of fixed
    size become lists.
    """
    rows = execute(cursor, f"DESCRIBE FROM {relation}").fetchall()
    return {row[0]: _stored(row[1]) for row in rows}


def is_storable(kind: str) -> bool:
    """Tell whether the lake keeps a type as it is.

    Examples
    --------
    >>> [is_storable(kind) for kind in ("BIGINT", "HUGEINT", "FLOAT[3]")]
    [True, False, False]
    """
    return _stored(kind) == kind


def _stored(kind: str) -> str:
    if kind in _STORED:
        return _STORED[kind]
    if kind.startswith("ENUM("):
        return "VARCHAR"
    if kind.endswith("]") and not kind.endswith("[]"):
        return f"{_stored(kind[: kind.rindex('[')])}[]"
    return kind


def stage(
    cursor: Cursor,
    name: str,
    query: str,
    params: Mapping[str, object] | None = None,
    like: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Compute a query into the temporary table `name`, in types the lake can store.

    A 128-bit integer becomes a BIGINT if all of its column fit into one and `like`, the columns of the
    table so far, knows no wider one; else a DECIMAL(38,0), and beyond 38 digits a DOUBLE.

    Returns
    -------
    dict of str to str
        Column names and types.
    """
    raw = f"{name}_raw"
    with below(1):
        execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(raw)} AS\n{query}", params)
    described = execute(cursor, f"DESCRIBE FROM temp.{quote(raw)}").fetchall()
    columns = {row[0]: _stored(row[1]) for row in described}
    wide = [row[0] for row in described if row[1] in _WIDE]
    if wide:
        columns |= _whole_types(cursor, raw, wide, like or {})
    if all(columns[row[0]] == row[1] for row in described):
        execute(cursor, f"DROP TABLE IF EXISTS temp.{quote(name)}")
        execute(cursor, f"ALTER TABLE temp.{quote(raw)} RENAME TO {quote(name)}")
        return columns
    casts = ", ".join(
        f"CAST({quote(column)} AS {kind}) AS {quote(column)}" for column, kind in columns.items()
    )
    execute(cursor, f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS SELECT {casts} FROM temp.{quote(raw)}")
    execute(cursor, f"DROP TABLE temp.{quote(raw)}")
    return columns


def stand_for(cursor: Cursor, name: str, relation: str) -> dict[str, str]:
    """Let a temporary view stand for a relation, if the lake can store its types; return its columns.

    Returns
    -------
    dict of str to str
        Column names and types; empty if it cannot stand for it.
    """
    columns = {row[0]: row[1] for row in execute(cursor, f"DESCRIBE FROM {relation}").fetchall()}
    if not all(map(is_storable, columns.values())):
        return {}
    execute(cursor, f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS FROM {relation}")
    return columns


def _whole_types(
    cursor: Cursor, staged: str, columns: Sequence[str], like: Mapping[str, str]
) -> dict[str, str]:
    """Find for columns of 128-bit integers the first type that holds all their values."""
    bounds = ", ".join(f"coalesce(min({each}), 0), coalesce(max({each}), 0)" for each in map(quote, columns))
    row = execute(cursor, f"SELECT {bounds} FROM temp.{quote(staged)}").fetchone()
    assert row is not None
    found = {}
    for column, low, high in zip(columns, row[::2], row[1::2], strict=True):
        fits = [kind for kind, limit in _WHOLE.items() if -limit < low and high < limit]
        before = like.get(column)
        found[column] = before if before in fits else (*fits, "DOUBLE")[0]
    return found


def compare(
    cursor: Cursor, table: TableInfo, staged: str, key: Sequence[str], *, replace: bool, at: int | None = None
) -> Delta:
    """Find what separates a table from the rows in the temporary table `staged`, by key.

    Parameters
    ----------
    staged : str
        Name of a temporary table with the same columns as `table`.
    replace : bool
        Whether rows that `staged` lacks are to be deleted.
    at : int or None
        The snapshot that is read, where the difference is written by a later commit.
    """
    rows = f"(SELECT {quote_all(list(table.columns))}, rowid AS {_ROW} FROM lake.{table.sql})"
    return _delta(cursor, table, staged, key, rows, replace=replace, at=at)


def compare_part(
    cursor: Cursor, table: TableInfo, staged: str, key: Sequence[str], part: Part, *, at: int
) -> Delta:
    """Find what separates a part of a table from the rows in `staged`, by key.

    Raises
    ------
    InvalidData
        If a staged row has the key of a row outside the part.
    """
    matches = " AND ".join(
        f"t.{quote(each)} {'=' if each in key else 'IS NOT DISTINCT FROM'} v.{quote(each)}"
        for each in part.unit
    )
    here, keys = f"{staged}_part", quote_all(key)
    execute(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE {quote(here)} AS SELECT {quote_all(list(table.columns), 't.')}, "
        f"t.rowid AS {_ROW} FROM lake.{table.sql} AS t SEMI JOIN {part.values} AS v ON ({matches})",
    )
    delta = _delta(cursor, table, staged, key, f"temp.{quote(here)}", replace=True, at=at)
    if part.owned is not None:
        # A staged row may take the place of one that was touched, not of any other.
        others = f"SELECT {keys} FROM temp.{quote(here)} ANTI JOIN {part.owned} USING ({keys})"
        same = f"SELECT {keys} FROM temp.{quote(staged)} SEMI JOIN ({others}) USING ({keys})"
        _refuse_repeats(cursor, table, key, same)
    elif delta.inserted and not set(part.unit) <= set(key):
        fresh = f"SELECT {keys} FROM temp.{quote(delta.fresh)} WHERE {_ROW} IS NULL"
        same = (
            f"SELECT {keys} FROM lake.{table.sql} SEMI JOIN ({fresh}) USING ({keys}) "
            f"WHERE rowid NOT IN (SELECT {_ROW} FROM temp.{quote(here)})"
        )
        _refuse_repeats(cursor, table, key, same)
    return delta


def _delta(
    cursor: Cursor,
    table: TableInfo,
    staged: str,
    key: Sequence[str],
    rows: str,
    *,
    replace: bool,
    at: int | None,
) -> Delta:
    source, columns, keys = f"temp.{quote(staged)}", list(table.columns), quote_all(list(key))
    rest = [column for column in columns if column not in key]
    differ = " OR ".join(_differs(table, column) for column in rest) or "false"
    fresh, gone = f"{staged}_fresh", f"{staged}_gone"
    execute(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE {quote(fresh)} AS SELECT {quote_all(columns, 's.')}, t.{_ROW} "
        f"FROM {source} AS s LEFT JOIN {rows} AS t USING ({keys}) WHERE t.{_ROW} IS NULL OR {differ}",
    )
    missing = f"SELECT {_ROW}, {keys} FROM {rows} AS t ANTI JOIN {source} AS s USING ({keys})"
    changed = f"SELECT {_ROW}, {keys} FROM temp.{quote(fresh)} WHERE {_ROW} IS NOT NULL"
    execute(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE {quote(gone)} AS {changed}"
        + (f" UNION ALL {missing}" if replace else ""),
    )
    counts = execute(
        cursor,
        f"SELECT count(*) FILTER ({_ROW} IS NULL), count({_ROW}), "
        f"(SELECT count(*) FROM temp.{quote(gone)}) FROM temp.{quote(fresh)}",
    ).fetchone()
    assert counts is not None
    by_key = () if _made_by_us(table) else tuple(key)
    return Delta(fresh, gone, counts[0], counts[1], counts[2] - counts[1], at, by_key)


def _made_by_us(table: TableInfo) -> bool:
    """Whether only the store writes a table, by inserts and deletes: then a row id names one row.

    A row that is inserted and updated in one commit gets an id that a row of another commit can
    have as well.
    """
    return table.schema == "features"


def _differs(table: TableInfo, column: str) -> str:
    """Write the condition that a staged value is another than the one in the table.

    Computed sums of floating-point numbers differ in their last digits from one time to the next, by
    the order in which threads add; that alone is no change that others should have to follow.
    """
    new, old = f"s.{quote(column)}", f"t.{quote(column)}"
    different = f"{new} IS DISTINCT FROM {old}"
    if table.columns[column] != "DOUBLE" or not _made_by_us(table):
        return different
    noise = f"abs({new} - {old}) <= {_NOISE} * greatest(abs({new}), abs({old}))"
    return f"({different} AND NOT coalesce({noise}, false))"


def _refuse_repeats(cursor: Cursor, table: TableInfo, key: Sequence[str], repeated: str) -> None:
    found = execute(cursor, f"{repeated} LIMIT 5").fetchall()
    if found:
        shown = "; ".join(
            ", ".join(f"{column} = {value}" for column, value in zip(key, row, strict=True)) for row in found
        )
        raise InvalidData(
            f"The key ({', '.join(key)}) of {table.name!r} is not unique: {shown} (2 rows); "
            "nothing was changed.",
            hint="Add a column to the key, keep one row of each, or merge instead of appending.",
        )


def apply(tx: Transaction, table: TableInfo, delta: Delta, *, sealed: bool = False) -> None:
    """Write a delta, as part of the commit `tx`; the key is checked with it unless it is `sealed`.

    Raises
    ------
    Conflict
        If the table was touched after the delta was found.
    """
    target = f"lake.{table.sql}"
    if delta.snapshot is not None and not is_untouched(tx.cursor, table, delta.snapshot, tx.head):
        raise Conflict(f"{table.name!r} was written by somebody else meanwhile.", hint="Run it again.")
    if delta.updated or delta.deleted:
        gone = f"temp.{quote(delta.gone)}"
        if delta.key:
            match = " AND ".join(f"t.{quote(each)} = g.{quote(each)}" for each in delta.key)
            execute(tx.cursor, f"DELETE FROM {target} AS t USING {gone} AS g WHERE {match}")
        else:
            execute(tx.cursor, f"DELETE FROM {target} AS t USING {gone} AS g WHERE t.rowid = g.{_ROW}")
    if delta.inserted or delta.updated:
        columns = quote_all(list(table.columns))
        execute(
            tx.cursor, f"INSERT INTO {target} ({columns}) SELECT {columns} FROM temp.{quote(delta.fresh)}"
        )
    if tx.written is not None and not sealed:
        tx.written.add(table.qualified)


def create(tx: Transaction, schema: str, name: str, columns: Mapping[str, str]) -> TableInfo:
    """Make (or make anew) an empty table, as part of the commit `tx`; the old one stays in the past."""
    body = ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
    table = TableInfo(schema, name, dict(columns))
    tx.reshape()
    execute(tx.cursor, f"DROP TABLE IF EXISTS lake.{table.sql}")
    execute(tx.cursor, f"CREATE TABLE lake.{table.sql} ({body})")
    return table


def insert_all(tx: Transaction, table: TableInfo, staged: str, *, sealed: bool = False) -> int:
    """Insert all rows of a temporary table by column name, as part of the commit `tx`, and count them.

    Unless it is `sealed`, the key is checked: before, where the staged rows have the one that `table`
    names, which is faster; else at the end of the commit.

    Raises
    ------
    InvalidData
        If a key is NULL or repeated.
    """
    source = f"temp.{quote(staged)}"
    present = [row[0] for row in execute(tx.cursor, f"DESCRIBE FROM {source}").fetchall()]
    keyed = table.key and not table.auto and set(map(str.lower, table.key)) <= set(map(str.lower, present))
    if keyed and not sealed:
        check_added(tx.cursor, table, source)
    columns = quote_all(present)
    insert = f"INSERT INTO lake.{table.sql} ({columns}) SELECT {columns} FROM {source}"
    row = execute(tx.cursor, insert).fetchone()
    if tx.written is not None and not keyed and not sealed:
        tx.written.add(table.qualified)
    return int(row[0]) if row else 0
