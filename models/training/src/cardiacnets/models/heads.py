"""Embedding → condition logits; embedding → cardiac function indices in their own units."""

import math

import torch
from torch import Tensor, nn

from cardiacnets.domain import CONDITIONS, INDICES


class ScreeningHead(nn.Module):
    """Embedding [N,256] → condition_logits [N,5], in the order of `shared/domain/conditions.json`."""

    def __init__(self, embedding: int = 256, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Linear(embedding, hidden), nn.ReLU(), nn.Linear(hidden, len(CONDITIONS))
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """See the class."""
        return self.layers(embedding)


CHAMBERS = (0, 6, 10, 14)
"""Where the four indices of each chamber begin: LV, RV, LA, RA; largest volume, smallest volume, stroke volume, EF
(%)."""


def consistent(mean: Tensor) -> Tensor:
    """Indices [N,82] in their units → the same, with the identities that hold in every heart.

    Of each chamber the largest volume and the EF are kept, 0 < EF < 100. Stroke volume = EF · largest, and smallest =
    largest − stroke volume.
    """
    columns = list(mean.split(1, dim=1))
    for first in CHAMBERS:
        largest, ef = columns[first].clamp_min(5), columns[first + 3].clamp(3, 90)
        stroke = largest * ef / 100
        columns[first : first + 4] = [largest, largest - stroke, stroke, ef]
    return torch.cat(columns, dim=1)


class FunctionHead(nn.Module):
    """Embedding [N,256] → index_mean, index_logvar [N,82], in the order and units of `shared/domain/indices.json`.

    The network works on standardised indices; `standardise` sets their middle and spread before training.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, embedding: int = 256, hidden: int = 192) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Linear(embedding, hidden), nn.ReLU(), nn.Linear(hidden, 2 * len(INDICES))
        )
        self.register_buffer("middle", torch.zeros(len(INDICES)))
        self.register_buffer("spread", torch.ones(len(INDICES)))

    def standardise(self, indices: Tensor) -> None:
        """Take middle and spread from training values [n,82]; an index that nobody is known to have keeps 0 and 1."""
        known = ~indices.isnan()
        count = known.sum(dim=0)
        middle = indices.nan_to_num().sum(dim=0) / count.clamp_min(1)
        variance = torch.where(known, indices - middle, 0.0).square().sum(dim=0) / (count - 1).clamp_min(1)
        self.middle.copy_(middle)
        self.spread.copy_(torch.where(count > 1, variance.sqrt().clamp_min(1e-6), 1.0))

    def standard(self, indices: Tensor) -> Tensor:
        """Indices [N,82] in their units → standardised."""
        return (indices - self.middle) / self.spread

    def standardised(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance [N,82] of the standardised indices: what the loss works on."""
        mean, logvar = self.layers(embedding).chunk(2, dim=-1)
        # Bounds keep exp() sane: a deviation between 5% and 4.5 times that of the population.
        return mean, logvar.clamp(2 * math.log(0.05), 2 * math.log(4.5))

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        mean, logvar = self.standardised(embedding)
        return consistent(self.middle + mean * self.spread), logvar + 2 * self.spread.log()
