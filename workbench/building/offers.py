"""Which built-in functions suit which columns, and what each asks for besides the column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.engines.embedding import DEFAULT
from workbench.errors import NotFound, StatementError
from workbench.lake.distribution import kind_of
from workbench.names import literal, spelled, word
from workbench.transform.steps import STEPS
from workbench.transform.steps.categories import MOST
from workbench.transform.steps.dates import CYCLES
from workbench.transform.steps.missing import STRATEGIES
from workbench.transform.steps.text import LENGTH, PIECES, TERMS
from workbench.transform.steps.windows import AGGREGATES

Kind = Literal["number", "flag", "time", "text", "other"]
Form = Literal["number", "choice", "column", "word", "value"]

NUMBER: tuple[Kind, ...] = ("number",)
CATEGORY: tuple[Kind, ...] = ("text", "flag", "number")
TEXT: tuple[Kind, ...] = ("text",)
TIME: tuple[Kind, ...] = ("time",)
VALUE: tuple[Kind, ...] = ("number", "flag", "time", "text")
ANY: tuple[Kind, ...] = (*VALUE, "other")


def column_kind(type_: str) -> Kind:
    """Say what the values of a DuckDB type are, for choosing functions.

    Examples
    --------
    >>> [column_kind(each) for each in ("DOUBLE", "BOOLEAN", "DATE", "VARCHAR", "FLOAT[]")]
    ['number', 'flag', 'time', 'text', 'other']
    """
    return "flag" if type_ == "BOOLEAN" else kind_of(type_)


_FILLINGS: Mapping[Kind, str] = {"number": "0", "flag": "false", "time": "1970-01-01"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a function asks for besides the column.

    Attributes
    ----------
    name : str
    form : {"number", "choice", "column", "word", "value"}
        A number, one of `words`, a column of the kinds `of`, a text, or a value like the column's.
    default : str
        As it would be typed.
    words, numeric : tuple of str
        What there is to choose from, and what of it is for numbers alone.
    of : tuple of str
        The kinds of column to choose from.
    only : tuple of (str, str) or None
        Asked for only if another parameter has this value.
    optional : bool
        Whether it is left out of the call where it, and all after it, have their defaults.
    """

    name: str
    form: Form = "number"
    default: str = ""
    words: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    of: tuple[Kind, ...] = ()
    only: tuple[str, str] | None = None
    optional: bool = False

    def choice(self, kind: Kind) -> tuple[str, ...]:
        """List what there is to choose from for a kind of column."""
        return tuple(each for each in self.words if kind == "number" or each not in self.numeric)

    def begin(self, kind: Kind) -> str:
        """Return the default for a kind of column."""
        if self.form == "value":
            return _FILLINGS.get(kind, "")
        return self.default if self.form != "choice" else self.choice(kind)[0]

    def is_asked(self, given: Mapping[str, str]) -> bool:
        """Whether it means something beside what else was given."""
        return self.only is None or given.get(self.only[0]) == self.only[1]

    def write(self, step: str, text: str, columns: Sequence[str], kind: Kind) -> str:
        """Write what was typed as an argument in SQL, for a column of this kind.

        Raises
        ------
        StatementError, NotFound
            If it is no number where one is wanted, or no column.
        """
        text = text.strip()
        if self.form == "column":
            return word(self._column(step, text, columns))
        if self.form == "number" or (self.form == "value" and kind == "number"):
            return self._number(step, text)
        if not text and self.form != "value":
            raise StatementError(f"{step} needs a {self.name}.", hint=f"Call it as {STEPS[step].signature}.")
        # How far `rolling` looks back is a number of times, or an interval in quotes.
        return text if self.form == "word" and text.isdecimal() else literal(text)

    def _column(self, step: str, text: str, columns: Sequence[str]) -> str:
        if not text:
            raise StatementError(
                f"{step} needs a {self.name}.", hint=f"Call it as {STEPS[step].signature}: choose a column."
            )
        (found,) = spelled([text], columns)
        if found not in columns:
            raise NotFound.named("column", text, columns)
        return found

    def _number(self, step: str, text: str) -> str:
        try:
            known = math.isfinite(float(text)) and text.isascii() and "_" not in text
        except ValueError:
            known = False
        if not known:
            raise StatementError(
                f"The {self.name} of {step} must be a number, not {text or 'nothing'}.",
                hint=f"Call it as {STEPS[step].signature}.",
            )
        return text


