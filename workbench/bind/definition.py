"""The noun Binding: a model attached to a column of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.bind.limits import Limits
from workbench.derivation import Derivation, Plan, Run
from workbench.errors import InvalidData, NotFound, Unsupported

if TYPE_CHECKING:
    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake, TableInfo

KIND = "binding"

OUTPUTS = {
    "score": "DOUBLE",
    "status": "VARCHAR",
    "error": "VARCHAR",
    "model_version": "VARCHAR",
    "source_snapshot": "BIGINT",
    "predicted_at": "TIMESTAMP WITH TIME ZONE",
    "input_hash": "UBIGINT",
}
"""The columns of a side table, with their types, beside the key and the value."""


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
        The table, transform, named query, or view of predictions, qualified.
    model : str
        Which model, as it was written; without a version it means the champion.
    key : tuple of str
        The columns that identify a row.
    columns : tuple of str or None
        The inputs, if they were named; else all that the model asks for.
    mode : {"sync", "async"}
        Whether a write waits for its predictions.
    on_error : {"null", "keep", "fail"}
        What a row gets that cannot be predicted: no value, its old value, or an end to the run.
    batch : int or None
        Rows per call of the model.
    retry, rate : int, str or None
        How often a call that failed for a passing reason is made again, and how many calls are made
        in a time, as in "5/s".
    reads : tuple of str or None
        The columns that the model asked for when it was last used.
    asked : str
        In which way the model is asked: the fastest that agrees with its library, and by how much.
    choice : dict or None
        The same as a record: which version was tried, on how many rows.
    sources : tuple of str
        The tables it reads, qualified; empty means `on` alone.
    limits : Limits
        How much the next refresh may do; not part of the definition.
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
    retry: int = 0
    rate: str | None = None
    reads: tuple[str, ...] | None = field(default=None, compare=False)
    asked: str = field(default="", compare=False)
    choice: Mapping[str, Any] | None = field(default=None, compare=False)
    sources: tuple[str, ...] = ()
    version: int = 1
    fingerprint: str = ""
    status: str = "active"
    snapshot: int | None = None
    limits: Limits = field(default_factory=Limits, compare=False, repr=False)

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
        return self.sources or (self.on,)

    @property
    def output(self) -> str:
        """The side table it fills, qualified."""
        return f"predictions.{self.name}"

    @property
    def view(self) -> str:
        """The view in which the predictions are read, qualified."""
        return f"predictions.{self.table}"

    @property
    def statement(self) -> str:
        """The shortest statement that makes it anew."""
        return f"bind {self.column} ON {self.table} MODEL {self.model}"

    @property
    def side_key(self) -> tuple[str, ...]:
        """The key's columns in the side table, under other names where it has such columns of its own.

        Examples
        --------
        >>> Binding("p", "main.t", "m", key=("id", "value", "key_value")).side_key
        ('id', 'key_value_', 'key_value')
        """
        taken = {each.lower() for each in self.key}
        return tuple(_side_name(each, taken) for each in self.key)

    def chosen(self, choice: Mapping[str, Any] | None) -> Binding:
        """Return it with the way in which its model is asked; None leaves that as it is."""
        if choice is None:
            return self
        return replace(self, choice=choice, asked=f"{choice['model']}: {choice['engine_trials']}")

    def plan(self, lake: Lake, *, full: bool = False) -> Plan:
        """Say what a refresh would do now."""
        from workbench.bind.refresh import plan_binding

        return plan_binding(lake, self, full=full)

    def refresh(self, lake: Lake, *, full: bool = False) -> Run:
        """Predict the rows that are new, changed, or predicted by an older model."""
        from workbench.bind.refresh import refresh_binding

        return refresh_binding(lake, self, full=full)

    def to_record(self) -> dict[str, Any]:
        """Return the definition as it is recorded."""
        record = asdict(self)
        for column in ("version", "fingerprint", "status", "snapshot", "sources", "limits"):
            del record[column]
        return {**record, "inputs": list(self.inputs)}

    @classmethod
    def from_record(cls, row: Mapping[str, Any]) -> Binding:
        """Make the binding from a row of `mlstore.definitions`."""
        definition = dict(row["definition"])
        definition["sources"] = definition.pop("inputs")
        for name in ("key", "columns", "reads", "sources"):
            if definition.get(name) is not None:
                definition[name] = tuple(definition[name])
        return cls(
            version=row["version"],
            fingerprint=row["fingerprint"],
            status=row["status"],
            snapshot=row["snapshot_id"],
            **definition,
        )


def _side_name(column: str, taken: set[str]) -> str:
    if column.lower() not in {"value", *OUTPUTS}:
        return column
    name = f"key_{column}"
    while name.lower() in taken:
        name += "_"
    return name


def bindings(lake: Lake, cursor: Cursor | None = None) -> list[Binding]:
    """List the bindings of a lake, oldest first."""
    return [Binding.from_record(row) for row in lake.records.definitions(KIND, cursor=cursor)]


def bindings_in(lake: Lake, table: TableInfo) -> list[Binding]:
    """List the bindings whose predictions are read in a view; none of any other table."""
    return [each for each in bindings(lake) if each.view == table.qualified]


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


def within(
    derivations: list[Derivation], name: str | None, limits: Limits, *, full: bool
) -> list[Derivation]:
    """Return the derivations with the limits of a run put on the bindings among them.

    Raises
    ------
    Unsupported
        If `name` is no binding, or all is to be done anew.
    """
    if not (limits.bounded or limits.errors):
        return derivations
    if full:
        raise Unsupported("FULL goes with no limits.", hint="Leave FULL out, or the other clauses.")
    named = [each for each in derivations if isinstance(each, Binding) and name in (None, each.name)]
    if name is not None and not named:
        raise Unsupported(
            f"{name!r} is no binding, so it is refreshed as a whole.", hint="Leave the clauses out."
        )
    # What a binding is made from is brought up to date whatever failed there.
    above = replace(limits, errors=False) if limits.errors else limits
    return [
        replace(each, limits=limits if each in named else above) if isinstance(each, Binding) else each
        for each in derivations
    ]
