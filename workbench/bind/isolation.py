"""Where a model runs: the one place that turns a binding's ISOLATE clause into a predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.bind.predictors import Predictor, resolve
from workbench.errors import Unsupported

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake


def open_predictor(
    lake: Lake, ref: str, schema: pa.Schema | None = None, *, isolate: str | None = None
) -> Predictor:
    """Find the model that a reference names, and let it run where `isolate` says.

    Parameters
    ----------
    ref, schema : str, pyarrow.Schema or None
        As in `resolve`.
    isolate : {"none", "process", "env", "container"} or None
        None leaves the choice to the kind of the model.

    Raises
    ------
    NotFound
        If there is no such model.
    Unsupported
        If the isolation asked for is not there.
    """
    if isolate not in (None, "none"):
        raise Unsupported(f"ISOLATE {isolate} is not there yet.", hint="Leave ISOLATE out.")
    return resolve(lake, ref, schema)
