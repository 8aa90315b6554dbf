"""The built-in functions of transforms: `standardize`, `impute`, `one_hot` and others.

Each is a `Step`: which statistics it needs, and the SQL expression it becomes when they are known.
To add one, write its class in a module here and put an instance into `STEPS`.
"""

from __future__ import annotations

from workbench.transform.steps.binning import Bucketize, QuantileBin
from workbench.transform.steps.categories import CountEncode, HashEncode, OneHot, Ordinal
from workbench.transform.steps.dates import Cyclical, DateParts
from workbench.transform.steps.embedding import Embed
from workbench.transform.steps.missing import Impute, IsMissing
from workbench.transform.steps.products import Interact, Polynomial
from workbench.transform.steps.scaling import ClipQuantile, Log1pSigned, MinMax, RobustScale, Standardize
from workbench.transform.steps.step import State, Step, Value
from workbench.transform.steps.target import TargetEncode
from workbench.transform.steps.text import HashText, Ngrams, Tfidf, Tokenize
from workbench.transform.steps.windows import LagFeature, Rolling

__all__ = ["STEPS", "State", "Step", "Value"]

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Standardize(),
        MinMax(),
        RobustScale(),
        Log1pSigned(),
        ClipQuantile(),
        Bucketize(),
        QuantileBin(),
        Impute(),
        IsMissing(),
        Polynomial(),
        Interact(),
        OneHot(),
        Ordinal(),
        CountEncode(),
        TargetEncode(),
        HashEncode(),
        DateParts(),
        Cyclical(),
        LagFeature(),
        Rolling(),
        Tokenize(),
        Ngrams(),
        HashText(),
        Tfidf(),
        Embed(),
    )
}
"""The steps by name, the way the functions are called in SQL."""
