"""The plan of `PREPARE auto`: which features are made of the columns of a query, written as a query.

It is SQL with the store's own functions, so that it can be read, pasted into a cell and edited. Only
training rows are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.names import quote, quote_all

if TYPE_CHECKING:
    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake

Needs = Literal["nothing", "complete", "scaled"]
"""What an estimator asks of its features: gaps and texts are fine, numbers only, or of one scale too."""

ROW = "mlstore_whole_row"
"""The alias by which a whole row is hashed; a column of its name would be hashed alone."""

MOST_ONE_HOT = 100
_SAMPLE = 100_000
_PERFECT = 0.999
_MANY = 100
_LARGEST = "1e150"
_ENOUGH = 2_000  # of fewer rows, one column may tell the label by chance
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = {*_WHOLE, *(f"U{each}" for each in _WHOLE), "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN"}


@dataclass(frozen=True, slots=True)
class Column:
    """What is known of a column: its name and type, and counts over the training rows sampled.

    `extreme` says whether any training row has a value whose square overflows, where that matters.
    """

    name: str
    kind: str
    rows: int
    present: int
    distinct: int
    words: float
    alone: float
    extreme: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers or booleans."""
        return self.kind.partition("(")[0] in _NUMBERS

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.kind == "VARCHAR" or self.kind.startswith("ENUM")

    @property
    def is_time(self) -> bool:
        """Whether it holds dates or timestamps."""
        return self.kind == "DATE" or self.kind.startswith("TIMESTAMP")

    @property
    def is_prose(self) -> bool:
        """Whether it holds texts of several words that are mostly different."""
        return self.is_text and self.words >= 3 and self.distinct > self.present / 2

    @property
    def is_identifier(self) -> bool:
        """Whether nearly every row has a value of its own that says nothing by itself."""
        if self.rows < _MANY or self.distinct < 0.95 * self.present or self.present < self.rows / 2:
            return False
        named = self.name.lower() == "id" or self.name.lower().endswith(("_id", "_key", "uuid"))
        return self.kind == "UUID" or (self.is_text and not self.is_prose) or (self.is_number and named)


@dataclass(frozen=True, slots=True)
class Plan:
    """Features as expressions over the columns of a query, and why others are left out."""

    features: Mapping[str, str]
    notes: tuple[str, ...]

    def text(self, query: str, others: Sequence[str]) -> str:
        """Write the plan as a query over `query`, with the columns `others` as they are."""
        columns = [*(quote(name) for name in others)]
        columns += [
            quote(name) if text == quote(name) else f"{text} AS {quote(name)}"
            for name, text in self.features.items()
        ]
        listed = ",\n       ".join(columns)
        return f"SELECT {listed}\nFROM (\n{query}\n)"


