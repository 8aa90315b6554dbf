"""Where data comes from: the graph of tables and columns, and the trace of one row."""

from workbench.lineage.build import build
from workbench.lineage.graph import ColumnPair, Edge, Lineage, Node
from workbench.lineage.trace import MOST_ROWS, Source, Trace, trace

__all__ = ["MOST_ROWS", "ColumnPair", "Edge", "Lineage", "Node", "Source", "Trace", "build", "trace"]
