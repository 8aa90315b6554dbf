"""Running a statement on a Store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from workbench.errors import NotFound, StatementError
from workbench.language.help import HelpText, help_text
from workbench.language.read import parse
from workbench.language.statement import Statement
from workbench.language.statements import Help, Sql
from workbench.language.values import Variable


def execute(
    store: Any,
    statement: str | Statement,
    *,
    variables: Mapping[str, Any] | None = None,
    parameters: Callable[[str], set[str]] | None = None,
) -> object:
    """Run a statement: call the Store's method that it says.

    Parameters
    ----------
    store : Store
        Anything with one method per verb, and `plan(method, **arguments)`.
    statement : str or Statement
        Text is read with `parse`.
    variables : mapping, optional
        The Python variables that `FROM $name` and the `$name` parameters of SQL stand for.
    parameters : callable, optional
        Names the parameters of SQL; the engine's own unless given.

    Returns
    -------
    object
        What the method returns; with `--plan` what `store.plan` returns; with `--help` a HelpText.

    Raises
    ------
    StatementError
        If the text cannot be read.
    NotFound
        If a variable does not exist.
    """
    if isinstance(statement, str):
        statement = parse(statement)
    if isinstance(statement, Help):
        return HelpText(help_text(statement.topic), statement.topic)
    known = {} if variables is None else variables
    call = statement.call()
    arguments = {
        name: _value(each.name, known) if isinstance(each, Variable) else each
        for name, each in call.arguments.items()
    }
    if isinstance(statement, Sql) and re.search(r"[$?]", statement.query):
        params = _params(statement.query, known, parameters)
        arguments |= {"params": params} if params else {}
    if statement.flags.plan:
        return replace(store.plan(call.method, **arguments), python=call.to_python())
    return getattr(store, call.method)(**arguments)


def _value(name: str, variables: Mapping[str, Any]) -> Any:
    if name not in variables:
        shown = [each for each in variables if not each.startswith("_")]
        raise NotFound.named("variable", name, shown)
    return variables[name]


def _params(
    query: str, variables: Mapping[str, Any], parameters: Callable[[str], set[str]] | None
) -> dict[str, Any]:
    from workbench.engines import duckdb  # the engine is wanted by SQL with parameters only

    names = sorted((parameters or duckdb.parameters)(query))
    if any(name.isdigit() for name in names):
        hint = "Write $name for the variable called name."
        raise StatementError("Parameters have names: ? and $1 stand for nothing here.", hint=hint)
    return {name: _value(name, variables) for name in names}
