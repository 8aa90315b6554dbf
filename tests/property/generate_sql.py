"""Random queries over the tables `t` (key part, id), `u` (key id, a text) and `v` (no key), for hypothesis.

Every relation has the columns a, b (INTEGER), c (DOUBLE) and d (VARCHAR), each of which can be
NULL, so that any can stand where any other does. Values are few, so that groups and joins collide.
"""

from __future__ import annotations

from hypothesis import strategies as st

ON = st.sampled_from(
    [
        "l.a = r.a",
        "l.b = r.b",
        "l.a = r.b",
        "l.b = r.b AND l.a >= r.a",
        "l.d = r.d",
        "l.a = r.a AND l.b = r.b",
        "l.a + 1 = r.b",
    ]
)
FILTERS = st.sampled_from(["b > 1", "c IS NOT NULL", "d <> 'x'", "a % 2 = 0", "b IS DISTINCT FROM 2"])
PARTITIONS = st.sampled_from(["a", "b", "a, b", "d"])
GROUPS = st.sampled_from(["a", "b", "coalesce(b, 0) % 3", "lower(d) = 'x'"])

# What one relation becomes. {s} is the relation.
ONE = [
    "SELECT a, b + 1 AS b, c * 2 AS c, coalesce(d, '-') || 'z' AS d FROM {s} AS q",
    "FROM {s} AS q SELECT * REPLACE (c + 1 AS c)",
    "SELECT a, b, c, d FROM {s} AS q WHERE {filter}",
    "SELECT ({group})::INTEGER AS a, count(*) AS b, sum(c) AS c, max(d) AS d FROM {s} AS q GROUP BY {group}",
    "SELECT ({group})::INT AS a, count(c) AS b, avg(c) AS c, 'm' AS d FROM {s} GROUP BY 1 HAVING sum(b) > 1",
    "SELECT a, b, median(c) AS c, string_agg(d, '' ORDER BY d) AS d FROM {s} AS q GROUP BY ALL",
    "SELECT min(a) AS a, count(DISTINCT b) AS b, sum(c) FILTER (b > 0) AS c, d FROM {s} AS q GROUP BY q.d",
    "SELECT a, b, sum(c) OVER (PARTITION BY {partition}) AS c, d FROM {s} AS q",
    "SELECT a, count(*) OVER w AS b, max(c) OVER w AS c, 'q' AS d FROM {s} AS q WINDOW w AS (PARTITION BY b)",
    "SELECT a, b, sum(c) OVER (PARTITION BY a, b) + count(*) OVER (PARTITION BY b) AS c, d FROM {s} AS q",
    "SELECT a, b, c, d FROM {s} QUALIFY row_number() OVER (PARTITION BY {partition} ORDER BY a, b, c, d) = 1",
    "SELECT DISTINCT ON (b) a, b, c, d FROM {s} AS q ORDER BY b, a, c, d",
    "SELECT DISTINCT a, b, 1.5e0 AS c, d FROM {s} AS q",
    "SELECT a, b, c, d FROM {s} AS q ORDER BY a, b, c, d LIMIT 3",
    "SELECT a, b, c - (SELECT coalesce(max(c), 0) FROM v) AS c, d FROM {s} AS q",
    "WITH w AS (SELECT * FROM {s} AS q WHERE {filter}) SELECT a, b, c, d FROM w",
    "WITH w AS (SELECT * FROM {s} AS q) SELECT x.a, y.b, x.c, y.d FROM w AS x JOIN w AS y ON x.a = y.b",
]

# What two relations become: {s} and {o}.
TWO = [
    "SELECT l.a, r.b, l.c, r.d FROM {s} AS l JOIN {o} AS r ON {on}",
    "SELECT l.a, r.b, l.c + r.c AS c, r.d FROM {s} AS l, {o} AS r WHERE {on} AND r.b IS NOT NULL",
    "SELECT a, l.b, r.c, r.d FROM {s} AS l JOIN {o} AS r USING (a)",
    "SELECT l.a, r.b, l.c, r.d FROM {s} AS l LEFT JOIN {o} AS r ON {on}",
    "SELECT l.a, r.b, l.c, r.d FROM {s} AS l LEFT JOIN {o} AS r ON {on} WHERE r.a IS NULL",
    "SELECT l.a, r.b, l.c, r.d FROM {s} AS l LEFT JOIN {o} AS r ON {on} WHERE coalesce(r.c, 0) < 3",
    "SELECT l.a, r.b, l.c, m.d FROM {s} AS l LEFT JOIN {o} AS r ON {on} LEFT JOIN u AS m ON m.a = r.b",
    "SELECT r.a, l.b, r.c, l.d FROM {s} AS l RIGHT JOIN {o} AS r ON {on}",
    "SELECT coalesce(l.a, r.a) AS a, r.b, l.c, l.d FROM {s} AS l FULL JOIN {o} AS r ON {on}",
    "SELECT l.a, r.b, l.c, r.d FROM {s} AS l CROSS JOIN {o} AS r",
    "SELECT l.a, l.b, l.c, l.d FROM {s} AS l SEMI JOIN {o} AS r ON {on}",
    "SELECT l.a, l.b, l.c, l.d FROM {s} AS l ANTI JOIN {o} AS r ON {on}",
    "SELECT a, b, c, d FROM {s} AS l WHERE b IN (SELECT a FROM {o} AS r)",
    "SELECT a, b, c, d FROM {s} AS l WHERE b NOT IN (SELECT a FROM {o} AS r)",
    "SELECT a, b, c, d FROM {s} AS l WHERE EXISTS (SELECT 1 FROM {o} AS r WHERE r.a = l.b AND r.b >= l.a)",
    "SELECT a, b, c, d FROM {s} AS l WHERE NOT EXISTS (SELECT 1 FROM {o} AS r WHERE {on})",
    "SELECT a, b, c, d FROM {s} AS l UNION SELECT a, b, c, d FROM {o} AS r",
    "SELECT a, b, c, d FROM {s} AS l UNION ALL SELECT b, a, c, d FROM {o} AS r",
    "SELECT a, b, c, d FROM {s} AS l UNION ALL BY NAME SELECT d, c, b, a FROM {o} AS r",
    "SELECT a, b, c, d FROM {s} AS l EXCEPT SELECT a, b, c, d FROM {o} AS r",
    "SELECT a, b, c, d FROM {s} AS l INTERSECT SELECT a, b, c, d FROM {o} AS r",
]

