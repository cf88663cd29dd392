"""Video UNet that removes noise from a cine's latents, conditioned on the ECG (Ho et al. 2022, arXiv 2204.03458).

Frames pass 2-D convolutions one by one; they meet in temporal attention at every level. Where `attends`, places of a
frame attend to one another and to the ECG's tokens. One network for both views; sides of the latent are any multiple
of 2^(levels − 1).
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.models.vae import VIEW_COUNT


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of the network. The defaults are the compact ones."""

    channels: int = 4
    """Of the latent."""
    frames: int = 16
    fold: int = 8
    """Neighbouring frames that are folded into channels within the network: the heart moves little between them, and
    the cost falls as many times."""
    widths: tuple[int, ...] = (80, 160)
    """Channels a level; each level halves the sides of the one before."""
    blocks: int = 1
    """Residual blocks per level of the encoder; the decoder has one more."""
    middle: bool = False
    """Whether there is a block between encoder and decoder."""
    attends: tuple[bool, ...] = (False, True)
    """Levels with attention in space and to the ECG."""
    head_width: int = 40
    groups: int = 8
    token_width: int = 192
    embedding: int = 256
    context: int = 96
    """Width that tokens and embedding are brought to before attention."""

    def __post_init__(self) -> None:
        if len(self.attends) != len(self.widths):
            raise ValueError("attends: one a level")
        if self.frames % self.fold:
            raise ValueError("frames must be a multiple of fold")

    @property
    def signal(self) -> int:
        """Width of the vector that tells every block the noise level, the view and the ECG as a whole."""
        return 4 * self.widths[0]


DENOISER_PAPER = DenoiserConfig(
    fold=1, frames=50, widths=(128, 256, 512, 512), blocks=2, middle=True, attends=(True, True, True, False),
    head_width=64, groups=32, token_width=1024, context=1024,
)  # fmt: skip
"""Over 50 × 32 × 32 latents, with the ViT-L's tokens. The notes on the paper give no widths: these are those of Stable
Diffusion's autoencoder, 141 M parameters, so that a step fits into 24 GiB without recomputation."""


class Residual(nn.Module):
    """Two convolutions, the second's norm scaled and shifted by the signal."""

    def __init__(self, channels_in: int, channels: int, config: DenoiserConfig) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(config.groups, channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels, 3, padding=1)
        )
        self.norm = nn.GroupNorm(config.groups, channels)
        self.modulate = nn.Linear(config.signal, 2 * channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        self.shortcut = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor, signal: Tensor) -> Tensor:
        """[N·F,in,h,w], signal [N·F,S] → [N·F,channels,h,w]."""
        scale, shift = self.modulate(signal)[:, :, None, None].split(self.norm.num_channels, dim=1)
        hidden = self.norm(self.first(x)) * (1 + scale) + shift
        return self.shortcut(x) + self.second(F.silu(hidden))


class Attention(nn.Module):
    """Multi-head attention of x to itself, or to another sequence."""

    def __init__(self, width: int, head_width: int, other: int | None = None) -> None:
        super().__init__()
        self.heads, self.head_width = width // head_width, head_width
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(other or width, width, bias=False)
        self.value = nn.Linear(other or width, width, bias=False)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """[B,L,W], other [B,M,O] → [B,L,W]."""
        inner = self.norm(x)
        source = inner if other is None else other

        def by_head(values: Tensor) -> Tensor:  # [B,·,W] → [B,heads,·,d]
            return values.reshape(values.shape[0], -1, self.heads, self.head_width).transpose(1, 2)

        mixed = F.scaled_dot_product_attention(
            by_head(self.query(inner)), by_head(self.key(source)), by_head(self.value(source))
        )
        return x + self.out(mixed.transpose(1, 2).reshape(x.shape[0], -1, self.heads * self.head_width))


class FeedForward(nn.Module):
    """Two layers, four times as wide within."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU())
        self.out = nn.Linear(4 * width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B,L,W] → the same."""
        return x + self.out(self.layers(x))


