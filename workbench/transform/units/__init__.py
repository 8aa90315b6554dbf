"""By which units a query falls apart, and which of them a change touches: the planner of refreshes."""

from workbench.transform.units.division import Division, Steps, divide
from workbench.transform.units.flow import Changes, Source, Surroundings, Undivided, image_name

__all__ = ["Changes", "Division", "Source", "Steps", "Surroundings", "Undivided", "divide", "image_name"]
