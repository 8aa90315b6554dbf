"""Which rows are held out: a rule that never moves a row to the other side as data grows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.errors import InvalidData, NotFound
from workbench.names import literal, quote

By = Literal["hash", "group", "stratified", "time", "random", "column"]

RULES: dict[str, str] = {
    "hash": "hash or hash(cols): by a hash of the key, or of these columns",
    "group": "group(cols): all rows with the same values on one side, by a hash of these columns",
    "stratified": "stratified(cols): of each value of these columns the same share, by a hash of the key",
    "time": "time(col): the last part by this column",
    "random": "random: by a hash of the key and the seed",
    "column": "column(col): where this boolean is true, or this text is 'test'",
}

MOST_STRATA = 100
"""More different values than these are not stratified by."""

_PARTS = 1_000_000
_PLACES = 10**12  # finer, for here the rows are cut between two neighbours
_COLUMN = re.compile(r'\s*(?:"(?:[^"]|"")*"|[^",]+)')
_TEST_WORDS = ("test", "holdout", "held out", "validation")
_TRAIN_WORDS = ("train", "training")


@dataclass(frozen=True, slots=True)
class Split:
    """How rows are divided into training and held-out ones.

    A stratified split is exact, up to rounding, on the first data seen: of each stratum the rows
    with the lowest hash of their key are held out, as many as asked. Where that cut lies is kept as
    the threshold, so later rows fall on either side by their hash, about as asked, and no row moves.
    Ranking the rows anew each time would keep the shares exact and move rows from the hold-out into
    the training.

    Attributes
    ----------
    by : {"hash", "group", "stratified", "time", "random", "column"}
    columns : tuple of str
        The columns the rule looks at; of a stratified one first the strata, then the key.
    holdout : float
        The part held out, between 0 and 1; a split by column has its own.
    seed : int
        Goes into the hash of a random split only.
    threshold : str or None
        Of a split by time: later rows are held out. Of a stratified one, as JSON: for each stratum
        the hash below which rows are held out. It is set once, from the first data seen.
    strata : int
        Of a stratified split, how many of the columns are the strata.
    """

    by: By
    columns: tuple[str, ...] = ()
    holdout: float = 0.2
    seed: int = 0
    threshold: str | None = None
    strata: int = 0

    def __str__(self) -> str:
        shown = self.columns[: self.strata] if self.by == "stratified" else self.columns
        return f"{self.by}({', '.join(shown)})"

    @classmethod
    def parse(cls, text: str, *, holdout: object = 0.2, seed: int = 0) -> Split:
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
        columns = tuple(_unquoted(each) for each in _COLUMN.findall(found[2] or "") if each.strip())
        if rule in {"time", "column"} and len(columns) != 1:
            raise InvalidData(f"SPLIT BY {text.strip()} needs one column.", hint=RULES[rule])
        if rule in {"group", "stratified"} and not columns:
            raise InvalidData(f"SPLIT BY {text.strip()} needs columns.", hint=RULES[rule])
        if rule == "random" and columns:
            raise InvalidData(f"SPLIT BY {text.strip()} takes no columns.", hint=RULES[rule])
        if not isinstance(holdout, int | float) or not 0 < holdout < 1:
            raise InvalidData(f"HOLDOUT {holdout!r} is not between 0 and 1.", hint="0.2 holds out 20 %.")
        strata = len(columns) if rule == "stratified" else 0
        return cls(rule, columns, holdout, seed, strata=strata)  # type: ignore[arg-type]

    @property
    def needs_threshold(self) -> bool:
        """Whether `threshold_query` must be asked before `expression`."""
        return self.by in {"time", "stratified"} and self.threshold is None

    def resolved(self, key: Sequence[str], features: Sequence[str]) -> Split:
        """Fill in the columns of a rule without any: the key, or without a key all features.

        A stratified one gets the key behind its own columns.
        """
        if self.by == "stratified" and len(self.columns) == self.strata:
            return replace(self, columns=(*self.columns, *key))
        if self.columns or self.by not in {"hash", "random"}:
            return self
        return replace(self, columns=tuple(key or features))

    def same_rule(self, other: Split) -> bool:
        """Whether `other` is this rule, so that its threshold can be kept."""
        return self._rule() == other._rule()

    def _rule(self) -> dict[str, Any]:
        """Return the record without the threshold; names that differ only in case are the same."""
        columns = [name.lower() for name in self.columns]
        return {**replace(self, threshold=None).to_record(), "columns": columns}

    def threshold_query(self, relation: str, types: Mapping[str, str]) -> str:
        """Return SQL for the threshold of a split by time or a stratified one, as one row with a text.

        `types` are the DuckDB types of the relation's columns.
        """
        if self.by == "stratified":
            return self._cuts_query(relation, types)
        column = quote(self.columns[0])
        return f"SELECT quantile_disc({column}, {1 - self.holdout!r})::VARCHAR FROM {relation}"

    def settled(self, threshold: str | None) -> Split:
        """Return the rule with the threshold that its query gave.

        Raises
        ------
        InvalidData
            If there are more than `MOST_STRATA` strata.
        """
        if self.by == "stratified" and len(json.loads(threshold or "{}")) > MOST_STRATA:
            raise InvalidData(
                f"SPLIT BY {self} finds {len(json.loads(threshold or '{}')):,} different values; "
                f"{MOST_STRATA} are the most.",
                hint="Name a column with few values, such as the classes of the label.",
            )
        return replace(self, threshold=threshold)

    def expression(self, types: Mapping[str, str], values: Mapping[str, str] | None = None) -> str:
        """Return a boolean SQL expression, never NULL: whether a row is held out.

        `types` are the DuckDB types of the relation's columns; `values` say what to write for a
        column in place of its name.

        Examples
        --------
        >>> Split("column", ("is_test",)).expression({"is_test": "BOOLEAN"})
        'coalesce("is_test", false)'
        """
        written = {name: (values or {}).get(name) or quote(name) for name in self.columns}
        if self.by == "column":
            return self._by_column(written, types)
        if self.by == "time":
            column, kind = self.columns[0], types[self.columns[0]]
            value = f"CAST({literal(self.threshold or '')} AS {kind})"
            return f"coalesce({written[column]} > {value}, false)"
        if self.by == "stratified":
            return self._by_strata(written, types)
        salt = literal(f"{self.seed}:") + " || " if self.by == "random" else ""
        text = _as_text(self.columns, written, types)
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
            side = f"PARTITION BY {self.expression(types)}"
            return f"(row_number() OVER ({side} {order}) - 1) * 1000 // count(*) OVER ({side})"
        if self.by == "column":
            return f"(hash({relation}) % 1000)::BIGINT"
        written = {name: quote(name) for name in self.columns}
        text = _as_text(self.columns[self.strata :], written, types)
        return f"(md5_number_upper({text}) % 1000)::BIGINT"

    def _by_strata(self, written: Mapping[str, str], types: Mapping[str, str]) -> str:
        stratum = _as_text(self.columns[: self.strata], written, types)
        cuts = "".join(
            f" WHEN {literal(each)} THEN {cut}" for each, cut in json.loads(self.threshold or "{}").items()
        )
        later = round(self.holdout * _PLACES)  # of strata that came afterwards
        cut = f"CASE {stratum}{cuts} ELSE {later} END" if cuts else str(later)
        return f"{self._place(written, types)} < {cut}"

    def _place(self, written: Mapping[str, str], types: Mapping[str, str]) -> str:
        return f"md5_number_lower({_as_text(self.columns[self.strata :], written, types)}) % {_PLACES}"

    def _cuts_query(self, relation: str, types: Mapping[str, str]) -> str:
        """Write the query for the lowest hash of each stratum that is not held out; one row always stays."""
        written = {name: quote(name) for name in self.columns}
        stratum = _as_text(self.columns[: self.strata], written, types)
        return (
            "SELECT coalesce(json_group_object(stratum, cut), '{}')::VARCHAR FROM ("
            "SELECT stratum, min(place) AS cut FROM (SELECT stratum, place, "
            "count(*) OVER (PARTITION BY stratum) AS total, "
            "row_number() OVER (PARTITION BY stratum ORDER BY place) AS number FROM ("
            f"SELECT {stratum} AS stratum, {self._place(written, types)} AS place FROM {relation})) "
            f"WHERE number > least(round(total * {self.holdout!r}), total - 1) "
            "GROUP BY stratum ORDER BY stratum)"
        )

    def _by_column(self, written: Mapping[str, str], types: Mapping[str, str]) -> str:
        column = self.columns[0]
        name = written[column]
        if types[column] == "BOOLEAN":
            return f"coalesce({name}, false)"
        if types[column] != "VARCHAR" and not types[column].startswith("ENUM"):
            raise InvalidData(
                f"SPLIT BY column({column}) needs a boolean or a text, not {types[column]}.",
                hint=RULES["column"],
            )
        tests = ", ".join(literal(word) for word in _TEST_WORDS)
        trains = ", ".join(literal(word) for word in _TRAIN_WORDS)
        value = f"lower({name}::VARCHAR)"
        wrong = f"error({literal(f'The split column {column} must hold train or test, not ')} || {value})"
        return (
            f"CASE WHEN {value} IN ({tests}) THEN true WHEN {name} IS NULL OR {value} IN ({trains}) "
            f"THEN false ELSE {wrong} END"
        )

    def to_record(self) -> dict[str, Any]:
        """Return the split as JSON values."""
        record: dict[str, Any] = {"by": self.by, "columns": list(self.columns), "holdout": self.holdout}
        if self.by == "random":
            record["seed"] = self.seed
        if self.strata:
            record["strata"] = self.strata
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
            record.get("strata", 0),
        )


def _unquoted(column: str) -> str:
    column = column.strip()
    quoted = len(column) > 1 and column[0] == column[-1] == '"'
    return column[1:-1].replace('""', '"') if quoted else column


def _as_text(columns: Sequence[str], written: Mapping[str, str], types: Mapping[str, str]) -> str:
    """Write values as one text, each with its length before it: ('a', 'bc') and ('ab', 'c') differ."""
    texts = []
    for column in columns:
        # The text of a TIMESTAMPTZ depends on the session's time zone.
        zoned = types[column] == "TIMESTAMP WITH TIME ZONE"
        value = f"epoch_us({written[column]})::VARCHAR" if zoned else f"{written[column]}::VARCHAR"
        texts.append(f"coalesce(strlen({value}) || ':' || {value}, '-')")
    return " || ".join(texts)
