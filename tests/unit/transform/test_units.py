"""By which units queries fall apart, and why some do not."""

from __future__ import annotations

import duckdb
import pytest

from workbench.transform.units import Division, Source, Surroundings, Undivided, divide

TABLES = {
    "main.t": Source("main.t", "main.t", ("id", "g", "x", "w", "ts", "tags"), ("id",)),
    "main.u": Source("main.u", "main.u", ("uid", "g", "name"), ("uid",)),
    "main.loose": Source("main.loose", "main.loose", ("a", "b")),
}
VIEWS = {"queries.big": "SELECT id, g FROM t WHERE x > 10"}


@pytest.fixture(scope="module")
def around() -> Surroundings:
    con = duckdb.connect()
    con.execute("ATTACH ':memory:' AS lake")
    con.execute("CREATE SCHEMA lake.queries")
    con.execute("USE lake")
    con.execute(
        "CREATE TABLE t (id INTEGER, g INTEGER, x DOUBLE, w VARCHAR, ts TIMESTAMP, tags VARCHAR[]);"
        "CREATE TABLE u (uid INTEGER, g INTEGER, name VARCHAR); CREATE TABLE loose (a INTEGER, b INTEGER)"
    )

    def source(name: str) -> Source | str | None:
        if "." not in name:
            return TABLES.get(f"main.{name}") or VIEWS.get(f"queries.{name}")
        return TABLES.get(name) or VIEWS.get(name)

    def describe(query: str) -> tuple[str, ...]:
        try:
            return tuple(row[0] for row in con.execute(f"DESCRIBE SELECT * FROM ({query}) AS q").fetchall())
        except duckdb.Error as error:
            raise Undivided(str(error)) from error

    return Surroundings(source, describe)


def unit_of(around: Surroundings, query: str, *key: str) -> Division:
    return divide(query, key, around)


@pytest.mark.parametrize(
    ("query", "key", "unit"),
    [
        ("SELECT id, x * 2 AS y FROM t", "id", "id"),
        ("FROM t", "id", "id"),
        ("FROM t SELECT id, x", "id", "id"),
        ("SELECT * EXCLUDE (w) REPLACE (x + 1 AS x) FROM t", "id", "id"),
        ("SELECT lower(w) AS w, sum(x) AS s FROM t GROUP BY ALL", "w", "w"),
        ("SELECT g + 1 AS h, w, count(*) AS n FROM t GROUP BY 1, 2 HAVING n > 1", "h,w", "h,w"),
        ("SELECT date_trunc('month', ts) AS m, g, max(x) AS x FROM t GROUP BY ts, g", "m,g", "m,g"),
        ("SELECT id, g, rank() OVER (PARTITION BY g ORDER BY x) AS r FROM t", "id", "g"),
        ("SELECT id, g FROM t QUALIFY row_number() OVER (PARTITION BY g ORDER BY x, id) = 1", "id", "g"),
        (
            "SELECT id, g, w, sum(x) OVER (PARTITION BY g, w) AS a, sum(x) OVER (PARTITION BY w) AS b FROM t",
            "id",
            "w",
        ),
        ("SELECT t.id, u.name FROM t JOIN u ON t.g = u.g", "id", "id"),
        ("SELECT id, uid, g FROM t JOIN u USING (g)", "id,uid", "id"),
        ("SELECT u.uid, t.id FROM u LEFT JOIN t ON t.id = u.uid", "uid", "uid"),
        ("SELECT u.name, count(*) AS n FROM t, u WHERE t.g = u.g GROUP BY u.name", "name", "name"),
        (
            "WITH a AS (SELECT g, max(x) AS m FROM t GROUP BY g) SELECT id, m FROM t JOIN a USING (g)",
            "id",
            "id",
        ),
        ("SELECT m, count(*) AS n FROM (SELECT g, max(x) AS m FROM t GROUP BY g) GROUP BY m", "m", "m"),
        ("SELECT 'a' AS src, id FROM t UNION ALL SELECT 'b', uid FROM u", "src,id", "id"),
        ("SELECT DISTINCT g, w FROM t", "g,w", "g,w"),
        ("SELECT DISTINCT ON (g) g, id FROM t ORDER BY g, id", "g", "g"),
        ("SELECT t.* FROM t SEMI JOIN u USING (g)", "id", "id"),
        ("SELECT t.* FROM t ANTI JOIN u ON t.g = u.g", "id", "id"),
        ("SELECT g FROM t EXCEPT SELECT g FROM u", "g", "g"),
        ("SELECT id, tag FROM t, unnest(t.tags) AS tags(tag)", "id,tag", "id"),
        ("SELECT id, unnest(tags) AS tag FROM t", "id,tag", "id"),
        ("SELECT id, g FROM big", "id", "id"),
        ("SELECT a, count(*) AS n FROM loose GROUP BY a", "a", "a"),
        # Nothing shown divides these: they are followed from key to key.
        ("SELECT id, avg(x) OVER (PARTITION BY g) AS m FROM t", "id", "id"),
        ("SELECT md5(w) AS k, n FROM (SELECT w, count(*) AS n FROM t GROUP BY w)", "k", "k"),
    ],
)
def test_the_unit_of_a_query(around: Surroundings, query: str, key: str, unit: str) -> None:
    division = unit_of(around, query, *key.split(","))
    assert ",".join(division.unit) == unit, division.reason
    assert division.obstacle(["main.t"]) == ""


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT id, x FROM t ORDER BY x LIMIT 5", "LIMIT"),
        ("SELECT id, row_number() OVER (ORDER BY id) AS r FROM t", "without PARTITION BY"),
        ("SELECT 1 AS id, sum(x) AS s FROM t", "one group"),
        ("SELECT id, random() AS r FROM t", "random has another value each time"),
        ("SELECT id, current_date AS d FROM t", "current_date has another value each time"),
        ("SELECT g AS id, sum(x) AS s FROM t GROUP BY ROLLUP (g)", "grouping sets"),
        ("SELECT coalesce(id, uid) AS id FROM t FULL JOIN u ON t.id = u.uid", "can be read in parts"),
        ("SELECT id FROM t USING SAMPLE 10", "sample"),
        (
            "WITH RECURSIVE r AS (SELECT id FROM t UNION SELECT id - 1 FROM r WHERE id > 0) FROM r",
            "recursive",
        ),
        ("SELECT id, x - (SELECT avg(x) FROM t) AS d FROM t", "subquery in SELECT"),
        ("SELECT id FROM t WHERE g NOT IN (SELECT g FROM t WHERE x > 1)", "subquery in WHERE"),
        ("SELECT id FROM nowhere", "nowhere is no table"),
    ],
)
def test_what_does_not_fall_apart_says_why(around: Surroundings, query: str, why: str) -> None:
    assert why in unit_of(around, query, "id").obstacle(["main.t"])


