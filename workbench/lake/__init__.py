"""The versioned tables: one DuckLake, its snapshots, changes, keys and records."""

from workbench.lake.changes import ChangeSet
from workbench.lake.exploration import Exploration
from workbench.lake.lake import Lake, Transaction
from workbench.lake.result import Result
from workbench.lake.snapshots import Snapshot
from workbench.lake.tables import TableInfo

__all__ = ["ChangeSet", "Exploration", "Lake", "Result", "Snapshot", "TableInfo", "Transaction"]
