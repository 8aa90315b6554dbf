"""The noun Lineage: what a table, column or model is made from, and what is made from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ANY = "*"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Mermaid's brackets, one shape for each kind.
_SHAPES = {
    "table": ('[("', '")]'),
    "query": ('["', '"]'),
    "transform": ('["', '"]'),
    "model": ('{{"', '"}}'),
    "binding": ('(["', '"])'),
    "predictions": ('[("', '")]'),
}


@dataclass(frozen=True, slots=True)
class Node:
    """A thing in the graph.

    Attributes
    ----------
    name : str
        As the user calls it: tables, queries, transforms and models by their plain name.
    kind : {"table", "query", "transform", "model", "binding", "predictions"}
        "predictions" is the view of a table with its bindings.
    columns : tuple of str
        The columns it has, as far as they are known.
    query : str
        Its definition, where it has one.
    defined_at : datetime or None
    """

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    query: str = ""
    defined_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ColumnPair:
    """A column and one that it goes into; `kind` is 'value', 'filter', 'join' or 'group'.

    '*' stands for any column: as `target` of what decides on rows, as `source` where only the
    table is known.
    """

    source: str
    target: str
    kind: str


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` reads `source`, by these pairs of columns."""

    source: str
    target: str
    columns: tuple[ColumnPair, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the pairs, each once."""
        return tuple(dict.fromkeys(pair.kind for pair in self.columns))


@dataclass(frozen=True, slots=True)
class Lineage:
    """The graph around one thing.

    Attributes
    ----------
    name : str
        What was asked for, `column` included.
    nodes : tuple of Node
        Sources before what is made from them.
    edges : tuple of Edge
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    column: str | None = None

    @property
    def root(self) -> str:
        """The name of the node that was asked for."""
        return self.name.rpartition(".")[0] if self.column else self.name

    @property
    def upstream(self) -> tuple[str, ...]:
        """All that it is made from, nearest first."""
        return reach(self.root, [(edge.target, edge.source) for edge in self.edges])

    @property
    def downstream(self) -> tuple[str, ...]:
        """All that is made from it, nearest first."""
        return reach(self.root, [(edge.source, edge.target) for edge in self.edges])

    def to_mermaid(self) -> str:
        """Draw the graph in Mermaid's language; a dotted arrow passes on no values.

        Examples
        --------
        >>> nodes = (Node("flights", "table"), Node("daily", "transform"))
        >>> edge = Edge("flights", "daily", (ColumnPair("day", "*", "group"),))
        >>> print(Lineage("daily", nodes, (edge,)).to_mermaid())
        flowchart LR
            n0[("flights<br/>table")]
            n1["daily<br/>transform"]
            n0 -.-> n1
        """
        numbers = {node.name: f"n{number}" for number, node in enumerate(self.nodes)}
        lines = ["flowchart LR"]
        for node in self.nodes:
            left, right = _SHAPES.get(node.kind, _SHAPES["query"])
            lines.append(f"    {numbers[node.name]}{left}{_escape(node.name)}<br/>{node.kind}{right}")
        for edge in self.edges:
            arrow = "-->" if "value" in edge.kinds or not edge.columns else "-.->"
            lines.append(f"    {numbers[edge.source]} {arrow} {numbers[edge.target]}")
        return "\n".join(lines)

    def to_openlineage(self, namespace: str = "mlstore") -> list[dict[str, Any]]:
        """Return the graph as OpenLineage 2-0-2 events.

        What has a definition is a JobEvent, with its inputs, and its output with the columnLineage
        facet; what has none is a DatasetEvent. Events are in the order of the nodes, which is one
        in which they can be sent.
        """
        from workbench.lineage.openlineage import events

        return events(self, namespace)

    def latest(self) -> datetime:
        """Return when the newest definition was made; the epoch where there is none."""
        return max((node.defined_at for node in self.nodes if node.defined_at), default=_EPOCH)


def reach(start: str, steps: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Name what can be reached from `start`, nearest first.

    Examples
    --------
    >>> reach("a", [("a", "b"), ("b", "c"), ("c", "a"), ("x", "a")])
    ('b', 'c')
    """
    found: dict[str, None] = {}
    front: list[str] = [start]
    while front:
        following = [after for name in front for before, after in steps if before == name]
        front = [name for name in dict.fromkeys(following) if name not in found and name != start]
        found |= dict.fromkeys(front)
    return tuple(found)


def in_order(nodes: Iterable[Node], edges: Sequence[Edge]) -> tuple[Node, ...]:
    """Sort nodes so that each comes after its sources, else by name; cycles don't matter."""
    pending = sorted(nodes, key=lambda node: node.name)
    sorted_nodes: list[Node] = []
    while pending:
        names = {node.name for node in pending}
        waiting = {edge.target for edge in edges if edge.source in names and edge.source != edge.target}
        ready = [node for node in pending if node.name not in waiting] or pending[:1]
        sorted_nodes += ready
        pending = [node for node in pending if node not in ready]
    return tuple(sorted_nodes)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;")
