"""Python bodies of transforms: the function, the local code that it calls, and their fingerprint."""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import symtable
import sys
import sysconfig
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.errors import InvalidData, StatementError, Unsupported

Takes = Literal["arrow", "pandas", "polars", "ibis"]
_SIMPLE = (int, float, str, bytes, bool, type(None))
_LIBRARIES = {"pandas": "pandas", "polars": "polars", "pyarrow": "arrow", "ibis": "ibis"}


@dataclass(frozen=True, slots=True)
class PythonBody:
    """A function that makes rows from rows.

    Attributes
    ----------
    source : str
        All the code that it needs, without anything from where it was written.
    function : callable
    takes : {"arrow", "pandas", "polars", "ibis"}
        What it is given, by the annotation of its first parameter.
    fingerprint : str
        Of the code without its comments and layout, and of the local modules that it uses.
    """

    source: str
    function: Callable[..., Any]
    takes: Takes
    fingerprint: str


def compile_body(body: str | Callable[..., Any]) -> PythonBody:
    r"""Compile a body: the text of a cell, or a function.

    Raises
    ------
    StatementError
        If the text is no Python, with the place.
    InvalidData
        If it defines no function, or one that cannot be called with rows.
    Unsupported
        If a function uses what cannot be kept with it.

    Examples
    --------
    >>> compile_body("def double(rows):\n    return {'y': rows['x']}").takes
    'arrow'
    """
    source = body if isinstance(body, str) else _self_contained(body)
    source = textwrap.dedent(source).strip("\n") + "\n"
    tree = _parse(source)
    name = _last_function(tree)
    digest = hashlib.sha256(ast.unparse(tree).encode())
    place = f"<transform {digest.hexdigest()[:16]}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    space: dict[str, Any] = {"__name__": "mlstore_transform"}
    try:
        exec(compile(tree, place, "exec", dont_inherit=True), space)  # noqa: S102 (the user's own body)
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise InvalidData(f"The Python body fails before it gets any rows: {_said(error, place)}") from error
    function = space[name]
    _check(function)
    for module in _local_modules(space.values()):
        digest.update(Path(module).read_bytes())
    return PythonBody(source, function, _takes(function), digest.hexdigest()[:16])


def source_fingerprint(source: str) -> str:
    """Digest the text of a body, without running it."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _parse(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise StatementError(
            f"The Python body cannot be read: {error.msg}.", line=error.lineno, column=error.offset
        ) from error


def _last_function(tree: ast.Module) -> str:
    names = [each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not names:
        raise InvalidData(
            "The Python body defines no function.",
            hint="Write: def name(rows): … and return as many rows; the last function is the one called.",
        )
    if isinstance(names[-1], ast.AsyncFunctionDef):
        raise InvalidData(f"{names[-1].name} is asynchronous.", hint="Write a plain function.")
    return names[-1].name


def _check(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function):
        raise InvalidData(
            f"{function.__name__} yields.", hint="Return all rows of a batch at once, as a table or columns."
        )
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        raise InvalidData(f"{function.__name__} takes no rows.", hint="Write: def name(rows): …")


def _takes(function: Callable[..., Any]) -> Takes:
    """Tell by the first annotation what a function is to be given."""
    first = next(iter(inspect.signature(function).parameters.values())).annotation
    if first is inspect.Parameter.empty:
        return "arrow"
    text = str(first) if isinstance(first, str) else f"{getattr(first, '__module__', '')}.{first!r}"
    if isinstance(first, str):
        module = function.__globals__.get(text.partition(".")[0])
        text = str(getattr(module, "__module__", None) or getattr(module, "__name__", text))
    library = text.strip("'\"").partition(".")[0]
    if library not in _LIBRARIES:
        known = "pyarrow.RecordBatch, pandas.DataFrame, polars.DataFrame or ibis.Table"
        raise InvalidData(
            f"{function.__name__} asks for {first!r}, which rows are not given as.", hint=f"Use {known}."
        )
    found: Takes = _LIBRARIES[library]  # type: ignore[assignment]
    return found


def _said(error: BaseException, place: str) -> str:
    """Say what went wrong in a body, with its line."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == place:
            line = trace.tb_lineno
        trace = trace.tb_next
    text = linecache.getline(place, line).strip() if line else ""
    where = f" in line {line}: {text}" if line else ""
    return f"{type(error).__name__}: {error}{where}"


