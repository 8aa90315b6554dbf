"""A built-in transform as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from workbench.engines.duckdb import execute, fetch, scratch
from workbench.errors import NotFound
from workbench.names import quote
from workbench.transform.calls import canonical_call
from workbench.transform.fitting import expand, fit, read_states
from workbench.transform.steps import STEPS
from workbench.transforms.frames import is_ibis, like, to_arrow, with_target

if TYPE_CHECKING:
    import numpy as np

    from workbench.store import Store

_ROWS = "mlstore_x"
_FITTED = """
SELECT call, statistic, position, number, text FROM mlstore.fitted WHERE lower(name) = lower($name)
AND version = coalesce($version, (SELECT max(version) FROM mlstore.fitted WHERE lower(name) = lower($name)))
"""


class Transformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """A step applied to each column by itself.

    Attributes
    ----------
    columns_ : tuple of str
        The columns seen by `fit`; those of an array are called x0, x1, …
    states_ : dict of str to mapping
        What was fitted, by the column.
    """

    _step: ClassVar[str]

    def _options(self) -> tuple[str, ...]:
        """Return the arguments after the column, as SQL."""
        return ()

    def _call(self, column: str) -> str:
        return f"{self._step}({', '.join((quote(column), *self._options()))})"

    def _columns(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if not name.startswith("mlstore_"))

    def fit(self, X: Any, y: Any = None) -> Transformer:  # noqa: N803 (scikit-learn's names)
        """Learn the statistics of each column.

        Parameters
        ----------
        X : pyarrow.Table, DataFrame, Ibis table or array of shape (rows, columns)
        y : array of length rows, or None

        Raises
        ------
        WorkbenchError
            As the SQL function would, such as text where numbers are needed.
        """
        step = STEPS[self._step]
        rows = with_target(to_arrow(X), None if step.target is None else y)
        self.columns_ = self._columns(rows.column_names)
        self.n_features_in_ = len(self.columns_)
        query = f"SELECT {', '.join(self._call(column) for column in self.columns_)} FROM {_ROWS}"
        with scratch() as cursor:
            cursor.register(_ROWS, rows)
            steps = fit(cursor, query).steps
        self.states_ = {column: step.state for column, step in zip(self.columns_, steps, strict=True)}
        self._fields_ = self._measure(rows.slice(0, 0))
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Compute the columns, by what was fitted.

        Returns
        -------
        as X
            An Arrow table keeps lists and structs as they are; a frame or an array has a column for
            each of their elements; of an Ibis table it is an expression on its backend.

        Raises
        ------
        NotFound
            If X lacks a column.
        """
        self._check_fitted()
        if is_ibis(X):
            return X.alias(_ROWS).sql(self._query(X.columns), dialect="duckdb")
        rows = with_target(to_arrow(X), None)
        return self._like(X, rows)

    def _like(self, given: Any, rows: pa.Table) -> Any:
        return like(given, self._computed(rows), self._fields_)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:
        """Return the names of the output columns, each element of a list or struct by itself."""
        import numpy as np

        self._check_fitted()
        names = [name for column in self.columns_ for name in self._names(column)]
        return np.array(names, dtype=object)

    def _names(self, column: str) -> list[str]:
        fields = self._fields_[column]
        return [column] if not fields else [f"{column}_{field}" for field in fields]

    def _computed(self, rows: pa.Table) -> pa.Table:
        with scratch() as cursor:
            cursor.register(_ROWS, rows)
            return fetch(execute(cursor, self._query(rows.column_names)))

    def _query(self, given: Sequence[str]) -> str:
        for column in self.columns_:
            if column not in given:
                raise NotFound.named("column", column, given)
        states = {canonical_call(self._call(column)): state for column, state in self.states_.items()}
        calls = ", ".join(f"{self._call(column)} AS {quote(column)}" for column in self.columns_)
        return expand(f"SELECT {calls} FROM {_ROWS}", states)

    def _measure(self, rows: pa.Table) -> dict[str, list[str] | None]:
        """Find the names of the elements of each output column; None for a plain one."""
        from pyarrow import types

        found: dict[str, list[str] | None] = {}
        for name, values in zip(self.columns_, self._computed(rows).columns, strict=True):
            if types.is_struct(values.type):
                found[name] = [field.name for field in values.type]
            else:
                found[name] = self._elements(name) if types.is_list(values.type) else None
        return found

    def _elements(self, column: str) -> list[str]:
        """Name the elements of a list; of one that has another length in each row there are no names."""
        return []

    def _check_fitted(self) -> None:
        if not hasattr(self, "states_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet. Call fit first.")

    def from_store(
        self, store: Store, transform: str, column: str, version: int | None = None
    ) -> Transformer:
        """Take over what the same call on a column was fitted to in a store's transform.

        Parameters
        ----------
        store : Store
        transform, column : str
            The transform whose body calls the function on this column with these options.
        version : int or None
            None takes the newest.

        Raises
        ------
        NotFound
            If there is no such transform, or it has no such call.
        """
        rows = store.sql(_FITTED, params={"name": transform, "version": version}).rows()
        states = read_states(rows)
        calls = [canonical_call(each) for each in self._spellings(column)]
        call = next((each for each in calls if each in states), calls[0])
        if call not in states:
            raise NotFound.named("call", call, states, within=transform)
        self.columns_ = (column,)
        self.n_features_in_ = 1
        self.states_ = {column: states[call]}
        self._fields_ = self._measure(with_target(pa.table({column: pa.nulls(0)}), None))
        return self

    def _spellings(self, column: str) -> list[str]:
        """Write the call with all options, and without those at the end that are the default."""
        options, usual = self._options(), type(self)()._options()  # noqa: SLF001 (its own)
        found = [self._call(column)]
        while options and options == (*options[:-1], *usual[len(options) - 1 : len(options)]):
            options = options[:-1]
            found.append(f"{self._step}({', '.join((quote(column), *options))})")
        return found

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "states_")
