"""Where a model runs: in this process, or in one of its own that can take nothing else with it."""

from workbench.bind.isolation.choose import default_isolation, describe_isolation, open_predictor
from workbench.bind.isolation.warm import stop_workers

__all__ = ["default_isolation", "describe_isolation", "open_predictor", "stop_workers"]
