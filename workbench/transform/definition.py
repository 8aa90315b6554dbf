"""The noun Transform: a query whose result the store keeps up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbench.derivation import Plan, Run
from workbench.errors import NotFound

if TYPE_CHECKING:
    from workbench.lake import Lake

KIND = "transform"


@dataclass(frozen=True, slots=True)
class Transform:
    """An engineered table `features.<name>`, kept up to date by the store.

    Attributes
    ----------
    query : str
        The body as it was written.
    expanded : str
        The body with the built-in functions replaced by plain SQL that holds their fitted values;
        of a Python body, the query for the rows that it gets.
    key : tuple of str
        The output columns that identify a row.
    on : str or None
        The table the transform is attached to.
    inputs : tuple of str
        The tables it reads, qualified.
    trigger : str
        When it is refreshed.
    refit_when : str or None
        When its built-in functions are fitted anew.
    version : int
        Counts the definitions of this name.
    using : str
        The language of the body: "sql", "ibis" or "python".
    sql : str
        A body of Ibis in SQL; else empty.
    code : str
        The fingerprint of a Python body, with the local code that it calls; else empty.
    snapshot : int or None
        The snapshot in which this version was defined.
    """

    name: str
    query: str
    expanded: str
    key: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    on: str | None = None
    trigger: str = "manual"
    refit_when: str | None = None
    using: str = "sql"
    sql: str = ""
    code: str = ""
    version: int = 1
    fingerprint: str = ""
    status: str = "active"
    snapshot: int | None = None

    @property
    def kind(self) -> str:
        """Always "transform"."""
        return KIND

    @property
    def body(self) -> str:
        """The body in SQL, with built-in functions as written; empty for Python."""
        return "" if self.using == "python" else self.sql or self.query

    @property
    def output(self) -> str:
        """The table it fills, qualified."""
        return f"features.{self.name}"

    def plan(self, lake: Lake, *, full: bool = False) -> Plan:
        """Say what a refresh would do now."""
        from workbench.transform.refresh import plan_transform

        return plan_transform(lake, self, full=full)

    def refresh(self, lake: Lake, *, full: bool = False) -> Run:
        """Bring the table up to the head of its inputs, in one commit."""
        from workbench.transform.refresh import refresh_transform

        return refresh_transform(lake, self, full=full)

    def to_record(self) -> dict[str, Any]:
        """Return the definition as it is recorded."""
        record = asdict(self)
        for column in ("name", "version", "fingerprint", "status", "snapshot"):
            del record[column]
        return record

    @classmethod
    def from_record(cls, row: Mapping[str, Any]) -> Transform:
        """Make the transform from a row of `mlstore.definitions`."""
        definition = dict(row["definition"])
        for column in ("key", "inputs"):
            definition[column] = tuple(definition[column])
        return cls(
            name=row["name"],
            version=row["version"],
            fingerprint=row["fingerprint"],
            status=row["status"],
            snapshot=row["snapshot_id"],
            **definition,
        )


def refit_name(name: str) -> str:
    """Return the name under which the fits of a transform are recorded: it has watermarks of its own."""
    return f"refit {name}"


def transforms(lake: Lake) -> list[Transform]:
    """List the transforms of a lake, oldest first."""
    return [Transform.from_record(row) for row in lake.records.definitions(KIND)]


def find_transform(lake: Lake, name: str, version: int | None = None) -> Transform:
    """Return a transform, at its newest or a given version.

    Raises
    ------
    NotFound
        If there is no such transform, or it has no such version.
    """
    rows = [row for row in lake.records.history(name) if row["kind"] == KIND]
    if not rows or rows[-1]["status"] == "dropped":
        raise NotFound.named("transform", name, [each.name for each in transforms(lake)])
    if version is None:
        return Transform.from_record(rows[-1])
    wanted = [row for row in rows if row["version"] == version]
    if not wanted:
        known = sorted({str(row["version"]) for row in rows})
        raise NotFound.named("version", str(version), known, within=name)
    return Transform.from_record(wanted[-1])
