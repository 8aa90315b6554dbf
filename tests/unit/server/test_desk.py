"""Questions that take too long."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from workbench.errors import Conflict
from workbench.lake import Lake
from workbench.server.desk import Desk
from workbench.server.places import Places

ENDLESS = "SELECT count(*) FROM range(10_000_000) AS a, range(10_000_000) AS b WHERE a.range <> b.range"


def test_a_question_that_nobody_waits_for_is_ended_whatever_it_does_at_the_time(
    tmp_path: Path, lake: Lake
) -> None:
    """Here it comes to its endless statement only later."""
    desk = Desk(Places(tmp_path, tmp_path), answer_seconds=0.2)

    def question(held: Lake) -> None:
        time.sleep(1)
        held.run(held.cursor(), ENDLESS)

    async def ask() -> None:
        (place,) = desk.places.all()
        with pytest.raises(Conflict, match="does not answer"):
            await desk.ask(place, question)
        deadline = time.monotonic() + 60
        while any(desk._busy.values()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    asyncio.run(ask())
    desk.close()
