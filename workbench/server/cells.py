"""What JupyterLab asks about the text of a cell: what is wrong, what can stand there, what a word means."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import tornado.web
from jupyter_server.auth.decorator import authorized

from workbench.answers.catalog import catalog, names
from workbench.errors import WorkbenchError
from workbench.lake.folder import newest_snapshot
from workbench.language import Completion, complete
from workbench.language.about import About, about
from workbench.language.cells import magic_at
from workbench.language.check import Mistake, check, mistakes_of_run
from workbench.language.complete import Names
from workbench.language.functions import engine_functions, store_functions
from workbench.language.layout import formatted
from workbench.language.scope import Catalog
from workbench.server.desk import Desk
from workbench.server.handlers import Handler
from workbench.server.places import Place
from workbench.train.algorithms import parameters

FOLDER = "mlstore"
"""The folder of the store that a notebook opens when it names none."""

Known = tuple[Catalog, Names]
_NOTHING: Known = ({}, {})
_TRAINS = re.compile(r"mlstore\s+train\b")
_USUAL = "linear"


class Knowledge:
    """What is in the stores of notebooks, read again when they have changed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._read: dict[Path, tuple[int, Known]] = {}
        self._looking: asyncio.Task[object] | None = None
        self._training: asyncio.Task[object] | None = None

    def prepare(self, kernel: str, path: str, cell: str) -> None:
        """Begin to read what the first completion would wait for; JupyterLab waits a second only."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._prepare(kernel, path))
        if self._training is None and _TRAINS.search(cell):
            # Their libraries take a second or more to import.
            self._training = asyncio.ensure_future(self._desk.beside(lambda: parameters(_USUAL)))

    async def _prepare(self, kernel: str, path: str) -> None:
        await asyncio.gather(
            self.of(kernel, path), self._desk.beside(lambda: (store_functions(), engine_functions()))
        )

    async def of(self, kernel: str, path: str) -> Known:
        """Tell what is in the stores that a kernel has open, else in the one beside the notebook."""
        places = await self._desk.beside(self._desk.places.all)
        beside = (self._desk.places.root / path).parent / FOLDER
        mine = [each for each in places if kernel in each.kernels]
        found = [await self._of(each) for each in mine or [each for each in places if each.folder == beside]]
        tables: dict[str, Mapping[str, str]] = {}
        named: dict[str, list[str]] = {}
        for known, kinds in reversed(found):
            tables |= known
            for kind, values in kinds.items():
                named[kind] = list(dict.fromkeys([*values, *named.get(kind, ())]))
        return tables, named

    async def _of(self, place: Place) -> Known:
        before, known = self._read.get(place.folder, (-1, _NOTHING))
        try:
            head = await self._desk.glance(place.folder, newest_snapshot)
            if head != before:
                known = await self._desk.ask(place, lambda lake: (catalog(lake), names(lake)))
                self._read[place.folder] = head, known
        except WorkbenchError:  # busy, damaged or gone: what was known is better than nothing
            return known
        return known


class Cells(Handler):
    """`POST cells/<question>` with the text of a cell."""

    def initialize(self, desk: Desk, knowledge: Knowledge, question: Question) -> None:  # type: ignore[override]
        """Take what answers."""
        super().initialize(desk)
        self.knowledge = knowledge
        self.question = question

    @tornado.web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer."""
        body = self.get_json_body()
        if not isinstance(body, dict) or not isinstance(body.get("cell"), str):
            raise tornado.web.HTTPError(400, "the text of the cell is wanted")
        await self.answer(self.question(self, body))

    def number(self, body: Mapping[str, Any], name: str) -> int:
        """Return a place in the cell.

        Raises
        ------
        tornado.web.HTTPError
            If there is none.
        """
        value = body.get(name)
        if not isinstance(value, int) or not 0 <= value <= len(body["cell"]):
            raise tornado.web.HTTPError(400, f"{name} is a place in the cell")
        return value

    async def known(self, body: Mapping[str, Any]) -> Known:
        """Tell what is in the stores of the notebook that the cell is in."""
        return await self.knowledge.of(*_where(body))


def _where(body: Mapping[str, Any]) -> tuple[str, str]:
    return str(body.get("kernel", "")), str(body.get("path", ""))


Question = Callable[[Cells, Mapping[str, Any]], Awaitable[object]]


async def _check(asked: Cells, body: Mapping[str, Any]) -> list[Mistake]:
    cell, error = body["cell"], str(body.get("error", ""))
    asked.knowledge.prepare(*_where(body), cell)
    return await asked.desk.beside(lambda: mistakes_of_run(cell, error) if error else check(cell))


async def _complete(asked: Cells, body: Mapping[str, Any]) -> list[Completion]:
    cell, cursor = body["cell"], asked.number(body, "cursor")
    tables, named = await asked.known(body)
    return await asked.desk.beside(lambda: _completions(cell, cursor, tables, named))


def _completions(cell: str, cursor: int, tables: Catalog, named: Names) -> list[Completion]:
    magic = magic_at(cell, cursor)
    if magic is None:
        return []
    found = complete(magic.text, cursor - magic.start, tables, named)
    return [each.moved(magic.start) for each in found]


async def _about(asked: Cells, body: Mapping[str, Any]) -> About | None:
    cell, offset = body["cell"], asked.number(body, "offset")
    tables, named = await asked.known(body)
    return await asked.desk.beside(lambda: about(cell, offset, tables, named))


async def _format(asked: Cells, body: Mapping[str, Any]) -> str:
    return await asked.desk.beside(lambda: formatted(body["cell"]))


QUESTIONS: Mapping[str, Question] = {
    "check": _check,
    "complete": _complete,
    "about": _about,
    "format": _format,
}
"""The questions about a cell, by the last part of their address."""


def routes(desk: Desk) -> list[tuple[Any, ...]]:
    """Return the handlers with their addresses, below `mlstore/api/`."""
    knowledge = Knowledge(desk)
    return [
        (f"cells/{name}", Cells, {"desk": desk, "knowledge": knowledge, "question": question})
        for name, question in QUESTIONS.items()
    ]
