"""Fit an estimator on the training rows, score it on the held-out ones, and ask the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData, ModelError
from workbench.progress import step
from workbench.train import algorithms, contest, environment, gate
from workbench.train.dataset import FeatureSpec, describe
from workbench.train.encoding import encode
from workbench.train.evaluate import Score, check_metric, constant_answers, evaluate, measures
from workbench.train.gate import Decision
from workbench.train.label import Label, read_label
from workbench.train.scoring import Fitted

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.train.definition import Training
    from workbench.train.model import Model
    from workbench.train.reading import Rows, Source

# What a library may raise for data or parameters it cannot use.
_FAILURES = (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError, AttributeError)

Load = Callable[["Model"], Fitted]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted estimator, how good it is, and whether it is to be deployed.

    `trained` and `held_out` count the rows on each side; `notes` say what was settled on the way,
    `environment` with which versions.
    """

    fitted: Fitted
    choice: algorithms.Choice
    metrics: Mapping[str, Score]
    decision: Decision
    trained: int
    held_out: int
    notes: tuple[str, ...]
    environment: Mapping[str, str]


def fit(training: Training, source: Source, rows: Rows, champion: Model | None, load: Load) -> Fit:
    """Fit and evaluate; `load` makes the champion ready, if the gate wants it compared.

    Raises
    ------
    InvalidData, NotFound, Unsupported
        If label, metric and algorithm do not go together, or a class is never seen in training.
    ModelError
        If the estimator fails.
    """
    label = read_label(source.label, rows.table["__label"], _wanted(training))
    _check_task(training, label)
    _check_classes(label, rows)
    learned, tested = _sides(rows)
    truth = label.numbers[rows.held_out]
    spec = describe(learned, source.features)
    choice = algorithms.choose(training.model, training.params, learned.num_rows)
    fitted = _learn(training, choice, label, spec, learned, label.numbers[~rows.held_out], source)
    with step("Evaluating"):
        answers = fitted.answers(encode(tested, spec), truth)
        constant = constant_answers(label.task, label.numbers[~rows.held_out], truth, len(label.classes))
        metrics = evaluate(label.task, answers, constant, seed=training.seed)
        condition = gate.parse(training.deploy)
        decision = contest.decide(
            condition, fitted, answers, metrics, champion, load, tested, rows, seed=training.seed
        )
    first = training.metric or next(iter(metrics))
    return Fit(
        fitted,
        choice,
        {first: metrics[first], **metrics},
        decision,
        learned.num_rows,
        tested.num_rows,
        tuple(note for note in (choice.reason, label.note, *source.notes) if note),
        environment.describe(fitted.estimator),
    )


def _sides(rows: Rows) -> tuple[pa.Table, pa.Table]:
    import pyarrow as pa

    return rows.table.filter(pa.array(~rows.held_out)), rows.table.filter(pa.array(rows.held_out))


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


def _check_classes(label: Label, rows: Rows) -> None:
    import numpy as np

    learned = set(np.unique(label.numbers[~rows.held_out]).tolist())
    unseen = [repr(value) for place, value in enumerate(label.classes) if place not in learned]
    if unseen:
        raise InvalidData(
            f"All rows of the class {', '.join(unseen[:5])} are held out, so it cannot be learned.",
            hint="Leave rare classes out in the query, or choose another SPLIT BY.",
        )


def _learn(
    training: Training,
    choice: algorithms.Choice,
    label: Label,
    spec: FeatureSpec,
    learned: pa.Table,
    truth: npt.NDArray[Any],
    source: Source,
) -> Fitted:
    planned = bool(source.plan)
    estimator = algorithms.build(
        choice, label.task, spec, prepare=training.prepare, seed=training.seed, planned=planned
    )
    matrix = encode(learned, spec)
    with step(f"Fitting {choice.name}", algorithms.rounds(estimator)) as advance:
        try:
            algorithms.fit(estimator, matrix, truth, advance)
        except _FAILURES as error:
            raise ModelError(
                f"{choice.name} could not be trained: {error}", hint="Check its PARAMS and the features."
            ) from error
    algorithms.name_features(estimator, spec.names)
    return Fitted(training.name, label.task, spec, label.classes, estimator, source.preparation)
