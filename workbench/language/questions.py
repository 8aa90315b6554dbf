"""The verbs that ask about what is there, or keep it in order, one dataclass each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workbench.language.statement import Statement, clause, head


@dataclass(frozen=True, kw_only=True)
class Refresh(Statement):
    """Bring what is derived up to date with its inputs."""

    verb: ClassVar[str] = "refresh"
    example: ClassVar[str] = "refresh late LIMIT 100000 BUDGET '30 s'"

    name: str | None = head(
        "name or all", "What to refresh, with all it needs.", default=None, wants="derivation"
    )
    full: bool = clause("FULL", "flag", "Rebuild it all, whatever changed.", default=False)
    errors: bool = clause("ERRORS", "flag", "Predict only the rows again that failed.", default=False)
    limit: int | None = clause("LIMIT", "count", "How many rows to predict at most.", default=None)
    budget: str | None = clause(
        "BUDGET", "text", "How long to predict at most.", default=None, shown="'30 s'"
    )


@dataclass(frozen=True, kw_only=True)
class Refit(Statement):
    """Fit the statistics of a transform again: a new version of it."""

    verb: ClassVar[str] = "refit"
    example: ClassVar[str] = "refit flight_features"

    name: str = head("ref", "The transform.", wants="transform")


@dataclass(frozen=True, kw_only=True)
class History(Statement):
    """List the commits of the store, or of one thing."""

    verb: ClassVar[str] = "history"
    example: ClassVar[str] = "history flights"

    name: str | None = head("ref", "A table, transform, model or binding.", default=None, wants="any")


@dataclass(frozen=True, kw_only=True)
class Diff(Statement):
    """Show the rows that differ between two versions of a table."""

    verb: ClassVar[str] = "diff"
    example: ClassVar[str] = "diff flights@3 flights@9"

    name: str = head("versions", "The two versions; without the second, against now.", also=("a", "b"))
    a: int | str
    b: int | str | None = None


@dataclass(frozen=True, kw_only=True)
class Undo(Statement):
    """Set a table back to a snapshot; that is a new snapshot."""

    verb: ClassVar[str] = "undo"
    example: ClassVar[str] = "undo flights TO @17"

    name: str = head("name", "The table.", wants="table", shown="TABLE")
    to: int | str = clause("TO", "snapshot", "The snapshot to go back to.", positional=True)


@dataclass(frozen=True, kw_only=True)
class Describe(Statement):
    """Say what something is, what it is made from, and when it is refreshed."""

    verb: ClassVar[str] = "describe"
    example: ClassVar[str] = "describe late@champion"

    name: str = head("ref", "A table, query, transform, model or binding.", wants="any")


@dataclass(frozen=True, kw_only=True)
class Explore(Statement):
    """Look at a table of any size page by page: scroll, sort, filter, see how its values are distributed."""

    verb: ClassVar[str] = "explore"
    example: ClassVar[str] = "explore flights"

    source: str = head("relation", "A table, a version of one, or a query in parentheses.")


@dataclass(frozen=True, kw_only=True)
class Build(Statement):
    """Put a transform together in a form: choose columns and functions, see a preview, get the statement."""

    verb: ClassVar[str] = "build"
    example: ClassVar[str] = "build flights"

    table: str = head("name", "The table, transform or query to build from.", wants="table", shown="TABLE")


@dataclass(frozen=True, kw_only=True)
class Lineage(Statement):
    """Show what something is made from and what is made from it."""

    verb: ClassVar[str] = "lineage"
    example: ClassVar[str] = "lineage flight_features.distance"

    name: str = head(
        "place", "A table, transform, model or binding, or one column.", also=("column",), wants="any"
    )
    column: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trace(Statement):
    """Show the rows that one row came from, as they were then."""

    verb: ClassVar[str] = "trace"
    example: ClassVar[str] = "trace flight_features KEY 4711"

    table: str = head("ref", "The table.", wants="table", shown="TABLE")
    key: object = clause(
        "KEY", "values", "The value of the row's key, or values in the key's order.", positional=True
    )


@dataclass(frozen=True, kw_only=True)
class Stale(Statement):
    """List what is behind its inputs, and why."""

    verb: ClassVar[str] = "stale"
    example: ClassVar[str] = "stale"

    name: str | None = head("ref", "A transform, model or binding.", default=None, wants="derivation")


@dataclass(frozen=True, kw_only=True)
class Runs(Statement):
    """List the refreshes, loads and trainings, the newest first."""

    verb: ClassVar[str] = "runs"
    example: ClassVar[str] = "runs flight_features"

    name: str | None = head("ref", "What the runs are of.", default=None, wants="any")


@dataclass(frozen=True, kw_only=True)
class Tables(Statement):
    """List the tables."""

    verb: ClassVar[str] = "tables"
    example: ClassVar[str] = "tables"


@dataclass(frozen=True, kw_only=True)
class Models(Statement):
    """List the models and their versions."""

    verb: ClassVar[str] = "models"
    example: ClassVar[str] = "models"


@dataclass(frozen=True, kw_only=True)
class Pause(Statement):
    """Stop refreshing something by itself."""

    verb: ClassVar[str] = "pause"
    example: ClassVar[str] = "pause flight_features"

    name: str = head("ref", "A transform, model or binding.", wants="derivation")


@dataclass(frozen=True, kw_only=True)
class Resume(Statement):
    """Refresh a paused thing by itself again."""

    verb: ClassVar[str] = "resume"
    example: ClassVar[str] = "resume flight_features"

    name: str = head("ref", "A transform, model or binding.", wants="derivation")


@dataclass(frozen=True, kw_only=True)
class Drop(Statement):
    """Drop a table, query, transform, model or binding; its history stays."""

    verb: ClassVar[str] = "drop"
    example: ClassVar[str] = "drop flight_features"

    name: str = head("ref", "What to drop.", wants="any")


@dataclass(frozen=True, kw_only=True)
class Deploy(Statement):
    """Make a version of a model its champion."""

    verb: ClassVar[str] = "deploy"
    example: ClassVar[str] = "deploy late@3"

    ref: str = head("versioned", "The version of the model.")


@dataclass(frozen=True, kw_only=True)
class Rollback(Statement):
    """Make the previous champion of a model its champion again."""

    verb: ClassVar[str] = "rollback"
    example: ClassVar[str] = "rollback late"

    name: str = head("ref", "The model.", wants="model")


@dataclass(frozen=True, kw_only=True)
class Reproduce(Statement):
    """Train a version of a model again on the rows as they were, and say whether the same comes out."""

    verb: ClassVar[str] = "reproduce"
    example: ClassVar[str] = "reproduce late@3"

    ref: str = head("ref", "The version of the model; without one, the champion.", wants="model")
