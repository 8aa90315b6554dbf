"""What a training is asked to do: the arguments of `train`, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.derivation import fingerprint
from workbench.engines.duckdb import one_query
from workbench.engines.sql import normalise
from workbench.errors import InvalidData, NotFound, StatementError, Unsupported
from workbench.intervals import parse_interval
from workbench.names import check_name, listed
from workbench.ranges import Range
from workbench.train import algorithms, gate
from workbench.train.evaluate import MEASURES, check_metric
from workbench.train.parameters import canonical
from workbench.train.space import Space, has_ranges
from workbench.train.split import Split

if TYPE_CHECKING:
    from workbench.train.label import Task

KIND = "model"

_PREPARE = ("auto", "none")
_LATER = ("weight", "tune", "budget")
_LARGEST_SEED = 2**31 - 1  # what every library takes


@dataclass(frozen=True, slots=True)
class Training:
    """The definition of a model. Make it with `Training.define`, which checks it.

    Attributes
    ----------
    name, query, label : str
        The label is empty for an algorithm that learns without one.
    key : tuple of str
        Identifies a row; decides the split and is not a feature unless `features` names it.
    features : tuple of str or None
        None takes every column but label, key, split columns and `exclude`.
    model : str
        "auto", a name in `algorithms.ALGORITHMS`, or the import path of an estimator.
    split, deploy, when : str
        As in the statement: a rule, a gate, a trigger.
    weight : str or None
        The column that says how much each row counts.
    tune : int or None
        How many settings to try.
    budget : float or None
        How long the training may take in all, in seconds.
    """

    name: str
    query: str
    label: str
    key: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    prepare: str = "auto"
    model: str = "auto"
    params: Mapping[str, Any] = field(default_factory=dict)
    split: str = "hash"
    holdout: float = 0.2
    metric: str | None = None
    seed: int = 0
    when: str = "manual"
    deploy: str = "always"
    weight: str | None = None
    tune: int | None = None
    budget: float | None = None

    @classmethod
    def define(
        cls,
        name: str,
        query: str,
        *,
        label: str | None = None,
        key: str | Sequence[str] | None = None,
        features: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        prepare: str = "auto",
        model: str = "auto",
        params: Mapping[str, Any] | None = None,
        tune: int | None = None,
        budget: str | None = None,
        split: str = "hash",
        holdout: float = 0.2,
        metric: str | None = None,
        seed: int = 0,
        when: str = "manual",
        deploy: str = "always",
        weight: str | None = None,
    ) -> Training:
        """Make a definition from the arguments of `Store.train`.

        Raises
        ------
        WorkbenchError
            The fitting one, if an argument is wrong by itself; nothing has been read yet.

        Examples
        --------
        >>> Training.define("late", "select * from flights", label="late", key="id", model="logistic").key
        ('id',)
        """
        model = algorithms.short_name(model)
        training = cls(
            name,
            one_query(query) if query.strip("; \n\t") else "",
            label or "",
            () if key is None else listed(key),
            None if features is None else listed(features),
            () if exclude is None else listed(exclude),
            str(prepare).lower(),
            model,
            canonical(model, params or {}),
            split,
            holdout,
            metric and metric.lower(),
            seed,
            when,
            deploy,
            weight,
            tune,
            None if budget is None else parse_interval(budget).total_seconds(),
        )
        training._check()
        return training

    def _check(self) -> None:
        check_name(self.name, KIND)
        if not self.query:
            raise StatementError(f"The training of {self.name!r} has no query.", hint="Write it after AS.")
        algorithms.check(self.model, self.params)
        self._check_label()
        self._check_columns()
        if self.prepare not in _PREPARE:
            raise NotFound.named("PREPARE", self.prepare, _PREPARE)
        if not _is_whole(self.seed) or not 0 <= self.seed <= _LARGEST_SEED:
            raise InvalidData(f"SEED {self.seed!r} is not a whole number from 0 to {_LARGEST_SEED}.")
        if self.rule().by == "stratified" and not self.key:
            raise InvalidData(
                f"SPLIT BY {self.split} needs a KEY, by which the rows of a stratum are divided.",
                hint="Say KEY (id).",
            )
        self._check_search()
        if self.metric is not None:
            self._check_metric(self.metric)
        gate.parse(self.deploy).check()

    @property
    def searches(self) -> bool:
        """Whether settings are to be tried."""
        return self.tune is not None or self.budget is not None or has_ranges(self.params)

    def _check_search(self) -> None:
        if self.tune is not None and (
            isinstance(self.tune, bool) or self.tune != int(self.tune) or self.tune < 1
        ):
            raise InvalidData(
                f"TUNE {self.tune!r} is not a number of trials.", hint="Try at least one: TUNE 30 TRIALS."
            )
        if self.searches:
            if self.unsupervised is not None:
                raise Unsupported(
                    f"{self.model} learns without a label, so there is nothing to search settings by.",
                    hint="Train it with each setting, and compare the versions with models.",
                )
            wanted = algorithms.wants(self.model)
            for task in ("regression", "binary"):
                if wanted in (None, "regression" if task == "regression" else "classes"):
                    Space.of(self.model, self.params, task, stops=False)

    @property
    def unsupervised(self) -> Task | None:
        """The task, where it is one without a label."""
        return algorithms.without_label(self.model)

    def _check_label(self) -> None:
        if self.unsupervised is None and not self.label.strip():
            raise StatementError(
                f"The training of {self.name!r} has no label.", hint="Name the column: LABEL late."
            )
        if self.unsupervised is not None and self.label:
            raise InvalidData(
                f"{self.model} learns without a label.",
                hint=f"Leave LABEL out; EXCEPT ({self.label}) keeps the column out of the features.",
            )

    def _check_columns(self) -> None:
        if self.features is not None and self.exclude:
            raise InvalidData("FEATURES and EXCEPT cannot be given together.", hint="Keep one of them.")
        if self.features == ():
            raise InvalidData(
                f"FEATURES of {self.name!r} is empty.", hint="Name columns, or leave FEATURES out."
            )
        if self.label and self.label.lower() in {each.lower() for each in self.features or ()}:
            raise InvalidData(f"The label {self.label!r} cannot be a feature as well.")
        if self.label and self.label.lower() in {each.lower() for each in self.key}:
            raise InvalidData(f"The label {self.label!r} cannot be part of the key.")
        if self.weight is not None and self.weight.lower() == self.label.lower():
            raise InvalidData(f"The label {self.label!r} cannot be the weight as well.")

    def _check_metric(self, metric: str) -> None:
        check_metric(metric)
        if self.unsupervised is not None:
            check_metric(metric, self.unsupervised)
            return
        wanted = algorithms.wants(self.model)
        if wanted is not None and (wanted == "regression") != ("regression" in MEASURES[metric].tasks):
            raise InvalidData(f"METRIC {metric} does not go with {self.model}, which is for {wanted}.")

    def rule(self) -> Split:
        """Return the split."""
        return Split.parse(self.split, holdout=self.holdout, seed=self.seed)

    @property
    def fingerprint(self) -> str:
        """The digest of everything but the trigger."""
        record = self.to_record()
        del record["when"]
        # What came later than the first stores counts only where it is said.
        record = {name: value for name, value in record.items() if value is not None or name not in _LATER}
        return fingerprint(KIND, {**record, "query": normalise(self.query)})

    @property
    def problem(self) -> str:
        """The digest of what a search looks for; how long it looks makes no difference."""
        return replace(self, when="manual", deploy="always", tune=None, budget=None).fingerprint

    def to_record(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Training:
        """Read what `to_record` gave; other entries of the record are ignored."""
        values = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        values["params"] = {name: _read_value(value) for name, value in values["params"].items()}
        for name in ("key", "features", "exclude"):
            values[name] = None if values[name] is None else tuple(values[name])
        return cls(**values)


def _is_whole(value: object) -> bool:
    return isinstance(value, int)


def _read_value(value: Any) -> Any:
    is_range = isinstance(value, Mapping) and value.keys() == Range.__dataclass_fields__.keys()
    return Range(**value) if is_range else value
