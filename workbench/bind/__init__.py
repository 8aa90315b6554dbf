"""Models bound to columns: predictions beside the data, and `predict()` in SQL."""

from workbench.bind.definition import Binding, bindings, find_binding
from workbench.bind.functions import expand_predictions, reads_predictions
from workbench.bind.refresh import create_binding

__all__ = [
    "Binding",
    "bindings",
    "create_binding",
    "expand_predictions",
    "find_binding",
    "reads_predictions",
]
