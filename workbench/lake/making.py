"""Making a store: its schemas, its record tables, and the version of its format."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench.engines.duckdb import Cursor
from workbench.errors import StoreVersion
from workbench.lake.record_tables import FORMAT_VERSION, SPEC, create_statements
from workbench.names import SCHEMAS

_SYSTEM_INLINED_ROWS = 1000


def record_tables(connection: Cursor) -> set[str]:
    """Name the record tables that there are; a store made by an older version lacks some."""
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'mlstore'"
    ).fetchall()
    return {row[0] for row in found} & SPEC.keys()


def initialise(connection: Cursor) -> None:
    """Make the schemas and the record tables of a new store."""
    connection.execute(f"CALL lake.set_option('data_inlining_row_limit', {_SYSTEM_INLINED_ROWS})")
    make_records(connection, list(SPEC), new=True)
    # Version 2 of Parquet writes numbers as differences, and text as lengths and bytes: smaller files
    # that are read up to twice as fast.
    connection.execute("CALL lake.set_option('parquet_version', 2)")
    # Inlined rows and concurrent deletes disagree (duckdb/ducklake issue 1215): records only.
    connection.execute("CALL lake.set_option('data_inlining_row_limit', 0)")
    connection.execute(
        f"CALL lake.set_option('data_inlining_row_limit', {_SYSTEM_INLINED_ROWS}, schema => 'mlstore')"
    )


def make_records(connection: Cursor, tables: Sequence[str], *, new: bool = False) -> None:
    """Make record tables, each with a first row, and take these rows out again in a second snapshot.

    DuckLake makes the place for a table's inlined rows at the first insert, under a new schema
    version, and when it reads them it caches for that version the catalog as of the table's birth:
    tables that came with the same version then seem not to exist (duckdb/ducklake issue 955). So
    each record table gets a first row in the very commit that makes it.
    """
    what = "make the store" if new else f"make the records of a newer version: {', '.join(tables)}"
    connection.execute("BEGIN")
    if new:
        for schema in SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{schema}")
    for statement in create_statements(tables):
        connection.execute(statement)
    for table in tables:
        connection.execute(
            f"INSERT INTO lake.mlstore.{table} VALUES ({', '.join('NULL' for _ in SPEC[table])})"
        )
    connection.execute("CALL lake.set_commit_message(?, ?)", [author(), what])
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    for table in tables:
        connection.execute(f"DELETE FROM lake.mlstore.{table}")
    if new:
        connection.execute(
            "INSERT INTO lake.mlstore.store VALUES (?, 'mlstore', ?)", [FORMAT_VERSION, datetime.now(UTC)]
        )
    connection.execute(
        "CALL lake.set_commit_message(?, ?)", [author(), "make the store: its version" if new else what]
    )
    connection.execute("COMMIT")


def check_complete(connection: Cursor, folder: Path) -> None:
    """Refuse a store that an older version of this package made, for it lacks records.

    Raises
    ------
    StoreVersion
        If it is.
    """
    if record_tables(connection) < SPEC.keys():
        raise StoreVersion(
            f"The store {folder} was made by an older version of mlstore.",
            hint="Open it in a notebook once; that brings it up to date.",
        )


def check_version(connection: Cursor, folder: Path) -> None:
    """Refuse a store that a newer version of this package made.

    Raises
    ------
    StoreVersion
        If it is.
    """
    row = connection.execute("SELECT max(format_version) FROM lake.mlstore.store").fetchone()
    version = row[0] if row and row[0] is not None else 0
    if version > FORMAT_VERSION:
        raise StoreVersion(
            f"The store {folder} has format {version}; this version of mlstore reads up to {FORMAT_VERSION}.",
            hint="Update it with: pip install -U mlstore",
        )


def author() -> str:
    """Name the user, as the author of a commit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