def describe_error(error: BaseException, body: PythonBody) -> str:
    """Say what a function of the user's raised, and in which line of it."""
    return _said(error, body.function.__code__.co_filename)


# -- what a function needs -------------------------------------------------------------------------


def _self_contained(function: Callable[..., Any]) -> str:
    """Write a function with all that it uses: imports, simple constants, other local functions."""
    if not isinstance(function, types.FunctionType):
        raise Unsupported(f"{function!r} is no plain function.", hint="Define one with def.")
    parts: dict[str, str] = {}
    _collect(function, parts, set())
    imports = sorted(text for name, text in parts.items() if text.startswith(("import ", "from ")))
    rest = [text for text in parts.values() if not text.startswith(("import ", "from "))]
    return "\n".join((*imports, *rest))


def _collect(function: types.FunctionType, parts: dict[str, str], seen: set[str]) -> None:
    if function.__name__ == "<lambda>" or function.__closure__:
        raise Unsupported(
            f"{function.__name__} cannot be kept in the store: it is a lambda or uses local variables.",
            hint="Define it with def at the top of a cell or module.",
        )
    seen.add(function.__name__)
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise Unsupported(f"The source of {function.__name__} is not at hand.") from error
    quoted = (each.partition(".")[0] for each in function.__annotations__.values() if isinstance(each, str))
    for name in dict.fromkeys((*_names_of(source), *quoted)):
        if name in function.__globals__ and name not in seen:
            _keep(name, function.__globals__[name], function, parts, seen)
    parts[function.__name__] = source


def _keep(name: str, value: Any, function: types.FunctionType, parts: dict[str, str], seen: set[str]) -> None:
    seen.add(name)
    if isinstance(value, types.ModuleType):
        parts[name] = f"import {value.__name__} as {name}"
    elif isinstance(value, types.FunctionType) and _is_local(value):
        seen.discard(name)
        _collect(value, parts, seen)
    elif getattr(value, "__module__", None) and getattr(value, "__qualname__", None) and not _is_local(value):
        parts[name] = f"from {value.__module__} import {value.__qualname__} as {name}"
    elif _is_simple(value):
        parts[name] = f"{name} = {value!r}"
    else:
        raise Unsupported(
            f"{function.__name__} uses {name}, a {type(value).__name__}, which cannot be kept with it.",
            hint=f"Make {name} inside the function, or import it from a module.",
        )


def _names_of(source: str) -> Iterator[str]:
    """Name the globals that some code uses, in its annotations and defaults as well."""
    tables = [symtable.symtable(source, "<transform>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        yield from (each.get_name() for each in table.get_symbols() if each.is_global())


def _is_simple(value: Any) -> bool:
    if isinstance(value, _SIMPLE):
        return True
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_simple, value))
    return isinstance(value, dict) and all(_is_simple(each) for pair in value.items() for each in pair)


def _is_local(value: Any) -> bool:
    module = sys.modules.get(getattr(value, "__module__", "") or "")
    return module is None or module.__name__ == "__main__" or bool(_own_file(module))


def _local_modules(values: Any) -> list[str]:
    """List the files of the user's own modules among some values."""
    found = set()
    for value in values:
        module = (
            value
            if isinstance(value, types.ModuleType)
            else sys.modules.get(getattr(value, "__module__", "") or "")
        )
        if module is not None and (path := _own_file(module)):
            found.add(path)
    return sorted(found)


def _own_file(module: types.ModuleType) -> str:
    """Return the file of a module of the user's own; empty for libraries."""
    path = getattr(module, "__file__", None)
    if not path or not path.endswith(".py") or module.__name__.partition(".")[0] == "workbench":
        return ""
    paths = sysconfig.get_paths()
    library = (paths["stdlib"], paths["purelib"], paths["platlib"])
    return "" if path.startswith(library) or "site-packages" in path else str(path)
