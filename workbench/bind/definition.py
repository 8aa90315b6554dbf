"""The noun Binding: a model attached to a column of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbench.derivation import Plan, Run
from workbench.errors import InvalidData, NotFound

if TYPE_CHECKING:
    from workbench.lake import Lake

KIND = "binding"


@dataclass(frozen=True, slots=True)
class Binding:
    """A model whose predictions are kept beside the rows of a table.

    The side table `predictions.<table>__<column>` holds the predictions by key, and the view
    `predictions.<table>` shows them as columns of the table.

    Attributes
    ----------
    column : str
        The column in which predictions appear.
    on : str
        The table, qualified.
    model : str
        Which model, as it was written; without a version it means the champion.
    columns : tuple of str or None
        The inputs, if they were named; else all that the model asks for.
    mode : {"sync", "async"}
        Whether a write waits for its predictions.
    on_error : {"null", "keep", "fail"}
        What a row gets that cannot be predicted: no value, its old value, or an end to the run.
    batch : int or None
        Rows per call of the model.
    """

    column: str
    on: str
    model: str
    key: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    trigger: str = "on write"
    mode: str = "sync"
    on_error: str = "null"
    batch: int | None = None
    isolate: str | None = None
    version: int = 1
    fingerprint: str = ""
    status: str = "active"
    snapshot: int | None = None

    @property
    def kind(self) -> str:
        """Always "binding"."""
        return KIND

    @property
    def table(self) -> str:
        """The plain name of the table."""
        return self.on.rpartition(".")[2]

    @property
    def name(self) -> str:
        """The name of the binding, which is that of its side table."""
        return f"{self.table}__{self.column}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tables it reads, qualified."""
        return (self.on,)

    @property
    def output(self) -> str:
        """The side table it fills, qualified."""
        return f"predictions.{self.name}"

    @property
    def view(self) -> str:
        """The view in which the predictions are read, qualified."""
        return f"predictions.{self.table}"

    def plan(self, lake: Lake, *, full: bool = False) -> Plan:
        """Say what a refresh would do now."""
        from workbench.bind.refresh import plan_binding

        return plan_binding(lake, self, full=full)

    def refresh(self, lake: Lake, *, full: bool = False) -> Run:
        """Predict the rows that are new, changed, or predicted by an older model, in one commit."""
        from workbench.bind.refresh import refresh_binding

        return refresh_binding(lake, self, full=full)

    def to_record(self) -> dict[str, Any]:
        """Return the definition as it is recorded."""
        record = asdict(self)
        for column in ("version", "fingerprint", "status", "snapshot"):
            del record[column]
        return {**record, "inputs": list(self.inputs)}

    @classmethod
    def from_record(cls, row: Mapping[str, Any]) -> Binding:
        """Make the binding from a row of `mlstore.definitions`."""
        definition = dict(row["definition"])
        del definition["inputs"]
        definition["key"] = tuple(definition["key"])
        if definition["columns"] is not None:
            definition["columns"] = tuple(definition["columns"])
        return cls(
            version=row["version"],
            fingerprint=row["fingerprint"],
            status=row["status"],
            snapshot=row["snapshot_id"],
            **definition,
        )


def bindings(lake: Lake) -> list[Binding]:
    """List the bindings of a lake, oldest first."""
    return [Binding.from_record(row) for row in lake.records.definitions(KIND)]


def find_binding(lake: Lake, name: str) -> Binding:
    """Return a binding by `column`, `table.column` or the name of its side table.

    Raises
    ------
    NotFound
        If there is none.
    InvalidData
        If a plain column name is bound on several tables.
    """
    known = bindings(lake)
    plain = name.lower().rpartition("predictions.")[2]
    found = [
        each
        for each in known
        if plain in {part.lower() for part in (each.column, f"{each.table}.{each.column}", each.name)}
    ]
    if not found:
        raise NotFound.named("binding", name, [each.column for each in known])
    if len(found) > 1:
        choices = " or ".join(f"{each.table}.{each.column}" for each in found)
        raise InvalidData(f"{name!r} is bound on several tables.", hint=f"Say which: {choices}.")
    return found[0]
