"""When derivations are refreshed, and in which order."""

from workbench.schedule.refresher import after_write, downstream, in_order, refresh, upstream
from workbench.schedule.triggers import check_trigger

__all__ = ["after_write", "check_trigger", "downstream", "in_order", "refresh", "upstream"]
