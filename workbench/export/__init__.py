"""Files written from the store, each with where it came from."""

from workbench.export.artifact import FORMATS, Artifact, export

__all__ = ["FORMATS", "Artifact", "export"]