class Mixing(nn.Module):
    """Attention over time; where `attends`, first over the places of a frame, and to the ECG after."""

    def __init__(self, width: int, config: DenoiserConfig, attends: bool) -> None:
        super().__init__()
        self.frame = nn.Parameter(torch.randn(config.frames // config.fold, width) * 0.02)
        self.time = Attention(width, config.head_width)
        self.space = Attention(width, config.head_width) if attends else None
        self.ecg = Attention(width, config.head_width, config.context) if attends else None
        self.forward_layers = FeedForward(width) if attends else None

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """[N·F,W,h,w], tokens [N,M,context] → [N·F,W,h,w]."""
        rows, (length, width) = tokens.shape[0], self.frame.shape
        height, breadth = x.shape[2], x.shape[3]
        y = x.flatten(2).transpose(1, 2)  # [N·F,h·w,W]
        if self.space is not None:
            y = self.space(y)
        y = y.reshape(rows, length, height * breadth, width).transpose(1, 2).reshape(-1, length, width)
        y = self.time(y + self.frame)  # [N·h·w,F,W]
        y = y.reshape(rows, height * breadth, length, width).transpose(1, 2)  # [N,F,h·w,W]
        if self.ecg is not None and self.forward_layers is not None:
            y = self.forward_layers(self.ecg(y.reshape(rows, -1, width), tokens))
        return y.reshape(-1, height * breadth, width).transpose(1, 2).reshape(x.shape)


class Stage(nn.Module):
    """A residual block and what mixes frames."""

    def __init__(self, channels_in: int, channels: int, config: DenoiserConfig, attends: bool) -> None:
        super().__init__()
        self.residual = Residual(channels_in, channels, config)
        self.mixing = Mixing(channels, config, attends)

    def forward(self, x: Tensor, signal: Tensor, tokens: Tensor) -> Tensor:
        """See its parts."""
        return self.mixing(self.residual(x, signal), tokens)


def sinusoids(place: Tensor, width: int) -> Tensor:
    """[N] → [N,width] sines and cosines of periods from 2π to 10,000 · 2π."""
    half = width // 2
    frequency = torch.exp(torch.arange(half, device=place.device) * (-math.log(10_000) / half))
    angle = place[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class Denoiser(nn.Module):
    """Noisy latents, noise level and ECG → ε or v."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        widths, signal = config.widths, config.signal
        folded = config.channels * config.fold
        self.time = nn.Sequential(nn.Linear(widths[0], signal), nn.SiLU(), nn.Linear(signal, signal))
        self.view = nn.Embedding(VIEW_COUNT, signal)
        self.embedding_norm = nn.LayerNorm(config.embedding)
        self.token = nn.Sequential(nn.LayerNorm(config.token_width), nn.Linear(config.token_width, config.context))
        self.whole = nn.Linear(config.embedding, signal)
        self.whole_token = nn.Linear(config.embedding, config.context)
        self.null_whole = nn.Parameter(torch.zeros(signal))
        self.null_tokens = nn.Parameter(torch.randn(1, config.context))
        self.stem = nn.Conv2d(folded, widths[0], 3, padding=1)
        self.view_map = nn.Embedding(VIEW_COUNT, widths[0])
        self.down, self.halve = nn.ModuleList(), nn.ModuleList()
        kept = [widths[0]]  # channels of the skip connections
        channels = widths[0]
        for level, width in enumerate(widths):
            self.halve.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1) if level else nn.Identity())
            if level:
                kept.append(channels)
            stages = nn.ModuleList()
            for _ in range(config.blocks):
                stages.append(Stage(channels, width, config, config.attends[level]))
                channels = width
                kept.append(channels)
            self.down.append(stages)
        self.middle = Stage(channels, channels, config, attends=True) if config.middle else None
        self.up = nn.ModuleList()
        for level in reversed(range(len(widths))):
            stages = nn.ModuleList()
            for _ in range(config.blocks + 1):
                stages.append(Stage(channels + kept.pop(), widths[level], config, config.attends[level]))
                channels = widths[level]
            self.up.append(stages)
        last = nn.Conv2d(channels, folded, 3, padding=1)
        self.head = nn.Sequential(nn.GroupNorm(config.groups, channels), nn.SiLU(), last)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(
        self, latent: Tensor, timestep: Tensor, tokens: Tensor, embedding: Tensor, conditioned: Tensor, view: Tensor
    ) -> Tensor:
        """Prediction [N,C,F,h,w] for a noisy latent [N,C,F,h,w].

        `timestep` is [N] in 0…T−1, `tokens` [N,32,D], `embedding` [N,E], `conditioned` [N] (1, or 0 for the learned
        null condition), `view` int64 [N].
        """
        rows, channels, frames, height, width = latent.shape
        folded = self.config.channels * self.config.fold
        known = conditioned[:, None]
        embedding = self.embedding_norm(embedding)
        tokens = torch.cat([self.whole_token(embedding)[:, None], self.token(tokens)], dim=1)  # [N,33,context]
        tokens = torch.where(known[:, None] > 0, tokens, self.null_tokens)
        signal = self.time(sinusoids(timestep, self.config.widths[0])) + self.view(view)
        signal = F.silu(signal + torch.where(known > 0, self.whole(embedding), self.null_whole))
        length = frames // self.config.fold

        def of_frames(vector: Tensor) -> Tensor:  # [N,S] → [N·F,S]
            return vector.unsqueeze(1).expand(rows, length, vector.shape[1]).flatten(0, 1)

        signal = of_frames(signal)
        x = latent.reshape(rows, channels, length, self.config.fold, height, width)
        x = x.permute(0, 2, 1, 3, 4, 5).reshape(rows * length, folded, height, width)
        x = self.stem(x) + of_frames(self.view_map(view))[:, :, None, None]
        kept = [x]
        for level, (halve, stages) in enumerate(zip(self.halve, self.down, strict=True)):
            if level:
                x = halve(x)
                kept.append(x)
            for stage in cast(nn.ModuleList, stages):
                x = stage(x, signal, tokens)
                kept.append(x)
        if self.middle is not None:
            x = self.middle(x, signal, tokens)
        for level, stages in enumerate(self.up):
            if level:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            for stage in cast(nn.ModuleList, stages):
                x = stage(torch.cat([x, kept.pop()], dim=1), signal, tokens)
        x = self.head(x).reshape(rows, length, channels, self.config.fold, height, width)
        return x.permute(0, 2, 1, 3, 4, 5).reshape(rows, channels, frames, height, width)
