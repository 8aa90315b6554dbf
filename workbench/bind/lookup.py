"""Rows of a table by key, for many who ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import execute
from workbench.names import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake

Key = tuple[Any, ...]

TOGETHER = 20_000
"""Keys after which a query takes no more questions."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, and the place of each by its key."""

    rows: pa.Table
    places: Mapping[Key, int]


@dataclass(slots=True, eq=False)
class _Question:
    keys: Sequence[Key]
    found: Found | None = None


class Lookup:
    """Finds rows by key; what is asked while a query runs is asked together in the next one.

    A query for many keys takes hardly longer than one for a single key. And where each thread read the
    catalog for itself, one would sometimes sleep for a second: SQLite waits in whole seconds, as the
    engine builds it, where another connection is just being closed.

    Parameters
    ----------
    lake : Lake
    query : str
        The rows with their inputs; the table is `t`, and its key stands first.
    key : mapping of str to str
        The columns of the key, with the engine's types.
    """

    def __init__(self, lake: Lake, query: str, key: Mapping[str, str]) -> None:
        self._lake = lake
        # The limits tell the lake which files it need not open, which a join alone does not.
        limits = [
            f"t.{quote(name)} BETWEEN CAST(? AS {kind}) AND CAST(? AS {kind})" for name, kind in key.items()
        ]
        lists = [f"unnest(CAST(? AS {kind}[])) AS k{place}" for place, kind in enumerate(key.values())]
        same = [f"t.{quote(name)} = asked.k{place}" for place, name in enumerate(key)]
        self._query = (
            f"{query} SEMI JOIN (SELECT {', '.join(lists)}) AS asked ON ({' AND '.join(same)}) "
            f"WHERE {' AND '.join(limits)}"
        )
        # One key is compared faster by itself.
        equal = [f"t.{quote(name)} = CAST(? AS {kind})" for name, kind in key.items()]
        self._single = f"{query} WHERE {' AND '.join(equal)}"
        self._nothing = f"{query} WHERE false"
        self._width = len(key)
        self._turn = threading.Lock()
        self._waiting: list[_Question] = []
        self._lock = threading.Lock()

    def find(self, keys: Iterable[Key]) -> Found:
        """Return the rows that have these keys, as they are now; a key with NULL in it has none."""
        question = _Question([key for key in dict.fromkeys(keys) if None not in key])
        with self._lock:
            self._waiting.append(question)
        with self._turn:
            # A query that fails fails for whoever made it; the others ask again.
            if question.found is None:
                self._answer([question, *self._others(question)])
        assert question.found is not None
        return question.found

    def _others(self, question: _Question) -> list[_Question]:
        """Take the questions that wait, up to so many keys together."""
        with self._lock:
            waiting = [each for each in self._waiting if each is not question]
            sizes = accumulate((len(each.keys) for each in waiting), initial=len(question.keys))
            count = sum(size <= TOGETHER for size in sizes) - 1
            self._waiting = waiting[max(count, 0) :]
        return waiting[: max(count, 0)]

    def _answer(self, questions: Sequence[_Question]) -> None:
        found = self._read(list(dict.fromkeys(key for each in questions for key in each.keys)))
        for each in questions:
            each.found = found

    def _read(self, keys: Sequence[Key]) -> Found:
        cursor = self._lake.cursor()
        if len(keys) == 1:
            rows = execute(cursor, self._single, keys[0]).to_arrow_table()
        elif keys:
            columns = [list(column) for column in zip(*keys, strict=True)]
            limits = [limit for column in columns for limit in (min(column), max(column))]
            rows = execute(cursor, self._query, [*columns, *limits]).to_arrow_table()
        else:
            rows = execute(cursor, self._nothing).to_arrow_table()
        rows = rows.combine_chunks()
        return Found(rows, {key: place for place, key in enumerate(key_tuples(rows, self._width))})


def key_tuples(rows: pa.RecordBatch | pa.Table, width: int) -> list[Key]:
    """Return the values of the first columns, row by row."""
    return list(zip(*(rows.column(place).to_pylist() for place in range(width)), strict=True))
