"""What somebody types into the filter of a column, as SQL.

A number, a time or a truth value is compared, a range is `low..high`, and text is searched for.
"""

from __future__ import annotations

import re

from workbench.names import literal, quote

_COMPARED = re.compile(
    r"(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|UTINYINT|USMALLINT|UINTEGER|UBIGINT|UHUGEINT|FLOAT|DOUBLE|"
    r"DECIMAL.*|DATE|TIME.*|INTERVAL|BOOLEAN|UUID)"
)
_OPERATOR = re.compile(r"(<=|>=|<>|!=|=|<|>)\s*(.*)", re.DOTALL)
_NULLS = {"null": "IS NULL", "not null": "IS NOT NULL"}


def is_compared(kind: str) -> bool:
    """Whether values of this DuckDB type are compared; text and nested values are searched.

    Examples
    --------
    >>> is_compared("DECIMAL(9,2)"), is_compared("INTEGER[]"), is_compared("VARCHAR")
    (True, False, False)
    """
    return not kind.endswith("]") and _COMPARED.fullmatch(kind) is not None


def condition(column: str, kind: str, text: str) -> str:
    """Return a SQL condition for what was typed into the filter of a column; empty for nothing.

    Examples
    --------
    >>> print(condition("fare", "DOUBLE", ">= 10"))
    "fare" >= CAST('10' AS DOUBLE)
    >>> print(condition("fare", "DOUBLE", "1..2.5"))
    "fare" BETWEEN CAST('1' AS DOUBLE) AND CAST('2.5' AS DOUBLE)
    >>> print(condition("zone", "VARCHAR", "Har"))
    contains(lower(CAST("zone" AS VARCHAR)), 'har')
    >>> print(condition("zone", "VARCHAR", "= north"), condition("zone", "VARCHAR", "null"))
    "zone" = CAST('north' AS VARCHAR) "zone" IS NULL
    """
    text = text.strip()
    name = quote(column)
    if not text:
        return ""
    if text.lower() in _NULLS:
        return f"{name} {_NULLS[text.lower()]}"
    compared = _OPERATOR.fullmatch(text)
    if compared:
        return f"{name} {compared[1]} {_value(compared[2], kind)}"
    if not is_compared(kind):
        return f"contains(lower(CAST({name} AS VARCHAR)), {literal(text.lower())})"
    low, between, high = text.partition("..")
    if not between:
        return f"{name} = {_value(text, kind)}"
    sides = [(sign, side.strip()) for sign, side in ((">=", low), ("<=", high)) if side.strip()]
    if len(sides) == 2:
        return f"{name} BETWEEN {_value(low, kind)} AND {_value(high, kind)}"
    return " AND ".join(f"{name} {sign} {_value(side, kind)}" for sign, side in sides)


def _value(text: str, kind: str) -> str:
    return f"CAST({literal(text.strip())} AS {kind})"
