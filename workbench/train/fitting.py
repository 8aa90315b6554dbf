"""Fit an estimator on the training rows, score it on the held-out ones, and ask the gate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData
from workbench.progress import step
from workbench.train import algorithms, contest, environment, estimators, gate, unsupervised
from workbench.train.boosting import EARLY_STOPPING, Examples, validation_rows
from workbench.train.comparison import Contender, against_xgboost
from workbench.train.evaluate import Score, check_metric, constant_answers, evaluate, measures
from workbench.train.finals import best_of
from workbench.train.gate import Decision
from workbench.train.label import Label, read_label
from workbench.train.report import Report, make_report
from workbench.train.scoring import Fitted
from workbench.train.search_problem import FEW_ROWS, Limits, Problem
from workbench.train.space import Space
from workbench.train.spool import Numbers
from workbench.train.tuning import Found, search
from workbench.train.weights import CLASS_WEIGHT, class_weights, read_weights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.definition import Training
    from workbench.train.label import Task
    from workbench.train.model import Model
    from workbench.train.reading import Rows, Source
    from workbench.train.trials import Trial

Load = Callable[["Model"], Fitted]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted estimator, how good it is, and whether it is to be deployed.

    `trained` and `held_out` count the rows on each side; `notes` say what was settled on the way,
    `environment` with which versions; `report` is what was found out about it beyond the metrics.
    """

    fitted: Fitted
    choice: algorithms.Choice
    metrics: Mapping[str, Score]
    decision: Decision
    trained: int
    held_out: int
    notes: tuple[str, ...]
    environment: Mapping[str, str]
    report: Report
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """What a search is given: its limits, and earlier trials of the same rows; it adds its own to `tried`."""

    limits: Limits
    known: Sequence[Trial] = ()
    tried: list[Trial] = field(default_factory=list)


def fit(
    training: Training,
    source: Source,
    rows: Rows,
    champion: Model | None,
    load: Load,
    tuning: Tuning | None = None,
    choice: algorithms.Choice | None = None,
) -> Fit:
    """Fit and evaluate; `load` makes the champion ready, if the gate wants it compared.

    With `tuning` the setting is searched first, on training rows alone; a `choice` is taken as it is.

    Raises
    ------
    InvalidData, NotFound, Unsupported
        If label, metric and algorithm do not go together, or a class is never seen in training.
    ModelError
        If the estimator fails.
    """
    if training.unsupervised is not None:
        return _fit_unlabelled(training, training.unsupervised, source, rows, champion, load, choice)
    label = read_label(source.label, rows.label, _wanted(training))
    _check_task(training, label)
    known, truth = _sides(label, rows)
    examples = Examples(
        Numbers(rows.training),
        known,
        _weights(training, source, rows, label, known),
        None if rows.unlabelled is None else rows.unlabelled.matrix(),
    )
    found = Found(choice, ()) if choice else _choose(training, tuning, label, examples, rows)
    clock = time.perf_counter()
    fitted, choice = _learn(training, found, label, examples, rows, source, tuning)
    seconds = time.perf_counter() - clock
    with step("Evaluating"):
        answers = fitted.answers_of(rows.tested.batches(), truth)
        constant = constant_answers(label.task, known, truth, len(label.classes))
        metrics = evaluate(label.task, answers, constant, seed=training.seed)
        first = training.metric or next(iter(metrics))
        condition = gate.parse(training.deploy)
        decision = contest.decide(
            condition, fitted, answers, metrics, champion, load, rows, seed=training.seed
        )
        report = make_report(
            fitted, rows.tested, answers, metric=first, seed=training.seed, trained=len(examples)
        )
    beside = ""
    if algorithms.learns_unlabelled(fitted.estimator):
        contender = Contender(choice.name, answers, first, metrics[first], seconds)
        beside = against_xgboost(contender, fitted, examples, rows.tested, seed=training.seed)
    return Fit(
        fitted,
        choice,
        {first: metrics[first], **metrics},
        decision,
        rows.training.num_rows,
        rows.tested.num_rows,
        tuple(note for note in (beside, choice.reason, label.note, *source.notes, *report.notes) if note),
        environment.describe(fitted.estimator),
        report,
        found.trials,
    )


