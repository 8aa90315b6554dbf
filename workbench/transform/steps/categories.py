"""Steps for columns of categories, of any type whose values can be grouped.

NULL is missing, and so is NaN: they are no categories. An empty text is one.
"""

from __future__ import annotations

from workbench.names import literal
from workbench.transform.steps.step import (
    State,
    Step,
    is_nan,
    looked_up,
    numbers,
    option,
    place_of,
    positive,
    short,
    texts,
)

MOST = 50
LIMIT = 10_000
"""The steps that give one number per category keep so many, the most frequent."""


class OneHot(Step):
    """`one_hot(c[, max[, least[, 'other']]])`: a list with a 1 at the place of the value, else 0.

    The places belong to the `max` (50) most frequent values at the time of the fit that occurred
    at least `least` (1) times: the most frequent first, equally frequent ones in the order of their
    values. All other values give zeros only, also those never seen; with 'other' they have a place
    of their own, the last. NULL and NaN give zeros only. The result is a UTINYINT[] of one length.

    Examples
    --------
    >>> OneHot().apply(("c",), {"categories": ("b",)})
    "[CAST(c IS NOT DISTINCT FROM 'b' AS UTINYINT)]"
    """

    name = "one_hot"
    signature = "one_hot(c[, max[, least[, 'other']]])"
    most = 4

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a column, and perhaps numbers and 'other'."""
        super().check(arguments)
        for argument, noun in zip(arguments[1:3], ("maximum", "least count"), strict=False):
            positive(self, argument, noun)
        if len(arguments) == 4:
            option(self, arguments[3], ("other",))

    def ranking(self, arguments: tuple[str, ...]) -> str:
        """Return the query for the most frequent values, as text."""
        most = positive(self, arguments[1], "maximum") if len(arguments) > 1 else MOST
        least = positive(self, arguments[2], "least count") if len(arguments) > 2 else 1
        ranked = f"{counted(arguments[0])} HAVING count(*) >= {least} ORDER BY n DESC, v LIMIT {most}"
        return f"SELECT list(CAST(v AS VARCHAR) ORDER BY n DESC, v) AS categories FROM ({ranked})"

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the list; text constants take the type of the column they are compared with."""
        column, categories = arguments[0], texts(state["categories"])
        flags = [_flag(column, category) for category in categories]
        if len(arguments) == 4:
            known = " OR ".join(f"{_operand(column)} = {literal(each)}" for each in categories) or "false"
            missing = f"{_operand(column)} IS NULL OR {is_nan(column)}"
            flags.append(f"CAST(NOT ({missing}) AND NOT coalesce({known}, false) AS UTINYINT)")
        # Naming the column keeps an aggregate an aggregate.
        return f"[{', '.join(flags)}]" if flags else f"[CAST(({column}) IS NULL AS UTINYINT)][:0]"

    def describe(self, state: State) -> str:
        """Say the categories in their order."""
        return f"categories {short(state['categories'])}"


class Ordinal(Step):
    """`ordinal(c)`: the place of the value among all values of the fit in order, from 0; an INTEGER.

    As scikit-learn's OrdinalEncoder. Values never seen, NULL and NaN give NULL. Of more than
    10,000 values the most frequent are kept.

    Examples
    --------
    >>> Ordinal().apply(("c",), {"categories": ("a", "b")})
    "CAST(enum_code(TRY_CAST(CAST(c AS VARCHAR) AS ENUM ('a', 'b'))) AS INTEGER)"
    """

    name = "ordinal"
    signature = "ordinal(c)"

    def ranking(self, arguments: tuple[str, ...]) -> str:
        """Return the query for the values in their order, as text."""
        kept = f"{counted(arguments[0])} ORDER BY n DESC, v LIMIT {LIMIT}"
        return f"SELECT list(CAST(v AS VARCHAR) ORDER BY v) AS categories FROM ({kept})"

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the place."""
        categories = texts(state["categories"])
        if not categories:
            return f"CASE WHEN ({arguments[0]}) IS NULL THEN CAST(NULL AS INTEGER) END"
        return place_of(arguments[0], categories)

    def describe(self, state: State) -> str:
        """Say the values in their order."""
        return f"categories {short(state['categories'])}"


class CountEncode(Step):
    """`count_encode(c)`: how often the value occurred in the fit, a BIGINT.

    A value never seen gives 0, NULL and NaN give NULL. Of more than 10,000 values the most frequent
    are kept, the others count as never seen.

    Examples
    --------
    >>> CountEncode().describe({"categories": ("a", "b"), "counts": (2.0, 1.0)})
    'counts a: 2, b: 1'
    """

    name = "count_encode"
    signature = "count_encode(c)"

    def ranking(self, arguments: tuple[str, ...]) -> str:
        """Return the query for the values, as text, and how often each occurred."""
        kept = f"{counted(arguments[0])} ORDER BY n DESC, v LIMIT {LIMIT}"
        return (
            "SELECT list(CAST(v AS VARCHAR) ORDER BY n DESC, v) AS categories, "
            f"list(CAST(n AS DOUBLE) ORDER BY n DESC, v) AS counts FROM ({kept})"
        )

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the count."""
        column, categories = arguments[0], texts(state["categories"])
        count = "0"
        if categories:
            found = looked_up(place_of(column, categories), numbers(state["counts"]))
            count = f"coalesce({found}, 0)"
        return f"CASE WHEN {column} IS NULL OR {is_nan(column)} THEN NULL ELSE CAST({count} AS BIGINT) END"

    def describe(self, state: State) -> str:
        """Say the most frequent values and their counts."""
        pairs = zip(texts(state["categories"]), numbers(state["counts"]), strict=True)
        return f"counts {short(tuple(f'{value}: {count:g}' for value, count in pairs))}"


class HashEncode(Step):
    """`hash_encode(c, n)`: one of n buckets, from 0, by a hash of the value's text; an INTEGER.

    It fits nothing and takes values never seen. The bucket is the second half of the MD5 digest,
    read as a little-endian number, modulo n: the same in every version of the engine. NULL gives
    NULL.

    Examples
    --------
    >>> HashEncode().apply(("c", "8"), {})
    'CAST(md5_number_lower(CAST(c AS VARCHAR)) % 8 AS INTEGER)'
    """

    name = "hash_encode"
    signature = "hash_encode(c, n)"
    least = most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a column and a number."""
        super().check(arguments)
        positive(self, arguments[1], "number of buckets")

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the bucket."""
        buckets = positive(self, arguments[1], "number of buckets")
        return f"CAST(md5_number_lower(CAST({arguments[0]} AS VARCHAR)) % {buckets} AS INTEGER)"


def counted(column: str) -> str:
    """Return the query that counts each value `v` of a column as `n`, without the missing ones."""
    present = f"{column} IS NOT NULL AND NOT {is_nan(column)}"
    return f"SELECT {column} AS v, count(*) AS n FROM {{rows}} WHERE {present} GROUP BY {column}"


def _operand(column: str) -> str:
    return column if column.isidentifier() else f"({column})"


def _flag(column: str, category: str) -> str:
    return f"CAST({_operand(column)} IS NOT DISTINCT FROM {literal(category)} AS UTINYINT)"
