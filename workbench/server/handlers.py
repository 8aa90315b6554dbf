"""What the server answers below `mlstore/api/`: all of it behind Jupyter's own authentication."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import tornado.web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async

from workbench.errors import InvalidData, WorkbenchError
from workbench.lake import Lake
from workbench.lake.folder import newest_snapshot
from workbench.plain import parameters, templates
from workbench.plain.running import Running, running
from workbench.server import questions
from workbench.server.desk import Desk
from workbench.server.places import Place
from workbench.server.tree import draft_cells, tree
from workbench.server.wire import NewNotebook, Problem, Stores, StoreState, Templates

Question = Callable[["Ask", Lake], object]


class Handler(APIHandler):
    """Answers with `data` or a `problem`."""

    auth_resource = "mlstore"

    def initialize(self, desk: Desk) -> None:
        """Take the desk that asks the stores."""
        self.desk = desk

    async def answer(self, work: Awaitable[object]) -> None:
        """Finish with what `work` gives, or with the problem it has."""
        try:
            data, problem = await work, None
        except WorkbenchError as error:
            data, problem = None, problem_of(error)
        text = json.dumps({"data": data, "problem": problem}, default=dataclasses.asdict)
        await self.finish(text)


class StoresHandler(Handler):
    """`GET stores`: what there is, and how it stands; cheap enough to be asked every second."""

    @tornado.web.authenticated
    @authorized
    async def get(self) -> None:
        """Look at every store."""
        await self.answer(self._stores())

    async def _stores(self) -> Stores:
        places = await self.desk.beside(self.desk.places.all)
        return Stores(tuple(await asyncio.gather(*map(self._state, places))))

    async def _state(self, place: Place) -> StoreState:
        head: int | None = None
        problem: Problem | None = None
        now: tuple[Running, ...] = ()
        try:
            head, now = await self.desk.glance(place.folder, _glance)
        except WorkbenchError as error:
            problem = problem_of(error)
        shown = self.desk.places.shown(place.folder)
        folder = str(place.folder)
        return StoreState(place.id, place.folder.name, shown, folder, place.kernels, head, problem, now)


class Ask(Handler):
    """`GET <question>?store=…&name=…&kind=…`: one question to one store."""

    def initialize(self, desk: Desk, question: Question) -> None:  # type: ignore[override]
        """Take the desk and the question."""
        super().initialize(desk)
        self.question = question

    @tornado.web.authenticated
    @authorized
    async def get(self) -> None:
        """Ask."""
        await self.answer(self._ask())

    async def _ask(self) -> object:
        wanted = self.get_argument("store")
        place = await self.desk.beside(lambda: self.desk.place(wanted))
        return await self.desk.ask(place, lambda lake: self.question(self, lake))

    @property
    def thing(self) -> tuple[str, str]:
        """The name and kind of what is asked about."""
        return self.get_argument("name"), self.get_argument("kind")

    def number(self, name: str, default: int) -> int:
        """Return an argument that is a number, not negative.

        Raises
        ------
        tornado.web.HTTPError
            If it is not.
        """
        text = self.get_argument(name, str(default))
        if not text.isdecimal():
            raise tornado.web.HTTPError(400, f"{name} is a number")
        return int(text)


class TemplatesHandler(Handler):
    """`GET templates` lists them; `POST templates` makes a notebook of one."""

    @tornado.web.authenticated
    @authorized
    async def get(self) -> None:
        """List the templates with their parameters."""
        await self.answer(self.desk.beside(lambda: Templates(templates.templates())))

    @tornado.web.authenticated
    @authorized
    async def post(self) -> None:
        """Make a notebook: `template`, `folder`, `parameters`."""
        body = self.get_json_body() or {}
        await self.answer(self._make(body))

    async def _make(self, body: dict[str, Any]) -> NewNotebook:
        name, folder = str(body.get("template", "")), str(body.get("folder", "")).strip("/")
        values = body.get("parameters", {})
        if not isinstance(values, dict):
            raise InvalidData("The parameters are an object.")
        notebook = parameters.fill(await self.desk.beside(lambda: templates.read(name)), values)
        contents: Any = self.contents_manager
        if folder and not await ensure_async(contents.dir_exists(folder)):
            raise InvalidData(f"There is no folder {folder!r}.")
        file = await ensure_async(contents.increment_filename(f"{name}.ipynb", folder))
        path = f"{folder}/{file}" if folder else file
        model = {"type": "notebook", "format": "json", "content": notebook}
        await ensure_async(contents.save(model, path))
        return NewNotebook(path)


def _glance(folder: Path) -> tuple[int, tuple[Running, ...]]:
    return newest_snapshot(folder), tuple(running(folder))


def problem_of(error: WorkbenchError) -> Problem:
    """Say an error over the wire."""
    return Problem(error.code, error.message, error.hint, error.retryable)


QUESTIONS: dict[str, Question] = {
    "tree": lambda _, lake: tree(lake),
    "detail": lambda ask, lake: questions.detail(lake, *ask.thing),
    "sample": lambda ask, lake: questions.sample(
        lake, *ask.thing, ask.number("offset", 0), ask.number("limit", 50)
    ),
    "profile": lambda ask, lake: questions.profile(lake, *ask.thing),
    "history": lambda ask, lake: questions.history(lake, *ask.thing),
    "lineage": lambda ask, lake: questions.lineage(lake, *ask.thing),
    "drafts": lambda ask, lake: draft_cells(lake, *ask.thing),
    "runs": lambda _, lake: questions.runs(lake),
}
"""The questions that can be asked of one store, by the last part of their address."""


def routes(desk: Desk) -> list[tuple[Any, ...]]:
    """Return the handlers with their addresses, below `mlstore/api/`."""
    return [
        ("stores", StoresHandler, {"desk": desk}),
        ("templates", TemplatesHandler, {"desk": desk}),
        *((name, Ask, {"desk": desk, "question": question}) for name, question in QUESTIONS.items()),
    ]
