"""DuckDB: the connection, its extensions and its statements."""

from __future__ import annotations

import importlib.util
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from workbench.engines import embedding
from workbench.engines.failures import Names, is_interrupt, reraise
from workbench.errors import (
    InvalidData,
    StatementError,
    Unsupported,
)
from workbench.names import literal

if TYPE_CHECKING:
    import pyarrow as pa

Cursor = duckdb.DuckDBPyConnection

REQUIRED_EXTENSIONS = ("sqlite_scanner", "ducklake")

_ANALYZED = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\s+(?:\(\s*)?analyze\b", re.IGNORECASE | re.DOTALL
)
_FETCHED_ROWS = 122_880  # one row group of DuckDB's

_READS = {"SELECT", "EXPLAIN", "PRAGMA", "RELATION"}
_WRITES = {"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "DROP", "ALTER", "COPY", "CREATE_FUNC"}
_REFUSED = {
    "CALL": "The store looks after its files and snapshots itself.",
    "TRANSACTION": "A cell is one commit already: leave BEGIN, COMMIT and ROLLBACK out.",
    "ATTACH": "Read other files with load.",
    "DETACH": "The store attaches and detaches its own databases.",
    "SET": "Settings belong to the connection, which the store shares between threads.",
    "VARIABLE_SET": "Bind a Python variable as $name instead.",
    "VACUUM": "The store looks after its files itself.",
    "PREPARE": "Bind Python variables as $name instead.",
    "EXPORT": "Use the export statement.",
}


def connect() -> Cursor:
    """Open an in-memory DuckDB with the extensions of a lake loaded; nothing is downloaded."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            # A table that is not there must not be looked for among the variables of this module.
            "python_enable_replacements": False,
            # One for each connection: they would write over each other's files, whose names are the same.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"mlstore-spill-{uuid.uuid4().hex}"),
        },
    )
    # Time zones of a machine must not decide what a transform computes.
    connection.execute("SET TimeZone = 'UTC'")
    for name in REQUIRED_EXTENSIONS:
        load_extension(connection, name)
    provide_embeddings(connection)
    return connection


def scratch() -> Cursor:
    """Return a cursor to compute on rows outside of any lake; whoever asks closes it.

    What is registered on it nobody else sees. To open a database takes a fifth of a second, so there
    is one for the whole process.
    """
    return _scratch().cursor()


@lru_cache(maxsize=1)
def _scratch() -> Cursor:
    return connect()


def provide_embeddings(connection: Cursor) -> None:
    """Let queries on a connection call the function that `embed()` becomes, unless they can."""
    known = f"SELECT 1 FROM duckdb_functions() WHERE function_name = {literal(embedding.FUNCTION)}"
    if connection.execute(known).fetchone() is None:
        register_function(connection, embedding.FUNCTION, embedding.embed, "FLOAT[]")


def register_function(connection: Cursor, name: str, compute: Callable[..., Any], kind: str) -> None:
    """Make a function of the engine from one over Arrow arrays.

    It takes any arguments, gets NULLs too, and returns values of the DuckDB type `kind`.
    """
    # DuckDB evaluates annotations to guess types; a lambda has none. Its stubs know enums only.
    create: Any = connection.create_function
    create(name, lambda *arrays: compute(*arrays), None, kind, type="arrow", null_handling="special")  # noqa: PLW0108


def confine(connection: Cursor, folder: Path) -> None:
    """Let a connection reach no files but those under `folder`, and little of the machine.

    For a server that shows what others wrote: a view may say `read_csv('https://…')`.
    """
    connection.execute(f"SET allowed_directories = [{literal(str(folder) + '/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET threads = 2")
    connection.execute("SET memory_limit = '1GB'")
    connection.execute("SET lock_configuration = true")


def load_extension(connection: Cursor, name: str) -> None:
    """Load an extension from its PyPI package, else from DuckDB's own repository.

    Raises
    ------
    Unsupported
        If the package is absent and the extension cannot be installed either.
    """
    path = _packaged_extension(name)
    try:
        if path is not None:
            connection.execute(f"LOAD {literal(str(path))}")
        else:
            connection.execute(f"INSTALL {name}; LOAD {name}")
    except duckdb.Error as error:
        package = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        raise Unsupported(
            f"DuckDB's extension {name!r} cannot be loaded: {error}",
            hint=f"Install it with: pip install {package}",
        ) from error


def _packaged_extension(name: str) -> Path | None:
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / "extensions" / f"v{duckdb.__version__}"
    path = folder / f"{name}.duckdb_extension"
    return path if path.exists() else None


def parameters(sql: str) -> set[str]:
    """Name the `$parameters` of all statements in `sql`.

    Examples
    --------
    >>> parameters("select $low; select '$not_me'")
    {'low'}
    """
    return {name for statement in _statements(sql) for name in statement.named_parameters}


def classify(sql: str) -> list[tuple[str, Literal["read", "write"], set[str]]]:
    """Split a body into its statements: the text, whether it can write, and its parameters.

    Raises
    ------
    StatementError
        If DuckDB cannot parse the text, or it holds no statement.
    Unsupported
        If a statement would change the connection or the transaction instead of the data.

    Examples
    --------
    >>> [(kind, sorted(names)) for _, kind, names in classify("delete from t where a = $a; from t")]
    [('write', ['a']), ('read', [])]
    """
    found: list[tuple[str, Literal["read", "write"], set[str]]] = []
    for statement in _statements(sql):
        kind = statement.type.name
        if kind in _REFUSED:
            raise Unsupported(f"{kind.replace('_', ' ')} does not go into a cell.", hint=_REFUSED[kind])
        if kind not in _READS and kind not in _WRITES:
            raise Unsupported(f"{kind.replace('_', ' ')} does not go into a cell.")
        # EXPLAIN ANALYZE runs what it explains.
        reads = kind in _READS and not _ANALYZED.match(statement.query)
        found.append((statement.query, "read" if reads else "write", statement.named_parameters))
    if not found:
        raise StatementError("There is no statement to run.", hint="Write a query under the first line.")
    return found


def one_query(sql: str) -> str:
    """Return the text of a body's one query, without the semicolon.

    Raises
    ------
    Unsupported
        If it is more than one statement, writes, or has parameters.

    Examples
    --------
    >>> one_query("select ';' as a;  -- done")
    "select ';' as a"
    """
    statements = classify(sql)
    if len(statements) != 1 or statements[0][1] != "read":
        raise Unsupported("A definition is one query that reads.", hint="Leave the other statements out.")
    if named := ", $".join(sorted(statements[0][2])):
        said = f"A definition has no parameters; this one has ${named}."
        raise Unsupported(said, hint="It is run again by itself: write the value into the query.")
    # Offsets count bytes, and comments are no tokens.
    text = statements[0][0].encode()
    end = len(text)
    for start, _ in reversed(duckdb.tokenize(statements[0][0])):
        if text[start : start + 1] != b";":
            break
        end = start
    return text[:end].decode().strip()


def _statements(sql: str) -> list[duckdb.Statement]:
    try:
        return duckdb.extract_statements(sql)
    except duckdb.Error as error:
        reraise(error)


def execute(
    cursor: Cursor,
    sql: str,
    params: Mapping[str, Any] | Sequence[Any] | None = None,
    known: Names | None = None,
) -> Cursor:
    """Run `sql` on `cursor`, with DuckDB's errors translated; `known` gives names to suggest."""
    try:
        return cursor.execute(sql, params) if params else cursor.execute(sql)
    except (duckdb.Error, RuntimeError) as error:
        if is_interrupt(error):
            # DuckDB's threads go on with the query until they are told; the next one would wait for them.
            cursor.interrupt()
        reraise(error, known)


def fetch(cursor: Cursor) -> pa.Table:
    """Return the rows of the statement that `cursor` has run; Ctrl-C ends the wait."""
    import pyarrow as pa

    schema, batches = stream(cursor)
    return pa.Table.from_batches(list(batches), schema)


def stream(cursor: Cursor, rows: int = _FETCHED_ROWS) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Hand out the rows of the statement that `cursor` has run, so many at a time.

    DuckDB looks for signals while it runs a statement but not while it hands out its rows, so they
    are to be taken one batch at a time, and Python looks in between.
    """
    reader = cursor.to_arrow_reader(rows)
    return reader.schema, _batches(cursor, reader)


def _batches(cursor: Cursor, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except KeyboardInterrupt:
            cursor.interrupt()
            raise
        except (pa.ArrowException, OSError) as error:
            if "Interrupted" in str(error):
                raise KeyboardInterrupt from error
            raise InvalidData(str(error)) from error
        except (duckdb.Error, RuntimeError) as error:
            reraise(error)
        yield batch


@lru_cache(maxsize=256)
def type_name(kind: pa.DataType) -> str:
    """Return how the engine calls a type of Arrow's.

    Examples
    --------
    >>> import pyarrow as pa
    >>> type_name(pa.list_(pa.float32()))
    'FLOAT[]'
    """
    import pyarrow as pa

    with duckdb.connect(":memory:") as connection:
        return str(connection.from_arrow(pa.table({"v": pa.array([], kind)})).types[0])
