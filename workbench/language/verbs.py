"""The registry of verbs."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.language.questions import (
    Build,
    Deploy,
    Describe,
    Diff,
    Drop,
    Explore,
    History,
    Lineage,
    Models,
    Pause,
    Refit,
    Refresh,
    Reproduce,
    Resume,
    Rollback,
    Runs,
    Stale,
    Tables,
    Trace,
    Undo,
)
from workbench.language.statement import Statement, parts
from workbench.language.statements import Bind, Export, Load, Query, Sql, Train, Transform

VERBS: Mapping[str, type[Statement]] = {
    "query": Query,
    "load": Load,
    "transform": Transform,
    "train": Train,
    "bind": Bind,
    "export": Export,
    "refresh": Refresh,
    "refit": Refit,
    "history": History,
    "diff": Diff,
    "undo": Undo,
    "describe": Describe,
    "explore": Explore,
    "build": Build,
    "lineage": Lineage,
    "trace": Trace,
    "stale": Stale,
    "runs": Runs,
    "tables": Tables,
    "models": Models,
    "pause": Pause,
    "resume": Resume,
    "drop": Drop,
    "deploy": Deploy,
    "rollback": Rollback,
    "reproduce": Reproduce,
}
"""Each verb of the language."""

METHODS: Mapping[str, type[Statement]] = {"sql": Sql, **VERBS}
"""Each method of the Store that a statement can call."""


def takers(keyword: str) -> list[str]:
    """List the verbs that take a clause: `takers("LABEL")` gives train and export."""
    return [verb for verb, cls in VERBS.items() if any(each.keyword == keyword for each in parts(cls))]


def clauses(cls: type[Statement]) -> list[str]:
    """List the keywords of a verb's clauses."""
    return [part.keyword for part in parts(cls) if part.is_clause]
