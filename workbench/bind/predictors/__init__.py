"""The kinds of models that a reference can name, behind one protocol.

A reference without a prefix is a model trained here. A new kind is a module and a line in
`PREFIXES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors.fastest import Choice
from workbench.bind.predictors.function import Function
from workbench.bind.predictors.hugging_face import HuggingFace
from workbench.bind.predictors.onnx_file import OnnxFile
from workbench.bind.predictors.packaged import Packaged
from workbench.bind.predictors.protocol import BATCH_ROWS, Predictor, Shared
from workbench.bind.predictors.registered import Registered
from workbench.bind.predictors.trained import Trained
from workbench.errors import InvalidData, InvalidRows, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake

__all__ = [
    "BATCH_ROWS",
    "PREFIXES",
    "Choice",
    "Function",
    "Predictor",
    "Registered",
    "Shared",
    "Trained",
    "choose_way",
    "how_asked",
    "prefer_way",
    "resolve",
    "way_of",
]

PREFIXES: dict[str, Callable[[Any, str, Any], Predictor]] = {
    "mlflow": Registered,
    "onnx": OnnxFile,
    "py": Function,
    "hf": HuggingFace,
    "package": Packaged,
}


def how_asked(predictor: Predictor) -> dict[str, Any]:
    """Say in which way a model is asked and why, for the details of a run; empty where nothing was tried."""
    choice: Choice | None = getattr(predictor, "choice", None)
    return choice.to_record() if choice is not None else {}


def choose_way(predictor: Predictor, rows: pa.Table) -> dict[str, Any] | None:
    """Choose on some rows how a model is asked, as a record; None where it cannot be tried on them."""
    choose = getattr(predictor, "choose", None)
    if choose is not None:
        try:
            choose(rows)
        except InvalidRows as refused:
            good = [place for place in range(rows.num_rows) if place not in refused.rows]
            with suppress(InvalidRows):
                choose(rows.take(good))
    return way_of(predictor)


def way_of(predictor: Predictor) -> dict[str, Any] | None:
    """Return what was chosen of the ways to ask a model, as a record; None where nothing was."""
    how = how_asked(predictor)
    return {"model": predictor.ref, **how} if how else None


def prefer_way(predictor: Predictor, chosen: Mapping[str, Any] | None) -> None:
    """Let a model be asked as it was chosen before, where it can be asked in several ways."""
    prefer = getattr(predictor, "prefer", None)
    if prefer is not None:
        prefer(chosen)


def resolve(lake: Lake, ref: str, schema: pa.Schema | None = None) -> Predictor:
    """Find the model that a reference names; it is read when it is first asked.

    Parameters
    ----------
    ref : str
        `late`, `late@2`, `late@champion`, `mlflow:name@alias`, `onnx:path`, `py:module:function`,
        `hf:org/name@commit` or `package:name`. A plain name means the champion.
    schema : pyarrow.Schema or None
        The columns that will be given, for models that do not say what they need.

    Raises
    ------
    NotFound
        If there is no such model, or it has no champion.
    InvalidData
        If the reference cannot be read, or the columns are not those that the model takes.
    Unsupported
        If a library is not installed.
    """
    prefix, colon, rest = ref.partition(":")
    if not colon:
        return Trained(lake, ref, schema)
    if prefix not in PREFIXES:
        raise NotFound.named("kind of model", f"{prefix}:", [f"{each}:" for each in PREFIXES])
    if not rest:
        raise InvalidData(f"{ref!r} names no model.", hint=f"Write it behind {prefix}:")
    return PREFIXES[prefix](lake, rest, schema)
