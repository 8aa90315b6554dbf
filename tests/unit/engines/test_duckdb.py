"""DuckDB's statements and errors, as the store sees them."""

from __future__ import annotations

import duckdb
import pytest

from workbench.engines.duckdb import classify, connect, execute, parameters
from workbench.engines.failures import translate
from workbench.errors import Conflict, InvalidData, NotFound, StatementError, Unsupported, WorkbenchError


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("SELECT 1", ["read"]),
        ("FROM range(3); SUMMARIZE SELECT 1", ["read", "read"]),
        ("-- a comment\nWITH a AS (SELECT 1 AS i) INSERT INTO t FROM a", ["write"]),
        ("EXPLAIN DELETE FROM t", ["read"]),
        ("CREATE VIEW v AS SELECT 1; DROP VIEW v", ["write", "write"]),
        ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", ["write"]),
        ("SELECT ';' || $$;$$", ["read"]),
    ],
)
def test_statements_are_told_apart_by_the_engine(sql: str, kinds: list[str]) -> None:
    assert [kind for _, kind, _ in classify(sql)] == kinds


@pytest.mark.parametrize(
    "sql", ["BEGIN", "SET threads = 1", "ATTACH 'a.db'", "PREPARE p AS SELECT 1", "VACUUM"]
)
def test_what_does_not_go_into_a_cell(sql: str) -> None:
    with pytest.raises(Unsupported):
        classify(sql)


def test_nothing_to_run() -> None:
    with pytest.raises(StatementError, match="no statement"):
        classify("  -- only a comment")


def test_parameters_are_those_the_engine_sees() -> None:
    assert parameters("SELECT $a, '$b', $$ $c $$, x[1:2], $d::INT -- $e") == {"a", "d"}


@pytest.mark.parametrize(
    ("sql", "kind", "said"),
    [
        ("SELEC 1", StatementError, "LINE 1"),
        ("SELECT nothing FROM range(1)", NotFound, "nothing"),
        ("SELECT no_such_function(1)", StatementError, "no_such_function"),
        ("SELECT CAST('x' AS INTEGER)", InvalidData, "x"),
        ("SELECT error('own words')", InvalidData, "own words"),
    ],
)
def test_errors_are_translated(sql: str, kind: type[WorkbenchError], said: str) -> None:
    with pytest.raises(kind, match=said):
        execute(duckdb.connect(), sql)


def test_an_unknown_table_is_answered_with_the_stores_names() -> None:
    with pytest.raises(NotFound) as caught:
        execute(duckdb.connect(), "FROM flihgts", None, lambda: ["flights", "planes"])
    assert caught.value.nearest == ("flights",) and "LINE 1" in caught.value.message


@pytest.mark.parametrize("name", ["Path", "execute", "connection", "sql"])
def test_a_variable_of_python_is_no_table(name: str) -> None:
    connection = connect()
    with pytest.raises(NotFound, match=name):
        execute(connection.cursor(), f"FROM {name}")


@pytest.mark.parametrize(
    "text", ["Failed to commit DuckLake transaction: database is locked", "Transaction conflict on t"]
)
def test_conflicts_can_be_tried_again(text: str) -> None:
    error = translate(duckdb.TransactionException(text))
    assert isinstance(error, Conflict) and error.retryable


def test_a_connection_is_in_utc_and_downloads_nothing() -> None:
    connection = connect()
    row = connection.execute(
        "SELECT current_setting('TimeZone'), current_setting('autoinstall_known_extensions')"
    ).fetchone()
    assert row == ("UTC", False)
    loaded = connection.execute("SELECT extension_name FROM duckdb_extensions() WHERE loaded").fetchall()
    assert {("ducklake",), ("sqlite_scanner",)} <= set(loaded)


def test_connections_do_not_spill_into_each_others_files() -> None:
    with connect() as one, connect() as two:
        folders = [
            execute(each, "SELECT current_setting('temp_directory')").fetchall() for each in (one, two)
        ]
    assert folders[0] != folders[1]