# What makes the result a table with a key, of whatever comes out of a relation.
GROUPED = """
SELECT coalesce(a, -1) AS k, count(*) AS n, sum(b) AS b, sum(c) AS c, max(d) AS d
FROM ({q}) AS z GROUP BY coalesce(a, -1)
"""
HIDDEN = """
SELECT md5(concat_ws('|', coalesce(a::VARCHAR, 'n'), coalesce(d, 'n'))) AS k, sum(b) AS b, count(*) AS n
FROM (SELECT a, b, nullif(d, 'n') AS d FROM ({q}) AS y) AS z GROUP BY a, d
"""
WIDE = """
SELECT coalesce(a, -1) AS a, coalesce(b, -1) AS b, coalesce(d, '') AS d, count(*) AS n, sum(c) AS c
FROM (SELECT a, b, c, nullif(d, '') AS d FROM ({q}) AS y) AS z GROUP BY ALL
"""
DISTINCT = """
SELECT DISTINCT coalesce(a, -1) AS a, coalesce(b, -1) AS b, coalesce(d, '-') AS d FROM ({q}) AS z
"""
BY_ROW = """
SELECT part, id, a, c * 2 AS c, coalesce(d, '-') AS d FROM t WHERE b IN (SELECT a FROM ({q}) AS z) OR a > 1
"""
LOOKED_UP = """
SELECT t.part, t.id, t.a, g.n, g.c FROM t
LEFT JOIN (SELECT b, count(*) AS n, sum(c) AS c FROM ({q}) AS z GROUP BY b) AS g ON g.b = t.a
"""
RANKED = """
SELECT id, a, rank() OVER (PARTITION BY b ORDER BY c, id) AS n FROM u SEMI JOIN ({q}) AS z ON z.a = u.b
"""
SPREAD = """
SELECT id, sum(c) OVER (PARTITION BY d) AS c FROM u WHERE EXISTS (SELECT 1 FROM ({q}) AS z WHERE z.a = u.a)
"""
PAIRS = """
SELECT t.part, t.id, u.id AS other, t.c FROM t JOIN u ON t.a = u.b ANTI JOIN ({q}) AS z ON z.d = u.d
"""
BOTH = """
SELECT 't' AS source, id::VARCHAR AS id, part, a FROM t UNION ALL SELECT 'u', id, 0, b FROM u
WHERE u.a NOT IN (SELECT coalesce(a, 9) FROM ({q}) AS z)
"""
TOPS = [
    ("k", GROUPED),
    ("k", HIDDEN),
    ("a,b,d", WIDE),
    ("a,b,d", DISTINCT),
    ("part,id", BY_ROW),
    ("part,id", LOOKED_UP),
    ("id", RANKED),
    ("id", SPREAD),
    ("part,id,other", PAIRS),
    ("source,id,part", BOTH),
]


def _within(query: str) -> str:
    return query if " " not in query else f"({query})"


@st.composite
def relations(draw: st.DrawFn, depth: int) -> str:
    """Draw a table or a query with the four columns."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(["t", "u", "v"]))
    template = draw(st.sampled_from(ONE + TWO))
    first = _within(draw(relations(depth - 1)))
    second = _within(draw(relations(depth - 1))) if "{o}" in template else ""
    return template.format(
        s=first,
        o=second,
        on=draw(ON),
        filter=draw(FILTERS),
        group=draw(GROUPS),
        partition=draw(PARTITIONS),
    )


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a query, up to two deep, with the columns of its key."""
    key, top = draw(st.sampled_from(TOPS))
    return top.format(q=_as_query(draw(relations(2)))), key


def _as_query(relation: str) -> str:
    return relation if " " in relation else f"SELECT a, b, c, d FROM {relation}"
