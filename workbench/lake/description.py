"""What `describe` answers: facts, and tables that say more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.lake.result import Result


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """All that is to be said of a thing in the store.

    Attributes
    ----------
    name, kind : str
    facts : mapping of str to object
        Short answers, in the order to be shown.
    tables : mapping of str to Result
        Longer answers, by their title.
    """

    name: str
    kind: str
    facts: Mapping[str, Any]
    tables: Mapping[str, Result] = field(default_factory=dict)
