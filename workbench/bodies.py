"""The bodies of transforms: SQL, Ibis or Python, given as text, as an expression or as a function."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import trust
from workbench.errors import InvalidData, NotFound, StatementError, WorkbenchError
from workbench.queries import is_expression, query_text
from workbench.transform.code import PythonBody, compile_body, source_fingerprint

if TYPE_CHECKING:
    from workbench.lake import Lake

LANGUAGES = ("sql", "python", "ibis")


@dataclass(frozen=True, slots=True)
class Body:
    """A body as a transform keeps it: as written, and where that is not SQL, what it comes to."""

    query: str
    using: str
    sql: str = ""
    code: str = ""


def read_body(lake: Lake, query: Any, using: str, on: str | None) -> Body:
    """Read a body; Python that is given here and now may run on this machine from now on.

    Parameters
    ----------
    query : str, ibis.Table or function
    using : str
        The language of a text.
    on : str or None
        The table whose rows a function gets.

    Raises
    ------
    NotFound
        If there is no such language.
    InvalidData, StatementError, Unsupported
        If the body cannot be used, or kept.
    """
    if using not in LANGUAGES:
        raise NotFound.named("language", using, LANGUAGES)
    if is_expression(query):
        return Body(query_text(query), "ibis")
    if isinstance(query, str) and using == "sql":
        return Body(query, "sql")
    if isinstance(query, str) and using == "ibis" and not _defines_function(query):
        return Body(query, "ibis", _to_sql(lake, _evaluate(lake, query)))
    body = compile_body(query)
    if using == "ibis" or body.takes == "ibis":
        return Body(body.source, "ibis", _to_sql(lake, _call(lake, body, on)))
    trust.approve(source_fingerprint(body.source))
    return Body(body.source, "python", code=body.fingerprint)


def _defines_function(text: str) -> bool:
    try:
        return any(isinstance(each, ast.FunctionDef) for each in ast.parse(text).body)
    except SyntaxError as error:
        raise StatementError(
            f"The Ibis body cannot be read: {error.msg}.", line=error.lineno, column=error.offset
        ) from error


class _Tables(dict[str, Any]):
    """Names in an Ibis body: `ibis`, `_`, and the tables of the store."""

    def __init__(self, lake: Lake) -> None:
        import ibis

        super().__init__(ibis=ibis, _=ibis._)
        self._lake = lake

    def __missing__(self, name: str) -> Any:
        if self._lake.tables.find(name) is None:
            raise KeyError(name)
        return _table(self._lake, name)


def _evaluate(lake: Lake, text: str) -> Any:
    """Run the lines of an Ibis body; its last one is the expression."""
    tree = ast.parse(text.strip() + "\n")
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        raise InvalidData(
            "The Ibis body does not end in an expression.", hint="Let its last line be the table it makes."
        )
    names = _Tables(lake)
    last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    try:
        exec(compile(tree, "<transform>", "exec", dont_inherit=True), {}, names)  # noqa: S102 (the user's own body)
        return eval(compile(last, "<transform>", "eval", dont_inherit=True), {}, names)  # noqa: S307
    except WorkbenchError:
        raise
    except NameError as error:
        raise NotFound.named("table", error.name or "", lake.tables.names()) from error
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise InvalidData(f"The Ibis body fails: {type(error).__name__}: {error}") from error


def _call(lake: Lake, body: PythonBody, on: str | None) -> Any:
    """Call a function with the tables that its parameters name; those with a default are not among them."""
    parameters = inspect.signature(body.function).parameters
    names = [name for name, each in parameters.items() if each.default is inspect.Parameter.empty]
    given = [_table(lake, on if place == 0 and on else name) for place, name in enumerate(names)]
    try:
        return body.function(*given)
    except WorkbenchError:
        raise
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise InvalidData(f"The Ibis body fails: {type(error).__name__}: {error}") from error


def _table(lake: Lake, name: str) -> Any:
    table = lake.tables.resolve(name)
    return lake.ibis().table(table.name, database=("lake", table.schema))


def _to_sql(lake: Lake, expression: Any) -> str:
    if not is_expression(expression) or not hasattr(expression, "schema"):
        raise InvalidData(
            f"The Ibis body gives a {type(expression).__name__}, not a table.",
            hint="Return a table expression.",
        )
    return query_text(expression)
