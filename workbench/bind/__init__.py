"""Models bound to columns: predictions beside the data, and `predict()` in SQL."""

from workbench.bind.create import create_binding
from workbench.bind.definition import Binding, bindings, bindings_in, find_binding, within
from workbench.bind.functions import expand_predictions, reads_predictions
from workbench.bind.limits import Limits
from workbench.bind.source import hide_binding
from workbench.bind.view import follow_columns
from workbench.bind.why import causes

__all__ = [
    "Binding",
    "Limits",
    "bindings",
    "bindings_in",
    "causes",
    "create_binding",
    "expand_predictions",
    "find_binding",
    "follow_columns",
    "hide_binding",
    "reads_predictions",
    "within",
]
