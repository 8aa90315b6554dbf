"""What the Store offers to those who serve its bindings; a part of `Store`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.bind import Binding, bindings, find_binding
from workbench.bind.endpoint import Endpoint
from workbench.bind.predictors import resolve
from workbench.errors import WorkbenchError
from workbench.lake import Lake
from workbench.lake.kept import SCHEMA

_MADE_OF = (SCHEMA, "tables", "definitions", "models", "deployments")
"""What the lake knows of bindings, of their tables and of the models that were trained here."""


class Serving:
    """Bound models that can be asked from outside, and the record of who asked; a part of `Store`."""

    _lake: Lake

    def head(self) -> int:
        """Return the id of the newest snapshot."""
        return self._lake.head()

    def served(self) -> dict[str, object]:
        """Return, for each binding by the name of its side table, what its endpoint is made of.

        As long as that is equal, another endpoint would answer as the one before.
        """
        # The same object is returned until a commit changes one of these.
        known = self._lake.kept.get("served", _MADE_OF, None, lambda _: object())
        return {each.name: (each, known, self._outside(each)) for each in bindings(self._lake)}

    def _outside(self, binding: Binding) -> str:
        """Name the version of a model that is kept outside of the lake, which can change without a commit."""
        prefix, colon, _ = binding.model.partition(":")
        # The code of a function is read once by the process that runs it.
        if not colon or prefix == "py":
            return ""
        try:
            return resolve(self._lake, binding.model).ref
        except WorkbenchError as error:
            return str(error)

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

    def record_requests(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append to `mlstore.requests`, in one commit; a row has the values of its columns, JSON as text."""
        with self._lake.commit("log requests") as tx:
            self._lake.records.append_values(tx, "requests", rows)
