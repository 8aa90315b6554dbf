"""The rows that went in a window, read from the files that lost them."""

from __future__ import annotations

from collections import Counter

import pytest

from workbench.engines.duckdb import Cursor, execute
from workbench.lake.deletions import deletions_query
from workbench.lake.images import read_window
from workbench.store import Store

MADE = (
    "CREATE TABLE t AS SELECT i AS id, 'n' || i AS name, i / 4.0 AS x, [i, NULL] AS many, "
    "{'a': i, 'b': DATE '2026-01-01' + i::INT} AS both, CAST(i AS DECIMAL(9, 2)) AS money, "
    "CAST(TIMESTAMP '2026-01-01' + to_seconds(i) AS TIMESTAMP_S) AS seen, "
    "('{\"k\": ' || i || '}')::JSON AS said "
    "FROM range(1, 5001) AS r(i)"
)
SOME, MANY, ALL = (
    "DELETE FROM t WHERE id % 500 = 3",
    "DELETE FROM t WHERE id % 2 = 0",
    "DELETE FROM t WHERE id < 5001",
)
CHANGED = "UPDATE t SET money = money + 1 WHERE id BETWEEN 40 AND 45"
BEFORE = {
    "nothing": (),
    "rows that had gone": ("DELETE FROM t WHERE id % 7 = 1",),
    "rows that had gone twice": ("DELETE FROM t WHERE id % 7 = 1", "DELETE FROM t WHERE id % 7 = 2"),
    "several files": ("INSERT INTO t SELECT * REPLACE (id + 5000 AS id) FROM t WHERE id <= 2500", CHANGED),
    "a large file": ("INSERT INTO t SELECT t.* REPLACE (id + 5000 * g AS id) FROM t, range(1, 6) AS r(g)",),
    "a column that came later": ("ALTER TABLE t ADD COLUMN late INTEGER DEFAULT 7",),
    "a column that was renamed": ("ALTER TABLE t RENAME COLUMN name TO called",),
    "columns that changed names": (
        "ALTER TABLE t RENAME COLUMN name TO other",
        "ALTER TABLE t RENAME COLUMN said TO name",
        "ALTER TABLE t RENAME COLUMN other TO said",
    ),
    "a column that was made anew": (
        "ALTER TABLE t DROP COLUMN x",
        "ALTER TABLE t ADD COLUMN x VARCHAR DEFAULT 'new'",
    ),
    "a wider type": (
        "ALTER TABLE t ADD COLUMN n INTEGER",
        "UPDATE t SET n = id",
        "ALTER TABLE t ALTER n TYPE BIGINT",
    ),
}
CHANGES = {
    "some": (SOME,),
    "many": (MANY,),
    "all": (ALL,),
    "in two steps": (SOME, MANY),
    "and came": (SOME, CHANGED),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("before", BEFORE)
def test_it_gives_the_rows_that_the_past_has_and_the_present_has_not(
    store: Store, before: str, change: str
) -> None:
    lake = store._lake
    for statement in (MADE, *BEFORE[before]):
        store.sql(statement)
    with lake.pinned() as (_, since):
        pass
    for statement in CHANGES[change]:
        store.sql(statement)
    table = lake.tables.find("t")
    assert table is not None
    with lake.pinned() as (cursor, head):
        window = read_window(cursor, table, since, head)
        query = deletions_query(cursor, table, window, list(table.columns))
        old = f"FROM lake.main.t AT (VERSION => {since})"
        expected = counted(cursor, f"({old}) EXCEPT ALL FROM lake.main.t")
        assert counted(cursor, query) == expected
        assert expected
        assert types(cursor, query) == types(cursor, old)
    by_itself = before not in LATER and change != "all"
    assert ("read_parquet" in query) == by_itself


LATER = {name for name in BEFORE if name.startswith(("a column", "columns", "a wider"))}


def counted(cursor: Cursor, query: str) -> Counter[str]:
    return Counter(str(row) for row in execute(cursor, query).fetchall())


def types(cursor: Cursor, query: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in execute(cursor, f"DESCRIBE {query}").fetchall()]
