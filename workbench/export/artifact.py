"""Write a query's rows to a file that is either whole or not there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engines.duckdb import Cursor, execute
from workbench.errors import InvalidData, NotFound, Unsupported, below
from workbench.export.flat import flat_columns
from workbench.names import literal, quote_all
from workbench.progress import step

if TYPE_CHECKING:
    from workbench.lake import Lake

FORMATS = {
    "csv": "FORMAT csv, HEADER true",
    "jsonl": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
"""Formats, and how DuckDB's COPY writes each."""

FLAT = ("csv",)
"""Formats whose columns hold single values."""

_PLANNED = ("arrow", "libsvm", "tfrecord", "recordio")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file written from a snapshot.

    Attributes
    ----------
    path : Path
    format : str
    rows : int
    sha256 : str
        Of the file's bytes, in hexadecimal.
    source : str
        What was exported.
    snapshot : int
        The snapshot it was read at.
    """

    path: Path
    format: str
    rows: int
    sha256: str
    source: str
    snapshot: int
    seconds: float = 0.0


def export(
    lake: Lake,
    query: str,
    to: str | Path,
    *,
    source: str,
    file_format: str,
    at: int | None = None,
    label: str | None = None,
    features: Sequence[str] | None = None,
) -> Artifact:
    """Write the rows of `query` to the file `to`.

    Parameters
    ----------
    source : str
        What the query stands for, as recorded in the artifact.
    file_format : {"csv", "jsonl", "parquet"}
    at : int or None
        The snapshot to read at; None means the newest.
    label, features : str, sequence of str
        Write only these columns, the label first.

    Raises
    ------
    NotFound
        If there is no such column or format.
    InvalidData
        If the folder does not exist or cannot be written.
    """
    options, flat = _options(file_format), file_format in FLAT
    path = Path(to).expanduser()
    clock = time.perf_counter()
    with step(f"Exporting {path.name}"):
        if at is not None:
            with lake.at(at) as cursor:
                rows = _copy(cursor, query, path, options, label, features, flat=flat)
            snapshot = at
        else:
            with lake.pinned() as (cursor, snapshot):
                rows = _copy(cursor, query, path, options, label, features, flat=flat)
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return Artifact(path, file_format, rows, digest, source, snapshot, time.perf_counter() - clock)


def _options(file_format: str) -> str:
    if file_format in FORMATS:
        return FORMATS[file_format]
    if file_format in _PLANNED:
        raise Unsupported(
            f"The format {file_format} is not there yet.", hint=f"There is: {', '.join(FORMATS)}."
        )
    raise NotFound.named("format", file_format, (*FORMATS, *_PLANNED))


def _copy(
    cursor: Cursor,
    query: str,
    path: Path,
    options: str,
    label: str | None,
    features: Sequence[str] | None,
    *,
    flat: bool,
) -> int:
    """Write to a file beside the target first, so that a stop leaves no half of it."""
    if not path.parent.is_dir():
        raise InvalidData(f"There is no folder {path.parent}.", hint="Make it, or export to another place.")
    if path.is_dir():
        raise InvalidData(f"{path} is a folder.", hint="Name a file in it.")
    columns = _columns(cursor, query, label, features)
    listed = flat_columns(cursor, query, columns) if flat else quote_all(columns)
    part = path.with_name(f".{path.name}.part")
    try:
        row = execute(
            cursor, f"COPY (SELECT {listed} FROM ({query}\n)) TO {literal(str(part))} ({options})"
        ).fetchone()
        part.replace(path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    return int(row[0]) if row else 0


def _columns(cursor: Cursor, query: str, label: str | None, features: Sequence[str] | None) -> list[str]:
    with below(1):
        present = [row[0] for row in execute(cursor, f"DESCRIBE SELECT * FROM (\n{query}\n)").fetchall()]
    chosen = list(features) if features is not None else [column for column in present if column != label]
    wanted = ([label] if label is not None else []) + chosen
    for column in wanted:
        if column not in present:
            raise NotFound.named("column", column, present)
    return wanted
