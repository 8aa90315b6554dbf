"""What `tab_transformer` has in common for classes and quantities: its parameters, and how it learns.

A copy of this file lies with each model, too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
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


class TabTransformer(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
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
