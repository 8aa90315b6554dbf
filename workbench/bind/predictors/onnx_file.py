"""ONNX files: `onnx:path`, `onnx:path@sha256`."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.bind.predictors.columns import one_batch, prediction, select
from workbench.bind.predictors.onnx_answer import Answer
from workbench.bind.predictors.onnx_input import Feed, match_inputs
from workbench.bind.predictors.protocol import BATCH_ROWS
from workbench.errors import ModelError, NotFound, Unsupported, WorkbenchError, said

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from workbench.lake import Lake

INSTALL = "pip install 'mlstore[onnx]'"
_SHOWN_DIGITS = 12
_REF = re.compile(r"(?P<path>.+?)(?:@(?P<sha>[0-9a-f]{6,64}))?")


class OnnxFile:
    """A model in an ONNX file, asked through onnxruntime; its version is the file's SHA-256.

    Columns are matched to named inputs by name. One input of rank 2 takes the bound columns in
    their order, or one list column. A text goes into an input of strings. A BLOB is decoded as an
    image for an input of rank 4: `float` inputs get 0 to 1, `uint8` 0 to 255.
    """

    batch_rows = BATCH_ROWS

    def __init__(self, lake: Lake | None, rest: str, schema: pa.Schema | None) -> None:
        read = _REF.fullmatch(rest)
        assert read is not None
        self._path = _find(read["path"], lake)
        self._digest = file_digest(self._path)
        self._schema = schema
        self.ref = f"onnx:{read['path']}@{self._digest[:_SHOWN_DIGITS]}"
        if read["sha"] and not self._digest.startswith(read["sha"]):
            raise ModelError(
                f"The file {self._path} is not the one that {read['sha']} names: "
                f"it is {self._digest[:_SHOWN_DIGITS]}.",
                hint="Bring the file back, or bind the new one.",
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that its inputs take."""
        return tuple(column for feed in self._feeds for column in feed.columns)

    @property
    def value_type(self) -> str:
        """BIGINT or VARCHAR for labels, DOUBLE for numbers, FLOAT[] for vectors."""
        return self._answer.value_type

    @cached_property
    def _session(self) -> Any:
        return load_session(self._path, self._digest, self.ref)

    @cached_property
    def _feeds(self) -> tuple[Feed, ...]:
        return match_inputs(self._session.get_inputs(), self._schema, self.ref)

    @cached_property
    def _answer(self) -> Answer:
        metadata = self._session.get_modelmeta().custom_metadata_map
        return Answer.read(self._session.get_outputs(), metadata, self.ref)

    def predict(self, batch: pa.RecordBatch | pa.Table) -> pa.Table:
        """Predict rows; see `Predictor.predict`."""
        import numpy as np
        import pyarrow as pa

        rows = select(one_batch(batch), list(dict.fromkeys(self.inputs)), self.ref)
        given = [feed.read(rows, self.ref) for feed in self._feeds]
        valid = np.ones(rows.num_rows, bool)
        for each in given:
            valid &= each.valid
        feeds = {feed.name: each.values[valid] for feed, each in zip(self._feeds, given, strict=True)}
        value, score = self._run(feeds, int(valid.sum()))
        if not valid.all():
            places = pa.array(np.cumsum(valid) - 1, mask=~valid)
            value, score = value.take(places), score.take(places) if score is not None else None
        return prediction(value, score, rows.num_rows, self.ref)

    def _run(self, feeds: dict[str, npt.NDArray[Any]], count: int) -> tuple[pa.Array, pa.Array | None]:
        if not count:
            return self._answer.nothing()
        fixed = next((feed.rows for feed in self._feeds if feed.rows), 0)
        parts = [self._ask(part, fixed) for part in _cut(feeds, count, fixed)]
        outputs = [_joined(each) for each in zip(*parts, strict=True)]
        return self._answer.parts([_first(each, count) for each in outputs], count)

    def _ask(self, feeds: dict[str, npt.NDArray[Any]], rows: int) -> list[Any]:
        try:
            return list(self._session.run(self._answer.names, feeds))
        except Exception as error:  # the runtime has classes of its own, which it does not document
            count = rows or len(next(iter(feeds.values())))
            raise ModelError(f"{self.ref} failed on {count:,} rows: {said(error)}") from error


def _cut(feeds: dict[str, npt.NDArray[Any]], count: int, fixed: int) -> list[dict[str, npt.NDArray[Any]]]:
    """Cut rows into parts of the number that a model is fixed to; the last row fills up the last part."""
    import numpy as np

    if not fixed:
        return [feeds]
    missing = -count % fixed
    whole = {
        name: np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
        for name, values in feeds.items()
    }
    return [
        {name: values[start : start + fixed] for name, values in whole.items()}
        for start in range(0, count, fixed)
    ]


def _joined(parts: tuple[Any, ...]) -> Any:
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], list):
        return [each for part in parts for each in part]
    return np.concatenate([np.atleast_1d(part) for part in parts])


def _first(values: Any, count: int) -> Any:
    """Leave out what was computed for rows that only filled up."""
    return values[:count] if len(values) > count else values


def _find(path: str, lake: Lake | None) -> Path:
    """Find the file in the working directory, else beside the store: workers run elsewhere."""
    places = [Path(path).expanduser()]
    if lake is not None and not places[0].is_absolute():
        places.append(lake.folder.resolve().parent / path)
    for place in places:
        if place.is_file():
            return place.resolve()
    folder = places[0].parent
    near = [str(each) for each in folder.glob("*.onnx")] if folder.is_dir() else []
    raise NotFound.named("ONNX file", path, near)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; that of an unchanged file is remembered."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=16)
def load_session(path: Path, digest: str, ref: str) -> Any:
    """Load a file, once per process and digest.

    Raises
    ------
    Unsupported
        If onnxruntime is not installed.
    ModelError
        If the file is no ONNX model, or has what the runtime cannot compute.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise Unsupported(f"{ref} needs the library onnxruntime.", hint=INSTALL) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except WorkbenchError:
        raise
    except Exception as error:  # the runtime has classes of its own, which it does not document
        raise ModelError(f"{ref} cannot be loaded: {said(error)}", hint="Is it an ONNX model?") from error
