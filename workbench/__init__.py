"""mlstore: an ML-native datastore that lives in a Jupyter notebook.

>>> import workbench
>>> store = workbench.connect(getfixture("tmp_path") / "store")
>>> store.sql("select 42 as answer").to_arrow()["answer"].to_pylist()
[42]
>>> store.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import (
    Conflict,
    Interrupted,
    InvalidData,
    InvalidRows,
    ModelError,
    NotFound,
    StatementError,
    StoreCorrupt,
    StoreFull,
    StoreVersion,
    Unsupported,
    WorkbenchError,
)
from workbench.ranges import Range

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.bind import Binding
    from workbench.building import Builder
    from workbench.derivation import Run
    from workbench.export import Artifact
    from workbench.lake import ChangeSet, Exploration, Lake, Result, Snapshot
    from workbench.lineage import Lineage, Trace
    from workbench.store import Store
    from workbench.train import Model
    from workbench.transform import Query, Transform

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "Binding",
    "Builder",
    "ChangeSet",
    "Conflict",
    "Exploration",
    "Interrupted",
    "InvalidData",
    "InvalidRows",
    "Lake",
    "Lineage",
    "Model",
    "ModelError",
    "NotFound",
    "Query",
    "Range",
    "Result",
    "Run",
    "Snapshot",
    "StatementError",
    "Store",
    "StoreCorrupt",
    "StoreFull",
    "StoreVersion",
    "Trace",
    "Transform",
    "Unsupported",
    "WorkbenchError",
    "connect",
    "load_ipython_extension",
]

# The nouns are looked up when they are first used, so that importing this package stays light.
_NOUNS = {
    "Artifact": "workbench.export",
    "Binding": "workbench.bind",
    "Builder": "workbench.building",
    "ChangeSet": "workbench.lake",
    "Exploration": "workbench.lake",
    "Lake": "workbench.lake",
    "Lineage": "workbench.lineage",
    "Model": "workbench.train",
    "Query": "workbench.transform",
    "Result": "workbench.lake",
    "Run": "workbench.derivation",
    "Snapshot": "workbench.lake",
    "Store": "workbench.store",
    "Trace": "workbench.lineage",
    "Transform": "workbench.transform",
}


def connect(url: str | Path | None = None) -> Store:
    """Open the store in a folder, or make one there.

    Parameters
    ----------
    url : str, Path or None
        The folder; None means `./mlstore`.

    Raises
    ------
    StoreCorrupt
        If the folder holds something else, or cannot be written.
    StoreVersion
        If a newer version of this package made the store.
    """
    from workbench.lake import Lake
    from workbench.store import Store

    def execute(store: Store, statement: str, variables: Any) -> object:
        from workbench import language

        return language.execute(store, statement, variables=variables)

    return Store(Lake.open(url), execute)


def load_ipython_extension(ipython: Any) -> None:
    """Make the magics `%mlstore` and `%%mlstore`; IPython calls this for `%load_ext workbench`."""
    from workbench.notebook import load_ipython_extension as load

    load(ipython)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "workbench"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Answer JupyterLab; the Jupyter server calls this when it starts."""
    from workbench.server import load_jupyter_server_extension as load

    load(server)


def __getattr__(name: str) -> Any:
    if name in _NOUNS:
        from importlib import import_module

        return getattr(import_module(_NOUNS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
