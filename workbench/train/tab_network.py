"""The network of `tab_transformer`: how a row becomes cells, and the layers that they go through.

The architecture is TabTransformer (Huang et al. 2020, arXiv:2012.06678), with numbers as cells too,
as in FT-Transformer (Gorishniy et al. 2021, arXiv:2106.11959). In pre-training it learns to tell
which cells of a row were replaced by those of another row (replaced token detection, Huang et al.)
and to restore the replaced numbers (VIME, Yoon et al. 2020).

Torch is imported where it is used. Nothing of this package is imported, for a copy of this file lies
with each model: plain MLflow loads it where torch is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating[Any]]

INSTALL = "pip install 'mlstore[torch]'"
ANSWERED = 4096
"""The rows that the network is asked about at a time."""

_REPLACED = 0.3  # the part of the cells replaced in pre-training, as in the paper
_HIDDEN = 0.05  # … and hidden, so that "missing" is known where nothing was missing


@dataclass(frozen=True)
class Cells:
    """How the numbers of a matrix become cells: places of codes, and the scale of the others.

    Attributes
    ----------
    sizes : tuple of int
        For each column of the matrix how many categories it has; 0 for a number.
    centre, scale : ndarray (numbers)
        Of each number its median, and 1 over the distance of its quartiles.
    """

    sizes: tuple[int, ...]
    centre: Floats
    scale: Floats

    @classmethod
    def learn(cls, matrix: Floats, sizes: Sequence[int]) -> Cells:
        """Learn the scale of the numbers; where half of them are equal it comes from the extremes."""
        numbers = matrix[:, [place for place, size in enumerate(sizes) if not size]].astype(np.float64)
        if not numbers.shape[1]:
            return cls(tuple(sizes), np.empty(0), np.empty(0))
        # A column without any value is 0 throughout.
        numbers[:, np.isnan(numbers).all(axis=0)] = 0
        least, low, centre, high, most = np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1], axis=0)
        width = np.where(high > low, high - low, (most - least) / 2)
        return cls(tuple(sizes), centre, np.divide(1, width, out=np.zeros_like(width), where=width > 0))

    def codes(self, matrix: Floats) -> npt.NDArray[np.int64]:
        """Return the row of the embedding for each category (n × categories); the first is "missing"."""
        places = [place for place, size in enumerate(self.sizes) if size]
        sizes = np.array([self.sizes[place] for place in places], np.int64)
        codes = np.nan_to_num(matrix[:, places] + 1).astype(np.int64)
        codes[(codes < 0) | (codes > sizes)] = 0
        found: npt.NDArray[np.int64] = codes + np.cumsum(sizes + 1) - (sizes + 1)
        return found

    def numbers(self, matrix: Floats) -> tuple[Floats, Floats]:
        """Return the scaled numbers (n × numbers), 0 where missing, and 1 where they are missing.

        Far values are drawn in smoothly to at most 3, as RealMLP does (Holzmüller et al. 2024).
        """
        raw = matrix[:, [place for place, size in enumerate(self.sizes) if not size]].astype(np.float64)
        scaled = (raw - self.centre) * self.scale
        missing = np.isnan(scaled)
        scaled = np.where(missing, 0, scaled)
        return (scaled / np.sqrt(1 + (scaled / 3) ** 2)).astype(np.float32), missing.astype(np.float32)


class Network:
    """The layers, as parts of torch, and how a batch goes through them.

    A batch is a triple of tensors: codes (n × categories), numbers and their gaps (n × numbers).
    """

    def __init__(
        self, sizes: Sequence[int], outputs: int, *, width: int, layers: int, heads: int, dropout: float
    ) -> None:
        from torch import nn

        categories = [size + 1 for size in sizes if size]
        numbers = len(sizes) - len(categories)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        # Its stubs say Tensor or Module for what every one of these has as a Tensor.
        parts: dict[str, Any] = {
            "category": nn.Embedding(sum(categories), width),
            "number": nn.Embedding(numbers, width),
            "missing": nn.Embedding(numbers, width),
            "column": nn.Embedding(len(sizes), width),
            "encoder": nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False),
            "replaced": nn.Linear(width, 1),
            "restored": nn.Linear(width, 1),
            "head": nn.Sequential(
                nn.Linear(len(sizes) * width + numbers, 4 * width),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(4 * width, outputs),
            ),
        }
        nn.init.zeros_(parts["missing"].weight)
        self.parts: Any = nn.ModuleDict(parts)

    def context(self, batch: tuple[Any, Any, Any]) -> Any:
        """Return the vectors of the cells after attention (n × columns × width), categories first."""
        import torch

        codes, values, missing = batch
        numbers = values[..., None] * self.parts["number"].weight
        gaps = missing[..., None] * self.parts["missing"].weight
        cells = torch.cat([self.parts["category"](codes), numbers + gaps], 1)
        return self.parts["encoder"](cells + self.parts["column"].weight)

    def answer(self, batch: tuple[Any, Any, Any]) -> Any:
        """Return the outputs for the label (n × outputs)."""
        import torch

        return self.parts["head"](torch.cat([self.context(batch).flatten(1), batch[1]], 1))

    def corruption_loss(self, batch: tuple[Any, Any, Any], absent: Any) -> Any:
        """Corrupt the cells of a batch; return how badly that is noticed and made good.

        `absent` (categories) are the codes that stand for a missing category.
        """
        import torch
        from torch.nn import functional

        codes, values, missing = batch
        columns, first = codes.shape[1] + values.shape[1], codes.shape[1]
        draw = torch.rand(len(codes), columns, device=values.device)
        other = torch.rand_like(draw).argsort(0)
        replaced, hidden = draw < _REPLACED, draw > 1 - _HIDDEN
        wrong = torch.where(replaced[:, :first], codes.gather(0, other[:, :first]), codes)
        values_wrong = torch.where(replaced[:, first:], values.gather(0, other[:, first:]), values)
        missing_wrong = torch.where(replaced[:, first:], missing.gather(0, other[:, first:]), missing)
        # A cell replaced by its like is as it was.
        changed = torch.cat(
            [wrong != codes, (values_wrong != values) | (missing_wrong != missing)], 1
        ).float()
        out_of_sight = hidden[:, first:]
        context = self.context(
            (
                torch.where(hidden[:, :first], absent, wrong),
                values_wrong.masked_fill(out_of_sight, 0),
                missing_wrong.masked_fill(out_of_sight, 1),
            )
        )
        noticed = self.parts["replaced"](context).squeeze(-1)
        loss = functional.binary_cross_entropy_with_logits(noticed, changed)
        lost = ((changed[:, first:] > 0) | out_of_sight) & (missing == 0)
        restored = self.parts["restored"](context[:, first:]).squeeze(-1)
        errors = functional.smooth_l1_loss(restored, values, reduction="none") * lost
        return loss + errors.sum() / lost.sum().clamp(min=1)


def load_torch() -> Any:
    """Import torch; ModuleNotFoundError says how to install it."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"tab_transformer needs the library torch: {INSTALL}") from error
    return torch


def tensors(cells: Cells, matrix: Floats, device: Any) -> tuple[Any, Any, Any]:
    """Return the codes, the numbers and their gaps of rows, on a device."""
    torch = load_torch()
    codes, values, missing = (
        torch.from_numpy(each).to(device) for each in (cells.codes(matrix), *cells.numbers(matrix))
    )
    return codes, values, missing


def ask(network: Network, cells: tuple[Any, Any, Any]) -> Any:
    """Return the answers of the network, without learning from them."""
    torch = load_torch()
    network.parts.eval()
    with torch.no_grad():
        parts = zip(*(each.split(ANSWERED) for each in cells), strict=True)
        return torch.cat([network.answer(part) for part in parts])


def descend(optimizer: Any, loss: Any) -> None:
    """Take one step; gradients are clipped, for attention is apt to leap at first."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    load_torch().nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
