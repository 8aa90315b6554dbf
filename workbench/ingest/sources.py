"""What rows can come from: files, URLs, Arrow, pandas, polars, Ibis, results, lists of dicts."""

from __future__ import annotations

import glob
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import Cursor, execute, fetch, load_extension
from workbench.engines.feed import feed
from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.names import literal

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake

READERS = {
    "csv": "read_csv",
    "tsv": "read_csv",
    "txt": "read_csv",
    "json": "read_json",
    "jsonl": "read_json",
    "ndjson": "read_json",
    "parquet": "read_parquet",
    "pq": "read_parquet",
    "arrow": "arrow",
    "feather": "arrow",
}
"""Formats by the file's ending, and what reads them."""

_INCOMING = "mlstore_incoming"
_COMPRESSED = (".gz", ".zst", ".bz2")


@contextmanager
def relation(
    lake: Lake, cursor: Cursor, source: object, file_format: str | None, options: Mapping[str, Any] | None
) -> Iterator[str]:
    """Give SQL that stands for the rows of `source` on `cursor`, for as long as the block runs.

    The cursor is to be closed after it.
    """
    if isinstance(source, str | Path):
        with _files(cursor, str(source), file_format, options or {}) as sql:
            yield sql
        return
    import pyarrow as pa

    # It is registered until the cursor is closed: to take it away asks the lake whether it is no table.
    rows = to_arrow(lake, source)
    if isinstance(rows, pa.RecordBatchReader):
        with feed(cursor, _INCOMING, rows.schema, rows):
            yield _INCOMING
        return
    cursor.register(_INCOMING, rows)
    yield _INCOMING


def read_rows(lake: Lake, source: object) -> pa.Table:
    """Read rows of any kind, from a file too, into memory.

    Raises
    ------
    InvalidData
        If it is nothing that holds rows.
    NotFound
        If there is no such file.
    """
    import pyarrow as pa

    if not isinstance(source, str | Path):
        rows = to_arrow(lake, source)
        return rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows
    cursor = lake.new_cursor()
    try:
        with relation(lake, cursor, source, None, None) as sql:
            return fetch(execute(cursor, f"FROM {sql}"))
    finally:
        cursor.close()


def to_arrow(lake: Lake, source: object) -> pa.Table | pa.RecordBatchReader:
    """Turn rows of any kind that is not a file into Arrow, without pandas where there is a way.

    Raises
    ------
    InvalidData
        If it is nothing that holds rows.
    """
    import pyarrow as pa

    if isinstance(source, pa.Table | pa.RecordBatchReader):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    if hasattr(source, "to_pyarrow") and hasattr(source, "schema"):
        return lake.ibis().to_pyarrow(source)
    if type(source).__module__.partition(".")[0] == "pandas":
        return pa.Table.from_pandas(source, preserve_index=False)
    if hasattr(source, "__arrow_c_stream__"):
        return pa.table(source)
    if isinstance(source, list) and all(isinstance(row, dict) for row in source):
        return _from_dicts(source)
    raise InvalidData(
        f"A {type(source).__name__} does not hold rows.",
        hint="Give a path, a URL, a pyarrow.Table, a pandas or polars frame, an Ibis expression or a Result.",
    )


