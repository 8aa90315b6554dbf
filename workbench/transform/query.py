"""Named queries: views in the schema `queries`, versioned like everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.derivation import fingerprint
from workbench.engines.duckdb import one_query
from workbench.engines.sql import normalise, source_tables
from workbench.errors import Conflict, InvalidData, WorkbenchError, below
from workbench.lake.circles import all_readers, find_circle
from workbench.names import check_name, quote

if TYPE_CHECKING:
    from workbench.lake import Lake, Transaction

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
        If the name belongs to something else, the query would read itself, or something that reads
        it could no longer be run.
    StatementError, NotFound
        If the query does not run.
    """
    check_name(name, KIND)
    body = one_query(query)
    name = lake.records.spelling(name)
    _check_free(lake, name)
    return lake.retry(lambda: _define(lake, name, body))


def _define(lake: Lake, name: str, body: str) -> Query:
    previous = lake.records.definition(name)
    digest = fingerprint(KIND, normalise(body))
    here = bool(previous and previous["kind"] == KIND and previous["status"] != "dropped")
    if here and previous and previous["fingerprint"] == digest:
        return Query.from_record(previous)
    inputs = tuple(lake.tables.resolve(each).qualified for each in source_tables(body))
    circle = find_circle(lake, f"queries.{name}", inputs)
    if circle:
        raise InvalidData(
            f"The query {name!r} would read itself: {circle}.", hint="Leave one of them out of the circle."
        )
    with below(1):
        lake.run(lake.cursor(), f"SELECT * FROM (\n{body}\n) LIMIT 0")
    version = previous["version"] + 1 if previous else 1
    with lake.commit(f"query {name}, version {version}") as tx:
        if lake.records.definition(name, cursor=tx.cursor) != previous:
            raise Conflict(f"{name!r} was defined by somebody else meanwhile.", hint="Run it again.")
        lake.run(tx.cursor, f"CREATE OR REPLACE VIEW lake.queries.{quote(name)} AS {body}")
        if here:
            _check_readers(lake, tx, name)
            lake.follow_columns(tx, False)
        definition = {"query": body, "inputs": list(inputs)}
        lake.records.define(tx, KIND, name, version, digest, definition)
    return Query(name, body, inputs, version, digest, tx.snapshot)


def _check_free(lake: Lake, name: str) -> None:
    """Refuse a name that belongs to a table, transform, model or bound column."""
    known = lake.tables.find(name)
    kind = known.kind if known is not None and known.schema != "queries" else ""
    for row in lake.records.definitions():
        called = row["definition"].get("column") if row["kind"] == "binding" else row["name"]
        if str(called).lower() == name.lower() and row["kind"] != KIND:
            kind = kind or ("bound column" if row["kind"] == "binding" else row["kind"])
    if kind:
        raise InvalidData(f"{name!r} is the name of a {kind} already.", hint="Give the query another name.")


def _check_readers(lake: Lake, tx: Transaction, name: str) -> None:
    """Refuse a definition after which something that reads the query could not be run."""
    broken: dict[str, str] = {}
    for row in all_readers(lake, f"queries.{name}", tx.cursor):
        text = row["definition"].get("query" if row["kind"] == KIND else "expanded")
        problem = _problem(lake, tx, text, row["definition"].get("key") or ()) if text else ""
        if problem:
            broken[f"the {row['kind']} {row['name']}"] = problem
    if broken:
        raise InvalidData(
            f"{name!r} is read by {', '.join(broken)}, which could no longer be run; nothing was changed.\n"
            + next(iter(broken.values())),
            hint="Keep what they read, or change or drop them first.",
        )


def _problem(lake: Lake, tx: Transaction, text: str, key: Sequence[str]) -> str:
    """Say why a query does not run, or does not return its key; empty if all is well."""
    try:
        described = lake.run(tx.cursor, f"DESCRIBE SELECT * FROM ({text}\n)").fetchall()
    except WorkbenchError as error:
        return error.message
    absent = {each.lower() for each in key} - {row[0].lower() for row in described}
    return f"It has no column {', '.join(sorted(absent))}." if absent else ""
