"""When derivations are refreshed, and in which order."""

from workbench.schedule.evaluate import Decision
from workbench.schedule.refresher import after_write, downstream, in_order, refresh, upstream, waits_for
from workbench.schedule.state import decide
from workbench.schedule.triggers import check_names, check_trigger, parse_trigger

__all__ = [
    "Decision",
    "after_write",
    "check_names",
    "check_trigger",
    "decide",
    "downstream",
    "in_order",
    "parse_trigger",
    "refresh",
    "upstream",
    "waits_for",
]
