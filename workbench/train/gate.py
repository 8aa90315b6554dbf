"""Whether a newly trained model is deployed. Pure: scores in, decision out."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workbench.errors import StatementError

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(rf"\s*(?:(?P<number>{_NUMBER})|(?P<word>[A-Za-z_]\w*)|(?P<sign>>=|<=|>|<|\+|-))")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: `metric` `sign` `number`, the number being added to the champion's score if asked."""

    metric: str
    sign: str
    number: float
    champion: bool = False

    def __str__(self) -> str:
        if not self.champion:
            return f"{self.metric} {self.sign} {self.number:g}"
        offset = f" {'-' if self.number < 0 else '+'} {abs(self.number):g}" if self.number else ""
        return f"{self.metric} {self.sign} champion{offset}"


@dataclass(frozen=True, slots=True)
class Gate:
    """When to deploy: always (no conditions), never, or when all conditions hold."""

    conditions: tuple[Condition, ...] = ()
    never: bool = False

    @property
    def asks_champion(self) -> bool:
        """Whether the champion has to be scored."""
        return any(condition.champion for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to deploy, and why."""

    deploy: bool
    reason: str


def parse(text: str) -> Gate:
    """Read `always`, `never` or conditions such as `auc >= champion + 0.005 AND logloss <= 0.5`.

    Raises
    ------
    StatementError
        If the text is not a condition, with the place and what was expected.

    Examples
    --------
    >>> [str(each) for each in parse("auc >= champion + 0.005 AND logloss < 0.5").conditions]
    ['auc >= champion + 0.005', 'logloss < 0.5']
    """
    word = text.strip().lower()
    if word in {"always", "never"}:
        return Gate(never=word == "never")
    tokens = _Tokens(text)
    tokens.skip("when")
    conditions = [_condition(tokens)]
    while tokens.kind is not None:
        if not tokens.skip("and"):
            raise tokens.error("AND", "the end")
        conditions.append(_condition(tokens))
    return Gate(tuple(conditions))


def decide(
    gate: Gate,
    scores: Mapping[str, float],
    champion: Mapping[str, float] | None,
    *,
    named: str = "the champion",
    rows: int = 0,
) -> Decision:
    """Decide by the scores of challenger and champion (None if there is none) on the same rows.

    Examples
    --------
    >>> decide(parse("auc >= champion"), {"auc": 0.8}, {"auc": 0.79}, named="late@2", rows=100).reason
    'deployed: auc 0.8 >= 0.79 of late@2, on the same 100 held-out rows'
    """
    if gate.never:
        return Decision(False, "not deployed: DEPLOY never")
    if not gate.conditions:
        return Decision(True, "deployed: DEPLOY always")
    said, failed = [], []
    for condition in gate.conditions:
        if condition.champion and champion is None:
            score = _short(scores[condition.metric])
            said.append(f"{condition.metric} {score}, and there is no champion yet")
            continue
        holds, text = _test(condition, scores, champion or {}, named)
        said.append(text)
        if not holds:
            failed.append(text)
    where = f", on the same {rows:,} held-out rows" if gate.asks_champion and champion is not None else ""
    if failed:
        return Decision(False, f"not deployed: {', '.join(failed)} does not hold{where}")
    return Decision(True, f"deployed: {', '.join(said)}{where}")


def _test(
    condition: Condition, scores: Mapping[str, float], champion: Mapping[str, float], named: str
) -> tuple[bool, str]:
    score = scores[condition.metric]
    base = champion[condition.metric] if condition.champion else 0.0
    # A comparison with NaN, where a metric could not be computed, never holds.
    holds = _OPERATORS[condition.sign](score, base + condition.number)
    if not condition.champion:
        return holds, f"{condition.metric} {_short(score)} {condition.sign} {condition.number:g}"
    offset = f" {'-' if condition.number < 0 else '+'} {abs(condition.number):g}" if condition.number else ""
    return holds, f"{condition.metric} {_short(score)} {condition.sign} {_short(base)}{offset} of {named}"


def _short(value: float) -> str:
    return f"{value:.4g}"


class _Tokens:
    """The words, numbers and signs of a condition, one at a time, with their place."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.kind: str | None = None
        self.value = ""
        self.advance()

    def advance(self) -> str:
        """Go to the next token; return the one that was current."""
        value = self.value
        found = _TOKEN.match(self._text, self._end)
        if found:
            self.kind, self._end = found.lastgroup, found.end()
            self.value = found[found.lastgroup or 0]
        else:
            rest = self._text[self._end :]
            self._end += len(rest) - len(rest.lstrip())
            self.kind, self.value = ("unknown", rest.lstrip()[0]) if rest.strip() else (None, "")
        return value

    def skip(self, word: str) -> bool:
        """Go past a word if it stands here."""
        if self.kind == "word" and self.value.lower() == word:
            self.advance()
            return True
        return False

    def error(self, *expected: str) -> StatementError:
        """Make the error for the current token."""
        place = self._end - (len(self.value) if self.kind not in {None, "unknown"} else 0)
        found = repr(self.value) if self.kind else "the end"
        line = self._text.count("\n", 0, place) + 1
        column = place - (self._text.rfind("\n", 0, place) + 1) + 1
        return StatementError(
            f"The condition {self._text.strip()!r} has {found} where {' or '.join(expected)} was expected.",
            hint="As in: auc >= champion + 0.005 AND logloss <= 0.5, or always, or never.",
            line=line,
            column=column,
            expected=expected,
        )


def _condition(tokens: _Tokens) -> Condition:
    if tokens.kind != "word":
        raise tokens.error("a metric")
    metric = tokens.advance().lower()
    if tokens.kind != "sign" or tokens.value not in _OPERATORS:
        raise tokens.error(*_OPERATORS)
    sign = tokens.advance()
    if tokens.skip("champion"):
        return Condition(metric, sign, _offset(tokens), champion=True)
    return Condition(metric, sign, _signed(tokens, "champion", "a number"))


def _offset(tokens: _Tokens) -> float:
    if tokens.kind != "sign" or tokens.value not in {"+", "-"}:
        return 0.0
    return _signed(tokens, "a number")


def _signed(tokens: _Tokens, *expected: str) -> float:
    factor = 1.0
    if tokens.kind == "sign" and tokens.value in {"+", "-"}:
        factor = -1.0 if tokens.advance() == "-" else 1.0
    if tokens.kind != "number":
        raise tokens.error(*expected)
    return factor * float(tokens.advance())
