"""What the store keeps up to date, whatever its kind: the protocol, the plan and the Run.

Transforms, bindings, models and monitors are derivations. The refresher knows only what stands
here; each kind lives in its own room.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from workbench.lake import Lake

Mode = Literal["noop", "incremental", "full"]


@dataclass(frozen=True, slots=True)
class Noop:
    """Nothing to do."""

    reason: str = "nothing changed"
    mode: Mode = "noop"


@dataclass(frozen=True, slots=True)
class Incremental:
    """Recompute only the units that a change touches.

    `unit` names the output columns by which the work falls apart.
    """

    unit: tuple[str, ...]
    reason: str = ""
    mode: Mode = "incremental"


@dataclass(frozen=True, slots=True)
class Full:
    """Recompute everything, because of `reason`."""

    reason: str
    mode: Mode = "full"


Plan = Noop | Incremental | Full


@dataclass(frozen=True, slots=True)
class Run:
    """One refresh, load or training, as recorded.

    Attributes
    ----------
    name, kind : str
        What was refreshed, and which kind of thing it is.
    mode : {"full", "incremental", "noop"}
        How much was recomputed, and `reason` why.
    inputs : dict of str to (int or None, int)
        For each input table the snapshots it was read from and to.
    snapshot : int or None
        The snapshot the run made; None when it wrote nothing.
    rows_read, rows_written, rows_deleted : int
        Rows. A row that changed counts as written once.
    seconds : float
        Wall time.
    status : {"ok", "failed"}
    error : str or None
    details : dict
        What this kind of run says beyond that.
    """

    name: str
    kind: str
    mode: Mode = "full"
    reason: str = ""
    inputs: Mapping[str, tuple[int | None, int]] = field(default_factory=dict)
    snapshot: int | None = None
    rows_read: int = 0
    rows_written: int = 0
    rows_deleted: int = 0
    seconds: float = 0.0
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def failed(cls, name: str, kind: str, plan: Plan, error: Exception, seconds: float) -> Run:
        """Return the record of a run that was planned, and failed."""
        return cls(name, kind, plan.mode, plan.reason, seconds=seconds, status="failed", error=str(error))


class Derivation(Protocol):
    """Anything the store keeps up to date."""

    @property
    def name(self) -> str:
        """Its name, of which there is one in the store."""
        ...

    @property
    def kind(self) -> str:
        """Which of the four kinds it is."""
        ...

    @property
    def version(self) -> int:
        """Counts the definitions of the name."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tables it reads, qualified."""
        ...

    @property
    def output(self) -> str:
        """The table it writes, qualified."""
        ...

    @property
    def trigger(self) -> str:
        """When it is refreshed: the text of its WHEN clause."""
        ...

    @property
    def fingerprint(self) -> str:
        """The digest of its definition."""
        ...

    def plan(self, lake: Lake, *, full: bool = False) -> Plan:
        """Say what a refresh would do now; change nothing."""
        ...

    def refresh(self, lake: Lake, *, full: bool = False) -> Run:
        """Bring the output up to the head of the inputs, in one commit."""
        ...


def fingerprint(*parts: object) -> str:
    """Digest the parts of a definition: 16 hexadecimal digits of SHA-256 over their JSON.

    Examples
    --------
    >>> fingerprint("select 1", ("id",)) == fingerprint("select 1", ["id"])
    True
    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
