"""The parameters of a template notebook: the assignments in its cell tagged `parameters`."""

from __future__ import annotations

import ast
import copy
import io
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.errors import InvalidData, NotFound

TAG = "parameters"

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, the value it has, the kind of that, and the comment beside it."""

    name: str
    value: str | float | bool | None
    kind: Literal["text", "number", "choice"]
    about: str


def read(notebook: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """List the parameters of a notebook; what is not a plain text, number, truth value or None is none.

    Examples
    --------
    >>> cell = {"metadata": {"tags": ["parameters"]}, "source": "table = 'trips'  # the table to read"}
    >>> read({"cells": [cell]})
    (Parameter(name='table', value='trips', kind='text', about='the table to read'),)
    """
    found = []
    for cell in _cells(notebook):
        source = _source(cell)
        comments = _comments(source)
        for name, node in _assignments(source):
            value = ast.literal_eval(node)
            found.append(Parameter(name, value, _kind(value), comments.get(node.end_lineno or 0, "")))
    return tuple(found)


def fill(notebook: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """Return a copy of a notebook with other values for some parameters.

    Raises
    ------
    NotFound
        If the notebook has no such parameter.
    InvalidData
        If a value is of another kind than the one it replaces.

    Examples
    --------
    >>> cell = {"metadata": {"tags": ["parameters"]}, "source": "table = 'trips'  # the table to read"}
    >>> fill({"cells": [cell]}, {"table": "zones"})["cells"][0]["source"]
    "table = 'zones'  # the table to read"
    """
    known = {each.name: each for each in read(notebook)}
    for name, value in values.items():
        if name not in known:
            raise NotFound.named("parameter", name, known)
        _check(known[name], value)
    made = copy.deepcopy(dict(notebook))
    for cell in _cells(made):
        cell["source"] = _rewritten(_source(cell), values)
    return made


def _check(parameter: Parameter, value: Value) -> None:
    if value is not None and _kind(value) != parameter.kind:
        words = {"text": "a text", "number": "a number", "choice": "true or false"}
        raise InvalidData(f"{parameter.name} is {words[parameter.kind]}, not {value!r}.")
    if value is None and parameter.value is not None:
        raise InvalidData(f"{parameter.name} is missing.")


def _rewritten(source: str, values: Mapping[str, Value]) -> str:
    lines = source.encode().splitlines(keepends=True)
    # From the end, so that the places of those before stay right; ast counts bytes.
    for name, node in reversed(list(_assignments(source))):
        if name in values:
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
            lines[first : last + 1] = [before + repr(values[name]).encode() + after]
    return b"".join(lines).decode()


def _assignments(source: str) -> Iterator[tuple[str, ast.expr]]:
    try:
        body = ast.parse(source).body
    except SyntaxError:  # A magic among them: then nothing of it is a parameter.
        return
    for each in body:
        target = each.targets[0] if isinstance(each, ast.Assign) else getattr(each, "target", None)
        node = getattr(each, "value", None)
        if isinstance(target, ast.Name) and isinstance(node, ast.expr) and _is_plain(node):
            yield target.id, node


def _is_plain(node: ast.expr) -> bool:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return False
    return value is None or isinstance(value, str | int | float | bool)


def _kind(value: Value) -> Literal["text", "number", "choice"]:
    if isinstance(value, bool):
        return "choice"
    return "number" if isinstance(value, int | float) else "text"


def _comments(source: str) -> dict[int, str]:
    """Return the comment at the end of each line that has one."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return {}
    return {each.start[0]: each.string.lstrip("# ") for each in tokens if each.type == tokenize.COMMENT}


def _cells(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if TAG in cell.get("metadata", {}).get("tags", ())]


def _source(cell: Mapping[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
