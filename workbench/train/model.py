"""The noun Model: a named, versioned estimator and all that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.derivation import Plan, Run
from workbench.errors import Unsupported
from workbench.train.dataset import FeatureSpec
from workbench.train.definition import KIND
from workbench.train.evaluate import Score
from workbench.train.label import Task, Value, ValueType, value_type
from workbench.train.preparation import Preparation
from workbench.train.split import Split

if TYPE_CHECKING:
    from workbench.lake import Lake


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a trained model.

    Attributes
    ----------
    task : {"regression", "binary", "multiclass", "clustering", "anomaly", "components"}
    label : str
        Empty where it learned without one.
    algorithm : str
        A short name or an import path.
    key : tuple of str
        The columns that identified a row.
    features : FeatureSpec
        The input columns; iterating gives their names.
    preparation : Preparation or None
        How the features come from raw rows, where built-in functions in the query compute them.
    prepared_as : str
        What `PREPARE auto` made of the query, as a query to paste and edit; empty where it stayed.
    query : str
        The training query, as it was written.
    inputs : tuple of str
        The tables it read, qualified; `input_versions` says which version of a transform that was.
    snapshot : int
        The snapshot the query was run at, and `digest` of its rows, whatever their order.
    rows : int
        The rows with a label, training and held-out ones.
    split : dict
        The rule, as recorded by `Split.to_record`, the types of its columns, and how many rows fell on
        each side.
    metrics : dict of str to Score
        On the held-out rows; the first is the one that decides.
    classes : tuple
        The label's values, sorted; of two, the second is the positive one. Empty for a regression.
    model_uri : str
        Where the files are, relative to the store's folder.
    deployed : bool
        Whether it was the champion when this object was read.
    reason : str
        Why it was deployed or not, and what else is worth knowing of the training.
    environment : mapping of str to str
        What it was trained with: versions by package, and the commit of the working directory.
    """

    name: str
    version: int
    task: Task
    algorithm: str
    label: str
    key: tuple[str, ...]
    features: FeatureSpec
    query: str
    inputs: tuple[str, ...]
    input_versions: Mapping[str, int | None]
    snapshot: int
    digest: str
    rows: int
    split: Mapping[str, Any]
    seed: int
    params: Mapping[str, Any]
    metrics: Mapping[str, Score]
    classes: tuple[Value, ...]
    mlflow_run_id: str
    model_uri: str
    fingerprint: str
    trained_at: datetime
    seconds: float
    reason: str
    preparation: Preparation | None = None
    prepared_as: str = ""
    deployed: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    trigger: str = field(default="manual", compare=False)

    @property
    def raw_inputs(self) -> tuple[str, ...]:
        """The names of the columns to give when it is asked to predict."""
        return self.preparation.inputs if self.preparation else self.features.inputs

    @property
    def ref(self) -> str:
        """The name with the version, as in `late@3`."""
        return f"{self.name}@{self.version}"

    @property
    def kind(self) -> str:
        """Always "model"."""
        return KIND

    @property
    def output(self) -> str:
        """How lineage names it."""
        return f"model.{self.name}"

    @property
    def holdout(self) -> float:
        """The part of the rows that was held out."""
        return float(self.split["held_out"]) / self.rows

    @property
    def split_columns(self) -> tuple[str, ...]:
        """The columns of the training query that decide on which side a row is."""
        return tuple(self.split["columns"])

    def held_out(self, values: Mapping[str, str]) -> str:
        """Return a boolean SQL expression, never NULL: whether a row is kept from the training.

        Parameters
        ----------
        values : mapping of str to str
            For each of `split_columns` the SQL of its value.

        Raises
        ------
        Unsupported
            If the version was trained before the types of these columns were recorded.
        """
        types = self.split.get("types")
        if types is None:
            raise Unsupported(
                f"The types of the columns that divide the rows of {self.ref} are not recorded.",
                hint="Train it again.",
            )
        typed = {name: f"CAST({value} AS {types[name]})" for name, value in values.items()}
        return Split.from_record(self.split).expression(types, typed)

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return next(iter(self.metrics))

    @property
    def value_type(self) -> ValueType:
        """The DuckDB type of what it predicts."""
        return value_type(self.classes, self.task)

    @property
    def decision(self) -> str:
        """Whether it is the champion, in a word."""
        return "champion" if self.deployed else "not deployed"

    def plan(self, lake: Lake, *, full: bool = False) -> Plan:
        """Say whether training again would see other data."""
        from workbench.train.training import plan_model

        return plan_model(lake, self, full=full)

    def refresh(self, lake: Lake, *, full: bool = False) -> Run:
        """Train a new version if the inputs moved; the gate decides whether it is deployed."""
        from workbench.train.training import refresh_model

        return refresh_model(lake, self, full=full)

    def to_record(self) -> dict[str, Any]:
        """Return the model as a row of `mlstore.models`."""
        return {
            "name": self.name,
            "version": self.version,
            "task": self.task,
            "algorithm": self.algorithm,
            "label": self.label,
            "features": {
                "columns": self.features.to_record(),
                "key": list(self.key),
                "preparation": self.preparation and self.preparation.to_record(),
                "plan": self.prepared_as,
            },
            "query": self.query,
            "inputs": dict(self.input_versions),
            "snapshot": self.snapshot,
            "digest": self.digest,
            "rows": self.rows,
            "split": dict(self.split),
            "params": dict(self.params),
            "metrics": {
                "scores": dict(self.metrics),
                "decision": self.reason,
                "environment": dict(self.environment),
            },
            "classes": list(self.classes),
            "seed": self.seed,
            "mlflow_run_id": self.mlflow_run_id,
            "model_uri": self.model_uri,
            "fingerprint": self.fingerprint,
            "seconds": self.seconds,
            "trained_at": self.trained_at,
        }

    @classmethod
    def from_record(cls, row: Mapping[str, Any], *, deployed: bool = False, trigger: str = "manual") -> Model:
        """Make the model from a row of `mlstore.models`."""
        taken = {"features", "inputs", "metrics", "classes", "snapshot_id"}
        return cls(
            **{name: value for name, value in row.items() if name not in taken},
            key=tuple(row["features"]["key"]),
            features=FeatureSpec.from_record(row["features"]["columns"]),
            preparation=Preparation.from_record(row["features"].get("preparation")),
            prepared_as=row["features"].get("plan", ""),
            inputs=tuple(row["inputs"]),
            input_versions=row["inputs"],
            metrics=row["metrics"]["scores"],
            reason=row["metrics"]["decision"],
            environment=row["metrics"].get("environment", {}),
            classes=tuple(row["classes"]),
            deployed=deployed,
            trigger=trigger,
        )