def _fit_unlabelled(
    training: Training,
    task: Task,
    source: Source,
    rows: Rows,
    champion: Model | None,
    load: Load,
    choice: algorithms.Choice | None,
) -> Fit:
    """Fit and evaluate an algorithm that learns without a label."""
    import numpy as np

    if training.metric is not None:
        check_metric(training.metric, task)
    condition = gate.parse(training.deploy)
    condition.check(task)
    choice = choice or algorithms.Choice(training.model, training.params)
    weights = read_weights(source.weight or "", rows.weights) if rows.weights is not None else None
    examples = Examples(Numbers(rows.training).matrix(), np.zeros(rows.training.num_rows), weights)
    estimator = estimators.build(
        choice, task, rows.spec, prepare=training.prepare, seed=training.seed, rows=len(examples)
    )
    with step(f"Fitting {choice.name}"):
        estimators.fit(estimator, examples)
    fitted = Fitted(training.name, task, rows.spec, (), estimator, source.preparation)
    with step("Evaluating"):
        matrix = fitted.matrix_of(rows.tested.batches())
        answers = fitted.answers(matrix, np.zeros(len(matrix)))
        constant = unsupervised.baseline(estimator, examples.matrix, matrix, task)
        metrics = evaluate(task, answers, constant, seed=training.seed)
        first = training.metric or next(iter(metrics))
        decision = contest.decide(
            condition, fitted, answers, metrics, champion, load, rows, seed=training.seed
        )
        report = unsupervised.make_report(answers, estimator, task)
    return Fit(
        fitted,
        choice,
        {first: metrics[first], **metrics},
        decision,
        rows.training.num_rows,
        rows.tested.num_rows,
        tuple(source.notes),
        environment.describe(estimator),
        report,
    )


def _wanted(training: Training) -> str | None:
    """Return what metric or algorithm make of the label, if they do: "regression" or "classes"."""
    if training.metric is not None:
        return "regression" if training.metric in measures("regression") else "classes"
    return algorithms.wants(training.model)


def _check_task(training: Training, label: Label) -> None:
    """Check what could not be checked before the task was known."""
    if training.metric is not None:
        check_metric(training.metric, label.task)
    gate.parse(training.deploy).check(label.task)
    algorithms.class_path("xgboost" if training.model == "auto" else training.model, label.task)


def _sides(label: Label, rows: Rows) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the label of the training rows, in which all classes must be, and of those held out."""
    import numpy as np

    known, truth = np.split(label.numbers, [rows.training.num_rows])
    learned = set(np.unique(known).tolist()) if label.classes else set()
    unseen = [repr(value) for place, value in enumerate(label.classes) if place not in learned]
    if unseen:
        raise InvalidData(
            f"All rows of the class {', '.join(unseen[:5])} are held out, so it cannot be learned.",
            hint="Leave rare classes out in the query, or choose another SPLIT BY.",
        )
    return known, truth


def _weights(
    training: Training, source: Source, rows: Rows, label: Label, known: npt.NDArray[Any]
) -> npt.NDArray[np.float64] | None:
    """Return how much each training row counts, by the column of WEIGHT and by its class."""
    weights = read_weights(source.weight or "", rows.weights) if rows.weights is not None else None
    wanted = training.params.get(CLASS_WEIGHT)
    by_class = class_weights(wanted, label, known)
    return by_class if weights is None else weights if by_class is None else weights * by_class


def _choose(
    training: Training,
    tuning: Tuning | None,
    label: Label,
    examples: Examples,
    rows: Rows,
) -> Found:
    """Settle the algorithm and its parameters, by a search if one is wanted."""
    if tuning is None:
        return Found(algorithms.choose(training.model, training.params, len(examples)), ())
    problem = Problem(
        name=training.name,
        spec=rows.spec,
        label=label,
        rows=examples,
        folds=rows.folds,
        metric=training.metric or next(iter(measures(label.task))),
        prepare=training.prepare,
        seed=training.seed,
        by_time=rows.split.by == "time",
    )
    space = Space.of(training.model, training.params, label.task, stops=len(examples) > FEW_ROWS)
    return search(problem, space, tuning.limits, tuning.known, tuning.tried)


def _learn(
    training: Training,
    found: Found,
    label: Label,
    examples: Examples,
    rows: Rows,
    source: Source,
    tuning: Tuning | None,
) -> tuple[Fitted, algorithms.Choice]:
    """Fit on all training rows; return what came of it, and the setting by which it comes again."""
    planned = bool(source.plan) and training.model != "auto"
    every, validation, deadline = len(examples), None, None
    if EARLY_STOPPING in found.choice.params:
        deadline = tuning.limits.last_tree if tuning else None
        by_time = rows.split.by == "time"
        chosen = validation_rows(rows.folds, examples.label, len(label.classes), last=by_time)
        validation, examples = examples.take(chosen), examples.take(~chosen)

    def learned(choice: algorithms.Choice) -> tuple[Fitted, algorithms.Choice]:
        estimator = estimators.build(
            choice,
            label.task,
            rows.spec,
            prepare=training.prepare,
            seed=training.seed,
            rows=every,
            planned=planned,
        )
        with step(f"Fitting {choice.name}", estimators.rounds(estimator)) as advance:
            grown = estimators.fit(
                estimator, examples, validation=validation, deadline=deadline, advance=advance
            )
        if grown and validation is not None:
            choice = replace(choice, params={**choice.params, "n_estimators": grown})
        estimators.name_features(estimator, rows.spec.names)
        fitted = Fitted(training.name, label.task, rows.spec, label.classes, estimator, source.preparation)
        return fitted, choice

    if validation is None or deadline is None:
        return learned(found.choice)
    metric = training.metric or next(iter(measures(label.task)))
    return best_of((found.choice, *found.others), learned, validation, metric, deadline)
