"""The paper's ECG encoder, a ViT-L over patches of one lead, and its masked autoencoder.

He et al. 2022 (arXiv 2111.06377): three quarters of the patches never enter the encoder. Called as the compact `Trunk`
is, on 500 Hz. What the paper leaves open is ours: position is the sum of a lead's and a time's vector, the person is
one token more, an absent lead is one learned vector at each of its places.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.domain import LEADS, PERSON_FIELDS
from cardiacnets.models.augment import random_lead_mask
from cardiacnets.models.encoder import PERSON_MIDDLE, PERSON_SPREAD

WINDOW_S = 10


@dataclass(frozen=True)
class EcgVitConfig:
    """Sizes of the encoder; the defaults are the paper's: ViT-L, patch (1,100) over 12×5000, so 600 tokens."""

    samples: int = 5000
    patch: int = 100
    """Samples of one lead."""
    dim: int = 1024
    depth: int = 24
    heads: int = 16
    embedding: int = 256

    def __post_init__(self) -> None:
        if self.samples % self.patch:
            raise ValueError(f"{self.samples} samples are not a multiple of the patch {self.patch}")

    @property
    def rate_hz(self) -> int:
        """Of the ECG that it reads."""
        return self.samples // WINDOW_S

    @property
    def token_width(self) -> int:
        """Channels of a token."""
        return self.dim

    @property
    def times(self) -> int:
        """Patches a lead."""
        return self.samples // self.patch

    @property
    def tokens(self) -> int:
        """Patches of all leads."""
        return len(LEADS) * self.times


