"""The difference of a table at two snapshots, row by row."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.engines.duckdb import fetch
from workbench.lake.past import table_at
from workbench.lake.result import Result
from workbench.lake.tables import TableInfo
from workbench.names import literal, quote, quote_all

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake.lake import Lake

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = (*_WHOLE, *(f"U{kind}" for kind in _WHOLE), "FLOAT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class _Layout:
    """The names of the columns of a difference: a table may have columns called as ours are.

    `pairs` holds for each compared column the names of its value before and after.
    """

    change: str
    columns: str
    times: str
    pairs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def diff(
    lake: Lake,
    name: str,
    a: int,
    b: int,
    said: tuple[str, str] | None = None,
) -> Result:
    """Compare a table at two snapshots, row by row.

    With a key: a column `change` (added, removed, changed), the key, `columns` (which changed), and
    `x_before` and `x_after` for every other column `x`. Without one, or with another key at the other
    snapshot: whole rows, added and removed, with how many `times`. Where the table has a column of
    such a name, ours gets an underscore at its end. The message counts first.

    Parameters
    ----------
    said : tuple of str or None
        How to call the two in the message.

    Raises
    ------
    InvalidData
        If the table did not exist at one of the snapshots.
    NotFound
        If there never was a table of that name.
    """
    clock = time.perf_counter()
    with lake.pinned() as (cursor, head):
        old, new = table_at(lake, cursor, name, a), table_at(lake, cursor, name, b)
        shared = _shared(old, new)
        key = new.key if _lower(old.key) == _lower(new.key) and set(new.key) <= set(shared) else ()
        layout = _layout(shared, key)
        casts = {column for column in shared if not _comparable(*shared[column])}
        sides = (_side(old, a, shared, casts), _side(new, b, shared, casts))
        query = _by_key(key, shared, layout, *sides) if key else _by_row(shared, layout, *sides)
        rows = fetch(lake.run(cursor, query))
    counts = _counts(rows, layout, keyed=bool(key))
    if key:
        rows = _changed_first(rows, key, layout, counts)
    names = said or (f"{new.name}@{a}", f"{new.name}@{b}")
    message = "; ".join((_counted(counts, names), *_remarks(old, new, shared, key)))
    return Result(rows, head, time.perf_counter() - clock, message=message)


def _lower(names: Sequence[str]) -> list[str]:
    return [name.lower() for name in names]


def _shared(old: TableInfo, new: TableInfo) -> dict[str, tuple[str, str]]:
    """Give the columns that both have, with their types: names in another case are the same."""
    before = {name.lower(): kind for name, kind in old.columns.items()}
    return {
        name: (before[name.lower()], kind) for name, kind in new.columns.items() if name.lower() in before
    }


def _comparable(old: str, new: str) -> bool:
    return old == new or (old in _NUMBERS and new in _NUMBERS)


def _side(table: TableInfo, snapshot: int, shared: Mapping[str, Any], casts: set[str]) -> str:
    """Select the shared columns of one side; those of two kinds are compared as text."""
    columns = ", ".join(
        f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}"
        if name in casts
        else f"{quote(name)} AS {quote(name)}"
        for name in shared
    )
    return f"(SELECT {columns or '1'} FROM lake.{table.sql} AT (VERSION => {snapshot}))"


def _layout(shared: Mapping[str, Any], key: Sequence[str]) -> _Layout:
    taken = {name.lower() for name in (key or shared)}

    def free(name: str) -> str:
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        return name

    if not key:
        return _Layout(free("change"), "", free("times"))
    change, columns = free("change"), free("columns")
    rest = [name for name in shared if name not in key]
    return _Layout(
        change, columns, "", {name: (free(f"{name}_before"), free(f"{name}_after")) for name in rest}
    )


def _by_row(shared: Mapping[str, Any], layout: _Layout, old: str, new: str) -> str:
    if not shared:
        columns = f"'' AS {quote(layout.change)}, 0::BIGINT AS {quote(layout.times)}"
        return f"SELECT {columns} WHERE false"
    columns = quote_all(shared)

    def part(change: str, more: str, less: str) -> str:
        rows = f"SELECT {columns} FROM {more} EXCEPT ALL SELECT {columns} FROM {less}"
        return (
            f"SELECT {literal(change)} AS {quote(layout.change)}, {columns}, "
            f"count(*) AS {quote(layout.times)} FROM ({rows}) GROUP BY {columns}"
        )

    return f"{part('added', new, old)} UNION ALL {part('removed', old, new)} ORDER BY ALL"


def _by_key(key: Sequence[str], shared: Mapping[str, Any], layout: _Layout, old: str, new: str) -> str:
    differs = {name: f"o.{quote(name)} IS DISTINCT FROM n.{quote(name)}" for name in layout.pairs}
    changed = ", ".join(f"CASE WHEN {test} THEN {literal(name)} END" for name, test in differs.items())
    values = "".join(
        f", o.{quote(name)} AS {quote(before)}, n.{quote(name)} AS {quote(after)}"
        for name, (before, after) in layout.pairs.items()
    )
    match = " AND ".join(f"o.{quote(name)} = n.{quote(name)}" for name in key)
    keys = ", ".join(f"coalesce(n.{quote(name)}, o.{quote(name)}) AS {quote(name)}" for name in key)
    first = quote(key[0])
    state = (
        f"CASE WHEN o.{first} IS NULL THEN 'added' WHEN n.{first} IS NULL THEN 'removed' ELSE 'changed' END"
    )
    which = f"list_filter([{changed}], lambda name: name IS NOT NULL)" if changed else "[]::VARCHAR[]"
    order = ", ".join(str(place) for place in range(1, len(key) + 2))
    return (
        f"SELECT {state} AS {quote(layout.change)}, {keys}, CASE WHEN o.{first} IS NOT NULL AND "
        f"n.{first} IS NOT NULL THEN {which} END AS {quote(layout.columns)}{values} "
        f"FROM {old} AS o FULL JOIN {new} AS n ON {match} "
        f"WHERE o.{first} IS NULL OR n.{first} IS NULL OR {' OR '.join(differs.values()) or 'false'} "
        f"ORDER BY {order}"
    )


def _counts(rows: pa.Table, layout: _Layout, *, keyed: bool) -> dict[str, int]:
    import pyarrow.compute as pc

    counts = dict.fromkeys(("added", "removed", "changed") if keyed else ("added", "removed"), 0)
    change = rows.column(layout.change)
    for name in counts:
        mine = pc.equal(change, name)
        amount = pc.sum(mine) if keyed else pc.sum(rows.column(layout.times).filter(mine))
        counts[name] = int(amount.as_py() or 0)
    return counts


def _changed_first(
    rows: pa.Table, key: Sequence[str], layout: _Layout, counts: Mapping[str, int]
) -> pa.Table:
    """Put the columns that changed before the others; leave those out if only changes are shown."""
    import pyarrow.compute as pc

    changed = set(pc.list_flatten(rows.column(layout.columns)).to_pylist())
    first = [each for name, pair in layout.pairs.items() if name in changed for each in pair]
    rest = [each for name, pair in layout.pairs.items() if name not in changed for each in pair]
    kept = rest if counts["added"] or counts["removed"] else []
    return rows.select([layout.change, *key, layout.columns, *first, *kept])


def _counted(counts: Mapping[str, int], names: tuple[str, str]) -> str:
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    none = "" if any(counts.values()) else ": no difference"
    return f"{said}{none} between {names[0]} and {names[1]}"


def _remarks(
    old: TableInfo, new: TableInfo, shared: Mapping[str, tuple[str, str]], key: Sequence[str]
) -> list[str]:
    """Say what else is not the same: columns, types, the key."""
    before, after = set(_lower(list(old.columns))), set(_lower(list(new.columns)))
    remarks = []
    for what, names in (
        ("new", [name for name in new.columns if name.lower() not in before]),
        ("gone", [name for name in old.columns if name.lower() not in after]),
    ):
        if names:
            remarks.append(f"{what} {'column' if len(names) == 1 else 'columns'} {', '.join(names)}")
    if not shared:
        remarks.append("no column in common, so no rows were compared")
    remarks += [f"{name} was {was}, is {now}" for name, (was, now) in shared.items() if was != now]
    if not key and _lower(old.key) != _lower(new.key):
        remarks.append(f"the key was {_key(old)}, is {_key(new)}, so whole rows were compared")
    return remarks


def _key(table: TableInfo) -> str:
    return f"({', '.join(table.key)})" if table.key else "none"
