"""Masked modelling of the compact ECG encoder: hide parts of an ECG, and draw them again from the tokens."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.domain import LEADS, PERSON_FIELDS
from cardiacnets.models.augment import random_lead_mask
from cardiacnets.models.encoder import EncoderConfig, Trunk

RANGE_MV = 3.0
"""Targets are cut there: a spike of a bad contact is not worth learning."""


@dataclass(frozen=True)
class EcgMimConfig:
    """Sizes and how much is hidden."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    patch: int = 20
    """Samples at 100 Hz: 0.2 s of one lead, as in the paper (100 samples at 500 Hz)."""
    hidden: float = 0.6
    """Share of the patches that is zeroed."""
    together: float = 0.5
    """Share of the ECGs whose leads are hidden at the same times. Where each lead has its own times, the other leads
    tell what is missing; where all go together, only the beats around do."""
    decoder: int = 192
    scale_mv: float = 0.2
    """Where the loss turns from squares to absolute values: between the sizes of a T wave and of a QRS."""


def draw_hidden(rows: int, patches: int, config: EcgMimConfig, generator: torch.Generator) -> Tensor:
    """[rows,12,patches] of 0 and 1: 1 where a patch is hidden; the same number in each lead."""
    leads = len(LEADS)
    order = torch.rand(rows, leads, patches, generator=generator)
    shared = torch.rand(rows, 1, 1, generator=generator) < config.together
    order = torch.where(shared, order[:, :1], order)
    return (order.argsort(dim=-1).argsort(dim=-1) < round(config.hidden * patches)).float()


class EcgMim(nn.Module):
    """The encoder's trunk and a light decoder."""

    def __init__(self, config: EcgMimConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.encoder)
        width = config.encoder.widths[-1]
        self.decoder = nn.Sequential(
            nn.Conv1d(width, config.decoder, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(config.decoder, config.decoder, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(config.decoder, len(LEADS) * config.patch, 1),
        )

    def loss(self, millivolt: Tensor, lead_dropout: float, generator: torch.Generator) -> Tensor:
        """mV [N,12,T], T a multiple of the patch → error over what was hidden, in units of `scale_mv`.

        Leads that are dropped whole are targets as well: they follow from the others as far as they can. The person
        is left out: reconstruction must come from the waves.
        """
        rows, leads, samples = millivolt.shape
        patches = samples // self.config.patch
        lead_mask = random_lead_mask(rows, lead_dropout, generator)
        hidden = draw_hidden(rows, patches, self.config, generator)
        hidden = torch.maximum(hidden, 1 - lead_mask.unsqueeze(-1)).to(millivolt.device)  # [N,12,P]
        seen = millivolt * (1 - hidden.repeat_interleave(self.config.patch, dim=-1))
        nobody = torch.zeros(rows, len(PERSON_FIELDS), device=millivolt.device)
        tokens, _ = self.trunk(seen, lead_mask.to(millivolt.device), nobody, nobody)  # [N,T',D]
        tokens = F.interpolate(tokens.transpose(1, 2), patches, mode="linear", align_corners=False)  # [N,D,P]
        drawn = self.decoder(tokens).view(rows, leads, self.config.patch, patches).transpose(2, 3)  # [N,12,P,20]
        truth = millivolt.clamp(-RANGE_MV, RANGE_MV).view(rows, leads, patches, self.config.patch)
        error = F.smooth_l1_loss(drawn.float() / self.config.scale_mv, truth / self.config.scale_mv, reduction="none")
        return (error.mean(dim=-1) * hidden).sum() / hidden.sum().clamp_min(1)
