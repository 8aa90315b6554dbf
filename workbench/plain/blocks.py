"""What a report is made of. Blocks hold words and numbers, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from workbench.plain.values import column_values, compact, count, images, is_number, seconds, texts, type_name

if TYPE_CHECKING:
    import pyarrow as pa

Tone = Literal["", "good", "warn", "bad", "info"]


@dataclass(frozen=True, slots=True)
class Heading:
    """The name of a thing, what kind of thing it is, and a badge."""

    title: str
    kind: str = ""
    badge: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and values: the definition grid of a report."""

    items: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Facts:
        """Make facts of the values that say something; None and empty ones are left out.

        Examples
        --------
        >>> Facts.of({"rows": 1200, "key": ("id", "day"), "error": None}).items
        (('rows', '1,200'), ('key', 'id, day'))
        """
        return cls(tuple((label, _fact(value)) for label, value in facts.items() if not _is_empty(value)))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str | Sequence | Mapping) and len(value) == 0)


def _fact(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, list | tuple) and not any(isinstance(each, list | tuple | dict) for each in value):
        return ", ".join(compact(each) for each in value)
    return compact(value)


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column of a grid."""

    name: str
    type: str = ""
    right: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of at most `limit` rows (n_shown × n_columns); a None among the values is NULL.

    `marked` are cells (row, column) to point out. `tones` colours cells that hold a status. `images`
    are those that hold a picture, which a notebook can show.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | None, ...], ...]
    total: int
    title: str = ""
    footer: str = ""
    marked: frozenset[tuple[int, int]] = frozenset()
    tones: Mapping[tuple[int, int], Tone] = field(default_factory=dict)
    images: Mapping[tuple[int, int], bytes] = field(default_factory=dict)

    @classmethod
    def of_arrow(
        cls,
        table: pa.Table,
        *,
        limit: int,
        title: str = "",
        footer: str = "",
        types: bool = False,
        brief: bool = False,
        marked: frozenset[tuple[int, int]] = frozenset(),
    ) -> Grid:
        """Make a grid of the first `limit` rows of an Arrow table.

        `types` are shown below the names. `brief` is for tables that the store made itself: no
        fractions of seconds, and nothing where there is nothing.
        """
        head = table.slice(0, limit)
        columns = tuple(
            Column(each.name, type_name(each.type) if types else "", is_number(each.type))
            for each in head.schema
        )
        written = [
            (_brief(name, column_values(column)) if brief else texts(column_values(column)))
            for name, column in zip(head.column_names, head.columns, strict=True)
        ]
        rows = tuple(zip(*written, strict=True)) if written else ()
        tones, pictures = _tones(columns, rows), images(head)
        return cls(columns, rows, table.num_rows, title, footer, marked, tones, pictures)

    @classmethod
    def of_rows(
        cls, names: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", footer: str = ""
    ) -> Grid:
        """Make a grid of Python values; a column is aligned right when all its values are numbers."""
        values = [list(row) for row in rows]
        by_column = [[row[i] for row in values] for i in range(len(names))]
        columns = tuple(
            Column(name, right=_all_numbers(column)) for name, column in zip(names, by_column, strict=True)
        )
        shown = tuple(zip(*map(texts, by_column), strict=True)) if values else ()
        return cls(columns, shown, len(values), title, footer, tones=_tones(columns, shown))


def _brief(name: str, values: Sequence[Any]) -> list[str]:
    if name == "seconds":
        return ["" if value is None else seconds(value) for value in values]
    return [text or "" for text in texts(values, brief=True)]


def _all_numbers(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)


_STATUS_COLUMNS = ("change", "status", "since", "state", "skew", "stale")

TONES: Mapping[str, Tone] = {
    "ok": "good",
    "active": "good",
    "inserted": "good",
    "insert": "good",
    "unchanged": "good",
    "champion": "good",
    "not deployed": "warn",
    "running": "info",
    "pending": "info",
    "noop": "info",
    "paused": "warn",
    "stale": "warn",
    "skewed": "warn",
    "changed": "warn",
    "updated": "warn",
    "update": "warn",
    "updated from": "warn",
    "updated to": "warn",
    "failed": "bad",
    "error": "bad",
    "deleted": "bad",
    "delete": "bad",
    "dropped": "bad",
    "alert": "bad",
}
"""The colour of the words that tell how something is."""


def _tones(columns: Sequence[Column], rows: Sequence[Sequence[str | None]]) -> dict[tuple[int, int], Tone]:
    """Colour the words of status columns, and no other column's."""
    places = [i for i, column in enumerate(columns) if column.name.lower() in _STATUS_COLUMNS]
    return {
        (r, c): TONES[str(row[c]).lower()]
        for r, row in enumerate(rows)
        for c in places
        if str(row[c]).lower() in TONES
    }


@dataclass(frozen=True, slots=True)
class Note:
    """A line of prose."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Text in a fixed-width font, kept line by line."""

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A framed part of a report, with a badge."""

    title: str
    badge: str
    tone: Tone
    body: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A box of a picture; `kind` decides its colour."""

    name: str
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Picture:
    """A directed graph: boxes and the arrows (source, target) between them.

    `focus` is the box that was asked for; `dashed` are arrows along which no values go.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    focus: str = ""
    dashed: frozenset[tuple[str, str]] = frozenset()


Block = Heading | Facts | Grid | Note | Code | Card | Picture
