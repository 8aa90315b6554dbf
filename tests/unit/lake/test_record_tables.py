"""Record tables that came with a newer version are made when an older store is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.lake import Lake
from workbench.lake.record_tables import SPEC

NEW = ("importance", "slices", "confusion", "curves")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store without the newer record tables, as an older version left it."""
    lake = Lake.open(tmp_path / "store")
    with lake.commit("a table") as tx:
        lake.run(tx.cursor, "CREATE TABLE lake.main.t AS SELECT 1 AS id")
    with lake.commit("as an older version has it") as tx:
        for table in NEW:
            lake.run(tx.cursor, f"DROP TABLE lake.mlstore.{table}")
    lake.close()
    return tmp_path / "store"


def test_an_older_store_gets_the_tables_it_lacks_and_keeps_the_rest(old: Path) -> None:
    lake = Lake.open(old)
    for table in NEW:
        described = lake.cursor().execute(f"DESCRIBE lake.mlstore.{table}").fetchall()
        assert [row[0] for row in described] == list(SPEC[table])
        assert lake.records.rows(table) == []
    assert lake.cursor().execute("SELECT id FROM lake.main.t").fetchall() == [(1,)]
    lake.close()


def test_rows_of_the_new_tables_last_and_opening_again_makes_nothing(old: Path) -> None:
    lake = Lake.open(old)
    with lake.commit("some records") as tx:
        for table in NEW:
            lake.records.append(tx, table, [{"model": "m", "version": 1}])
    head = lake.head()
    lake.close()
    lake = Lake.open(old)
    assert lake.head() == head
    assert [lake.records.rows(table)[0]["model"] for table in NEW] == ["m"] * 4
    assert len(lake.records.rows("store")) == 1
    lake.close()
