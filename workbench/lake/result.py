"""The answer to a question: rows, with the snapshot they were read at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import Unsupported

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Rows (n × columns), in memory as Arrow.

    Attributes
    ----------
    snapshot : int or None
        The snapshot the rows were read at, or the one a write made.
    seconds : float
        Wall time of the query.
    query : str
        The SQL that was run; empty where the store made the rows itself.
    message : str
        What a write did, such as "3 rows inserted"; empty for a question.
    """

    table: pa.Table = field(repr=False)
    snapshot: int | None = None
    seconds: float = 0.0
    query: str = ""
    message: str = ""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.table.column_names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries; for small answers."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    def to_arrow(self) -> pa.Table:
        """Return the rows as a pyarrow.Table, without a copy."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas.DataFrame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars.DataFrame.

        Raises
        ------
        Unsupported
            If polars is not installed.
        """
        try:
            import polars
        except ImportError as error:
            raise Unsupported(
                "polars is not installed.", hint="Install it with: pip install 'mlstore[polars]'"
            ) from error
        frame = polars.from_arrow(self.table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    def to_ibis(self) -> ir.Table:
        """Return the rows as an Ibis table expression over these very rows."""
        import ibis

        return ibis.memtable(self.table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the rows to any library that speaks the Arrow C stream interface."""
        return self.table.__arrow_c_stream__(requested_schema)
