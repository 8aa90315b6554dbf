"""How long one prediction takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workbench.train.gate import LATENCIES

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.train.scoring import Fitted

ROWS = 100
"""So many single rows are predicted at most."""

SECONDS = 0.5
"""No further row is begun after so long."""


def measure(fitted: Fitted, rows: pa.Table) -> dict[str, float]:
    """Time predictions of single raw rows: preparation, encoding and estimator, as `predict` does it.

    Where there are fewer rows than `ROWS` they come again. What loading the model, a network or a
    binding adds is not in it.

    Parameters
    ----------
    rows : pyarrow.Table
        Raw rows, at least one.

    Returns
    -------
    dict of str to float
        The quantiles in `LATENCIES`, in seconds of wall time.
    """
    import numpy as np

    fitted.predict(rows.slice(0, 1))  # the first call also imports and allocates what later ones reuse
    times: list[float] = []
    while not times or (len(times) < ROWS and sum(times) < SECONDS):
        row = rows.slice(len(times) % rows.num_rows, 1)
        start = time.perf_counter()
        fitted.predict(row)
        times.append(time.perf_counter() - start)
    return {name: float(np.quantile(times, share)) for name, share in LATENCIES.items()}
