"""Write many rows of a table into a file of their own while they are made, for a commit to take over.

The engine's INSERT takes more than twice as long where a text is the same in all rows, and it can only
begin when the last row is there (https://ducklake.select/docs/stable/duckdb/metadata/adding_files).
"""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from workbench.engines.duckdb import execute
from workbench.errors import StoreFull, WorkbenchError
from workbench.lake.catalog import ask
from workbench.lake.folder import DATA
from workbench.names import literal

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake.lake import Lake, Transaction
    from workbench.lake.tables import TableInfo

_GROUP_ROWS = 122_880  # as many as a row group of the engine's own files has

# Types that are the same in the lake, in Arrow and in a file, by Arrow's names for them.
_TYPES = {
    "BOOLEAN": "bool",
    "TINYINT": "int8",
    "SMALLINT": "int16",
    "INTEGER": "int32",
    "BIGINT": "int64",
    "UBIGINT": "uint64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "DATE": "date32",
    "TIMESTAMP WITH TIME ZONE": "timestamp[us]",
}
_ENCODINGS = {
    "INTEGER": "DELTA_BINARY_PACKED",
    "BIGINT": "DELTA_BINARY_PACKED",
    "FLOAT": "BYTE_STREAM_SPLIT",
    "DOUBLE": "BYTE_STREAM_SPLIT",
}

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# DuckLake puts the files of a table with another name into a folder that is not called like it.
_PLAIN = re.compile(r"[A-Za-z0-9_]+")


class RowFile:
    """Rows of a table on their way into it.

    Parameters
    ----------
    lake : Lake
    table : TableInfo
        One that `can_take` rows in this way.
    repeated : collection of str
        The columns in which few values come again and again.
    """

    def __init__(self, lake: Lake, table: TableInfo, repeated: Collection[str]) -> None:
        import pyarrow.parquet as pq

        self._lake, self._table = lake, table
        folder = lake.folder / DATA / table.schema / table.name
        folder.mkdir(parents=True, exist_ok=True)
        # Called as the engine calls its own.
        self._path = folder / f"ducklake-{uuid.uuid4()}.parquet"
        self._schema = _schema(table, repeated)
        self._parts: list[pa.RecordBatch] = []
        self._waiting = 0
        self._offered = False
        self._writer = pq.ParquetWriter(
            str(self._path),
            self._schema,
            use_dictionary=list(repeated),
            column_encoding={
                name: _ENCODINGS[kind]
                for name, kind in table.columns.items()
                if kind in _ENCODINGS and name not in repeated
            },
            store_schema=False,
            # With statistics of all columns: DuckLake finds no row by one that has none, once others came.
        )

    @staticmethod
    def can_take(table: TableInfo) -> bool:
        """Say whether rows of a table can be written in this way."""
        return bool(_PLAIN.fullmatch(table.name)) and set(table.columns.values()) <= _TYPES.keys()

    def write(self, columns: Sequence[pa.Array]) -> None:
        """Add rows, given as the columns of the table; a repeated text as a dictionary of INT8.

        Raises
        ------
        StoreFull
            If there is no space for them.
        """
        import pyarrow as pa

        part = pa.RecordBatch.from_arrays(list(columns), schema=self._schema)
        self._parts.append(part)
        self._waiting += part.num_rows
        if self._waiting >= _GROUP_ROWS:
            self._write_group()

    def attach(self, tx: Transaction) -> None:
        """Make the rows those of the table, as part of the commit `tx`.

        Raises
        ------
        StoreFull
            If there is no space for the last of them.
        """
        self._write_group()
        with _said_full():
            self._writer.close()
        self._offered = True
        name, schema, path = literal(self._table.name), literal(self._table.schema), literal(str(self._path))
        execute(tx.cursor, f"CALL ducklake_add_data_files('lake', {name}, {path}, schema => {schema})")

    def discard(self) -> None:
        """Remove the file, unless a commit has taken it over."""
        with suppress(OSError):
            self._writer.close()
        # Whoever was interrupted in a commit cannot know whether it came to its end.
        if not (self._offered and self._is_known()):
            self._path.unlink(missing_ok=True)

    def _is_known(self) -> bool:
        """Ask the catalog for the file; where it cannot be asked, better a file too many than one too few."""
        known = f"SELECT 1 FROM ducklake_data_file WHERE path LIKE {literal('%' + self._path.name)}"
        try:
            return bool(ask(self._lake.cursor(), known))
        except WorkbenchError:
            return True

    def _write_group(self) -> None:
        import pyarrow as pa

        if self._parts:
            with _said_full():
                self._writer.write_table(pa.Table.from_batches(self._parts))
            self._parts, self._waiting = [], 0


def _schema(table: TableInfo, repeated: Collection[str]) -> pa.Schema:
    import pyarrow as pa

    kinds = {name: _arrow_type(kind) for name, kind in table.columns.items()}
    texts = {name for name in repeated if pa.types.is_string(kinds[name])}
    return pa.schema(
        [(name, pa.dictionary(pa.int8(), kind) if name in texts else kind) for name, kind in kinds.items()]
    )


def _arrow_type(kind: str) -> pa.DataType:
    import pyarrow as pa

    name = _TYPES[kind]
    return pa.timestamp("us", "UTC") if name == "timestamp[us]" else pa.type_for_alias(name)


@contextmanager
def _said_full() -> Iterator[None]:
    """Say it as the store does if there is no space left, or none that we may use."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StoreFull.said(str(error)) from error
