"""The grammar of headers, made from the verbs' parts, and what its rules mean.

This module and `unexpected.py` import lark; they are imported when the first statement is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError
from lark.tree import Meta

from workbench.errors import StatementError
from workbench.language.kinds import QUERY_WORDS, dotted, identifier, is_query, plain_part
from workbench.language.mistakes import listed, mistake
from workbench.language.statement import Part, parts
from workbench.language.unexpected import explain
from workbench.language.values import Variable
from workbench.language.verbs import VERBS
from workbench.names import SCHEMAS
from workbench.ranges import Range

RULES = r"""
name: dotted
ref: dotted VERSION?
versioned: dotted VERSION
name_or_all: _ALL | ref
place: IDENTIFIER ("." IDENTIFIER)* (VERSION ("." IDENTIFIER)?)?
versions: dotted _moment (dotted _moment?)?
_moment: VERSION | MOMENT
dotted: IDENTIFIER ("." IDENTIFIER)*
identifier: IDENTIFIER
columns: IDENTIFIER | "(" IDENTIFIER ("," IDENTIFIER)* ","? ")"
key: _AUTO -> key_auto | columns
inputs: name columns_listed?
columns_listed: "(" IDENTIFIER ("," IDENTIFIER)* ","? ")"
relation: ref | "(" ")" -> relation_query
values: scalar | "(" scalar ("," scalar)* ","? ")" -> values_listed
string: STRING
source: STRING | VARIABLE -> source_variable
word: IDENTIFIER -> word_lower | STRING
model: ref | STRING -> string | ELSEWHERE -> elsewhere
count: INTEGER
trials: INTEGER _TRIALS?
share: NUMBER PERCENT?
snapshot: VERSION | MOMENT | INTEGER

settings: "{" (setting ("," setting)* ","?)? "}"
setting: map_key ":" literal
space: "{" (dimension ("," dimension)* ","?)? "}"
dimension: map_key ":" (literal | range)
range: NUMBER ".." NUMBER LOG?
map_key: IDENTIFIER | STRING -> string
literal: scalar | "[" (literal ("," literal)* ","?)? "]" -> list | settings
scalar: NUMBER -> number | STRING -> string | _TRUE -> true | _FALSE -> false | _NULL -> null

split: _HASH columns_listed? -> split_hash | _TIME columns_listed -> split_time
    | _COLUMN columns_listed -> split_column | _RANDOM -> split_random
    | _GROUP columns_listed -> split_group | _STRATIFIED columns_listed -> split_stratified

trigger: _MANUAL -> trigger_manual | _some_trigger (_COOLDOWN STRING)?
_some_trigger: trigger_or
trigger_or: trigger_and (_OR trigger_and)*
trigger_and: event (_AND event)*
event: _ON _WRITE -> on_write | _EVERY STRING -> every | _CRON STRING (_TZ STRING)? -> cron
    | _CHANGED _AT_LEAST NUMBER "%" (_OF columns_listed)? -> changed
    | _DRIFT "(" IDENTIFIER ")" COMPARE NUMBER -> drift | _METRIC "(" IDENTIFIER ")" COMPARE NUMBER -> metric
    | _AFTER ref -> after | "(" trigger_or ")" -> nested

gate: _ALWAYS -> gate_always | _NEVER -> gate_never | _WHEN condition
condition: both (_OR both)*
both: comparison (_AND comparison)*
comparison: amount COMPARE amount | "(" condition ")" -> nested
amount: term (SIGN term)*
term: NUMBER PERCENT? | STRING | dotted

_AT_LEAST: ">="
COMPARE: ">=" | "<=" | "<>" | "!=" | "==" | ">" | "<" | "="
SIGN: "+" | "-"
PERCENT: "%"
IDENTIFIER: /[^\W\d]\w*|"(?:[^"]|"")+"/
STRING: /'(?:[^']|'')*'/
VARIABLE: /\$[^\W\d]\w*/
ELSEWHERE.3: /(?:mlflow|onnx|py|hf|package):[^\s'"$()]+/
VERSION: /@\w+/
MOMENT: /@'(?:[^']|'')*'/
INTEGER.1: /\d+(?![\w.])/
NUMBER: /[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/
LOG.2: /log(?!\w)/i
%ignore /\s+/
"""
"""The rules for the values; the rules for the verbs are made from their parts."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said for one part: the values of its fields, and where it stands."""

    part: Part
    values: tuple[Any, ...]
    start: int


@cache
def _parser() -> Lark:
    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="contextual",
        start=["statement"],
        propagate_positions=True,
        maybe_placeholders=False,
    )


