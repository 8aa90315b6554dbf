"""Load files, frames and expressions into tables of the lake."""

from workbench.ingest.load import Load, append, load, merge

__all__ = ["Load", "append", "load", "merge"]
