"""Blocks as HTML. Every text is escaped here and nowhere else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape

from workbench.notebook.board import board
from workbench.notebook.picture import draw
from workbench.notebook.style import CSS
from workbench.plain import Block, Card, Code, Facts, Grid, Heading, Note, Picture, Tick
from workbench.plain.values import IMAGE_KINDS


def render(blocks: Iterable[Block]) -> str:
    """Write blocks as one self-contained piece of HTML that needs no script.

    Examples
    --------
    >>> render([Note("a < b")]).endswith('<div class="mls"><div class="mls-note">a &lt; b</div></div>')
    True
    """
    return page("".join(_block(block) for block in blocks))


def page(body: str) -> str:
    """Put the style sheet beside a body of our own markup."""
    return f'<style>{CSS}</style><div class="mls">{body}</div>'


def bar(tick: Tick) -> str:
    """Write a progress bar; one without a total is only its words."""
    share = tick.fraction
    line = "" if share is None else f'<div class="mls-bar"><i style="width:{share:.1%}"></i></div>'
    return page(f'<div class="mls-foot">{escape(tick.words())}</div>{line}{board(tick.detail)}')


def _block(block: Block) -> str:
    match block:
        case Heading():
            return _heading(block)
        case Facts():
            return _facts(block)
        case Grid():
            return _grid(block)
        case Note():
            return f'<div class="{_classes("mls-note", block.tone)}">{escape(block.text)}</div>'
        case Code():
            return f'{_title(block.title)}<pre class="mls-code">{escape(block.text)}</pre>'
        case Card():
            return _card(block)
        case Picture():
            return draw(block)


def _classes(name: str, tone: str) -> str:
    return f"{name} mls-{tone}" if tone else name


def _title(title: str) -> str:
    return f'<div class="mls-title">{escape(title)}</div>' if title else ""


def _badge(words: str, tone: str) -> str:
    return f'<span class="{_classes("mls-badge", tone)}">{escape(words)}</span>' if words else ""


def _heading(heading: Heading) -> str:
    kind = f'<span class="mls-kind">{escape(heading.kind)}</span>' if heading.kind else ""
    name = f'<span class="mls-name">{escape(heading.title)}</span>'
    return f'<div class="mls-head">{kind}{name}{_badge(heading.badge, heading.tone)}</div>'


def _facts(facts: Facts) -> str:
    items = "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in facts.items)
    return f'<dl class="mls-facts">{items}</dl>' if items else ""


def _card(card: Card) -> str:
    head = f'<div class="mls-head"><b>{escape(card.title)}</b>{_badge(card.badge, card.tone)}</div>'
    body = "".join(f"<div>{_block(block)}</div>" for block in card.body)
    return f'<div class="mls-card">{head}<div class="mls-row">{body}</div></div>'


def _grid(grid: Grid) -> str:
    head = "".join(
        f"<th{_class('mls-right' if column.right else '')}>{escape(column.name)}"
        f"{f'<small>{escape(column.type)}</small>' if column.type else ''}</th>"
        for column in grid.columns
    )
    body = "".join(f"<tr>{_row(grid, r)}</tr>" for r in range(len(grid.rows)))
    foot = f'<div class="mls-foot">{escape(grid.footer)}</div>' if grid.footer else ""
    table = f'<table class="mls-grid"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'{_title(grid.title)}<div class="mls-scroll">{table}</div>{foot}'


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def _row(grid: Grid, r: int) -> str:
    return "".join(_cell(grid, r, c, value) for c, value in enumerate(grid.rows[r]))


_LONG = 40


def _cell(grid: Grid, r: int, c: int, value: str | None) -> str:
    tone = grid.tones.get((r, c), "")
    names = " ".join(
        name
        for name, wanted in (
            ("mls-right", grid.columns[c].right),
            ("mls-mark", (r, c) in grid.marked),
            (f"mls-{tone}", bool(tone)),
        )
        if wanted
    )
    if value is None:
        return f'<td{_class(names)}><span class="mls-null">NULL</span></td>'
    image = grid.images.get((r, c))
    if image is not None:
        return f"<td{_class(names)}>{_image(image, value)}</td>"
    # A long value is cut by the style sheet; the whole of it shows on hovering.
    title = f' title="{escape(value)}"' if len(value) > _LONG else ""
    return f"<td{_class(names)}{title}>{escape(_one_line(value))}</td>"


def _image(data: bytes, words: str) -> str:
    """Draw a picture as part of the page."""
    kind = next(kind for start, kind in IMAGE_KINDS.items() if data.startswith(start))
    source = f"data:image/{kind};base64,{b64encode(data).decode()}"
    return f'<img src="{source}" alt="{escape(words)}" class="mls-image">'


def _one_line(value: str) -> str:
    return " ".join(value.splitlines()) if "\n" in value else value
