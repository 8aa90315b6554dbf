"""The lineage graph: pan, zoom, what is up- and downstream of a box, its columns, its description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.notebook import html
from workbench.notebook.picture import draw
from workbench.notebook.widgets.base import Widget, script, style
from workbench.plain import Picture, blocks

if TYPE_CHECKING:
    from workbench.lineage import Lineage
    from workbench.store import Store


class Graph(Widget):
    """What `lineage` found, as a graph to walk through."""

    _esm = script("lineage")
    _css = style()

    def __init__(self, lineage: Lineage, store: Store | None = None) -> None:
        self._store = store
        picture = next(block for block in blocks(lineage) if isinstance(block, Picture))
        super().__init__(
            {
                "name": lineage.name,
                "root": lineage.root,
                "svg": draw(picture),
                "nodes": [
                    {"name": node.name, "kind": node.kind, "columns": list(node.columns), "query": node.query}
                    for node in lineage.nodes
                ],
                "edges": [
                    {
                        "source": edge.source,
                        "target": edge.target,
                        "columns": [[pair.source, pair.target, pair.kind] for pair in edge.columns],
                    }
                    for edge in lineage.edges
                ],
                "describes": store is not None,
            }
        )

    def answer_describe(self, name: str) -> str:
        """Return the description of a box as HTML."""
        assert self._store is not None
        return html.render(blocks(self._store.describe(name)))
