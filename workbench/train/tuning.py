"""Search for the setting that does best on training rows it has not learned from.

Settings are proposed by Optuna's tree-structured Parzen estimator (Bergstra et al., Algorithms for
Hyper-Parameter Optimization, 2011), after the usual ones of each algorithm. The held-out rows of the
training take no part in it.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, ModelError, Unsupported
from workbench.interrupts import held_back
from workbench.progress import Advance, step, stopping
from workbench.train import algorithms, estimators
from workbench.train.boosting import EARLY_STOPPING
from workbench.train.evaluate import value_of
from workbench.train.scoring import Fitted
from workbench.train.search_problem import FEW_ROWS, Limits, Problem, parts, sample_size
from workbench.train.space import STOPPED, Space
from workbench.train.trials import Status, Trial, ranked

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_RESERVE_PER_TRIAL = 0.012  # seconds of the processor for logging it
_FINALISTS = 5  # settings that may be fitted on all rows
_FINALS = 3  # so many of them find time where a fit takes little of the budget
_RECENT = 5  # trials that tell how long the next one of an algorithm takes
_MOST_SKIPPED = 20  # settings in a row for which no time was left
_TIMED_FROM = 4_000  # rows of which a part tells how long all take
_TIMED_EVERY = 10
_TELLING = 0.1  # seconds; of what is shorter the most may be overhead


@dataclass(frozen=True, slots=True)
class Found:
    """The setting to train with, all trials, and the next best settings that can end at any time."""

    choice: algorithms.Choice
    trials: tuple[Trial, ...]
    others: tuple[algorithms.Choice, ...] = ()


def search(
    problem: Problem,
    space: Space,
    limits: Limits,
    known: Sequence[Trial] = (),
    tried: list[Trial] | None = None,
) -> Found:
    """Try settings until the limits are reached.

    Parameters
    ----------
    known : sequence of Trial
        What an interrupted search of the same rows has tried; they count.
    tried : list of Trial or None
        Is filled with all trials as they come, so that they are there if the search is interrupted.

    Raises
    ------
    InvalidData
        If the rows do not suffice for a trial, or the budget does not.
    ModelError
        If all trials failed.
    """
    started = _Search(problem, space, limits, [] if tried is None else tried)
    with step(f"Searching {problem.name}", started.total) as advance:
        started.run(known, advance)
    return started.found()


class _Search:
    def __init__(self, problem: Problem, space: Space, limits: Limits, trials: list[Trial]) -> None:
        import numpy as np

        size = sample_size(len(problem.rows), problem.rows.numbers.shape[1], limits.budget)
        # Drawn and not the first ones, for equal rows stand together.
        rng = np.random.default_rng(problem.seed)
        sample = np.sort(rng.choice(len(problem.rows), size, replace=False, shuffle=False))
        self._all_rows = len(problem.rows)
        self._stops = self._all_rows > FEW_ROWS
        self._problem = replace(problem, rows=problem.rows.take(sample), folds=problem.folds[sample])
        self._space = space
        self._limits = limits
        self._parts = list(parts(self._problem, single=self._stops or problem.by_time))
        self._sign = 1 if problem.more_is_better else -1
        self.trials = trials
        self._scores: dict[int, list[float]] = {}
        self._pace: dict[str, float] = {}
        self._clocks = time.perf_counter(), time.process_time()
        if not self._parts:
            raise InvalidData(
                f"The training rows of {problem.name!r} cannot be divided so that each part has all classes.",
                hint="There are too few rows of some class: leave it out, or leave TUNE and BUDGET out.",
            )
        self._size = int(np.mean([len(rest) for rest, _ in self._parts]))

    @property
    def total(self) -> int | None:
        """The length of the progress bar: seconds of the budget, or trials."""
        return round(self._limits.budget) if self._limits.budget is not None else int(self._limits.most)

    def run(self, known: Sequence[Trial], advance: Advance) -> None:
        """Try what the study proposes; raises InvalidData if there is no time for one."""
        # Of another budget the sample was another; and where none was completed, it was too short.
        known = [trial for trial in known if trial.rows == len(self._problem.rows)]
        known = known if any(trial.status == "ok" for trial in known) else []
        # With the same seed it would propose once more what was tried.
        study = _study(self._problem.seed + len(known))
        for trial in known:
            self._remember(study, trial)
        tried = {self._flat(trial).items().__repr__() for trial in known}
        for first in self._space.first():
            if first.items().__repr__() not in tried:
                study.enqueue_trial(first)
        shown = skipped = 0
        while len(self.trials) < self._limits.most and not self._over() and skipped < _MOST_SKIPPED:
            asked = study.ask()
            model, params = self._space.suggest(asked)
            if not self._ends_in_time(model, params):
                study.tell(asked, state=_failed())
                skipped += 1
                if self._space.stoppable:
                    study.enqueue_trial({"model": self._space.stoppable})
                continue
            skipped = 0
            trial = self._try(model, params)
            self.trials.append(trial)
            self._tell(study, asked, trial)
            elapsed = round(time.perf_counter() - self._limits.started)
            now = len(self.trials) if self._limits.budget is None else elapsed
            advance(now - shown, self._note(), tuple(self.trials))
            shown = now
        late = [trial for trial in self.trials if trial.status != "failed"]
        if self._limits.budget is not None and not self._ranked() and (late or not self.trials):
            raise InvalidData(
                f"The budget of {self._limits.budget:g} s does not suffice for one trial of "
                f"{self._problem.name!r}.",
                hint="Give more, as in BUDGET '1 min', or leave it out.",
            )

    def found(self) -> Found:
        """Choose the best setting that can be fitted on all rows in the time that is left."""
        best = self._ranked()
        if not best:
            failures = {trial.error for trial in self.trials if trial.error}
            raise ModelError(f"All {len(self.trials)} trials failed: {'; '.join(sorted(failures)[:3])}")
        quickest = min(best, key=self._refit_seconds)
        chosen = next((trial for trial in best if self._fits(trial)), quickest)
        choice = self._choice(chosen)
        others = [self._choice(trial) for trial in best if trial is not chosen]
        stop = [each for each in (choice, *others) if EARLY_STOPPING in each.params]
        # Judged by a part of a sample, the next best may be better on all rows.
        finalists = stop[1:_FINALISTS] if self._stops and choice in stop and not self._is_stopped() else []
        return Found(choice, tuple(self.trials), tuple(finalists))

    def _choice(self, trial: Trial) -> algorithms.Choice:
        fixed = self._space.fixed[trial.algorithm]
        params = dict(trial.params) | {name: fixed[name] for name in STOPPED if name in fixed}
        return algorithms.Choice(trial.algorithm, params, self._reason(trial))

    # -- one trial ---------------------------------------------------------------------------------

    def _try(self, model: str, params: Mapping[str, Any]) -> Trial:
        started = time.perf_counter()
        scores: list[float] = []
        trees = 0
        status: Status = "ok"
        error = ""
        for rest, part in self._parts:
            try:
                score, grown = self._fold(algorithms.Choice(model, params), rest, part)
            except (ModelError, Unsupported) as failure:
                status, error = "failed", failure.message
                break
            trees = max(trees, grown)
            # Where a class is missing in a part, so is an AUC; it is for all settings.
            scores += [] if math.isnan(score) else [score]
            more = rest is not self._parts[-1][0]
            cut = EARLY_STOPPING not in params and 0 < grown < params.get("n_estimators", 100)
            if (self._is_late() and (more or cut)) or (more and scores and self._is_hopeless(scores)):
                status = "cut short"
                break
        if not scores and status == "ok":
            status, error = "failed", f"{self._problem.metric} could not be computed"
        grows = EARLY_STOPPING in params and "n_estimators" not in self._space.dimensions[model]
        settled = {**params, "n_estimators": trees} if grows and trees else dict(params)
        self._scores[len(self.trials) + 1] = scores
        ok = bool(scores) and status != "failed"
        return Trial(
            trial=len(self.trials) + 1,
            algorithm=model,
            params=settled,
            metric=self._problem.metric,
            value=sum(scores) / len(scores) if ok else None,
            spread=_deviation(scores) if ok else None,
            folds=len(scores),
            rows=len(self._problem.rows),
            seconds=time.perf_counter() - started,
            status=status,
            error=error,
        )

    def _fold(
        self, choice: algorithms.Choice, rest: npt.NDArray[np.int64], part: npt.NDArray[np.int64]
    ) -> tuple[float, int]:
        """Learn from `rest` and score on `part`; return the score and the number of trees."""
        problem = self._problem
        learned, tested = problem.rows.take(rest), problem.rows.take(part)
        estimator = estimators.build(
            choice,
            problem.label.task,
            problem.spec,
            prepare=problem.prepare,
            seed=problem.seed,
            rows=len(learned),
        )
        with warnings.catch_warnings():
            # A setting that does not converge is judged by its score like any other.
            warnings.simplefilter("ignore")
            grown = estimators.fit(
                estimator,
                learned,
                validation=tested if EARLY_STOPPING in choice.params else None,
                deadline=self._search_deadline(),
            )
        fitted = Fitted(problem.name, problem.label.task, problem.spec, problem.label.classes, estimator)
        return value_of(problem.metric, fitted.answers(tested.matrix, tested.label)), grown

    def _is_hopeless(self, scores: Sequence[float]) -> bool:
        """Whether a setting is worse on the folds so far than the best one there, beyond all noise."""
        best = self._ranked()
        if not best or best[0].trial not in self._scores:
            return False
        known = self._scores[best[0].trial][: len(scores)]
        behind = self._sign * (sum(known) - sum(scores)) / len(scores)
        return behind > 2 * max(best[0].spread or 0.0, 1e-9)

    def _ranked(self) -> list[Trial]:
        return ranked(self.trials, more_is_better=self._problem.more_is_better)

    # -- time --------------------------------------------------------------------------------------

    def _search_deadline(self) -> float | None:
        """When the last trial must end, so that the best setting can still be fitted on all rows."""
        if self._limits.last_tree is None:
            return None
        last = self._limits.last_tree - _RESERVE_PER_TRIAL * self._shared() * len(self.trials)
        best = self._ranked()
        refit = self._refit_seconds(best[0]) if best else 0.0
        if not self._stops:
            return last - refit
        # The sample tells little of how long all rows take: half of the time is for growing trees on
        # them, or less where they surely take less.
        assert self._limits.budget is not None
        half = self._limits.started + self._limits.budget / 2
        return min(last, max(half, last - _FINALS * refit if best else half))

    def _shared(self) -> float:
        """How many times as long as alone the processor takes, for others that want it too."""
        passed, worked = time.perf_counter() - self._clocks[0], time.process_time() - self._clocks[1]
        return max(1.0, passed / max(worked, 1e-9)) if passed > 1 else 1.0

    def _is_stopped(self) -> bool:
        """Whether to be content with the best so far; without one there would be no model to make."""
        return stopping() and bool(self._ranked())

    def _is_late(self) -> bool:
        if self._is_stopped():
            return True
        deadline = self._search_deadline()
        return deadline is not None and time.perf_counter() > deadline

    def _over(self) -> bool:
        if self._is_stopped():
            return True
        deadline = self._search_deadline()
        if deadline is None:
            return False
        recent = [trial.seconds for trial in self.trials[-10:]]
        typical = sorted(recent)[len(recent) // 2] if recent else 0.0
        return time.perf_counter() + typical > deadline

    def _ends_in_time(self, model: str, params: Mapping[str, Any]) -> bool:
        """Whether the first fold of a setting ends before the deadline, as far as others of its kind tell.

        XGBoost can stop at any tree. An algorithm that was not tried yet is timed on some of the rows.
        """
        deadline = self._search_deadline()
        if deadline is None or EARLY_STOPPING in params:
            return True
        if model not in self._pace:
            self._pace[model] = self._timed(model, params)
        took = [
            trial.seconds / trial.folds for trial in self.trials if trial.algorithm == model and trial.folds
        ]
        return time.perf_counter() + max(took[-_RECENT:], default=self._pace[model]) <= deadline

    def _timed(self, model: str, params: Mapping[str, Any]) -> float:
        """Estimate the seconds of a fold from parts of its rows; few rows are not worth the question."""
        rest, part = self._parts[0]
        if len(rest) < _TIMED_FROM:
            return 0.0
        took = []
        for every in (8 * _TIMED_EVERY, 2 * _TIMED_EVERY, _TIMED_EVERY):
            started = time.perf_counter()
            with suppress(ModelError, Unsupported):  # What fails does so in its trial, and is told there.
                self._fold(algorithms.Choice(model, params), rest[::every], part[::every])
            took.append(time.perf_counter() - started)
        # The first loads the library. How much longer twice the rows took tells how it grows, from linear
        # to cubic; what was too short to tell may be quadratic.
        power = min(max(math.log2(took[2] / took[1]), 1.0 if took[1] > _TELLING else 2.0), 3.0)
        return float(took[2] * _TIMED_EVERY**power)

    def _refit_seconds(self, trial: Trial) -> float:
        return trial.seconds / max(trial.folds, 1) * self._all_rows / max(self._size, 1) * 1.2

    def _fits(self, trial: Trial) -> bool:
        """Whether a setting can be fitted on all rows in time; XGBoost can stop at any tree."""
        if self._limits.last_tree is None or EARLY_STOPPING in trial.params:
            return True
        return time.perf_counter() + self._refit_seconds(trial) < self._limits.last_tree

    # -- words -------------------------------------------------------------------------------------

    def _remember(self, study: Any, trial: Trial) -> None:
        study.enqueue_trial(self._flat(trial))
        asked = study.ask()
        self._space.suggest(asked)
        self.trials.append(replace(trial, trial=len(self.trials) + 1))
        self._tell(study, asked, trial)

    def _tell(self, study: Any, asked: Any, trial: Trial) -> None:
        value = None if trial.value is None else self._sign * trial.value
        study.tell(asked, value, state=None if value is not None else _failed())

    def _flat(self, trial: Trial) -> dict[str, Any]:
        named = self._space.dimensions[trial.algorithm]
        return {
            "model": trial.algorithm,
            **{f"{trial.algorithm}.{name}": trial.params[name] for name in named},
        }

    def _note(self) -> str:
        best = self._ranked()
        if not best:
            return ""
        return f"{self._problem.metric} {best[0].value:.4g} by {best[0].algorithm}, trial {best[0].trial}"

    def _reason(self, chosen: Trial) -> str:
        where = f"in {len(self._parts)} folds" if len(self._parts) > 1 else "on a part"
        of = "the training rows" if not self._stops else f"{len(self._problem.rows):,} training rows"
        return (
            f"{chosen.algorithm} was the best of {len(self.trials)} settings: "
            f"{chosen.metric} {chosen.value:.4g} {where} of {of}"
            f"{'; the search was stopped' if stopping() else ''}"
        )


def _deviation(scores: Sequence[float]) -> float:
    mean = sum(scores) / len(scores)
    return math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores))


def _study(seed: int) -> Any:
    with warnings.catch_warnings():
        # It imports a progress bar for notebooks, which warns where ipywidgets are not there.
        warnings.simplefilter("ignore")
        with held_back():
            import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        # Optuna calls `group` experimental; without it conditional parameters are drawn at random.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=12)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL
