"""What was chosen for a transform, and what `transform` is called with then. All of it is pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from workbench.building.offers import BACK, OFFERS, Kind, column_kind, suited
from workbench.errors import InvalidData, NotFound, StatementError, WorkbenchError
from workbench.names import check_name, word, words
from workbench.schedule import check_trigger

TRIGGERS: Mapping[str, tuple[str, str]] = {
    "manual": ("manual", ""),
    "on write": ("on write", ""),
    "changed": ("changed >= {}%", "5"),
    "every": ("every '{}'", "1 hour"),
    "cron": ("cron '{}'", "0 6 * * *"),
    "other": ("{}", "every '1 day' or changed >= 10%"),
}
"""Kinds of trigger: how each is written around a value, and the value to begin with."""


@dataclass(frozen=True, slots=True)
class Source:
    """The table that is built from: its columns with their DuckDB types, and its key."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """A built-in function, with what was typed into its parameters."""

    step: str
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the result: a column of the table with functions applied one after the other.

    Without a name it has the one that `names` gives.
    """

    column: str
    steps: tuple[Applied, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """A transform as it was put together."""

    name: str
    key: tuple[str, ...]
    features: tuple[Feature, ...]
    when: str = "manual"
    refit_when: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Choices:
        """Read choices that came as JSON."""
        features = tuple(
            Feature(
                each["column"],
                tuple(Applied(one["step"], dict(one.get("given", {}))) for one in each.get("steps", ())),
                each.get("name", ""),
            )
            for each in given["features"]
        )
        when, refit = (trigger(**given[name]) if given.get(name) else "" for name in ("when", "refit_when"))
        return cls(given["name"], tuple(given["key"]), features, when or "manual", refit)

    def to_json(self) -> dict[str, Any]:
        """Return what `of` reads."""
        made = asdict(self)
        refit = _kind_of(self.refit_when) if self.refit_when else None
        return made | {"when": _kind_of(self.when), "refit_when": refit}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something chosen that cannot be so.

    Attributes
    ----------
    place : str or int
        "name", "key", "when", "refit_when", "features", or the number of a feature.
    message, hint : str
    """

    place: str | int
    message: str
    hint: str = ""


def trigger(kind: str, value: str = "") -> str:
    """Write a trigger of a kind, with what was typed for it.

    Examples
    --------
    >>> trigger("changed", "5"), trigger("on write")
    ('changed >= 5%', 'on write')
    """
    if kind not in TRIGGERS:
        raise NotFound.named("trigger", kind, TRIGGERS)
    form = TRIGGERS[kind][0]
    return form.format(value.strip().replace("'", "''") if "'" in form else value.strip())


def _kind_of(text: str) -> dict[str, str]:
    """Find the kind of trigger that a text is, and the value in it: what `trigger` takes."""
    for kind, (form, _) in TRIGGERS.items():
        before, value, after = form.partition("{}")
        if text == form or (value and text.startswith(before) and text.endswith(after)):
            inner = text[len(before) : len(text) - len(after)] if value else ""
            if trigger(kind, inner.replace("''", "'") if "'" in form else inner) == text:
                return {"kind": kind, "value": inner.replace("''", "'") if "'" in form else inner}
    raise AssertionError("other takes any text")


def everything(source: Source) -> Choices:
    """Choose each column as it is: what one begins with."""
    plain = source.name.rpartition(".")[2]
    features = tuple(Feature(column) for column in source.columns if column not in source.key)
    return Choices(f"{plain}_features", source.key, features)


def names(choices: Choices) -> list[str]:
    """Name the columns that the features become.

    The first of a column keeps its name, others add what is done last, and where that is taken
    a number.

    Examples
    --------
    >>> filled = Applied("impute", {"strategy": "median"})
    >>> missing = Applied("is_missing")
    >>> chosen = Feature("fare", (filled,)), Feature("fare", (missing,)), Feature("id", (filled,))
    >>> names(Choices("f", ("id",), chosen))
    ['fare', 'fare_is_missing', 'id_impute']
    """
    taken = {name.lower() for name in (*choices.key, *(each.name for each in choices.features)) if name}
    found = []
    for each in choices.features:
        name = each.name.strip() or _free(each, taken)
        taken.add(name.lower())
        found.append(name)
    return found


def _free(feature: Feature, taken: set[str]) -> str:
    name = feature.column
    if name.lower() in taken and feature.steps:
        name = f"{name}_{feature.steps[-1].step}"
    stem, number = name, 2
    while name.lower() in taken:
        name, number = f"{stem}_{number}", number + 1
    return name


def kind_after(source: Source, feature: Feature) -> Kind:
    """Say what the values of a feature are."""
    kind = column_kind(source.columns[feature.column])
    for each in feature.steps:
        kind = OFFERS[each.step].gives or kind
    return kind


def expression(source: Source, feature: Feature) -> str:
    """Write a feature in SQL.

    Raises
    ------
    NotFound
        If there is no such column, or no such function.
    StatementError
        If a function does not suit what it is applied to, or is called wrongly.

    Examples
    --------
    >>> trips = Source("trips", {"fare": "DOUBLE"})
    >>> expression(trips, Feature("fare", (Applied("impute"), Applied("standardize"))))
    "standardize(impute(fare, 'mean'))"
    """
    _check_columns(source, [feature.column])
    kind, text = column_kind(source.columns[feature.column]), word(feature.column)
    for place, each in enumerate(feature.steps):
        offer = OFFERS.get(each.step)
        if offer is None:
            raise NotFound.named("built-in function", each.step, OFFERS)
        if kind not in offer.takes:
            known = ", ".join(one.step for one in suited(kind))
            raise StatementError(
                f"{each.step} is for {' or '.join(offer.takes)} columns, and {text} is none.",
                hint=f"There is: {known}." if known else "",
            )
        if offer.group == BACK and looks_back(feature.steps[:place]):
            raise StatementError(
                f"{each.step} cannot look back at {text}, which looks back itself.",
                hint="Make that a transform of its own, and build from its table.",
            )
        text = offer.call(text, each.given, tuple(source.columns), kind)
        kind = offer.gives or kind
    return text


def looks_back(steps: Iterable[Applied]) -> bool:
    """Tell whether one of some functions looks at other rows than its own."""
    return any(OFFERS[each.step].group == BACK for each in steps)


def query(source: Source, choices: Choices, rows: str = "") -> str:
    """Write the query: the key, then a line for each feature; see `expression` for what it raises.

    It reads the table, or the relation `rows` in its place.

    Examples
    --------
    >>> trips = Source("trips", {"id": "BIGINT", "fare": "DOUBLE"}, ("id",))
    >>> print(query(trips, Choices("f", ("id",), (Feature("fare", (Applied("min_max"),)),))))
    select
        id,
        min_max(fare) as fare
    from trips
    """
    lines = [word(each) for each in choices.key]
    for feature, name in zip(choices.features, names(choices), strict=True):
        text = expression(source, feature)
        lines.append(text if text == word(name) else f"{text} as {word(name)}")
    listed = ",\n".join(f"    {line}" for line in lines)
    return f"select\n{listed}\nfrom {rows or words(source.name)}"


def arguments(source: Source, choices: Choices) -> dict[str, Any]:
    """Return what `Store.transform` is called with.

    Raises
    ------
    WorkbenchError
        For the first of the `problems`.
    """
    for _, check in _checks(source, choices):
        check()
    refit = {"refit_when": choices.refit_when} if choices.refit_when else {}
    return {
        "name": choices.name,
        "query": query(source, choices),
        "on": source.name,
        "key": choices.key,
        "when": choices.when,
        **refit,
    }


def problems(source: Source, choices: Choices) -> list[Problem]:
    """List what is wrong with choices, each with its place.

    Examples
    --------
    >>> trips = Source("trips", {"id": "BIGINT", "fare": "DOUBLE"}, ("id",))
    >>> [(each.place, each.message) for each in problems(trips, Choices("f", ("id",), (Feature("far"),)))]
    [(0, "There is no column 'far'.")]
    """
    found = []
    for place, check in _checks(source, choices):
        try:
            check()
        except WorkbenchError as error:
            found.append(Problem(place, error.message, error.hint))
    return found


def _checks(source: Source, choices: Choices) -> Iterator[tuple[str | int, Callable[[], object]]]:
    yield "name", lambda: check_name(choices.name, "transform")
    yield "key", lambda: _check_key(source, choices)
    called = Counter(name.lower() for name in (*choices.key, *names(choices)))
    for place, (feature, name) in enumerate(zip(choices.features, names(choices), strict=True)):
        yield place, partial(expression, source, feature)
        yield place, partial(_check_once, name, called[name.lower()])
    yield "when", lambda: check_trigger(choices.when)
    if choices.refit_when:
        yield "refit_when", lambda: check_trigger(choices.refit_when)


def _check_columns(source: Source, columns: Iterable[str]) -> None:
    for name in columns:
        if name not in source.columns:
            raise NotFound.named("column", name, source.columns)


def _check_key(source: Source, choices: Choices) -> None:
    if not choices.key:
        raise InvalidData(
            f"The transform {choices.name!r} needs a key.", hint="Choose the columns that identify a row."
        )
    _check_columns(source, choices.key)


def _check_once(name: str, times: int) -> None:
    if times > 1:
        raise InvalidData(f"{times} columns would be called {name!r}.", hint="Give one another name.")
