"""A lineage graph as a drawing: layers from left to right, boxes, curved arrows, a legend.

The steps are pure: `layers` puts each box behind all it comes from, `order` sorts the boxes of a
layer so that few arrows cross, `place` gives coordinates, `draw` writes SVG.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from workbench.plain import Picture
from workbench.plain.text import cell_width

COLOURS: Mapping[str, str] = {
    "table": "#5f86b3",
    "query": "#8a6fc0",
    "transform": "#2f9e8f",
    "model": "#d08a2e",
    "binding": "#b0589a",
    "predictions": "#c9605a",
    "monitor": "#7f8b52",
    "column": "#7d8794",
    "artifact": "#7d8794",
}
"""One colour for each kind of box, readable on light and on dark."""

_OTHER = "#7d8794"
_HEIGHT, _SLOT, _GAP_X, _GAP_Y, _PAD = 40, 8, 56, 16, 8
_CHARACTER = 7.6
_NARROWEST, _WIDEST = 84, 240

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node stands, or the empty slot that an arrow passes through."""

    name: str
    kind: str
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The height at which arrows arrive and leave."""
        return self.y + self.height / 2


def layers(nodes: Sequence[str], edges: Iterable[Edge]) -> dict[str, int]:
    """Count the longest path to each node; an edge that closes a cycle is left out.

    Examples
    --------
    >>> layers(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
    {'a': 0, 'b': 1, 'c': 2}
    """
    known = set(nodes)
    parents: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        if source in known and target in known and source != target:
            parents[target].append(source)
    depth: dict[str, int] = {}
    for name in nodes:
        _visit(name, parents, depth, set())
    return {name: depth[name] for name in nodes}


def _visit(name: str, parents: Mapping[str, list[str]], depth: dict[str, int], open_: set[str]) -> int:
    if name not in depth:
        open_.add(name)
        below = [_visit(parent, parents, depth, open_) for parent in parents[name] if parent not in open_]
        open_.discard(name)
        depth[name] = max(below, default=-1) + 1
    return depth[name]


def order(depth: Mapping[str, int], edges: Sequence[Edge], *, rounds: int = 4) -> list[list[str]]:
    """Sort the nodes of each layer by the mean place of their neighbours, back and forth.

    Examples
    --------
    >>> order({"a": 0, "b": 0, "x": 1, "y": 1}, [("a", "y"), ("b", "x")])
    [['a', 'b'], ['y', 'x']]
    """
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in depth:
        rows[depth[name]].append(name)
    before: dict[str, list[str]] = {name: [] for name in depth}
    after: dict[str, list[str]] = {name: [] for name in depth}
    for source, target in edges:
        if source in depth and target in depth:
            before[target].append(source)
            after[source].append(target)
    for turn in range(rounds):
        place = _places(rows)
        forth = turn % 2 == 0
        for row in rows if forth else reversed(rows):
            _sort(row, before if forth else after, place)
    return rows


def _sort(row: list[str], neighbours: Mapping[str, list[str]], place: dict[str, float]) -> None:
    row.sort(key=lambda name: _mean([place[each] for each in neighbours[name]], place[name]))
    place.update(_places([row]))


def _places(rows: Iterable[Sequence[str]]) -> dict[str, float]:
    """Where in its row each node is, from 0 to 1, so that rows of different length compare."""
    return {name: (i + 0.5) / len(row) for row in rows for i, name in enumerate(row)}


def _mean(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def place(picture: Picture) -> tuple[list[Box], list[list[Box]], float, float]:
    """Give each node its box and each arrow its way; returns both and the size of the whole.

    An arrow over several layers gets an empty slot in each layer between, so that it passes
    between the boxes and not behind them. Its way is the boxes and slots it runs through.
    """
    kinds = {node.name: node.kind for node in picture.nodes}
    depth = layers(list(kinds), picture.edges)
    edges = [edge for edge in picture.edges if edge[0] in kinds and edge[1] in kinds and edge[0] != edge[1]]
    ways = {edge: [edge[0], *_slots(edge, depth), edge[1]] for edge in edges}
    everything = depth | {
        name: depth[way[0]] + i for way in ways.values() for i, name in enumerate(way) if name not in depth
    }
    steps = [(one, two) for way in ways.values() for one, two in itertools.pairwise(way)]
    rows = order(everything, steps)
    heights = [sum(_height(name, kinds) + _GAP_Y for name in row) - _GAP_Y for row in rows]
    tallest = max(heights, default=0)
    boxes: dict[str, Box] = {}
    x: float = _PAD
    for row, height in zip(rows, heights, strict=True):
        width = max(_width(name) for name in row if name in kinds)
        y = _PAD + (tallest - height) / 2
        for name in row:
            boxes[name] = Box(name, kinds.get(name, ""), x, y, width, _height(name, kinds))
            y += boxes[name].height + _GAP_Y
        x += width + _GAP_X
    drawn = [boxes[name] for name in kinds]
    return (
        drawn,
        [[boxes[name] for name in way] for way in ways.values()],
        x - _GAP_X + _PAD,
        tallest + 2 * _PAD,
    )


def _slots(edge: Edge, depth: Mapping[str, int]) -> list[str]:
    source, target = edge
    return [f"{source}\0{target}\0{layer}" for layer in range(depth[source] + 1, depth[target])]


def _height(name: str, kinds: Mapping[str, str]) -> float:
    return _HEIGHT if name in kinds else _SLOT


def _width(name: str) -> float:
    return min(_WIDEST, max(_NARROWEST, cell_width(name) * _CHARACTER + 26))


def draw(picture: Picture) -> str:
    """Write the picture as inline SVG.

    Examples
    --------
    >>> from workbench.plain.blocks import Node
    >>> "&lt;b&gt;" in draw(Picture((Node("<b>"),), ()))
    True
    """
    boxes, ways, width, height = place(picture)
    if not boxes:
        return ""
    legend, legend_width = _legend([box.kind for box in boxes], height + 6)
    width, height = max(width, legend_width), height + 24
    arrows = "".join(_arrow(way, dashed=(way[0].name, way[-1].name) in picture.dashed) for way in ways)
    shapes = "".join(_box(box, focus=box.name == picture.focus) for box in boxes)
    words = escape("; ".join(f"{source} to {target}" for source, target in picture.edges))
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return (
        f'<svg class="mls-picture" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{words}" '
        f'{size} fill="currentColor">{arrows}{shapes}{legend}</svg>'
    )


def _colour(kind: str) -> str:
    return COLOURS.get(kind.lower(), _OTHER)


def _box(box: Box, *, focus: bool) -> str:
    colour, x = _colour(box.kind), box.x + 12
    return (
        f'<g data-node="{escape(box.name)}"><title>{escape(f"{box.kind} {box.name}")}</title>'
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="7" '
        f'fill="{colour}" fill-opacity="{0.3 if focus else 0.13}" stroke="{colour}" '
        f'stroke-width="{2.2 if focus else 1.2}"/>'
        f'<text x="{x:.1f}" y="{box.y + 17:.1f}" font-size="12.5" font-weight="600">'
        f"{escape(_fit(box.name, box.width))}</text>"
        f'<text x="{x:.1f}" y="{box.y + 31:.1f}" font-size="10.5" class="mls-faint">'
        f"{escape(box.kind)}</text></g>"
    )


def _fit(name: str, width: float) -> str:
    room = int((width - 24) / _CHARACTER)
    return name if cell_width(name) <= room + 1 else name[: room - 1] + "…"


def _arrow(way: Sequence[Box], *, dashed: bool) -> str:
    parts = [f"M{way[0].x + way[0].width:.1f} {way[0].middle:.1f}"]
    for one, two in itertools.pairwise(way):
        x1, x2 = one.x + one.width, two.x - (6 if two is way[-1] else 0)
        bend = max(24.0, (x2 - x1) / 2)
        parts.append(
            f"C{x1 + bend:.1f} {one.middle:.1f} {x2 - bend:.1f} {two.middle:.1f} {x2:.1f} {two.middle:.1f}"
        )
        if two is not way[-1]:
            parts.append(f"H{two.x + two.width:.1f}")
    x, y = way[-1].x - 1, way[-1].middle
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    line = f'd="{"".join(parts)}" fill="none" stroke="currentColor" stroke-opacity=".42" stroke-width="1.3"'
    ends = escape(json.dumps([way[0].name, way[-1].name]))
    tip = f'<path d="M{x:.1f} {y:.1f}l-7 -3.6v7.2z" fill="currentColor" fill-opacity=".6"/>'
    return f'<g data-edge="{ends}"><path {line}{dash}/>{tip}</g>'


def _legend(kinds: Sequence[str], y: float) -> tuple[str, float]:
    parts: list[str] = []
    x: float = _PAD
    for kind in dict.fromkeys(kinds):
        colour = _colour(kind)
        parts.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="10" height="10" rx="3" '
            f'fill="{colour}" fill-opacity=".3" stroke="{colour}"/>'
            f'<text x="{x + 15:.0f}" y="{y + 9:.0f}" font-size="10.5" class="mls-faint">{escape(kind)}</text>'
        )
        x += 15 + len(kind) * 6.2 + 16
    return "".join(parts), x
