"""Which models may be loaded on this machine: those that were trained here, or approved.

Most estimators are kept as pickles, and loading a pickle runs whatever code is in it. What XGBoost
writes itself is data, and asks for no approval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import trust
from workbench.errors import ModelError
from workbench.train import foreign, model_files, packaged_models, registry
from workbench.trust import Unapproved

if TYPE_CHECKING:
    from workbench.lake import Lake


def unapproved(lake: Lake) -> list[Unapproved]:
    """List the versions of models that may not be loaded here, those of others in its MLflow included."""
    found = []
    ours = set()
    for name in registry.names(lake):
        for model in registry.find_versions(lake, name):
            ours.add(model.mlflow_run_id)
            folder = lake.folder / model.model_uri
            if model_files.is_pickled(folder):
                text = f"# {model.algorithm}, a pickle in {model.model_uri}"
                digest = model_files.digest(folder)
                found.append(Unapproved("model", model.name, str(model.version), text, digest))
    for name, version, run in packaged_models.registered(lake.folder):
        if run not in ours:
            try:
                folder = packaged_models.fetch(lake.folder, name, version)
            except ModelError:  # Its files are gone: there is nothing to run.
                continue
            text = f"# a model of MLflow's registry, in {folder}"
            found.append(Unapproved("model", f"mlflow:{name}", version, text, model_files.digest(folder)))
    listed = {each.fingerprint for each in found}
    for run, name, folder in foreign.logged(lake.folder, ours):
        digest = model_files.digest(folder)
        if run not in ours and digest not in listed:
            text = f"# a model that a run of MLflow logged, in {folder}"
            found.append(Unapproved("model", f"mlflow:runs:/{run}/{name}", "1", text, digest))
    known = trust.approved()
    return [each for each in found if each.fingerprint not in known]
