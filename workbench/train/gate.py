"""Whether a newly trained model is deployed. Pure: scores in, decision out."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import NotFound, StatementError
from workbench.train.evaluate import MEASURES, check_metric
from workbench.train.paired import Difference

if TYPE_CHECKING:
    from workbench.train.label import Task

LATENCIES = {"latency_p50": 0.5, "latency_p95": 0.95}
"""What the gate can ask beside the metrics: quantiles of the time that one row takes, in seconds."""

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>(?:{_NUMBER})%?)|(?P<word>[A-Za-z_]\w*)|(?P<sign>>=|<=|>|<|\+|-)|(?P<text>'[^']*'))"
)
_TIME = re.compile(rf"'\s*(?P<number>{_NUMBER})\s*(?P<unit>{'|'.join(_UNITS)})\s*'", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: `metric` `sign` `number`, the number being added to the champion's score if asked.

    The number of a latency is in seconds.
    """

    metric: str
    sign: str
    number: float
    champion: bool = False

    def __str__(self) -> str:
        quote = "'" if self.metric in LATENCIES else ""
        if not self.champion:
            return f"{self.metric} {self.sign} {quote}{_said(self.metric, self.number)}{quote}"
        return f"{self.metric} {self.sign} champion{_offset_said(self, quote)}"


@dataclass(frozen=True, slots=True)
class Gate:
    """When to deploy: always (no conditions), never, or when all conditions hold."""

    conditions: tuple[Condition, ...] = ()
    never: bool = False

    def __str__(self) -> str:
        if not self.conditions:
            return "never" if self.never else "always"
        return " and ".join(map(str, self.conditions))

    @property
    def asks_champion(self) -> bool:
        """Whether the champion has to be scored."""
        return any(condition.champion for condition in self.conditions)

    @property
    def asks_latency(self) -> bool:
        """Whether predictions of single rows have to be timed."""
        return any(condition.metric in LATENCIES for condition in self.conditions)

    def check(self, task: Task | None = None) -> None:
        """Raise NotFound unless there are all the metrics of the conditions (for the task)."""
        for condition in self.conditions:
            if condition.metric in LATENCIES:
                continue
            if condition.metric.startswith("latency") or condition.metric not in MEASURES:
                raise NotFound.named("metric", condition.metric, [*MEASURES, *LATENCIES])
            check_metric(condition.metric, task)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger and champion on the same rows.

    Attributes
    ----------
    ref : str
        The champion, as in `late@2`.
    challenger, champion : mapping of str to float
        Their scores.
    differences : mapping of str to Difference
        Challenger minus champion; not of latencies.
    where : str
        Which rows these are, in words.
    rows : int
        How many.
    """

    ref: str
    challenger: Mapping[str, float]
    champion: Mapping[str, float]
    differences: Mapping[str, Difference]
    where: str
    rows: int


@dataclass(frozen=True, slots=True)
class Check:
    """A condition, the score it was asked of, and the limit that this score had to keep.

    `champion` and `difference` are None where the condition does not ask for the champion; `holds`
    is None where there was no champion to compare with.
    """

    condition: Condition
    score: float
    limit: float
    champion: float | None = None
    difference: Difference | None = None
    holds: bool | None = None

    def said(self, ref: str) -> str:
        """Say it in words, the champion being called `ref`."""
        metric, sign = self.condition.metric, self.condition.sign
        if self.holds is None:
            return f"{metric} {_said(metric, self.score)}, and there is no champion yet"
        if self.champion is None:
            return f"{metric} {_said(metric, self.score)} {sign} {_said(metric, self.limit)}"
        than = f"{_said(metric, self.champion)}{_offset_said(self.condition)} of {ref}"
        apart = f" ({self.difference})" if self.difference else ""
        return f"{metric} {_said(metric, self.score)} {sign} {than}{apart}"

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        apart = asdict(self.difference) if self.difference else {"value": None, "low": None, "high": None}
        return {
            "condition": str(self.condition),
            "metric": self.condition.metric,
            "score": _finite(self.score),
            "limit": None if self.holds is None else _finite(self.limit),
            "champion": _finite(self.champion),
            "difference": _finite(apart["value"]),
            "low": _finite(apart["low"]),
            "high": _finite(apart["high"]),
            "holds": self.holds,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to deploy, and why.

    Attributes
    ----------
    deploy : bool
    reason : str
    gate : str
        The gate, as text.
    checks : tuple of Check
        The conditions that were tested; none where the gate has none, or the champion could not
        be compared.
    champion : str or None
        With which version the new one was compared.
    rows : int
        On how many rows, beside those of the metrics.
    """

    deploy: bool
    reason: str
    gate: str = ""
    checks: tuple[Check, ...] = ()
    champion: str | None = None
    rows: int = 0


