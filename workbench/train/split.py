"""Which rows are held out: a rule that never moves a row to the other side as data grows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.errors import InvalidData, NotFound
from workbench.names import literal, quote

By = Literal["hash", "time", "random", "column"]

RULES: dict[str, str] = {
    "hash": "hash or hash(cols): by a hash of the key, or of these columns",
    "time": "time(col): the last part by this column",
    "random": "random: by a hash of the key and the seed",
    "column": "column(col): where this boolean is true, or this text is 'test'",
}

_PARTS = 1_000_000
_TEST_WORDS = ("test", "holdout", "held out", "validation")
_TRAIN_WORDS = ("train", "training")


@dataclass(frozen=True, slots=True)
class Split:
    """How rows are divided into training and held-out ones.

    Attributes
    ----------
    by : {"hash", "time", "random", "column"}
    columns : tuple of str
        The columns the rule looks at.
    holdout : float
        The part held out, between 0 and 1; a split by column has its own.
    seed : int
        Goes into the hash of a random split only.
    threshold : str or None
        Of a split by time: later rows are held out. It is set once, from the first data seen.
    """

    by: By
    columns: tuple[str, ...] = ()
    holdout: float = 0.2
    seed: int = 0
    threshold: str | None = None

    @classmethod
    def parse(cls, text: str, *, holdout: float = 0.2, seed: int = 0) -> Split:
        """Read a rule.

        Raises
        ------
        NotFound
            If there is no such rule.
        InvalidData
            If its columns are not as it needs them, or the part is not between 0 and 1.

        Examples
        --------
        >>> Split.parse("hash(customer, day)").columns
        ('customer', 'day')
        """
        found = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", text)
        rule = found[1].lower() if found else text
        if found is None or rule not in RULES:
            raise NotFound.named("rule", rule, RULES, within="SPLIT BY")
        columns = tuple(each.strip().strip('"') for each in (found[2] or "").split(",") if each.strip())
        if rule in {"time", "column"} and len(columns) != 1:
            raise InvalidData(f"SPLIT BY {text.strip()} needs one column.", hint=RULES[rule])
        if rule == "random" and columns:
            raise InvalidData(f"SPLIT BY {text.strip()} takes no columns.", hint=RULES[rule])
        if not 0 < holdout < 1:
            raise InvalidData(f"HOLDOUT {holdout} is not between 0 and 1.", hint="0.2 holds out 20 %.")
        return cls(rule, columns, holdout, seed)  # type: ignore[arg-type]

    @property
    def needs_threshold(self) -> bool:
        """Whether `threshold_query` must be asked before `expression`."""
        return self.by == "time" and self.threshold is None

    def resolved(self, key: Sequence[str], features: Sequence[str]) -> Split:
        """Fill in the columns of a rule without any: the key, or without a key all features."""
        if self.columns or self.by not in {"hash", "random"}:
            return self
        return replace(self, columns=tuple(key or features))

    def same_rule(self, other: Split) -> bool:
        """Whether `other` is this rule, so that its threshold can be kept."""
        return replace(self, threshold=None) == replace(other, threshold=None)

    def threshold_query(self, relation: str) -> str:
        """Return SQL for the threshold of a split by time, as text."""
        column = quote(self.columns[0])
        return f"SELECT quantile_disc({column}, {1 - self.holdout!r})::VARCHAR FROM {relation}"

    def expression(self, types: Mapping[str, str]) -> str:
        """Return a boolean SQL expression, never NULL: whether a row is held out.

        `types` are the DuckDB types of the relation's columns.

        Examples
        --------
        >>> Split("column", ("is_test",)).expression({"is_test": "BOOLEAN"})
        'coalesce("is_test", false)'
        """
        if self.by == "column":
            return self._by_column(types)
        if self.by == "time":
            column, kind = self.columns[0], types[self.columns[0]]
            value = f"CAST({literal(self.threshold or '')} AS {kind})"
            return f"coalesce({quote(column)} > {value}, false)"
        salt = literal(f"{self.seed}:") + " || " if self.by == "random" else ""
        text = " || ".join(_as_text(column, types[column]) for column in self.columns)
        return f"md5_number_lower({salt}{text}) % {_PARTS} < {round(self.holdout * _PARTS)}"

    def fold(self, types: Mapping[str, str], relation: str) -> str:
        """Return an SQL expression from 0 to 999 that divides the training rows for a search.

        Rows that the rule keeps together are together here as well; by time, later rows have more.

        Parameters
        ----------
        types : mapping of str to str
            The DuckDB types of the relation's columns.
        relation : str
            Its alias, which stands for a whole row.
        """
        if self.by == "time":
            order = f"ORDER BY {quote(self.columns[0])}, hash({relation})"
            return f"ntile(1000) OVER (PARTITION BY {self.expression(types)} {order}) - 1"
        if self.by == "column":
            return f"(hash({relation}) % 1000)::BIGINT"
        text = " || ".join(_as_text(column, types[column]) for column in self.columns)
        return f"(md5_number_upper({text}) % 1000)::BIGINT"

    def _by_column(self, types: Mapping[str, str]) -> str:
        column = self.columns[0]
        if types[column] == "BOOLEAN":
            return f"coalesce({quote(column)}, false)"
        if types[column] != "VARCHAR" and not types[column].startswith("ENUM"):
            raise InvalidData(
                f"SPLIT BY column({column}) needs a boolean or a text, not {types[column]}.",
                hint=RULES["column"],
            )
        tests = ", ".join(literal(word) for word in _TEST_WORDS)
        trains = ", ".join(literal(word) for word in _TRAIN_WORDS)
        value = f"lower({quote(column)}::VARCHAR)"
        wrong = f"error({literal(f'The split column {column} must hold train or test, not ')} || {value})"
        return (
            f"CASE WHEN {value} IN ({tests}) THEN true WHEN {quote(column)} IS NULL OR {value} IN ({trains}) "
            f"THEN false ELSE {wrong} END"
        )

    def to_record(self) -> dict[str, Any]:
        """Return the split as JSON values."""
        record: dict[str, Any] = {"by": self.by, "columns": list(self.columns), "holdout": self.holdout}
        if self.by == "random":
            record["seed"] = self.seed
        if self.threshold is not None:
            record["threshold"] = self.threshold
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Split:
        """Read what `to_record` gave."""
        return cls(
            record["by"],
            tuple(record["columns"]),
            record["holdout"],
            record.get("seed", 0),
            record.get("threshold"),
        )


def _as_text(column: str, kind: str) -> str:
    """Write a value as text with its length before it, so that ('a', 'bc') and ('ab', 'c') differ."""
    name = quote(column)
    # The text of a TIMESTAMPTZ depends on the session's time zone.
    value = f"epoch_us({name})::VARCHAR" if kind == "TIMESTAMP WITH TIME ZONE" else f"{name}::VARCHAR"
    return f"coalesce(strlen({value}) || ':' || {value}, '-')"
