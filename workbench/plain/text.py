"""Blocks as plain text, for terminals and the `text/plain` of a notebook."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from workbench.plain.blocks import Block, Card, Code, Column, Facts, Grid, Heading, Note, Picture

WIDEST_COLUMN = 40


def render(blocks: Iterable[Block], *, width: int = 160) -> str:
    """Write blocks as text, lines no longer than `width` where a table can be cut.

    Examples
    --------
    >>> print(render([Grid.of_rows(["id", "city"], [(1, "Oslo"), (20, None)], footer="2 rows")]))
    id  city
    ──  ────
     1  Oslo
    20  NULL
    2 rows
    """
    return "\n".join(part for part in (_block(block, width) for block in blocks) if part)


def _block(block: Block, width: int) -> str:
    match block:
        case Heading():
            words = [block.kind, block.title, f"[{block.badge}]" if block.badge else ""]
            return " ".join(word for word in words if word)
        case Facts():
            return _facts(block)
        case Grid():
            return _grid(block, width)
        case Note():
            return _safe(block.text, lines=True)
        case Code():
            return "\n".join(([f"{block.title}:"] if block.title else []) + [_safe(block.text, lines=True)])
        case Card():
            body = render(block.body, width=width - 2)
            return f"{block.title} [{block.badge}]\n" + "\n".join(f"  {line}" for line in body.splitlines())
        case Picture():
            return _picture(block)


def _facts(facts: Facts) -> str:
    widest = max((len(label) for label, _ in facts.items), default=0)
    return "\n".join(f"  {label.ljust(widest)}  {_safe(value)}" for label, value in facts.items)


def _picture(picture: Picture) -> str:
    kinds = {node.name: node.kind for node in picture.nodes}
    lines = [f"  {source} → {target} ({kinds.get(target, '')})" for source, target in picture.edges]
    linked = {name for edge in picture.edges for name in edge}
    lines += [f"  {node.name} ({node.kind})" for node in picture.nodes if node.name not in linked]
    return "\n".join(line.replace(" ()", "") for line in lines)


def _grid(grid: Grid, width: int) -> str:
    cells = [[_safe("NULL" if value is None else value) for value in row] for row in grid.rows]
    widths = [_column_width(column, [row[c] for row in cells]) for c, column in enumerate(grid.columns)]
    fits = _how_many_fit(widths, width)
    columns, hidden = grid.columns[:fits], len(grid.columns) - fits
    lines = [_line([_safe(column.name) for column in columns], columns, widths)]
    lines.append("  ".join("─" * size for size in widths[:fits]))
    lines += [_line(row[:fits], columns, widths) for row in cells]
    footer = [grid.footer] if grid.footer else []
    footer += (
        [f"{hidden} more column{'' if hidden == 1 else 's'}: {_names(grid.columns[fits:])}"] if hidden else []
    )
    return "\n".join([f"{grid.title}:"] * bool(grid.title) + lines + [" · ".join(footer)] * bool(footer))


def _names(columns: Iterable[Column]) -> str:
    names = [_safe(column.name) for column in columns]
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def _how_many_fit(widths: list[int], width: int) -> int:
    used = 0
    for number, size in enumerate(widths):
        used += size + 2
        if used - 2 > width and number:
            return number
    return len(widths)


def _column_width(column: Column, cells: list[str]) -> int:
    return min(WIDEST_COLUMN, max([cell_width(_safe(column.name)), *map(cell_width, cells)], default=1))


def _line(cells: Iterable[str], columns: Iterable[Column], widths: Iterable[int]) -> str:
    parts = [
        _pad(cell, size, right=column.right)
        for cell, column, size in zip(cells, columns, widths, strict=False)
    ]
    return "  ".join(parts).rstrip()


def _pad(text: str, size: int, *, right: bool) -> str:
    while cell_width(text) > size:
        text = text[: max(0, len(text) - 2)] + "…" if not text.endswith("…") else text[:-2] + "…"
    space = " " * (size - cell_width(text))
    return space + text if right else text + space


def cell_width(text: str) -> int:
    """Count the columns of a terminal that `text` takes.

    Examples
    --------
    >>> cell_width("abc"), cell_width("東京")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _safe(text: str, *, lines: bool = False) -> str:
    r"""Replace control characters, so that data cannot steer the terminal or break a row.

    Examples
    --------
    >>> _safe("red \x1b[31m" + chr(10) + "next")
    'red ␛[31m⏎next'
    """
    if text.isprintable():
        return text
    return "".join(_visible(char) if not (lines and char == "\n") else char for char in text)


def _visible(char: str) -> str:
    if char == "\n":
        return "⏎"
    if char == "\t":
        return " "
    if ord(char) < 32:
        return chr(0x2400 + ord(char))
    return char if unicodedata.category(char) != "Cc" else "�"
