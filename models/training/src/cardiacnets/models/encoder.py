"""ECG → tokens and embedding: a 1-D ResNet with squeeze-and-excitation over 1000 samples at 100 Hz."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.domain import LEADS, PERSON_FIELDS
from cardiacnets.models.frontend import RATE_HZ

# Sex, age (years), height (cm), weight (kg): about the middle and spread of an adult clinic population.
PERSON_MIDDLE = (0.5, 60.0, 170.0, 76.0)
PERSON_SPREAD = (0.5, 17.0, 10.0, 16.0)


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the compact encoder; `widths` has one stage each. The stem quarters the rate, later stages halve it."""

    widths: tuple[int, ...] = (32, 64, 128, 192)
    blocks: int = 2
    kernel: int = 5
    stem_kernel: int = 11
    embedding: int = 256
    person_features: int = 32
    dropout: float = 0.2

    @property
    def rate_hz(self) -> int:
        """Of the ECG that it reads."""
        return RATE_HZ

    @property
    def token_width(self) -> int:
        """Channels of a token."""
        return self.widths[-1]


class SqueezeExcitation(nn.Module):
    """Channel gates from the mean over time (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // 8), nn.ReLU(), nn.Linear(channels // 8, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,T] → [N,C,T]."""
        return x * self.gate(x.mean(dim=-1)).unsqueeze(-1)


class Block(nn.Module):
    """Two convolutions, gates and a shortcut."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels_in, channels, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, kernel, 1, kernel // 2, bias=False),
            nn.BatchNorm1d(channels),
            SqueezeExcitation(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool1d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv1d(channels_in, channels, 1, bias=False),
                nn.BatchNorm1d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """[N,Cin,T] → [N,C,T/stride]."""
        return torch.relu(self.body(x) + self.shortcut(x))


class Trunk(nn.Module):
    """The trained part of the encoder: mV at 100 Hz → tokens, embedding."""

    person_middle: Tensor
    person_spread: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        first, last = config.widths[0], config.widths[-1]
        leads, fields = len(LEADS), len(PERSON_FIELDS)
        self.stem = nn.Conv1d(leads, first, config.stem_kernel, 2, config.stem_kernel // 2, bias=False)
        # Twelve constant mask channels through a convolution are one bias a channel: cheaper so.
        self.stem_mask = nn.Linear(leads, first, bias=False)
        self.stem_norm = nn.BatchNorm1d(first)
        stages = []
        channels = first
        for stage, width in enumerate(config.widths):
            for block in range(config.blocks):
                stride = 2 if block == 0 and stage > 0 else 1
                stages.append(Block(channels, width, config.kernel, stride))
                channels = width
        self.stages = nn.Sequential(*stages)
        self.attention = nn.Conv1d(last, 1, 1)
        self.person = nn.Sequential(
            nn.Linear(2 * fields, config.person_features), nn.ReLU(), nn.Linear(config.person_features, 32), nn.ReLU()
        )
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(3 * last + 32, config.embedding)
        self.register_buffer("person_middle", torch.tensor(PERSON_MIDDLE), persistent=False)
        self.register_buffer("person_spread", torch.tensor(PERSON_SPREAD), persistent=False)

    def forward(
        self, millivolt: Tensor, lead_mask: Tensor, person: Tensor, person_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """millivolt [N,12,1000] and the rest as in `trunks.Encoder` → tokens [N,32,192], embedding [N,256]."""
        tokens, pooled = self.pool(millivolt, lead_mask)
        return tokens, self.embed(pooled, person, person_mask)

    def pool(self, millivolt: Tensor, lead_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [N,32,192] of the convolutions, and their mean, maximum and weighted mean, [N,576]."""
        x = self.stem(millivolt) + self.stem_mask(lead_mask).unsqueeze(-1)  # [N,32,500]
        x = F.max_pool1d(torch.relu(self.stem_norm(x)), 3, 2, 1)  # [N,32,250]
        x = self.stages(x)  # [N,192,32]
        weight = torch.softmax(self.attention(x), dim=-1)  # [N,1,32]
        pooled = torch.cat([x.mean(dim=-1), x.amax(dim=-1), (x * weight).sum(dim=-1)], dim=-1)  # [N,576]
        return x.transpose(1, 2), pooled

    def embed(self, pooled: Tensor, person: Tensor, person_mask: Tensor) -> Tensor:
        """[N,576] and the person → embedding [N,256]."""
        known = torch.where(person_mask > 0, (person - self.person_middle) / self.person_spread, 0.0)
        someone = self.person(torch.cat([known, person_mask], dim=-1))  # [N,32]
        return self.project(torch.cat([self.dropout(pooled), someone], dim=-1))  # [N,256]