def grammar_text() -> str:
    """Write the whole grammar."""
    verbs = [line for verb in VERBS for line in _verb_rules(verb)]
    lines = [f'statement: ({" | ".join(f"{verb}_verb" for verb in VERBS)}) ";"?', *verbs, RULES]
    words = set(re.findall(r"(?<![\w])_[A-Z]+(?![\w])", "\n".join(lines)))
    # The lexer must not take the beginning of a longer word for a keyword.
    lines += [rf"{word}.2: /{word[1:].lower()}(?!\w)/i" for word in sorted(words)]
    return "\n".join(lines)


def _verb_rules(verb: str) -> list[str]:
    # Not the verb alone: lark's Transformer has a method of its own called transform.
    line, heads, options, rules = f"{verb}_verb: _{verb.upper()}", "", list[str](), list[str]()
    for part in parts(VERBS[verb]):
        if part.kind_name == "body":
            continue
        rule = f"{verb}__{part.fields[0]}"
        keywords = " ".join(f"_{word}" for word in part.keyword.split())
        value = part.kind.rule
        if part.words:
            value = f"{rule}_word"
            rules.append(f"!{value}: " + " | ".join(f"_{word.upper()}" for word in part.words))
        rules.append(f"{rule}: {keywords} {value}")
        if part.is_clause:
            options.append(rule)
        else:
            heads += f" {rule}" + ("" if part.required or part.kind.always else "?")
    if options:
        rules.append(f"_{verb}_clause: " + " | ".join(options))
        heads += f" _{verb}_clause*"
    return [line + heads, *rules]


def read(text: str, masked: str, verb: str) -> list[Said]:
    """Read a header.

    Parameters
    ----------
    text, masked : str
        The whole text, and its header with everything blanked out that is not for the grammar.
    verb : str

    Returns
    -------
    list of Said
        In the order of the text.

    Raises
    ------
    StatementError
        If the header does not follow the grammar; it says what could stand there.
    """
    try:
        tree = _parser().parse(masked)
        said: list[Said] = _Meaning(text).transform(tree)
    except UnexpectedInput as error:
        raise explain(text, masked, VERBS[verb], error) from None
    except VisitError as error:
        if isinstance(error.orig_exc, StatementError):
            raise error.orig_exc from None
        raise
    return said


# What the rules that give text say; the fields are the rule's children.
_TEXTS = {
    "key_auto": "auto",
    "split_hash": "hash{}",
    "split_time": "time{}",
    "split_column": "column{}",
    "split_group": "group{}",
    "split_stratified": "stratified{}",
    "split_random": "random",
    "trigger_manual": "manual",
    "on_write": "on write",
    "every": "every {}",
    "drift": "drift({}) {} {}",
    "metric": "metric({}) {} {}",
    "nested": "({})",
    "comparison": "{} {} {}",
    "gate_always": "always",
    "gate_never": "never",
    "gate": "{}",
}
_JOINED = {"trigger_or": " or ", "trigger_and": " and ", "condition": " or ", "both": " and ", "amount": " "}
_CONSTANTS = {"true": True, "false": False, "null": None}


