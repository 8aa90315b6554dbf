"""How the Store keeps up to date what is made from its tables; a part of `Store`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from workbench import answers
from workbench.bind import Binding, Limits, within
from workbench.derivation import Run
from workbench.errors import WorkbenchError
from workbench.lake import Lake
from workbench.lake.snapshots import tables_changed_by
from workbench.schedule import after_write, refresh
from workbench.transform import Transform, find_transform
from workbench.transform.refit import refit

_FAILED = "was not refreshed"


class Refreshing:
    """Refreshes that are asked for, and those that follow a write; a part of `Store`."""

    _lake: Lake

    def refresh(
        self,
        name: str | None = None,
        *,
        full: bool = False,
        errors: bool = False,
        limit: int | None = None,
        budget: str | None = None,
    ) -> list[Run]:
        """Bring a transform or binding, with all it is made from, up to date; without a name, what is due.

        A model is trained again if the data it was trained on changed, but only when it is named.

        Parameters
        ----------
        errors : bool
            Predict only the rows again on which the model failed.
        limit, budget : int or None, str or None
            How many rows are predicted at most, and how long, such as "30 s"; the rows that changed
            last come first, and the rest is left to the next refresh.

        Returns
        -------
        list of Run
            Those that did something, and always that of `name`.

        Raises
        ------
        NotFound
            If nothing of that name is kept up to date.
        """
        limits = Limits.of(limit, budget, errors=errors)
        if name is not None:
            wanted = answers.find_derivation(self._lake, name)
            name = wanted.name
            if wanted.kind == "model":
                within([], name, limits, full=full)
                run = wanted.refresh(self._lake, full=full)
                self._follow_model(name)
                return [run]
        with self._lake.kept.once():
            known = within(answers.scheduled(self._lake), name, limits, full=full)
            runs = refresh(self._lake, known, name, full=full)
            changed = [each.output for each in known for run in runs if run.name == each.name]
            if changed:
                runs += after_write(self._lake, self._on_write(), changed)
            self._follow_models(runs)
        return runs

    def refit(self, name: str) -> Run:
        """Fit the built-in functions of a transform to its rows as they are now: a new version."""
        return self._refit(find_transform(self._lake, name))

    # -- within ----------------------------------------------------------------------------------

    def _refit(self, transform: Transform) -> Run:
        run = refit(self._lake, transform)
        assert run.snapshot is not None
        self._follow_warning(run.snapshot)
        return run

    def _followed(self, run: Run) -> Run:
        """Let what is kept up to date follow a load; what it did goes into the run's details."""
        if run.snapshot is None or run.mode == "noop":
            return run
        clock = time.perf_counter()
        said = self._follow(run.snapshot)
        if not said:
            return run
        seconds = run.seconds + time.perf_counter() - clock
        return replace(run, seconds=seconds, details={**run.details, "then": said.removeprefix("; ")})

    def _follow(self, snapshot: int, *tables: str) -> str:
        """Refresh what is to follow the write of a snapshot; say what was refreshed, and what failed.

        `tables` are others that were written after it.
        """
        with self._lake.kept.once():
            changed = {*tables_changed_by(self._lake, snapshot), *tables}
            runs = after_write(self._lake, self._on_write(), changed)
            self._follow_models(runs)
        return "".join(f"; {_said(run)}" for run in runs)

    def _follow_models(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.kind == "model" and run.status == "ok":
                self._follow_model(run.name)

    def _follow_warning(self, snapshot: int, *tables: str) -> None:
        """Let what is kept up to date follow a commit; what fails is warned of, for the commit stands."""
        said = self._follow(snapshot, *tables)
        if _FAILED in said:
            warnings.warn(said.removeprefix("; "), RuntimeWarning, stacklevel=4)

    def _on_write(self) -> list[Any]:
        """List what a write waits for: an asynchronous binding is left to a later refresh."""
        return [each for each in answers.scheduled(self._lake) if getattr(each, "mode", "sync") == "sync"]

    def _follow_model(self, name: str) -> None:
        """Predict anew what is bound to a model whose champion may have changed."""
        for each in self._on_write():
            if (
                isinstance(each, Binding)
                and each.model.partition("@")[0] == name
                and each.trigger == "on write"
            ):
                try:
                    each.refresh(self._lake)
                except WorkbenchError as error:
                    warnings.warn(f"{each.column} {_FAILED}: {error}", RuntimeWarning, stacklevel=3)
                    continue
                after_write(self._lake, self._on_write(), [each.output])


def _said(run: Run) -> str:
    name = run.name.rpartition("__")[2]
    if run.status == "failed":
        return f"{name} {_FAILED}: {run.error}"
    if run.kind == "model":
        deployed = "deployed" if run.details.get("deployed") else "not deployed"
        return f"{run.details.get('model', name)} trained, {deployed}"
    rows = run.rows_written + run.rows_deleted
    failed = run.details.get("errors")
    why = f" ({failed:,} failed)" if failed else ""
    return f"{name} refreshed, {rows:,} {'row' if rows == 1 else 'rows'}{why}"