@pytest.mark.parametrize(
    ("query", "followed"),
    [
        ("SELECT t.id FROM t JOIN u ON t.g = u.g", True),
        ("SELECT t.id FROM t LEFT JOIN u ON t.g = u.g AND u.uid > t.x", True),
        ("SELECT t.id, v.uid FROM t LEFT JOIN u ON t.g = u.g LEFT JOIN u AS v ON v.uid = u.g", True),
        ("SELECT id FROM t WHERE g IN (SELECT g FROM u)", True),
        ("SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.g = t.g AND u.uid > t.id)", True),
        ("SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.g = t.g)", True),
        ("SELECT id FROM t ASOF JOIN u ON t.g = u.g AND t.id >= u.uid", True),
        ("SELECT id FROM t WHERE g NOT IN (SELECT g FROM u)", False),
        ("SELECT t.id FROM t JOIN u ON t.g < u.g", False),
        ("SELECT t.id, u.uid FROM t CROSS JOIN u", False),
        ("SELECT id, (SELECT max(uid) FROM u) AS top FROM t", False),
    ],
)
def test_a_change_on_the_other_side(around: Surroundings, query: str, followed: bool) -> None:
    division = unit_of(around, query, "id")
    assert division.obstacle(["main.t"]) == ""
    assert (division.obstacle(["main.u"]) == "") is followed


def test_rows_of_a_changed_key_are_the_fresh_ones(around: Surroundings) -> None:
    division = unit_of(around, "SELECT id, x * 2 AS y FROM t", "id")
    steps = division.steps(division.changes({"main.t": 7}), "temp.touched")
    assert steps is not None
    assert "snapshot_id > 7" in steps.rows
    # If they are few, they are copied first.
    changes = division.changes({"main.t": 7}, few=True)
    steps = division.steps(changes, "temp.touched")
    assert steps is not None
    ((name, fresh),) = changes.staged
    assert fresh.endswith("WHERE snapshot_id > 7") and name in steps.rows
    # Read twice, the table has other rows that depend on the changed ones.
    division = unit_of(around, "SELECT a.id, b.x FROM t AS a JOIN t AS b ON a.g = b.id", "id")
    steps = division.steps(division.changes({"main.t": 7}), "temp.touched")
    assert steps is not None
    assert "snapshot_id" not in steps.rows


def test_only_the_columns_needed_are_asked_of_the_changed_rows(around: Surroundings) -> None:
    division = unit_of(around, "SELECT t.id, u.name FROM t JOIN u ON t.g = u.g", "id")
    changes = division.changes({"main.t": 1, "main.u": 1})
    division.steps(changes, "temp.touched")
    assert {name: set(columns) for name, columns in changes.images.items()} == {
        "main.t": {"id"},
        "main.u": {"g"},
    }
