"""What goes over the wire to JupyterLab. `scripts/wire_types.py` makes TypeScript of it.

Every answer is an object with `data` and `problem`, one of which is null: a store that is busy or gone
is an answer, not a failure of the request. (A browser logs each failed request as an error.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.answers.profile import ColumnProfile, Count, Profile
from workbench.language import Completion
from workbench.language.about import About
from workbench.language.check import Mistake
from workbench.language.draft import Draft
from workbench.plain.parameters import Parameter
from workbench.plain.running import Running
from workbench.plain.templates import Template

__all__ = [
    "TYPES",
    "Badge",
    "Change",
    "Column",
    "Detail",
    "Drafts",
    "Fact",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "History",
    "Item",
    "NewNotebook",
    "Page",
    "Problem",
    "RunRow",
    "Runs",
    "StoreState",
    "Stores",
    "Templates",
    "Tree",
]

Kind = Literal["table", "query", "transform", "binding", "model"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no answer."""

    code: str
    message: str
    hint: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class StoreState:
    """A store: where it is, who has it open, what runs on it, and how it is.

    Attributes
    ----------
    id : str
        To be given back in requests.
    path : str
        From the server's folder where it lies in it, else absolute.
    folder : str
        Absolute.
    kernels : list
        Ids of the kernels that have it open.
    head : int or None
        The newest snapshot; whatever is shown of the store is out of date when this changes.
    """

    id: str
    name: str
    path: str
    folder: str
    kernels: tuple[str, ...]
    head: int | None
    problem: Problem | None
    running: tuple[Running, ...]


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores there are."""

    stores: tuple[StoreState, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `key` says whether it is part of the key, `number` whether it is shown to the right."""

    name: str
    type: str
    key: bool
    number: bool


@dataclass(frozen=True, slots=True)
class Badge:
    """What deserves to be noticed."""

    kind: Literal["fresh", "stale", "failed", "paused", "errors", "pending", "champion"]
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Item:
    """A thing in the tree.

    Attributes
    ----------
    name : str
        As requests and statements call it.
    rows : int or None
        None where counting would run a query.
    about : str
        A few words beside the name.
    """

    name: str
    kind: Kind
    rows: int | None
    about: str
    columns: tuple[Column, ...]
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """What is in a store at its newest snapshot, and a cell for each verb that is about all of it."""

    head: int
    items: tuple[Item, ...]
    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A short answer."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Detail:
    """What a thing is, and the cell that defines it (empty where nothing does)."""

    head: int
    item: Item
    facts: tuple[Fact, ...]
    statement: str


@dataclass(frozen=True, slots=True)
class Drafts:
    """A cell for each verb that can be said of a thing."""

    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows as text; `more` says whether there are others after them."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | None, ...], ...]
    offset: int
    more: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What a snapshot did to a thing; counts are None where it has no rows of its own."""

    snapshot: int
    time: str
    author: str
    message: str
    event: str
    inserts: int | None
    updates: int | None
    deletes: int | None


@dataclass(frozen=True, slots=True)
class History:
    """What happened to a thing, newest first; `more` says whether older changes were left out."""

    changes: tuple[Change, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A thing in a lineage; `level` counts from the sources, on the longest way."""

    name: str
    kind: str
    level: int


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """`target` reads `source`; `values` is false where it decides only on the rows."""

    source: str
    target: str
    values: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """What a thing is made from, and what is made from it."""

    root: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


@dataclass(frozen=True, slots=True)
class RunRow:
    """A load, refresh or training that is over."""

    name: str
    kind: str
    mode: str
    reason: str
    written: int
    deleted: int
    seconds: float
    failed: bool
    error: str
    started: str
    snapshot: int


@dataclass(frozen=True, slots=True)
class Runs:
    """The newest runs, newest first."""

    runs: tuple[RunRow, ...]


@dataclass(frozen=True, slots=True)
class Templates:
    """The notebooks that come with the package."""

    templates: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class NewNotebook:
    """Where a notebook was made, from the server's folder."""

    path: str


TYPES: tuple[type, ...] = (
    Problem,
    Running,
    StoreState,
    Stores,
    Column,
    Badge,
    Item,
    Draft,
    Tree,
    Fact,
    Detail,
    Drafts,
    Page,
    Count,
    ColumnProfile,
    Profile,
    Change,
    History,
    GraphNode,
    GraphEdge,
    Graph,
    RunRow,
    Runs,
    Parameter,
    Template,
    Templates,
    NewNotebook,
    Completion,
    About,
    Mistake,
)
"""All types that TypeScript is made of, each after those it uses."""