def _from_dicts(rows: list[dict[str, Any]]) -> pa.Table:
    """Make a table whose columns are all keys of the rows, in the order in which they first appear."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    if rows and not names:
        raise InvalidData("The rows have no columns.")
    columns = {}
    for name in names:
        if not isinstance(name, str):
            raise InvalidData(f"The name of a column is text, not {name!r}.")
        try:
            columns[name] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowException, OverflowError) as error:
            raise InvalidData(f"The values of {name!r} do not fit into one column: {error}.") from error
    return pa.table(columns)


def paths(source: object) -> list[Path]:
    """List the local files that a path or glob names; empty for anything else.

    A file whose very name is that path goes before what it would mean as a glob.
    """
    if not isinstance(source, str | Path) or "://" in str(source):
        return []
    path = Path(source).expanduser()
    if path.exists():
        return [path] if path.is_file() else []
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207 (may be absolute)
    return [file for each in sorted(found) if (file := Path(each)).is_file()]


@contextmanager
def _files(cursor: Cursor, source: str, file_format: str | None, options: Mapping[str, Any]) -> Iterator[str]:
    if "://" in source:
        if source.split("://", maxsplit=1)[0] in ("http", "https", "s3", "gs", "gcs", "r2"):
            load_extension(cursor, "httpfs")
        yield _reader(cursor, [source], file_format or ending(source), options)
        return
    found = paths(source)
    if not found:
        raise _no_file(source)
    with TemporaryDirectory(prefix="mlstore-") as folder:
        unpacked = _unpacked(found, Path(folder))
        kind = file_format or ending(unpacked[0].name)
        yield _reader(cursor, [str(path) for path in unpacked], kind, options)


def broken_rows(cursor: Cursor, source: str, options: Mapping[str, Any]) -> list[str]:
    """Say which lines of a CSV file cannot be read, and why; empty if that cannot be told."""
    found = paths(source)
    with TemporaryDirectory(prefix="mlstore-") as folder:
        files = [str(path) for path in _unpacked(found, Path(folder))]
        reader = _reader(cursor, files, "csv", {**options, "store_rejects": True})
        try:
            execute(cursor, f"SELECT count(*) FROM (SELECT COLUMNS(*) FROM {reader})").fetchall()
            rows = execute(
                cursor,
                "SELECT line, any_value(csv_line), min(error_message) FROM temp.reject_errors "
                "GROUP BY line ORDER BY line LIMIT 3",
            ).fetchall()
        except InvalidData:
            return []
    return [f"line {line}: {' '.join(str(why).split())}: {text}" for line, text, why in rows]


def _no_file(source: str) -> NotFound:
    parent = Path(source).expanduser().parent
    names = [each.name for each in parent.iterdir()] if parent.is_dir() else []
    where = str(parent.resolve()) if names else ""
    return NotFound.named("file", Path(source).name, names, within=where)


def ending(name: str) -> str:
    """Return the part of a file's name that says its format.

    Examples
    --------
    >>> ending("people.CSV.gz")
    'csv'
    """
    plain = name.lower().partition("?")[0]
    for packed in _COMPRESSED:
        plain = plain.removesuffix(packed)
    return plain.rpartition(".")[2]


def _unpacked(files: list[Path], folder: Path) -> list[Path]:
    """Unpack the .zip files among `files`, each into a folder of its own: names may repeat."""
    return [_unzipped(path, folder / str(number)) for number, path in enumerate(files)]


def _unzipped(path: Path, folder: Path) -> Path:
    """Unpack a .zip that holds one file; other paths come back as they are."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.namelist() if not each.endswith("/")]
            if len(members) != 1:
                raise InvalidData(
                    f"{path.name} holds {len(members)} files; load reads a .zip with one.",
                    hint="Unpack it and load the files by a pattern, as in 'folder/*.csv'.",
                )
            return Path(archive.extract(members[0], folder))
    except zipfile.BadZipFile as error:
        raise InvalidData(f"{path.name} is not a readable .zip file: {error}.") from error


def _reader(cursor: Cursor, files: list[str], kind: str, options: Mapping[str, Any]) -> str:
    reader = READERS.get(kind.lower())
    if reader is None:
        raise Unsupported(
            f"{files[0]!r} has no format that load knows.",
            hint=f"Say which with FORMAT: {', '.join(sorted(READERS))}.",
        )
    if reader == "arrow":
        return _arrow_files(cursor, files)
    # The engine takes every path for a pattern; these stand for themselves.
    exact = [each if "://" in each else glob.escape(each) for each in files]
    listed = "[" + ", ".join(literal(each) for each in exact) + "]"
    arguments = [listed, *(f"{_option(name)} = {_value(value)}" for name, value in options.items())]
    return f"{reader}({', '.join(arguments)})"


def _arrow_files(cursor: Cursor, files: list[str]) -> str:
    import pyarrow as pa
    from pyarrow import feather

    try:
        cursor.register(_INCOMING, pa.concat_tables([feather.read_table(each) for each in files]))
    except pa.ArrowInvalid as error:
        raise InvalidData(f"{files[0]!r} is not a readable Arrow file: {error}.") from error
    return _INCOMING


def _option(name: str) -> str:
    if not re.fullmatch(r"[a-z_]+", name):
        raise InvalidData(
            f"{name!r} is not the name of a reader's option.", hint="As in OPTIONS {nullstr: 'NA'}."
        )
    return name


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(str(key))}: {_value(each)}" for key, each in value.items()) + "}"
    return literal(str(value))


def count_rows(cursor: Cursor, table: str) -> int:
    """Count the rows of a temporary table."""
    row = execute(cursor, f"SELECT count(*) FROM temp.{table}").fetchone()
    assert row is not None
    return int(row[0])
