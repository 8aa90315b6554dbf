"""What the Store answers from several rooms at once: what there is, what it is, what would happen."""

from workbench.answers.approvals import unapproved
from workbench.answers.catalog import (
    catalog,
    dependents,
    derivations,
    find_derivation,
    find_pausable,
    names,
    recorded_name,
    scheduled,
    tables,
)
from workbench.answers.describe import describe
from workbench.answers.plan import PlanReport, make_plan
from workbench.answers.stale import stale

__all__ = [
    "PlanReport",
    "catalog",
    "dependents",
    "derivations",
    "describe",
    "find_derivation",
    "find_pausable",
    "make_plan",
    "names",
    "recorded_name",
    "scheduled",
    "stale",
    "tables",
    "unapproved",
]
