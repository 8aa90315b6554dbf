"""The functions of DuckDB: how each is called and what it does, as DuckDB itself says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import duckdb

# Collations, and what clients of PostgreSQL ask, are functions that nobody writes.
_LISTED = """
SELECT function_name,
       arg_max(parameters, len(parameters)),
       any_value(description),
       any_value(examples[1]) FILTER (WHERE len(examples) > 0),
       CASE WHEN count(DISTINCT return_type) = 1 THEN any_value(return_type) END
FROM duckdb_functions()
WHERE regexp_full_match(function_name, '[a-z]\\w*') AND function_type <> 'pragma'
  AND NOT regexp_matches(function_name, '^(icu_collate|pg_|has_\\w+_privilege|not_i?like|i?like_escape)')
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how it is called, what it gives (empty where that depends), and what it does."""

    signature: str
    gives: str
    does: str
    example: str


@cache
def functions() -> Mapping[str, Function]:
    """Return the functions by name.

    Examples
    --------
    >>> functions()["date_trunc"].signature, functions()["upper"].gives
    ('date_trunc(part, timestamp)', 'VARCHAR')
    """
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(_LISTED).fetchall()
    return {
        name: Function(f"{name}({', '.join(parameters or ())})", gives or "", does or "", example or "")
        for name, parameters, does, example, gives in rows
    }
