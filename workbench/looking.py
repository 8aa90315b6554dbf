"""What the Store shows to be looked at, page by page or in a form; a part of `Store`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from workbench.asking import Asking
from workbench.building import Builder, build
from workbench.lake import Exploration, Result
from workbench.lake.history import snapshot_at
from workbench.names import Ref
from workbench.queries import explore
from workbench.transform import Transform

if TYPE_CHECKING:
    import ibis.expr.types as ir


class Looking(Asking):
    """Tables to look through, and transforms to put together; a part of `Store`."""

    transform: Callable[..., Transform]

    def explore(self, source: str | Result | ir.Table, at: int | str | datetime | None = None) -> Exploration:
        """Look at a table of any size, or at the rows of a query, page by page.

        In a notebook it shows itself as a table to scroll, sort and filter.

        Parameters
        ----------
        source : str, Result or ibis.Table
            A table, `name@version`, a query, or rows that are there already.
        at : int, str, datetime or None
            A snapshot, or a time.

        Raises
        ------
        NotFound
            If there is no such table.
        """
        moment = None if at is None else snapshot_at(self._lake, at)

        def snapshot_of(ref: Ref) -> int | None:
            return self._snapshot_of(ref) if moment is None else moment

        def run(query: str, snapshot: int | None) -> Result:
            return self.sql(query, at=moment if snapshot is None else snapshot)

        return explore(self._lake, source, snapshot_of, run)

    def build(self, table: str) -> Builder:
        """Put a transform together from the columns of a table and the built-in functions.

        In a notebook it shows itself as a form with a preview; nothing is made before *Create*.

        Parameters
        ----------
        table : str
            A table, a transform or a named query.

        Raises
        ------
        NotFound
            If there is no such table.

        Examples
        --------
        >>> import workbench
        >>> store = workbench.connect(getfixture("tmp_path") / "store")
        >>> run = store.load("pets", [{"id": 1, "age": 3}, {"id": 2, "age": None}], key="id")
        >>> builder = store.build("pets")
        >>> builder.preview().rows.num_rows
        2
        >>> builder.create().name
        'pets_features'
        >>> store.close()
        """
        name = self._lake.tables.resolve(table).qualified
        return build(self._lake, self.explore(name), name, self.transform)
