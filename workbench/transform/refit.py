"""Fitting the built-in functions of a transform again, when `REFIT WHEN` says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.derivation import Full, Plan, Run
from workbench.transform.create import redefine
from workbench.transform.definition import Transform, find_transform, refit_name

if TYPE_CHECKING:
    from workbench.lake import Lake


@dataclass(frozen=True, slots=True)
class Refit:
    """Keeps what a transform was fitted to up to date: a derivation with a trigger of its own.

    Its watermarks are the snapshot of the last fit.
    """

    transform: Transform

    @property
    def name(self) -> str:
        """As in `refit trip_features`."""
        return refit_name(self.transform.name)

    @property
    def kind(self) -> str:
        """Always "refit"."""
        return "refit"

    @property
    def version(self) -> int:
        """The version of the transform that would be fitted anew."""
        return self.transform.version

    @property
    def on(self) -> str | None:
        """The table whose share of changed rows counts."""
        return self.transform.on

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tables that the transform reads."""
        return self.transform.inputs

    @property
    def output(self) -> str:
        """The table of the transform."""
        return self.transform.output

    @property
    def trigger(self) -> str:
        """The text of REFIT WHEN."""
        return self.transform.refit_when or "manual"

    @property
    def fingerprint(self) -> str:
        """That of the transform."""
        return self.transform.fingerprint

    def plan(self, lake: Lake, *, full: bool = False) -> Plan:
        """Say that everything is computed anew."""
        return Full("fitted anew")

    def refresh(self, lake: Lake, *, full: bool = False) -> Run:
        """Fit the newest version of the transform anew, which makes another version."""
        return refit(lake, find_transform(lake, self.transform.name))


def refit(lake: Lake, transform: Transform) -> Run:
    """Fit the built-in functions of a transform to its rows as they are now: a new version."""
    made = redefine(lake, transform, refit=True)
    assert made.snapshot is not None
    row = lake.records.rows("runs", "name = $name", {"name": transform.name})[-1]
    return Run(
        transform.name,
        transform.kind,
        "full",
        f"refitted: version {made.version}",
        {name: (pair[0], pair[1]) for name, pair in row["inputs"].items()},
        made.snapshot,
        row["rows_read"],
        row["rows_written"],
        row["rows_deleted"],
        row["seconds"],
    )


def refits(transforms: list[Transform]) -> list[Refit]:
    """List what REFIT WHEN asks for."""
    return [Refit(each) for each in transforms if each.refit_when is not None]
