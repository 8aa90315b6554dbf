"""Tables that a query makes: whole numbers of 128 bits keep their digits, or are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workbench.errors import NotFound, StatementError, Unsupported
from workbench.store import Store

BIG = 2**53 + 1


@pytest.fixture(autouse=True)
def _values(store: Store) -> None:
    store.sql(f"CREATE TABLE v AS SELECT {BIG}::BIGINT AS v")


def kinds(store: Store, table: str) -> list[str]:
    return [row["column_type"] for row in store.sql(f"DESCRIBE {table}").rows()]


@pytest.mark.parametrize(
    ("query", "kind", "value"),
    [
        ("SELECT sum(v) AS s FROM v", "BIGINT", BIG),
        ("(SELECT sum(v) AS s FROM v) ;", "BIGINT", BIG),
        (
            "WITH w AS (FROM v) /* all */ SELECT sum(v) * 1000000 AS s FROM w",
            "DECIMAL(38,0)",
            Decimal(BIG * 10**6),
        ),
        ("SELECT sum(v) AS s FROM v WHERE false", "BIGINT", None),
        ("SELECT 'a'::ENUM ('a', 'b') AS s", "VARCHAR", "a"),
        ("SELECT [1, 2]::INTEGER[2] AS s", "INTEGER[]", [1, 2]),
        ("SELECT NULL AS s", "INTEGER", None),
    ],
)
def test_a_table_keeps_what_its_query_gave(store: Store, query: str, kind: str, value: object) -> None:
    done = store.sql(f"CREATE OR REPLACE TABLE x AS {query}")
    assert done.message == "table created with 1 row"
    assert kinds(store, "x") == [kind]
    assert store.sql("FROM x").rows() == [{"s": value}]


def test_parameters_and_several_statements(store: Store) -> None:
    store.sql("CREATE TABLE x AS SELECT sum(v) + $n AS s FROM v; INSERT INTO x VALUES (1)", params={"n": 2})
    assert store.sql("FROM x ORDER BY s").rows() == [{"s": 1}, {"s": BIG + 2}]
    assert store.sql("CREATE TABLE IF NOT EXISTS x AS SELECT sum(v) AS s FROM v").message == "done"


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("CREATE TABLE x (a HUGEINT)", "BIGINT, or DECIMAL(38, 0)"),
        ("CREATE TABLE x (a STRUCT(b UHUGEINT))", "DECIMAL(38, 0)"),
        ("CREATE TABLE x(a) AS SELECT sum(v) FROM v", "DECIMAL(38, 0)"),
        (
            "CREATE TABLE x AS SELECT list(s) AS a FROM (SELECT sum(v) AS s FROM v)",
            "BIGINT[], or DECIMAL(38, 0)[]",
        ),
        ("ALTER TABLE v ADD COLUMN a HUGEINT", "DECIMAL(38, 0)"),
        ("ALTER TABLE v ALTER COLUMN v TYPE HUGEINT", "DECIMAL(38, 0)"),
    ],
)
def test_what_would_be_rounded_is_refused(store: Store, statement: str, hint: str) -> None:
    with pytest.raises(Unsupported, match="15 digits") as refused:
        store.sql(statement)
    assert hint in str(refused.value)
    assert [row["name"] for row in store.tables().rows()] == ["v"]
    assert kinds(store, "v") == ["BIGINT"]


def test_mistakes_are_shown_in_the_statement(store: Store) -> None:
    with pytest.raises(NotFound, match=r"LINE 1: CREATE TABLE x AS SELECT sum\(w\) FROM v"):
        store.sql("CREATE TABLE x AS SELECT sum(w) FROM v")
    with pytest.raises(StatementError, match="LINE 1: CREATE TABLE x AS SELCT"):
        store.sql("CREATE TABLE x AS SELCT 1")


def test_a_table_that_is_there_is_named(store: Store) -> None:
    with pytest.raises(StatementError, match='"v" already exists'):
        store.sql("CREATE TABLE v AS SELECT sum(v) AS s FROM v")
