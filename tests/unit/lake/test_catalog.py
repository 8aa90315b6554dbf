"""The catalog asked in its own SQL: it says what DuckLake says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.engines.duckdb import execute
from workbench.lake import Lake
from workbench.lake.catalog import ask
from workbench.lake.record_tables import SPEC
from workbench.lake.snapshots import changes_by_snapshot, read_snapshot
from workbench.names import quote_all

whole = st.integers(-(2**63), 2**63 - 1)
number = st.floats(allow_nan=False)
# The catalog, a database of SQLite, ends a text at the character 0.
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
moment = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
runs = st.fixed_dictionaries(
    {"id": text, "name": text, "mode": st.none() | text, "details": st.dictionaries(text, number | text)},
    optional={"seconds": number, "rows_read": whole, "started_at": moment},
)


def by_the_engine(lake: Lake, table: str, where: str = "true", **params: Any) -> list[tuple[Any, ...]]:
    with lake.pinned() as (cursor, _):
        lake.kept.leave(cursor)  # What a cursor sees is unknown then, and the engine is asked.
        return [tuple(row.values()) for row in lake.records.rows(table, where, params, cursor=cursor)]


def by_the_catalog(lake: Lake, table: str, where: str = "", **params: Any) -> list[tuple[Any, ...]]:
    with lake.pinned() as (cursor, _):
        return [tuple(row.values()) for row in lake.records.rows(table, where, params, cursor=cursor)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(runs, min_size=1, max_size=4))
def test_records_are_read_from_the_catalog_as_the_engine_reads_them(
    lake: Lake, rows: list[dict[str, Any]]
) -> None:
    with lake.commit("some runs") as tx:
        lake.records.append(tx, "runs", rows)
    assert by_the_catalog(lake, "runs") == by_the_engine(lake, "runs")
    name = rows[0]["name"]
    found = by_the_catalog(lake, "runs", "name = $name", name=name)
    assert found == by_the_engine(lake, "runs", "name = $name", name=name)
    assert len(found) >= 1


def test_changed_and_deleted_rows_are_read_as_of_the_snapshot_of_the_reader(lake: Lake) -> None:
    with lake.commit("mark") as tx:
        lake.records.set_watermarks(tx, "d", {"main.a": 1, "main.b": 1})
    with lake.pinned() as (cursor, _):
        with lake.commit("move") as tx:
            lake.records.set_watermarks(tx, "d", {"main.a": 2})
        before = [row["snapshot"] for row in lake.records.rows("watermarks", cursor=cursor)]
    assert before == [1, 1]
    found = [row[:3] for row in by_the_catalog(lake, "watermarks")]
    assert found == [("d", "main.a", 2)]  # Those of an input that is read no more are gone.
    assert by_the_catalog(lake, "watermarks") == by_the_engine(lake, "watermarks")


def test_records_that_are_in_files_are_read_there(lake: Lake) -> None:
    row = {"name": "n", "version": 1, "step": "s", "statistic": "mean", "number": 0.1}
    with lake.commit("few") as tx:
        lake.records.append(tx, "fitted", [{**row, "position": -1}])
    with lake.commit("many") as tx:
        lake.records.append(tx, "fitted", [{**row, "position": place} for place in range(3_000)])
    assert ask(lake.cursor(), "SELECT count(*) FROM ducklake_data_file") == [("1",)]
    found = by_the_catalog(lake, "fitted")
    assert [entry[5] for entry in found] == list(range(-1, 3_000))
    assert found == by_the_engine(lake, "fitted")


def test_rows_that_were_flushed_into_files_are_still_read(lake: Lake) -> None:
    with lake.commit("mark") as tx:
        lake.records.set_watermarks(tx, "d", {"main.a": 1})
    execute(lake.cursor(), "CALL ducklake_flush_inlined_data('lake', schema_name => 'mlstore')")
    assert [row[:3] for row in by_the_catalog(lake, "watermarks")] == [("d", "main.a", 1)]
    with lake.commit("move") as tx:
        lake.records.set_watermarks(tx, "d", {"main.a": 2})
    found = [row[:3] for row in by_the_catalog(lake, "watermarks")]
    assert found == [("d", "main.a", 1), ("d", "main.a", 2)]
    assert lake.records.watermarks("d") == {"main.a": 2}


@pytest.mark.parametrize("table", SPEC)
def test_each_record_table_has_a_row_in_the_catalog_with_all_its_columns(lake: Lake, table: str) -> None:
    with lake.commit("a row") as tx:
        marks = ", ".join(
            f"CAST(1 AS {kind})" if kind in ("BIGINT", "DOUBLE") else "NULL" for kind in SPEC[table].values()
        )
        execute(tx.cursor, f"INSERT INTO lake.mlstore.{quote_all([table])} VALUES ({marks})")
    assert by_the_catalog(lake, table) == by_the_engine(lake, table)


def test_a_snapshot_has_its_time_author_and_message(lake: Lake) -> None:
    with lake.commit('it\'s "new"') as tx:
        execute(tx.cursor, 'CREATE TABLE lake.main."a\'b" AS SELECT 1 AS id')
    assert tx.snapshot is not None
    found = read_snapshot(lake, tx.snapshot)
    assert found.message == 'it\'s "new"'
    assert abs(found.time - datetime.now(UTC)) < timedelta(minutes=5)
    assert changes_by_snapshot(lake.cursor(), tx.head, tx.snapshot) == {tx.snapshot: ["main.a'b"]}
