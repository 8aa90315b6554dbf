"""The built-in transforms as scikit-learn transformers, fitted and computed by the same SQL.

Each class is a transformer over pyarrow, pandas and polars tables and NumPy arrays that goes into
a `Pipeline` or `ColumnTransformer`; an Ibis table of any backend can be transformed too, and gives an
expression. What a transform of a store was fitted to is taken over with `from_store`.

Examples
--------
>>> import pyarrow as pa
>>> from workbench.transforms import MinMax, OneHot
>>> MinMax().fit_transform(pa.table({"x": [1.0, 2.0, 5.0]}))["x"].to_pylist()
[0.0, 0.25, 1.0]
>>> OneHot(max=2).fit(pa.table({"city": ["Ulm", "Bonn", "Ulm"]})).get_feature_names_out().tolist()
['city_Ulm', 'city_Bonn']
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.engines.duckdb import provide_embeddings
from workbench.engines.embedding import DEFAULT
from workbench.errors import InvalidData, Unsupported
from workbench.names import literal
from workbench.transforms.base import Transformer
from workbench.transforms.frames import PLACE, TARGET, is_ibis, to_arrow, with_target

__all__ = [
    "TRANSFORMERS",
    "Bucketize",
    "ClipQuantile",
    "CountEncode",
    "Cyclical",
    "DateParts",
    "Embed",
    "HashEncode",
    "HashText",
    "Impute",
    "IsMissing",
    "Log1pSigned",
    "MinMax",
    "Ngrams",
    "OneHot",
    "Ordinal",
    "Polynomial",
    "QuantileBin",
    "RobustScale",
    "Standardize",
    "TargetEncode",
    "Tfidf",
    "Tokenize",
]


class Standardize(Transformer):
    """`standardize(x)`: subtract the mean, divide by the standard deviation."""

    _step = "standardize"


class MinMax(Transformer):
    """`min_max(x)`: from 0 for the smallest value to 1 for the largest."""

    _step = "min_max"


class RobustScale(Transformer):
    """`robust_scale(x)`: subtract the median, divide by the distance of the quartiles."""

    _step = "robust_scale"


class Log1pSigned(Transformer):
    """`log1p_signed(x)`: the logarithm of 1 + |x|, with the sign of x."""

    _step = "log1p_signed"


class ClipQuantile(Transformer):
    """`clip_quantile(x, low, high)`: cut off what lies beyond two quantiles."""

    _step = "clip_quantile"

    def __init__(self, low: float = 0.01, high: float = 0.99) -> None:
        self.low = low
        self.high = high

    def _options(self) -> tuple[str, ...]:
        return repr(float(self.low)), repr(float(self.high))


class Bucketize(Transformer):
    """`bucketize(x, bins)`: bins of one width, or between the bounds of a list."""

    _step = "bucketize"

    def __init__(self, bins: int | Sequence[float] = 10) -> None:
        self.bins = bins

    def _options(self) -> tuple[str, ...]:
        return (str(self.bins if isinstance(self.bins, int) else [float(each) for each in self.bins]),)


class QuantileBin(Transformer):
    """`quantile_bin(x, bins)`: bins with as many values each."""

    _step = "quantile_bin"

    def __init__(self, bins: int = 10) -> None:
        self.bins = bins

    def _options(self) -> tuple[str, ...]:
        return (str(self.bins),)


class Impute(Transformer):
    """`impute(x, strategy)`: fill in missing values; `value` is that of the strategy "constant"."""

    _step = "impute"

    def __init__(self, strategy: str = "mean", value: float | str | None = None) -> None:
        self.strategy = strategy
        self.value = value

    def _options(self) -> tuple[str, ...]:
        if self.value is None:
            return (literal(self.strategy),)
        value = literal(self.value) if isinstance(self.value, str) else repr(self.value)
        return literal(self.strategy), value


class IsMissing(Transformer):
    """`is_missing(x)`: whether a value is missing."""

    _step = "is_missing"


class Polynomial(Transformer):
    """`polynomial(x, degree)`: the powers of x."""

    _step = "polynomial"

    def __init__(self, degree: int = 2) -> None:
        self.degree = degree

    def _options(self) -> tuple[str, ...]:
        return (str(self.degree),)

    def _elements(self, column: str) -> list[str]:
        return [str(place) for place in range(self.degree)]


class OneHot(Transformer):
    """`one_hot(c, max, least, 'other')`: a column for each of the most frequent values."""

    _step = "one_hot"

    def __init__(self, max: int = 50, least: int = 1, *, other: bool = False) -> None:
        self.max = max
        self.least = least
        self.other = other

    def _options(self) -> tuple[str, ...]:
        return (str(self.max), str(self.least), *(["'other'"] if self.other else []))

    def _elements(self, column: str) -> list[str]:
        categories = self.states_[column]["categories"]
        named = [str(each) for each in categories] if isinstance(categories, tuple) else []
        return [*named, *(["other"] if self.other else [])]


class Ordinal(Transformer):
    """`ordinal(c)`: the place of the value among all values in order."""

    _step = "ordinal"


class CountEncode(Transformer):
    """`count_encode(c)`: how often the value occurred."""

    _step = "count_encode"


class HashEncode(Transformer):
    """`hash_encode(c, buckets)`: one of so many buckets."""

    _step = "hash_encode"

    def __init__(self, buckets: int = 32) -> None:
        self.buckets = buckets

    def _options(self) -> tuple[str, ...]:
        return (str(self.buckets),)


class TargetEncode(Transformer):
    """`target_encode(c, y)`: the smoothed mean of the target among rows of the same category.

    `fit_transform` gives each training row what the rows of the other folds say, `transform` what all
    training rows say.
    """

    _step = "target_encode"

    def __init__(self, smoothing: float = 10.0) -> None:
        self.smoothing = smoothing

    def _options(self) -> tuple[str, ...]:
        return TARGET, PLACE, repr(float(self.smoothing))

    def fit(self, X: Any, y: Any = None) -> Transformer:  # noqa: N803
        """Learn the mean of `y` for each category.

        Raises
        ------
        InvalidData
            If there is no `y`.
        """
        if y is None:
            raise InvalidData("target_encode needs a target.", hint="Call fit(X, y).")
        return super().fit(X, y)

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:  # noqa: N803
        """Learn the means, and give each row that of the folds it is not in."""
        self.fit(X, y)
        rows = with_target(to_arrow(X), y)
        return self._like(X, rows)


class DateParts(Transformer):
    """`date_parts(ts)`: year, month, day, day of the week and of the year, hour, minute."""

    _step = "date_parts"


class Cyclical(Transformer):
    """`cyclical(ts, cycle)`: sine and cosine of the place in a cycle."""

    _step = "cyclical"

    def __init__(self, cycle: str = "hour") -> None:
        self.cycle = cycle

    def _options(self) -> tuple[str, ...]:
        return (literal(self.cycle),)


class Tokenize(Transformer):
    """`tokenize(text, kind, pieces, length)`: the words of a text, or numbers of subwords.

    Words are for Arrow and Ibis tables, since the lists differ in length.
    """

    _step = "tokenize"

    def __init__(self, kind: str = "word", pieces: int = 1000, length: int = 64) -> None:
        self.kind = kind
        self.pieces = pieces
        self.length = length

    def _options(self) -> tuple[str, ...]:
        if self.kind == "word":
            return ()
        return literal(self.kind), str(self.pieces), str(self.length)

    def _elements(self, column: str) -> list[str]:
        return [str(place) for place in range(self.length if self.kind == "subword" else 0)]


class Ngrams(Transformer):
    """`ngrams(text, n)`: each n words that follow each other; for Arrow and Ibis tables."""

    _step = "ngrams"

    def __init__(self, n: int = 2) -> None:
        self.n = n

    def _options(self) -> tuple[str, ...]:
        return (str(self.n),)


class HashText(Transformer):
    """`hash_text(text, buckets)`: how many words fall into each bucket."""

    _step = "hash_text"

    def __init__(self, buckets: int = 256) -> None:
        self.buckets = buckets

    def _options(self) -> tuple[str, ...]:
        return (str(self.buckets),)

    def _elements(self, column: str) -> list[str]:
        return [str(place) for place in range(self.buckets)]


class Tfidf(Transformer):
    """`tfidf(text, terms)`: the weights of the most frequent words."""

    _step = "tfidf"

    def __init__(self, terms: int = 256) -> None:
        self.terms = terms

    def _options(self) -> tuple[str, ...]:
        return (str(self.terms),)

    def _elements(self, column: str) -> list[str]:
        terms = self.states_[column]["terms"]
        return [str(each) for each in terms] if isinstance(terms, tuple) else []


class Embed(Transformer):
    """`embed(text, model)`: the sentence embedding; of Ibis tables only those of DuckDB can be embedded."""

    _step = "embed"

    def __init__(self, model: str = DEFAULT) -> None:
        self.model = model

    def _options(self) -> tuple[str, ...]:
        return (literal(self.model),)

    def _elements(self, column: str) -> list[str]:
        dimension = self.states_[column]["dimension"]
        return [str(place) for place in range(int(dimension) if isinstance(dimension, float) else 0)]

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Compute the embeddings.

        Raises
        ------
        Unsupported
            If X is an Ibis table of another engine than DuckDB.
        NotFound
            If X lacks a column.
        """
        if is_ibis(X):
            backend = X.get_backend()
            if backend.name != "duckdb":
                raise Unsupported(
                    f"{backend.name} cannot compute embeddings.", hint="Give an Arrow table: X.to_pyarrow()."
                )
            provide_embeddings(backend.con)
        return super().transform(X)


TRANSFORMERS: dict[str, type[Transformer]] = {cls._step: cls for cls in Transformer.__subclasses__()}
"""The transformers by the name of the SQL function. Functions of several columns are not among them."""
