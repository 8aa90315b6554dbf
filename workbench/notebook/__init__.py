"""The notebook's door: magics, displays, completion, progress. Only here is HTML made."""

from workbench.notebook.magics import load_ipython_extension

__all__ = ["load_ipython_extension"]