def make_plan(
    columns: Sequence[Column],
    needs: Needs,
    target: str | None,
    *,
    named: bool = False,
    kept: Sequence[str] = (),
) -> Plan | None:
    """Decide what is made of each column; None if all of them stay as they are.

    Parameters
    ----------
    columns : sequence of Column
    needs : {"nothing", "complete", "scaled"}
    target : str or None
        The label as a number in SQL, where it is one or has two values.
    named : bool
        Whether the features were asked for by name; then none is left out.
    kept : sequence of str
        Columns that stay as they are beside the features: key, label and those of the split.
    """
    features: dict[str, str] = {}
    notes = []
    taken = {name.lower() for name in (*kept, *(column.name for column in columns))}
    for column in columns:
        if not named and column.is_identifier:
            notes.append(f"{column.name} is left out: nearly every row has a value of its own")
        elif not named and column.rows >= _ENOUGH and column.alone >= _PERFECT:
            notes.append(f"{column.name} is left out: alone it tells the label nearly perfectly")
        else:
            for name, text in _features(column, needs, target).items():
                own = name == column.name and (text == quote(name) or name not in kept)
                features[name if own else _free(name, taken)] = text
    unchanged = all(text == quote(name) for name, text in features.items())
    return None if (unchanged and not notes) or not features else Plan(features, tuple(notes))


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no column has, and take it."""
    found, number = name, 1
    while found.lower() in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found.lower())
    return found


def _features(column: Column, needs: Needs, target: str | None) -> dict[str, str]:
    name, here = column.name, quote(column.name)
    if column.is_prose:
        return {name: f"tfidf({here}, {MOST_ONE_HOT})"}
    if column.is_time:
        return _of_time(column, needs)
    if needs == "nothing":
        return {name: here}
    if column.is_number:
        filled = f"impute({here}, 'median')"
        # A standard deviation needs squares; quartiles do not.
        scale = "robust_scale" if column.extreme else "standardize"
        return {name: f"{scale}({filled})" if needs == "scaled" else filled}
    if column.is_text and column.distinct > MOST_ONE_HOT and target is not None:
        return {name: f"target_encode({here}, {target})"}
    if column.is_text:
        return {name: f"one_hot({here}, {MOST_ONE_HOT})"}
    return {name: here}


def _of_time(column: Column, needs: Needs) -> dict[str, str]:
    """Take a time apart; trees find their cuts in parts, lines need circles."""
    name, here = column.name, quote(column.name)
    if needs != "scaled":
        seconds = here if needs == "nothing" else f"impute(epoch({here}), 'median')"
        return {name: seconds, f"{name}_parts": f"date_parts({here})"}
    cycles = ("dow", "doy") if column.kind == "DATE" else ("hour", "dow", "doy")
    return {
        name: f"standardize(impute(epoch({here}), 'median'))",
        **{f"{name}_{cycle}": f"cyclical({here}, '{cycle}')" for cycle in cycles},
    }


def look(
    lake: Lake,
    cursor: Cursor,
    relation: str,
    label: str,
    features: Mapping[str, str],
    *,
    classes: bool,
    needs: Needs,
    key: Sequence[str] = (),
) -> list[Column]:
    """Look at the training rows of a relation: a sample of at most about 100,000, the same each time.

    Parameters
    ----------
    relation : str
        A table or a query in parentheses of the rows to look at.
    features : mapping of str to str
        Columns and their DuckDB types.
    classes : bool
        Whether the label names classes; else it is a quantity.
    needs : {"nothing", "complete", "scaled"}
        Only of what is to be scaled all rows are looked at for values whose squares overflow.
    key : sequence of str
        The columns that tell rows apart, if there are any; they choose the sample.
    """
    names = list(features)
    rows = lake.run(cursor, f"SELECT count(*) FROM {relation}").fetchone()
    share = max(1, (rows[0] if rows else 0) // _SAMPLE)
    place = f"hash({quote_all(key) or ROW})"  # without the other columns, which are read of the sample only
    lake.run(
        cursor,
        f"CREATE OR REPLACE TEMP TABLE mlstore_sample AS SELECT {quote_all([*names, label])} "
        f"FROM {relation} AS {ROW} WHERE {place} % {share} = 0",
    )
    alone = _alone(lake, cursor, label, features, classes=classes)
    extreme = _extreme(lake, cursor, relation, features) if needs == "scaled" else set()
    columns = []
    for name, kind in features.items():
        here = quote(name)
        words = f"avg(len(string_split({here}, ' ')))" if kind == "VARCHAR" else "0"
        # One at a time: the different values of many columns at once would take much memory.
        found = lake.run(
            cursor, f"SELECT count(*), count({here}), count(DISTINCT {here}), {words} FROM mlstore_sample"
        ).fetchone()
        assert found is not None
        count, present, distinct, average = found
        columns.append(
            Column(
                name,
                kind,
                count,
                present,
                distinct,
                float(average or 0),
                alone(name, distinct),
                name in extreme,
            )
        )
    return columns


def _extreme(lake: Lake, cursor: Cursor, relation: str, features: Mapping[str, str]) -> set[str]:
    """Name the columns that have a finite value beyond `_LARGEST` in any row."""
    names = [name for name, kind in features.items() if kind == "DOUBLE"]
    if not names:
        return set()
    tests = (f"bool_or(isfinite({quote(name)}) AND abs({quote(name)}) > {_LARGEST})" for name in names)
    found = lake.run(cursor, f"SELECT {', '.join(tests)} FROM {relation}").fetchone() or ()
    return {name for name, beyond in zip(names, found, strict=True) if beyond}


def _alone(
    lake: Lake, cursor: Cursor, label: str, features: Mapping[str, str], *, classes: bool
) -> Callable[[str, int], float]:
    """Return what tells how well a column alone predicts the label, from 0 to 1.

    For classes it is the accuracy of saying the most frequent class of each value (of each
    hundredth of the rows, for numbers of many values), compared with always saying the same; for
    quantities the share of variance between those groups.
    """
    here = quote(label)

    def score(name: str, distinct: int) -> float:
        if distinct < 2 or features[name].startswith(("STRUCT", "MAP")) or features[name].endswith("]"):
            return 0.0
        group = quote(name) if distinct <= _MANY else f"ntile({_MANY}) OVER (ORDER BY {quote(name)})"
        if classes:
            counts = f"SELECT g, y, count(*) AS n FROM (SELECT {group} AS g, {here} AS y FROM mlstore_sample)"
            query = (
                f"WITH counts AS ({counts} GROUP BY ALL) SELECT sum(best), sum(n), "
                "(SELECT max(n) FROM (SELECT sum(n) AS n FROM counts GROUP BY y)) "
                "FROM (SELECT max(n) AS best, sum(n) AS n FROM counts GROUP BY g)"
            )
            best, rows, most = lake.run(cursor, query).fetchone() or (0, 0, 0)
            return float(best - most) / float(rows - most) if rows > most else 0.0
        query = (
            f"SELECT var_pop(y), avg((y - m) ** 2) FROM (SELECT y, avg(y) OVER (PARTITION BY g) AS m FROM "
            f"(SELECT {group} AS g, CAST({here} AS DOUBLE) AS y FROM mlstore_sample) "
            f"WHERE isfinite(y) AND abs(y) < {_LARGEST})"  # the squares of others have no variance
        )
        whole, within = lake.run(cursor, query).fetchone() or (0, 0)
        return 1 - within / whole if whole else 0.0

    return score
