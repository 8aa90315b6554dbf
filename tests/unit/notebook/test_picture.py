"""The lineage picture: layers, order, places."""

from __future__ import annotations

import itertools

import noun_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from workbench.notebook.picture import draw, layers, order, place
from workbench.plain import Picture, blocks
from workbench.plain.blocks import Node

_NAMES = [f"n{i}" for i in range(8)]
_GRAPHS = st.lists(st.tuples(st.sampled_from(_NAMES), st.sampled_from(_NAMES)), unique=True, max_size=20)


def _picture(edges: list[tuple[str, str]]) -> Picture:
    return Picture(tuple(Node(name) for name in _NAMES), tuple(edges))


@given(_GRAPHS)
def test_arrows_point_to_the_right_where_there_is_no_cycle(edges: list[tuple[str, str]]) -> None:
    forward = [(a, b) for a, b in edges if a < b]
    depth = layers(_NAMES, forward)
    assert all(depth[a] < depth[b] for a, b in forward)


@given(_GRAPHS)
def test_any_graph_is_drawn_also_one_with_cycles(edges: list[tuple[str, str]]) -> None:
    boxes, ways, width, height = place(_picture(edges))
    assert {box.name for box in boxes} == set(_NAMES)
    assert all(box.x >= 0 and box.x + box.width <= width and box.y + box.height <= height for box in boxes)
    for one, two in itertools.combinations(boxes, 2):
        assert one.x + one.width <= two.x or two.x + two.width <= one.x or abs(one.y - two.y) >= 40
    assert draw(_picture(edges)).count("<rect") == len(_NAMES) + 1
    assert len(ways) == len({edge for edge in edges if edge[0] != edge[1]})


def test_a_layer_is_ordered_so_that_arrows_do_not_cross() -> None:
    depth = {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1, "z": 1}
    rows = order(depth, [("a", "z"), ("b", "y"), ("c", "x")])
    assert rows == [["a", "b", "c"], ["z", "y", "x"]]


def test_long_arrows_pass_between_the_boxes() -> None:
    picture = Picture(tuple(map(Node, "abc")), (("a", "b"), ("b", "c"), ("a", "c")))
    boxes, ways, _, _ = place(picture)
    middle = next(box for box in boxes if box.name == "b")
    slot = next(way for way in ways if len(way) == 3 and way[1].name != "b")[1]
    assert slot.x == middle.x
    assert not middle.y <= slot.middle <= middle.y + middle.height


def test_a_lineage_names_all_its_boxes_and_kinds() -> None:
    (picture,) = blocks(samples.LINEAGE)
    assert isinstance(picture, Picture)
    text = draw(picture)
    for node in samples.LINEAGE.nodes:
        assert f">{node.name}</text>" in text and f">{node.kind}</text>" in text


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw(Picture((), ())) == ""
