"""Models: trained where the data is, versioned with it, and deployed through a gate."""

from workbench.train.definition import Training
from workbench.train.model import Model
from workbench.train.registry import champion, deploy, get, load, models, rollback, versions
from workbench.train.reproduce import reproduce
from workbench.train.training import train

__all__ = [
    "Model",
    "Training",
    "champion",
    "deploy",
    "get",
    "load",
    "models",
    "reproduce",
    "rollback",
    "train",
    "versions",
]
