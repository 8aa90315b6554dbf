"""The built-in functions of transforms: `standardize`, `impute`, `one_hot` and others.

Each is a `Step`: which statistics it needs, and the SQL expression it becomes when they are known.
To add one, write its class in a module here and put an instance into `STEPS`.
"""

from __future__ import annotations

from workbench.transform.steps.categories import OneHot
from workbench.transform.steps.dates import Cyclical, DateParts
from workbench.transform.steps.missing import Impute
from workbench.transform.steps.scaling import Standardize
from workbench.transform.steps.step import State, Step, Value

__all__ = ["STEPS", "State", "Step", "Value"]

STEPS: dict[str, Step] = {
    step.name: step for step in (Standardize(), Impute(), OneHot(), DateParts(), Cyclical())
}
"""The steps by name, the way the functions are called in SQL."""
