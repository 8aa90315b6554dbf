"""SQL laid out anew: how it looks, and that it says the same."""

# ruff: noqa: E501 (SQL on one line is what is laid out)

import json

import duckdb
import pytest

from workbench.errors import StatementError
from workbench.language.layout import formatted, laid_out

LONG = """\
-- the features
select id, -- the key
  one_hot(zone) as zone, cyclical(started_at,'hour') as hour, impute(distance_km, 'median') as distance, /* block */
  interval '1 hour' as i, fare::int, list_transform(l, x -> x+1), [1,2], {'a': 1}
from trips
-- only some
where started_at between $a and $b and (fare>3 or tip is distinct from fare) and zone in (select zone from zones)
"""

CASES = [
    "select 1",
    LONG,
    "with a as (select b, c from d group by all having sum(x) > 3), g as (select * from a left join h using (id) cross join i) select a.*, (select max(x) from y where y.id = a.id and y.kind = 'some kind of thing' and y.other = 3) as mx from a asof join g on a.t >= g.t union all select 1, 2, 3 from b",
    "select sum(a) filter (where b), first(a order by b), a//b, a**2, 'x'||'y', case when a and b then c else d end, extract(year from d), -1, a - -1, t.*, x[1:2] from t tablesample 10%",
    "select $$ a; b $$, E'x\\n', 'two\nlines', \"a b\" from t -- end",
    "from trips select * exclude (a) where b!=3 qualify row_number() over (partition by a order by b desc)=1 order by all limit 3",
    "select a from t except select b from u",
    "pivot t on a using sum(b)",
]


def meaning(sql: str) -> object:
    """Return DuckDB's own tree of a query, without places."""

    def plain(node: object) -> object:
        if isinstance(node, dict):
            return {key: plain(value) for key, value in node.items() if key != "query_location"}
        return [plain(each) for each in node] if isinstance(node, list) else node

    with duckdb.connect(":memory:") as connection:
        tree = json.loads(connection.execute("select json_serialize_sql($1)", [sql]).fetchone()[0])
    assert not tree["error"], tree
    return plain(tree)


@pytest.mark.parametrize("sql", CASES)
def test_it_says_the_same_and_stays_as_it_is(sql: str) -> None:
    made = laid_out(sql)
    if not sql.startswith("pivot"):  # of which DuckDB gives no tree
        assert meaning(made) == meaning(sql)
    assert laid_out(made) == made
    assert all(word in made for word in ("-- the key", "/* block */", "-- only some")) or sql != LONG


def test_how_it_looks() -> None:
    assert (
        laid_out(LONG)
        == """\
-- the features
select
    id, -- the key
    one_hot(zone) as zone,
    cyclical(started_at, 'hour') as hour,
    impute(distance_km, 'median') as distance, /* block */
    interval '1 hour' as i,
    fare::int,
    list_transform(l, x -> x+1),
    [1, 2],
    {'a': 1}
from trips
-- only some
where
    started_at between $a and $b
    and (fare > 3 or tip is distinct from fare)
    and zone in (select zone from zones)"""
    )


def test_a_cell_keeps_its_header() -> None:
    cell = "%%mlstore transform f ON trips KEY (id) --plan\nWHEN on write AS\nselect   id,fare from trips"
    assert formatted(cell) == (
        "%%mlstore transform f ON trips KEY (id) --plan\nWHEN on write AS\nselect id, fare from trips"
    )


@pytest.mark.parametrize(
    "cell",
    ["x  =  1", "%mlstore tables", "%%mlstore transform f KEY (id) USING python AS\ndef f(b):\n  return   b"],
)
def test_what_is_not_sql_is_left_alone(cell: str) -> None:
    assert formatted(cell) == cell


def test_a_cell_with_a_mistake_is_not_laid_out() -> None:
    with pytest.raises(StatementError, match="syntax error"):
        formatted("%%mlstore\nselect a frm t where")
