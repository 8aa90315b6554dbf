"""Which models may be loaded on this machine: those that were trained here, or approved.

Most estimators are kept as pickles, and loading a pickle runs whatever code is in it. What XGBoost
writes itself is data, and asks for no approval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import trust
from workbench.train import registry, tracking
from workbench.trust import Unapproved

if TYPE_CHECKING:
    from workbench.lake import Lake


def unapproved(lake: Lake) -> list[Unapproved]:
    """List the versions of models that may not be loaded here, those of MLflow's registry included."""
    found = []
    ours = set()
    for name in registry.names(lake):
        for model in registry.find_versions(lake, name):
            ours.add(model.mlflow_run_id)
            folder = lake.folder / model.model_uri
            if tracking.is_pickled(folder):
                text = f"# {model.algorithm}, a pickle in {model.model_uri}"
                digest = tracking.digest(folder)
                found.append(Unapproved("model", model.name, str(model.version), text, digest))
    for name, version, run in tracking.registered(lake.folder):
        if run not in ours:
            folder = tracking.foreign_folder(lake.folder, name, version)
            text = f"# a model of MLflow's registry, in {folder}"
            found.append(Unapproved("model", f"mlflow:{name}", version, text, tracking.digest(folder)))
    known = trust.approved()
    return [each for each in found if each.fingerprint not in known]