def parse(text: str) -> Gate:
    """Read `always`, `never` or conditions such as `auc >= champion + 0.005 AND latency_p95 < '20 ms'`.

    Raises
    ------
    StatementError
        If the text is not a condition, with the place and what was expected.

    Examples
    --------
    >>> [str(each) for each in parse("auc >= champion + 0.005 AND logloss < 0.5").conditions]
    ['auc >= champion + 0.005', 'logloss < 0.5']
    >>> parse("latency_p95 < '0.02 s'").conditions
    (Condition(metric='latency_p95', sign='<', number=0.02, champion=False),)
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


def decide(gate: Gate, scores: Mapping[str, float], against: Comparison | None = None) -> Decision:
    """Decide by the scores of the challenger and, unless there is no champion, by the comparison with it.

    Examples
    --------
    >>> apart = {"auc": Difference(0.01, 0.004, 0.016)}
    >>> against = Comparison("late@2", {"auc": 0.8}, {"auc": 0.79}, apart, "on 100 rows", 100)
    >>> print(decide(parse("auc >= champion"), {"auc": 0.8}, against).reason)
    deployed: auc 0.8 >= 0.79 of late@2 (difference +0.01, 95 % interval +0.004 to +0.016), on 100 rows
    """
    if gate.never:
        return Decision(False, "not deployed: DEPLOY never", str(gate))
    if not gate.conditions:
        return Decision(True, "deployed: DEPLOY always", str(gate))
    ref = against.ref if against else ""
    checks = tuple(_test(condition, scores, against) for condition in gate.conditions)
    failed = [check.said(ref) for check in checks if check.holds is False]
    compared = against if gate.asks_champion else None
    where = f", {compared.where}" if compared else ""
    if failed:
        verb = "does not hold" if len(failed) == 1 else "do not hold"
        reason = f"not deployed: {', '.join(failed)} {verb}{where}"
    else:
        reason = f"deployed: {', '.join(check.said(ref) for check in checks)}{where}"
    return Decision(
        not failed,
        reason,
        str(gate),
        checks,
        compared.ref if compared else None,
        compared.rows if compared else 0,
    )


def _test(condition: Condition, scores: Mapping[str, float], against: Comparison | None) -> Check:
    if not condition.champion:
        score = scores[condition.metric]
        holds = _OPERATORS[condition.sign](score, condition.number)
        return Check(condition, score, condition.number, holds=holds)
    if against is None:
        return Check(condition, scores[condition.metric], condition.number)
    score, base = against.challenger[condition.metric], against.champion[condition.metric]
    limit = base + condition.number
    # A comparison with NaN, where a metric could not be computed, never holds.
    holds = _OPERATORS[condition.sign](score, limit)
    return Check(condition, score, limit, base, against.differences.get(condition.metric), holds)


def _said(metric: str, value: float) -> str:
    if metric not in LATENCIES:
        return f"{value:.4g}"
    unit = "us" if abs(value) < 1e-3 else "ms" if abs(value) < 1 else "s"
    return f"{value / _UNITS[unit]:.4g} {unit}"


def _offset_said(condition: Condition, quote: str = "") -> str:
    if not condition.number:
        return ""
    offset = _said(condition.metric, abs(condition.number))
    return f" {'-' if condition.number < 0 else '+'} {quote}{offset}{quote}"


def _finite(value: float | None) -> float | None:
    """Turn what JSON has no word for into None."""
    return value if value is not None and math.isfinite(value) else None


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
        found = repr(self.value) if self.kind else "the end"
        return self.failure(
            f"The condition {self._text.strip()!r} has {found} where {' or '.join(expected)} was expected.",
            *expected,
        )

    def failure(self, message: str, *expected: str) -> StatementError:
        """Make an error at the place of the current token."""
        place = self._end - (len(self.value) if self.kind not in {None, "unknown"} else 0)
        line = self._text.count("\n", 0, place) + 1
        column = place - (self._text.rfind("\n", 0, place) + 1) + 1
        return StatementError(
            message,
            hint="As in: auc >= champion + 0.005 AND latency_p95 < '20 ms', or always, or never.",
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
        return Condition(metric, sign, _offset(tokens, metric), champion=True)
    return Condition(metric, sign, _signed(tokens, metric, "champion"))


def _offset(tokens: _Tokens, metric: str) -> float:
    if tokens.kind != "sign" or tokens.value not in {"+", "-"}:
        return 0.0
    return _signed(tokens, metric)


def _signed(tokens: _Tokens, metric: str, *also: str) -> float:
    factor = 1.0
    if tokens.kind == "sign" and tokens.value in {"+", "-"}:
        factor = -1.0 if tokens.advance() == "-" else 1.0
        also = ()
    if metric.startswith("latency"):  # one that is not there is found out by `Gate.check`
        return factor * _seconds(tokens, *also)
    if tokens.kind != "number":
        raise tokens.error(*also, "a number")
    number = tokens.advance()
    return factor * (float(number[:-1]) / 100 if number.endswith("%") else float(number))


def _seconds(tokens: _Tokens, *also: str) -> float:
    if tokens.kind != "text":
        raise tokens.error(*also, "a time such as '20 ms'")
    found = _TIME.fullmatch(tokens.value)
    if found is None:
        message = f"{tokens.value} is not a time in ms, s or us."
        raise tokens.failure(message, "a time such as '20 ms'")
    tokens.advance()
    return float(found["number"]) * _UNITS[found["unit"].lower()]