@dataclass(frozen=True, slots=True)
class Offer:
    """A built-in function that can be chosen for a column.

    Attributes
    ----------
    step : str
    group : str
        Under which heading it is offered.
    takes : tuple of str
        The kinds of column it suits.
    gives : str
        The kind that its result is; empty for that of the column.
    parameters : tuple of Parameter
        In the order of the call, in which the column stands first.
    """

    step: str
    group: str
    takes: tuple[Kind, ...]
    gives: Kind | Literal[""] = "number"
    parameters: tuple[Parameter, ...] = ()

    def call(self, expression: str, given: Mapping[str, str], columns: Sequence[str], kind: Kind) -> str:
        """Write the call.

        Parameters
        ----------
        expression : str
            The first argument, in SQL.
        given : mapping
            What was typed into the parameters; a missing one has its default.
        columns : sequence of str
            The columns that a parameter can name.
        kind : str
            What the values of `expression` are.

        Raises
        ------
        StatementError, NotFound
            If the function cannot be called so.
        """
        known = {each.name: given.get(each.name, each.begin(kind)) for each in self.parameters}
        asked = [each for each in self.parameters if each.is_asked(known)]
        while asked and asked[-1].optional and known[asked[-1].name].strip() == asked[-1].begin(kind):
            del asked[-1]
        written = [each.write(self.step, known[each.name], columns, kind) for each in asked]
        STEPS[self.step].check((expression, *written))
        return f"{self.step}({', '.join((expression, *written))})"


BACK = "Earlier rows"
"""The group of the functions that look at other rows than their own."""

_STRATEGY = Parameter("strategy", "choice", words=STRATEGIES, numeric=("mean", "median"))
_FILLING = Parameter("value", "value", only=("strategy", "constant"))
_CYCLE = Parameter("cycle", "choice", words=("hour", *sorted(set(CYCLES) - {"hour"})))
_ENTITY = Parameter("entity", "column", of=CATEGORY)
_TIME = Parameter("time", "column", of=("time", "number"))

_OFFERS = (
    Offer("impute", "Missing values", VALUE, "", (_STRATEGY, _FILLING)),
    Offer("is_missing", "Missing values", ANY, "flag"),
    Offer("standardize", "Numbers", NUMBER),
    Offer("min_max", "Numbers", NUMBER),
    Offer("robust_scale", "Numbers", NUMBER),
    Offer("log1p_signed", "Numbers", NUMBER),
    Offer(
        "clip_quantile",
        "Numbers",
        NUMBER,
        "number",
        (Parameter("low", default="0.01", optional=True), Parameter("high", default="0.99", optional=True)),
    ),
    Offer("bucketize", "Numbers", NUMBER, "number", (Parameter("bins", default="10"),)),
    Offer("quantile_bin", "Numbers", NUMBER, "number", (Parameter("bins", default="10"),)),
    Offer("polynomial", "Numbers", NUMBER, "other", (Parameter("degree", default="2"),)),
    Offer("interact", "Numbers", NUMBER, "number", (Parameter("with", "column", of=NUMBER),)),
    Offer(
        "one_hot",
        "Categories",
        CATEGORY,
        "other",
        (
            Parameter("most", default=str(MOST), optional=True),
            Parameter("least", default="1", optional=True),
            Parameter("rest", "choice", words=("zeros", "other"), optional=True),
        ),
    ),
    Offer("ordinal", "Categories", CATEGORY),
    Offer("count_encode", "Categories", CATEGORY),
    Offer(
        "target_encode",
        "Categories",
        CATEGORY,
        "number",
        (Parameter("target", "column", of=("number", "flag")),),
    ),
    Offer("hash_encode", "Categories", CATEGORY, "number", (Parameter("buckets", default="32"),)),
    Offer("date_parts", "Time", TIME, "other"),
    Offer("cyclical", "Time", TIME, "other", (_CYCLE,)),
    Offer(
        "lag_feature",
        BACK,
        VALUE,
        "",
        (_ENTITY, _TIME, Parameter("n", default="1", optional=True)),
    ),
    Offer(
        "rolling",
        BACK,
        NUMBER,
        "number",
        (
            Parameter("aggregate", "choice", words=AGGREGATES),
            _ENTITY,
            Parameter("time", "column", of=TIME),  # it may look back an interval
            Parameter("back", "word", "7"),
        ),
    ),
    Offer(
        "tokenize",
        "Text",
        TEXT,
        "other",
        (
            Parameter("by", "choice", words=("word", "subword"), optional=True),
            Parameter("pieces", default=str(PIECES), only=("by", "subword"), optional=True),
            Parameter("length", default=str(LENGTH), only=("by", "subword"), optional=True),
        ),
    ),
    Offer("ngrams", "Text", TEXT, "other", (Parameter("n", default="2"),)),
    Offer("hash_text", "Text", TEXT, "other", (Parameter("buckets", default="256"),)),
    Offer("tfidf", "Text", TEXT, "other", (Parameter("words", default=str(TERMS), optional=True),)),
    Offer("embed", "Text", TEXT, "other", (Parameter("model", "word", DEFAULT, optional=True),)),
)

OFFERS: Mapping[str, Offer] = {each.step: each for each in _OFFERS}
"""What is offered, by the name of the function. A test finds a built-in function that is not."""


def suited(kind: Kind) -> list[Offer]:
    """List what suits a kind of column.

    Examples
    --------
    >>> [each.step for each in suited("time")]
    ['impute', 'is_missing', 'date_parts', 'cyclical', 'lag_feature']
    """
    return [each for each in OFFERS.values() if kind in each.takes]
