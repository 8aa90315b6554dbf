"""The kernel tells which stores it has open, so that the panel beside the notebook can show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.plain.running import kernel_id, tell_open

if TYPE_CHECKING:
    from workbench.store import Store


def kernel() -> str | None:
    """Return the id of the Jupyter kernel that this is; None in a shell."""
    file = _connection_file()
    return kernel_id(file) if file else None


class Presence:
    """Tells after each cell which stores are open, where that has changed."""

    def __init__(self, stores: Callable[[], Iterable[Store]]) -> None:
        self._stores = stores
        self._told: set[Path] = set()

    def tell(self, _result: Any = None) -> None:
        """Write the folders of the open stores beside the kernel's connection file."""
        folders = {store.folder for store in self._stores()}
        if folders == self._told:
            return
        file = _connection_file()
        if file:
            tell_open(file, folders)
        self._told = folders


def _connection_file() -> Path | None:
    try:
        from ipykernel.connect import get_connection_file

        return Path(get_connection_file())
    except (ImportError, RuntimeError):  # No ipykernel, or not the kernel of a notebook.
        return None
