"""Named queries: views in the schema `queries`, versioned like everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.derivation import fingerprint
from workbench.engines.duckdb import one_query
from workbench.engines.sql import normalise, source_tables
from workbench.errors import InvalidData
from workbench.names import check_name, quote

if TYPE_CHECKING:
    from workbench.lake import Lake

KIND = "query"


@dataclass(frozen=True, slots=True)
class Query:
    """A query with a name, usable wherever a table is."""

    name: str
    query: str
    inputs: tuple[str, ...] = ()
    version: int = 1
    fingerprint: str = ""
    snapshot: int | None = None

    @property
    def kind(self) -> str:
        """Always "query"."""
        return KIND

    @classmethod
    def from_record(cls, row: Mapping[str, Any]) -> Query:
        """Make the query from a row of `mlstore.definitions`."""
        definition = row["definition"]
        return cls(
            row["name"],
            definition["query"],
            tuple(definition["inputs"]),
            row["version"],
            row["fingerprint"],
            row["snapshot_id"],
        )


def find_query(lake: Lake, name: str) -> Query | None:
    """Return a named query, or None."""
    row = lake.records.definition(name)
    return Query.from_record(row) if row and row["kind"] == KIND and row["status"] != "dropped" else None


def define_query(lake: Lake, name: str, query: str) -> Query:
    """Give a query a name; the same text again changes nothing, another makes a new version.

    Raises
    ------
    InvalidData
        If the name belongs to something else.
    StatementError, NotFound
        If the query does not run.
    """
    check_name(name, "query")
    body = one_query(query)
    known = lake.tables.find(name)
    if known is not None and known.schema != "queries":
        raise InvalidData(
            f"{name!r} is the name of a {known.kind} already.", hint="Give the query another name."
        )
    previous = lake.records.definition(name)
    digest = fingerprint(KIND, normalise(body))
    if (
        previous
        and previous["kind"] == KIND
        and previous["status"] == "active"
        and previous["fingerprint"] == digest
    ):
        return Query.from_record(previous)
    lake.run(lake.cursor(), f"SELECT * FROM ({body}\n) LIMIT 0")
    inputs = tuple(lake.tables.resolve(each).qualified for each in source_tables(body))
    version = previous["version"] + 1 if previous else 1

    def write() -> int | None:
        with lake.commit(f"query {name}") as tx:
            lake.run(tx.cursor, f"CREATE OR REPLACE VIEW lake.queries.{quote(name)} AS {body}")
            definition = {"query": body, "inputs": list(inputs)}
            lake.records.define(tx, KIND, name, version, digest, definition)
        return tx.snapshot

    return Query(name, body, inputs, version, digest, lake.retry(write))
