"""Counting rows from the catalog gives what counting them gives."""

from __future__ import annotations

from workbench.lake.counts import row_counts
from workbench.store import Store


def test_as_many_as_there_are(store: Store) -> None:
    store.load("pets", [{"id": each, "n": each % 3} for each in range(50)], key="id")
    store.sql("create table empty (a integer)")
    store.transform("odd", "select id, n + 1 as n from pets where n = 1", key="id", when="on write")
    store.query("view", "select * from pets")
    for statement in (
        "delete from pets where id < 7",
        "update pets set n = 1 where id in (8, 9, 30)",
        "insert into pets values (100, 1)",
        "delete from pets where id = 8",
        "create or replace table empty as select 1 as a",
        "delete from empty",
    ):
        store.sql(statement)
        counts = row_counts(store._lake.cursor())
        for name in ("main.pets", "main.empty", "features.odd"):
            assert counts[name] == store.sql(f"select count(*) as n from {name}").rows()[0]["n"], statement
        assert "queries.view" not in counts
