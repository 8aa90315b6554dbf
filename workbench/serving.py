"""What the Store offers to those who serve its bindings; a part of `Store`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.bind import bindings, find_binding
from workbench.bind.endpoint import Endpoint
from workbench.lake import Lake


class Serving:
    """Bound models that can be asked from outside, and the record of who asked; a part of `Store`."""

    _lake: Lake

    def head(self) -> int:
        """Return the id of the newest snapshot."""
        return self._lake.head()

    def bindings(self) -> list[str]:
        """List the bindings by the name of their side table, as in `trips__fare`."""
        return [each.name for each in bindings(self._lake)]

    def endpoint(self, binding: str, isolate: str | None = None) -> Endpoint:
        """Return a binding, by the name of its side table, with its model ready to be asked.

        Parameters
        ----------
        isolate : str or None
            Where the model runs, if not where the binding says.

        Raises
        ------
        NotFound
            If there is no such binding, or no such model any more.
        """
        return Endpoint(self._lake, find_binding(self._lake, binding), isolate)

    def record_requests(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append to `mlstore.requests`, in one commit."""
        with self._lake.commit("log requests") as tx:
            self._lake.records.append(tx, "requests", rows)