class _Meaning(Transformer[Token, Any]):
    """Turn the tree of a header into what was said."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def __default__(self, data: Token, children: list[Any], meta: Meta) -> Any:
        rule = str(data)
        if rule.endswith("_word"):
            return str(children[0]).lower()
        if "__" in rule:
            return self._said(rule, children, meta)
        if rule in _CONSTANTS:
            return _CONSTANTS[rule]
        if rule in _JOINED:
            return _JOINED[rule].join(str(each) for each in children)
        if rule in _TEXTS:
            return _TEXTS[rule].format(*(*children, "")) if "{" in _TEXTS[rule] else _TEXTS[rule]
        if rule == "relation_query":
            return self._query(meta)
        if rule == "versions":
            return self._versions(children, meta)
        if rule in ("settings", "space"):
            return self._map(children, meta)
        function = _FUNCTIONS.get(rule)
        return children if function is None else function(*children)

    def _said(self, rule: str, children: list[Any], meta: Meta) -> Said:
        verb, _, name = rule.partition("__")
        part = next(each for each in parts(VERBS[verb]) if each.fields[0] == name)
        if part.kind_name == "flag":
            return Said(part, (True,), meta.start_pos)
        return Said(part, children[0] if len(part.fields) > 1 else (children[0],), meta.start_pos)

    def _map(self, pairs: list[tuple[str, Any]], meta: Meta) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise mistake(self.text, meta.start_pos, f"The key {twice!r} is there twice.")
        return dict(pairs)

    def _versions(self, children: list[Any], meta: Meta) -> tuple[str, int | str, int | str | None]:
        name, first, *more = children
        second = more[1] if len(more) > 1 else ""
        if more and more[0] != name:
            hint = f"Write diff {name}{first} {name}{second}."
            raise mistake(self.text, meta.start_pos, "diff compares two versions of one table.", hint=hint)
        return name, _version(first), _version(second) if second else None

    def _query(self, meta: Meta) -> str:
        query = self.text[meta.start_pos + 1 : meta.end_pos - 1].strip()
        if is_query(query):
            return query
        hint = f"Start it with {listed(sorted(QUERY_WORDS))}."
        message = "A query is wanted between these parentheses."
        raise mistake(self.text, meta.start_pos + 1, message, hint=hint)


def _bare(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else str(token)


def _dotted(*names: str) -> str:
    return ".".join(plain_part(_bare(each)) for each in names)


def _string(token: str) -> str:
    return token[1:-1].replace("''", "'")


def _number(token: str) -> int | float:
    return int(token) if re.fullmatch(r"[+-]?\d+", token) else float(token)


def _version(token: str) -> int | str:
    bare = token.lstrip("@")
    if bare.startswith("'"):
        return _string(bare)
    return int(bare) if bare.isdecimal() else bare


def _share(number: str, percent: str = "") -> int | float:
    return float(Decimal(number) / 100) if percent else _number(number)


def _range(low: str, high: str, log: str = "") -> Range:
    return Range(_number(low), _number(high), bool(log))


def _columns(*names: str) -> tuple[str, ...]:
    return tuple(_bare(each) for each in names)


class _Listed(tuple[str, ...]):
    """Columns in parentheses; in the text of a trigger or split they are written as such."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return "(" + ", ".join(identifier(each) for each in self) + ")"


def _place(*tokens: str) -> tuple[str, str | None]:
    version = next((i for i, token in enumerate(tokens) if token.startswith("@")), None)
    if version is not None:
        column = _bare(tokens[-1]) if version < len(tokens) - 1 else None
        return _dotted(*tokens[:version]) + tokens[version], column
    # `features.late` is a table; `late.distance` and `features.late.distance` are columns.
    schemas = 1 if tokens[0].lower() in SCHEMAS else 0
    if len(tokens) - schemas < 2:
        return _dotted(*tokens), None
    return _dotted(*tokens[:-1]), _bare(tokens[-1])


def _cron(when: str, zone: str = "") -> str:
    return f"cron {when}" + (f" tz {zone}" if zone else "")


def _changed(share: str, *listed: _Listed) -> str:
    return f"changed >= {share}%" + (f" OF {listed[0]}" if listed else "")


def _trigger(events: str, cooldown: str = "") -> str:
    return f"{events} COOLDOWN {cooldown}" if cooldown else events


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "statement": lambda verb: verb,
    "dotted": _dotted,
    "name": lambda name: name,
    "ref": lambda name, version="": name + version,
    "versioned": lambda name, version: name + version,
    "name_or_all": lambda name=None: name,
    "place": _place,
    "identifier": _bare,
    "columns": _columns,
    "columns_listed": lambda *names: _Listed(_columns(*names)),
    "key": lambda names: names,
    "inputs": lambda name, columns=None: (name, columns and tuple(columns)),
    "relation": lambda ref: ref,
    "values": lambda value: value,
    "values_listed": lambda *values: values,
    "string": _string,
    "source": _string,
    "source_variable": lambda token: Variable(token[1:]),
    "word": _string,
    "word_lower": lambda token: _bare(token).lower(),
    "model": lambda ref: ref,
    "elsewhere": str,
    "count": int,
    "trials": int,
    "share": _share,
    "snapshot": _version,
    "setting": lambda key, value: (key, value),
    "dimension": lambda key, value: (key, value),
    "range": _range,
    "map_key": _bare,
    "literal": lambda value: value,
    "number": _number,
    "list": lambda *values: list(values),
    "cron": _cron,
    "changed": _changed,
    "trigger": _trigger,
    "after": lambda ref: f"after {dotted(ref)}",
    "term": lambda value, percent="": f"{value if isinstance(value, Token) else dotted(value)}{percent}",
}
