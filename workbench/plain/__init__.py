"""How things read: nouns as blocks (data first), blocks as plain text.

    values      one value of a column as short text
    blocks      what a report is made of: headings, facts, grids, notes, cards, pictures
    nouns       each noun of the store as blocks
    models      a trained model as blocks
    text        blocks as text, for terminals and `text/plain`
    failures    an error as one readable block
    templates   the notebooks that come with the package
    ticker      when a running step deserves a progress bar

The notebook makes HTML of the same blocks. Nothing here imports a room: nouns are known by their
class name and read by attribute.
"""

from workbench.plain.blocks import Block, Card, Code, Facts, Grid, Heading, Note, Picture
from workbench.plain.nouns import Report, blocks, bound, known
from workbench.plain.text import render
from workbench.plain.ticker import Tick, Ticker

__all__ = [
    "Block",
    "Card",
    "Code",
    "Facts",
    "Grid",
    "Heading",
    "Note",
    "Picture",
    "Report",
    "Tick",
    "Ticker",
    "blocks",
    "bound",
    "known",
    "render",
]
