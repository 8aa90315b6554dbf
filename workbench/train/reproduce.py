"""Train a version of a model again, from the rows as they were, and say whether the same comes out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidData
from workbench.lake import Result
from workbench.lake.snapshots import is_there
from workbench.progress import step
from workbench.train import reading, registry
from workbench.train.algorithms import Choice, uses_unlabelled
from workbench.train.definition import KIND, Training
from workbench.train.fitting import Fit, fit
from workbench.train.split import Split

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.lake import Lake
    from workbench.train.model import Model
    from workbench.train.reading import Rows, Source
    from workbench.train.scoring import Fitted


def reproduce(lake: Lake, ref: str) -> Result:
    """Train a version again at its own snapshot, and compare; neither model nor deployment is recorded.

    The recorded query is run on the tables as they were, its rows are divided by the recorded split,
    and the recorded algorithm is fitted with the recorded parameters and seed. The files of the
    recorded model and the new one then predict the same held-out rows.

    Returns
    -------
    Result
        One row for each thing compared: `what`, `recorded`, `now`, `same` (NULL where it was not
        recorded), and for numbers their `difference`, of predictions the largest absolute one. Its
        message says whether the model was reproduced exactly, and what differs.

    Raises
    ------
    NotFound
        If there is no such model or version.
    InvalidData
        If its snapshot has expired.
    ModelError
        If its files are gone.
    """
    import pyarrow as pa

    clock = time.perf_counter()
    model = registry.get(lake, ref)
    former = registry.load(lake, model)
    with step(f"Reproducing {model.ref}"):
        source, rows, found = _again(lake, model)
        predictions = _Predictions.of(former, found.fitted, rows)
    facts = [
        *_data_facts(model, source, rows),
        *_model_facts(model, found),
        predictions.fact(),
        *_metric_facts(model, found),
        *_environment_facts(model, found.environment),
    ]
    schema = pa.schema(
        [
            ("what", pa.string()),
            ("recorded", pa.string()),
            ("now", pa.string()),
            ("same", pa.bool_()),
            ("difference", pa.float64()),
        ]
    )
    table = pa.Table.from_pylist([each.to_row() for each in facts], schema=schema)
    seconds = time.perf_counter() - clock
    return Result(table, model.snapshot, seconds, message=_verdict(model, rows, facts))


@dataclass(frozen=True, slots=True)
class _Fact:
    """One thing that was compared; `must` marks those without which nothing is reproduced exactly."""

    what: str
    recorded: str | None
    now: str | None
    same: bool | None
    difference: float | None = None
    must: bool = True

    def to_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("what", "recorded", "now", "same", "difference")}


@dataclass(frozen=True, slots=True, eq=False)
class _Predictions:
    """What the recorded model and the new one say of the same rows: probabilities, or values."""

    recorded: npt.NDArray[np.float64]
    now: npt.NDArray[np.float64]

    @classmethod
    def of(cls, former: Fitted, fitted: Fitted, rows: Rows) -> _Predictions:
        return cls(*(each.raw_of(each.from_raw(rows.tested.batches())) for each in (former, fitted)))

    def fact(self) -> _Fact:
        import numpy as np

        count = len(self.recorded)
        if self.recorded.shape != self.now.shape:
            return _Fact("predictions", f"{count:,} rows", "of other classes", False)
        apart = abs(self.recorded - self.now).reshape(count, -1).max(axis=1)
        differing = int(np.count_nonzero(apart))
        said = f"{differing:,} differ" if differing else "identical"
        return _Fact("predictions", f"{count:,} rows", said, not differing, float(apart.max()))


def _again(lake: Lake, model: Model) -> tuple[Source, Rows, Fit]:
    """Read the rows as they were and fit, as the training did."""
    if not is_there(lake.cursor(), model.snapshot):
        raise InvalidData(
            f"{model.ref} cannot be reproduced: its snapshot, {model.snapshot}, has expired.",
            hint="Train it again, and keep the snapshot for as long as it shall be reproducible.",
        )
    training = _definition(lake, model)
    split = Split.from_record(model.split)
    with lake.at(model.snapshot) as cursor:
        source = reading.stage(lake, cursor, training, split, inputs=model.inputs)
        unlabelled = uses_unlabelled(training.model)
        rows = reading.read(lake, cursor, source, split, unlabelled=unlabelled)
    choice = Choice(model.algorithm, model.params)
    return (
        source,
        rows,
        fit(training, source, rows, None, lambda each: registry.load(lake, each), choice=choice),
    )


def _definition(lake: Lake, model: Model) -> Training:
    """Return the definition that a version was trained by, without a gate."""
    recorded = [
        row["definition"]
        for row in lake.records.history(model.name)
        if row["kind"] == KIND and row["fingerprint"] == model.fingerprint
    ]
    if not recorded:
        raise InvalidData(f"The definition that {model.ref} was trained by is not recorded.")
    training = Training.from_record(recorded[-1])
    return replace(training, seed=model.seed, deploy="never")


def _data_facts(model: Model, source: Source, rows: Rows) -> Iterator[_Fact]:
    held_out = rows.tested.num_rows
    yield _same("rows", f"{model.rows:,}", f"{source.rows:,}")
    yield _same("digest of the rows", model.digest, source.digest)
    yield _same("held out", f"{model.split['held_out']:,}", f"{held_out:,}")


def _model_facts(model: Model, found: Fit) -> Iterator[_Fact]:
    before, now = model.features, found.fitted.features
    preparations = (model.preparation, found.fitted.preparation)
    texts = [f"{len(each)} columns" for each in (before, now)]
    same = before == now and _plain(preparations[0]) == _plain(preparations[1])
    yield _Fact("features", texts[0], texts[1] if same else f"{texts[1]}, not the same", same)


def _plain(preparation: Any) -> Any:
    return preparation and preparation.to_record()


def _metric_facts(model: Model, found: Fit) -> Iterator[_Fact]:
    for name, score in model.metrics.items():
        before, now = score["value"], found.metrics[name]["value"] if name in found.metrics else None
        apart = None if before is None or now is None else abs(now - before)
        yield _Fact(name, _number(before), _number(now), before == now, apart)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"


def _environment_facts(model: Model, now: Mapping[str, str]) -> Iterator[_Fact]:
    for name in dict.fromkeys((*now, *model.environment)):
        before, after = model.environment.get(name), now.get(name)
        same = None if before is None or after is None else before == after
        yield _Fact(name, before, after, same, must=False)


def _same(what: str, recorded: str, now: str) -> _Fact:
    return _Fact(what, recorded, now, recorded == now)


def _verdict(model: Model, rows: Rows, facts: list[_Fact]) -> str:
    differing = [each for each in facts if each.same is False and each.must]
    others = [
        f"{each.what} {each.recorded} → {each.now}" for each in facts if each.same is False and not each.must
    ]
    behind = f"; changed since: {', '.join(others)}" if others else ""
    if not differing:
        held_out = rows.tested.num_rows
        return (
            f"{model.ref} was reproduced exactly: the same {model.rows:,} rows, "
            f"the same predictions for the {held_out:,} held-out ones{behind}"
        )
    return f"{model.ref} was not reproduced exactly: {'; '.join(map(_said, differing))}{behind}"


def _said(fact: _Fact) -> str:
    apart = f" (by at most {fact.difference:.3g})" if fact.difference is not None else ""
    return f"{fact.what}: {fact.recorded} recorded, {fact.now} now{apart}"