class Block(nn.Module):
    """Attention and a perceptron, each normalised before and added to what came in.

    What `nn.TransformerEncoderLayer` computes; that one cannot be exported to ONNX for batches of any size.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """[N,S,D] → [N,S,D]."""
        query, key, value = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)  # [N,heads,S,D/heads]
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(x)


def _blocks(dim: int, heads: int, depth: int) -> nn.ModuleList:
    """Blocks, each with weights of its own."""
    return nn.ModuleList(Block(dim, heads) for _ in range(depth))


class Position(nn.Module):
    """A vector for each patch: its lead's and its time's."""

    def __init__(self, config: EcgVitConfig, dim: int) -> None:
        super().__init__()
        self.lead = nn.Parameter(torch.empty(len(LEADS), 1, dim))
        self.time = nn.Parameter(torch.empty(config.times, dim))
        nn.init.trunc_normal_(self.lead, std=0.02)
        nn.init.trunc_normal_(self.time, std=0.02)

    def forward(self) -> Tensor:
        """[12·P,D], lead by lead."""
        return (self.lead + self.time).flatten(0, 1)


class EcgVit(nn.Module):
    """mV at 500 Hz → tokens, embedding."""

    person_middle: Tensor
    person_spread: Tensor

    def __init__(self, config: EcgVitConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EcgVitConfig()
        self.embed = nn.Linear(config.patch, config.dim)
        self.position = Position(config, config.dim)
        self.absent = nn.Parameter(torch.empty(config.dim))
        self.person = nn.Linear(2 * len(PERSON_FIELDS), config.dim)
        self.blocks = _blocks(config.dim, config.heads, config.depth)
        self.norm = nn.LayerNorm(config.dim)
        self.project = nn.Linear(config.dim, config.embedding)
        self.register_buffer("person_middle", torch.tensor(PERSON_MIDDLE), persistent=False)
        self.register_buffer("person_spread", torch.tensor(PERSON_SPREAD), persistent=False)
        nn.init.trunc_normal_(self.absent, std=0.02)
        self.apply(_initialise)

    def patches(self, millivolt: Tensor, lead_mask: Tensor) -> Tensor:
        """[N,12,T], [N,12] → embedded patches with their positions [N,12·P,D]."""
        present = lead_mask.unsqueeze(-1) > 0  # [N,12,1]
        # Twice: an absent lead may hold NaN, and that must not reach the gradient of `embed` either.
        patches = torch.where(present, millivolt, 0.0).unflatten(2, (-1, self.config.patch))  # [N,12,P,patch]
        embedded = torch.where(present.unsqueeze(-1), self.embed(patches), self.absent)  # [N,12,P,D]
        return embedded.flatten(1, 2) + self.position()

    def encode(self, patches: Tensor, person: Tensor, person_mask: Tensor) -> Tensor:
        """Any patches [N,S,D] and the person [N,4] twice → their tokens [N,S,D]."""
        known = torch.where(person_mask > 0, (person - self.person_middle) / self.person_spread, 0.0)
        someone = self.person(torch.cat([known, person_mask], dim=-1)).unsqueeze(1)  # [N,1,D]
        x = torch.cat([someone, patches], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x[:, 1:])

    def forward(
        self, millivolt: Tensor, lead_mask: Tensor, person: Tensor, person_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """millivolt [N,12,5000] and the rest as in `trunks.Encoder` → tokens [N,600,1024], embedding [N,256].

        The embedding is made of the mean of the tokens of leads that are present (at least one).
        """
        tokens = self.encode(self.patches(millivolt, lead_mask), person, person_mask)
        weight = (lead_mask / lead_mask.sum(dim=1, keepdim=True)).unsqueeze(-1)  # [N,12,1]
        by_lead = tokens.unflatten(1, (len(LEADS), -1)).mean(dim=2)  # [N,12,D]
        return tokens, self.project((by_lead * weight).sum(dim=1))


@dataclass(frozen=True)
class EcgMaeConfig:
    """The encoder, what it may not see, and the decoder, which training alone has."""

    encoder: EcgVitConfig = field(default_factory=EcgVitConfig)
    mask_ratio: float = 0.75
    decoder_dim: int = 512
    decoder_depth: int = 2
    decoder_heads: int = 8
    scale_mv: float = 0.2
    """Where the loss turns from squares to absolute values: between the sizes of a T wave and of a QRS."""


def draw_visible(rows: int, config: EcgMaeConfig, generator: torch.Generator) -> Tensor:
    """Numbers of the patches that are seen, int64 [rows,V], for each row its own."""
    order = torch.rand(rows, config.encoder.tokens, generator=generator).argsort(dim=1)
    return order[:, : max(1, round(config.encoder.tokens * (1 - config.mask_ratio)))]


class EcgMae(nn.Module):
    """Encoder of visible patches and a small transformer that draws the hidden ones."""

    def __init__(self, config: EcgMaeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EcgMaeConfig()
        dim = config.decoder_dim
        self.trunk = EcgVit(config.encoder)
        self.into_decoder = nn.Linear(config.encoder.dim, dim)
        self.masked_token = nn.Parameter(torch.empty(dim))
        self.position = Position(config.encoder, dim)
        self.blocks = _blocks(dim, config.decoder_heads, config.decoder_depth)
        self.norm = nn.LayerNorm(dim)
        self.to_samples = nn.Linear(dim, config.encoder.patch)
        nn.init.trunc_normal_(self.masked_token, std=0.02)
        self.apply(_initialise)

    def forward(self, millivolt: Tensor, lead_mask: Tensor, visible: Tensor) -> Tensor:
        """mV [N,12,T], [N,12] and visible patches [N,V] → every patch as drawn, mV [N,12·P,patch].

        The person is left out: what is drawn must come from the waves.
        """
        patches = self.trunk.patches(millivolt, lead_mask)  # [N,12·P,D]
        seen = patches.gather(1, visible.unsqueeze(-1).expand(-1, -1, patches.shape[2]))  # [N,V,D]
        nobody = millivolt.new_zeros(len(millivolt), len(PERSON_FIELDS))
        seen = self.into_decoder(self.trunk.encode(seen, nobody, nobody))  # [N,V,dim]
        place = visible.unsqueeze(-1).expand_as(seen)
        x = self.masked_token.to(seen.dtype).expand(*patches.shape[:2], -1).scatter(1, place, seen) + self.position()
        for block in self.blocks:
            x = block(x)
        return self.to_samples(self.norm(x))

    def loss(self, millivolt: Tensor, lead_dropout: float, generator: torch.Generator) -> Tensor:
        """mV [N,12,T] → error over the patches that the encoder did not see, in units of `scale_mv`.

        A share `lead_dropout` of the rows loses leads, whole; what these would have shown is drawn, too.
        """
        config, where = self.config, millivolt.device
        lead_mask = random_lead_mask(len(millivolt), lead_dropout, generator)
        visible = draw_visible(len(millivolt), config, generator)
        hidden = torch.ones(len(millivolt), config.encoder.tokens).scatter(1, visible, 0.0)
        hidden = torch.maximum(hidden, 1 - lead_mask.repeat_interleave(config.encoder.times, dim=1)).to(where)
        drawn = self(millivolt, lead_mask.to(where), visible.to(where)).float()
        truth = millivolt.unflatten(2, (-1, config.encoder.patch)).flatten(1, 2)  # [N,12·P,patch]
        error = F.smooth_l1_loss(drawn / config.scale_mv, truth / config.scale_mv, reduction="none").mean(dim=-1)
        return (error * hidden).sum() / hidden.sum()


def _initialise(module: nn.Module) -> None:
    """As the masked autoencoder's authors do."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
