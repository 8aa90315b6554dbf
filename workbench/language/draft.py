"""Statements ready to be edited: what the panel puts into a cell for each verb."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.language.read import from_call
from workbench.names import word, words

_LABELS = ("label", "target", "y", "outcome", "class")


@dataclass(frozen=True, slots=True)
class Draft:
    """A cell for a verb: the verb, what it would do, and the cell's text."""

    verb: str
    title: str
    cell: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What the drafts are about.

    Attributes
    ----------
    name : str
        As a statement says it.
    kind : {"table", "query", "transform", "binding", "model"}
    columns : sequence of str
    key : sequence of str
    snapshot : int
        The newest snapshot of the store.
    of : str
        Of a binding its table, of a model its label.
    """

    name: str
    kind: str
    columns: Sequence[str] = ()
    key: Sequence[str] = ()
    snapshot: int = 0
    of: str = ""


def drafts(subject: Subject) -> tuple[Draft, ...]:
    """Write a cell for each verb that can be said of a thing.

    Examples
    --------
    >>> subject = Subject("trips", "table", ("id", "fare"), ("id",), 7)
    >>> print(drafts(subject)[0].cell)
    %%mlstore
    select id, fare
    from trips
    limit 100
    """
    makers = {"model": _of_model, "binding": _of_binding}
    return tuple(makers.get(subject.kind, _of_relation)(subject))


def store_drafts() -> tuple[Draft, ...]:
    """Write a cell for each verb that is said of the whole store."""
    return (
        _draft("load", "Load a file", {"table": "my_table", "source": "data/my_table.csv", "key": ("id",)}),
        _draft("tables", "List the tables", {}),
        _draft("models", "List the models", {}),
        _draft("stale", "List what is behind", {}),
        _draft("refresh", "Refresh all that is behind", {"name": None}),
        _draft("runs", "List the runs", {}),
        _draft("history", "Show the history", {}),
    )


def _of_relation(of: Subject) -> list[Draft]:
    name, key = of.name, tuple(of.key) or tuple(of.columns[:1])
    table = words(name)
    select = f"select {_columns(of.columns)}\nfrom {table}"
    plain = name.rpartition(".")[2]
    label = next((each for each in of.columns if each.lower() in _LABELS), of.columns[-1])
    found = [
        _draft("sql", "Select rows", {"query": f"{select}\nlimit 100"}),
        _draft("explore", "Explore its rows", {"source": name}),
        _draft("query", "Name a query on it", {"name": f"{plain}_query", "query": select}),
        _draft(
            "transform",
            "Build features from it",
            {"name": f"{plain}_features", "on": name, "key": key, "when": "on write", "query": select},
        ),
        _draft("build", "Choose features of it in a form", {"table": name}),
        _draft(
            "train",
            "Train a model on it",
            {"name": f"{plain}_model", "label": label, "key": key, "query": select},
        ),
        _draft(
            "bind",
            "Bind a model's predictions to it",
            {"column": "prediction", "on": name, "model": "my_model"},
        ),
        _draft(
            "export",
            "Export it",
            {"source": name, "to": f"out/{plain}.parquet", "format": "parquet"},
        ),
        *_asked(name),
        _draft("diff", "Compare with an earlier snapshot", {"name": name, "a": max(of.snapshot - 1, 0)}),
        _draft("trace", "Trace a row", {"table": name, "key": 1}),
    ]
    if of.kind == "table":
        found.append(
            _draft("load", "Load more rows", {"table": name, "source": f"data/{plain}.csv", "mode": "append"})
        )
    if of.kind == "transform":
        found += [*_kept(name), _draft("refit", "Fit its statistics anew", {"name": name})]
    if of.kind in ("table", "transform"):
        found.append(
            _draft("undo", "Go back to an earlier snapshot", {"name": name, "to": max(of.snapshot - 1, 0)})
        )
    return [*found, _draft("drop", "Drop it", {"name": name})]


def _of_model(of: Subject) -> list[Draft]:
    name = of.name
    column = word(f"{of.of or name}_prediction")
    query = f"select t.*, predict({words(name)}, t.*) as {column}\nfrom my_table as t\nlimit 100"
    return [
        _draft("sql", "Predict in a query", {"query": query}),
        _draft(
            "bind",
            "Bind its predictions to a table",
            {"column": f"{of.of or name}_prediction", "on": "my_table", "model": name},
        ),
        *_asked(name),
        _draft("deploy", "Deploy a version", {"ref": f"{name}@1"}),
        _draft("rollback", "Go back to the champion before", {"name": name}),
        _draft("reproduce", "Train the version again and compare", {"ref": name}),
        _draft("refresh", "Train again if its data changed", {"name": name}),
        _draft("runs", "List its runs", {"name": name}),
        _draft("drop", "Drop it", {"name": name}),
    ]


def _of_binding(of: Subject) -> list[Draft]:
    name = of.name
    view = words(f"predictions.{of.of}")
    return [
        _draft(
            "sql", "Select the table with its predictions", {"query": f"select *\nfrom {view}\nlimit 100"}
        ),
        *_asked(name),
        *_kept(name),
        _draft("drop", "Drop it", {"name": name}),
    ]


def _asked(name: str) -> list[Draft]:
    table, _, column = name.rpartition(".")
    traced = {"name": table, "column": column} if table else {"name": name}
    return [
        _draft("describe", "Describe it", {"name": name}),
        _draft("history", "Show its history", {"name": name}),
        _draft("lineage", "Draw its lineage", traced),
    ]


def _kept(name: str) -> list[Draft]:
    return [
        _draft("refresh", "Refresh it", {"name": name}),
        _draft("stale", "Say whether it is behind", {"name": name.rpartition(".")[2]}),
        _draft("runs", "List its runs", {"name": name}),
        _draft("pause", "Pause it", {"name": name}),
        _draft("resume", "Resume it", {"name": name}),
    ]


def _columns(names: Iterable[str]) -> str:
    return ", ".join(map(word, names)) or "*"


def cell_of(statement: str) -> str:
    r"""Write a statement as a cell: a line magic where it is one line, else a cell magic.

    Examples
    --------
    >>> cell_of("describe trips")
    '%mlstore describe trips'
    >>> cell_of("query q AS\nselect 1")
    '%%mlstore query q AS\nselect 1'
    """
    if statement.startswith("%%"):
        return statement
    return f"{'%%' if chr(10) in statement else '%'}mlstore {statement}"


def cell_for(verb: str, arguments: Mapping[str, object]) -> str:
    """Write a call of a Store's method as a cell; see `from_call` for what it raises.

    Examples
    --------
    >>> cell_for("undo", {"name": "trips", "to": 3})
    '%mlstore undo trips TO @3'
    """
    return cell_of(str(from_call(verb, arguments)))


def _draft(verb: str, title: str, arguments: Mapping[str, object]) -> Draft:
    return Draft(verb, title, cell_for(verb, arguments))
