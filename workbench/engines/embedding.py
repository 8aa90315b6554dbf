"""Embeddings as a function of the engine, `mlstore_embed(text, 'model@digest')`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.engines import encoder
from workbench.engines.encoder import DEFAULT, Encoder
from workbench.errors import InvalidData, ModelError, NotFound, Unsupported, WorkbenchError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DEFAULT", "FUNCTION", "Embedding", "embed", "find_embedding"]

FUNCTION = "mlstore_embed"
INSTALL = "pip install 'mlstore[text]'"


@dataclass(frozen=True, slots=True)
class Embedding:
    """A model for embeddings as it lies on this machine.

    Attributes
    ----------
    name : str
        How it was named; see `workbench.engines.encoder`.
    digest : str
        Of its files.
    """

    name: str
    folder: Path
    digest: str

    def load(self) -> Encoder:
        """Return it ready to embed; it is loaded once per process.

        Raises
        ------
        Unsupported
            If `sentence-transformers` is not installed.
        ModelError
            If the files cannot be read.
        """
        try:
            return encoder.load(self.folder, self.digest)
        except ModuleNotFoundError as error:
            raise Unsupported(
                f"Embeddings by {self.name} need the library {error.name}.", hint=INSTALL
            ) from error
        except Exception as error:  # a library of models may raise anything for broken files
            raise ModelError(
                f"The model {self.name} in {self.folder} cannot be loaded: {type(error).__name__}: {error}"
            ) from error


def find_embedding(name: str) -> Embedding:
    """Find a model for embeddings; it is not loaded.

    Raises
    ------
    NotFound
        If it is not on this machine.
    InvalidData
        If it is named without a commit.
    Unsupported
        If the library that looks for it is not installed.
    """
    try:
        folder = encoder.locate(name)
    except ValueError as error:
        found = _translated(error, name)
        raise InvalidData(found.message, hint=found.hint) from error
    except (LookupError, ModuleNotFoundError) as error:
        raise _translated(error, name) from error
    return Embedding(name, folder, encoder.digest(folder))


def embed(texts: pa.ChunkedArray, models: pa.ChunkedArray) -> pa.Array:
    """Embed texts by the model whose name and digest `models` repeats, as the engine calls it.

    Raises
    ------
    NotFound, ModelError, Unsupported
        As `find_embedding` and `Embedding.load`; also if the files changed since it was fitted.
    """
    try:
        return encoder.embed(texts, models)
    except (LookupError, ValueError, ModuleNotFoundError) as error:
        raise _translated(error, "A model for embeddings") from error


def _translated(error: Exception, name: str) -> WorkbenchError:
    """Return the store's error for one of the encoder, whose second line says what to do."""
    if isinstance(error, ModuleNotFoundError):
        return Unsupported(f"{name} needs the library {error.name}.", hint=INSTALL)
    message, _, hint = str(error.args[0] if error.args else error).partition("\n")
    kind = NotFound if isinstance(error, LookupError) else ModelError
    return kind(message, hint=hint)
