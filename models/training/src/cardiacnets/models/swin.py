"""Swin Transformer over cines, frames as channels (Liu et al. 2021, arXiv 2103.14030).

Tokens are kept as a list, not as a picture, so that the same weights serve whole cines and the visible patches alone
(`greenmim`). The list goes mask unit by mask unit, in Z-order within one: four tokens in a row are then always the
2×2 neighbours that patch merging joins, and merging is a reshape.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.domain import View


@dataclass(frozen=True)
class SwinConfig:
    """Sizes of one encoder.

    The defaults are the compact one for the short axis: 80 px, so 20, 10 and 5 tokens a side, all of them multiples of
    the window, and 5×5 mask units of 16 px.
    """

    image: int = 80
    """Pixels a side."""
    frames: int = 50
    patch: int = 4
    window: int = 5
    """Tokens a side."""
    dim: int = 48
    """Channels of the first stage; each later one doubles them and halves the grid."""
    depths: tuple[int, ...] = (2, 2, 2)
    heads: tuple[int, ...] = (3, 6, 12)
    pooled: Literal["last", "stages"] = "stages"
    """What the embedding takes in: the mean of the last stage's tokens, as the paper, or mean and spread of every
    stage's. The latter tells more of the heart where training was short (see README.md)."""
    intensity: Literal["given", "cine"] = "given"
    """Whether a cine keeps its brightness and contrast, or is brought to mean 0 and deviation 1 (`standardised`). Three
    quarters of what an untrained embedding varies in is brightness, which depends on the scanner and not on the heart.
    """

    def __post_init__(self) -> None:
        if len(self.depths) != len(self.heads):
            raise ValueError("depths and heads: one of each a stage")
        if self.image % self.unit:
            raise ValueError(f"image {self.image} is not a multiple of the mask unit {self.unit}")
        for stage in range(len(self.depths)):
            if self.grid(stage) % self.window_of(stage):
                raise ValueError(f"stage {stage}: {self.grid(stage)} tokens a side, not a multiple of {self.window}")

    @property
    def unit(self) -> int:
        """Pixels a side of a token of the last stage. It is also the mask unit: tokens merge within one only."""
        return self.patch << (len(self.depths) - 1)

    @property
    def units(self) -> int:
        """Mask units in a picture."""
        return (self.image // self.unit) ** 2

    @property
    def features(self) -> int:
        """Channels of the last stage."""
        return self.dim << (len(self.depths) - 1)

    @property
    def embedding(self) -> int:
        """Width of `Swin.embedding`."""
        return self.features if self.pooled == "last" else 2 * self.dim * ((1 << len(self.depths)) - 1)

    def grid(self, stage: int) -> int:
        """Tokens a side."""
        return self.image // (self.patch << stage)

    def window_of(self, stage: int) -> int:
        """The window, or the whole grid where that is smaller."""
        return min(self.window, self.grid(stage))

    def shift_of(self, stage: int) -> int:
        """By how much every second block moves its windows; nothing where one window holds all."""
        return self.window // 2 if self.grid(stage) > self.window else 0


SWIN_PAPER = SwinConfig(image=224, window=7, dim=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32), pooled="last")
"""Swin-B. 224 px: 7 × the mask unit of 32 px, and a multiple of the window at every stage (256 px is not)."""

SWIN_COMPACT: dict[View, SwinConfig] = {
    "short_axis": SwinConfig(intensity="cine"),
    # 24, 12 and 6 tokens a side; 6×6 mask units of 16 px.
    "four_chamber": SwinConfig(image=96, window=6, intensity="cine"),
}


@dataclass(frozen=True)
class Partition:
    """T tokens dealt to G groups of S slots that attend within themselves, and within a window only."""

    slots: Tensor
    """Token in each slot, int64 [G,S]. Slots left over repeat token 0, apart from all others; nobody reads them."""
    home: Tensor
    """Slot of each token among the G·S, int64 [T]."""
    relative: Tensor
    """Row of the position table for each pair of slots, int64 [G,S,S], or [1,S,S] where all groups are alike."""
    apart: Tensor | None
    """Pairs of slots that may not see each other, bool [G,S,S]."""

    def to(self, device: torch.device) -> "Partition":
        """The same on another device."""
        slots, home, relative = (part.to(device) for part in (self.slots, self.home, self.relative))
        return Partition(slots, home, relative, None if self.apart is None else self.apart.to(device))


@dataclass(frozen=True)
class Layout:
    """Which tokens take part, and how the plain and the shifted windows of each stage are dealt to groups."""

    position: Tensor
    """Row and column of the first stage's tokens, int64 [T,2]."""
    stages: tuple[tuple[Partition, Partition], ...]


def token_position(config: SwinConfig, units: Tensor, stage: int = 0) -> Tensor:
    """Row and column [T,2] of the tokens of mask units `units` [U] (row-major numbers), in the order of this module."""
    quadrant = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    inside, side = torch.zeros(1, 2, dtype=torch.int64), 1
    for _ in range(len(config.depths) - 1 - stage):
        inside = (quadrant[:, None] * side + inside).reshape(-1, 2)  # [4,1,2] + [side²,2] → [4·side²,2]
        side *= 2
    across = config.image // config.unit
    corner = torch.stack([units // across, units % across], dim=1) * side  # [U,2]
    return (corner[:, None] + inside).reshape(-1, 2)  # [U,1,2] + [side²,2] → [U·side²,2]


def window_cell(position: Tensor, window: int, shift: int) -> Tensor:
    """Number [T] of the window that each token lies in.

    Swin rolls the picture and then masks what the roll brought together. That is a lattice of windows moved by
    `shift`, cut off at the borders, which is what is numbered here.
    """
    row, column = ((position - shift).div(window, rounding_mode="floor") + 1).unbind(dim=1)
    return row * (int(position.max()) // window + 3) + column


def relative_row(position: Tensor, window: int) -> Tensor:
    """Row of the position table [...,S,S] for each pair of tokens of one window at `position` [...,S,2]."""
    step = position.unsqueeze(-2) - position.unsqueeze(-3) + window - 1  # [...,S,S,2], 0 … 2·window − 2
    return step[..., 0] * (2 * window - 1) + step[..., 1]


def dense_partition(position: Tensor, grid: int, window: int, shift: int) -> Partition:
    """All tokens of a picture: a group for each window of the rolled picture."""
    rolled = (position - shift) % grid
    group = rolled.div(window, rounding_mode="floor")
    within = rolled % window
    number = (group[:, 0] * (grid // window) + group[:, 1]) * window**2 + within[:, 0] * window + within[:, 1]
    slots = number.argsort().view(-1, window**2)  # [T] → [G,S]
    cell = window_cell(position, window, shift)[slots]
    apart = cell.unsqueeze(2) != cell.unsqueeze(1) if shift else None
    return Partition(slots, number, relative_row(within[slots[:1]], window), apart)


def dense_layout(config: SwinConfig) -> Layout:
    """Every token of the picture."""
    units = torch.arange(config.units)
    stages = []
    for stage in range(len(config.depths)):
        position, grid, window = token_position(config, units, stage), config.grid(stage), config.window_of(stage)
        plain = dense_partition(position, grid, window, 0)
        shift = config.shift_of(stage)
        stages.append((plain, dense_partition(position, grid, window, shift) if shift else plain))
    return Layout(token_position(config, units), tuple(stages))


class WindowAttention(nn.Module):
    """Multi-head attention within the windows of a partition, with a learned bias for each relative position."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.position = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, x: Tensor, partition: Partition) -> Tensor:
        """[N,T,C] → [N,T,C]."""
        rows, _, channels = x.shape
        groups, size = partition.slots.shape
        # Projected before they are dealt to slots: what pads a group costs no projection.
        slots = self.qkv(x).index_select(1, partition.slots.flatten())  # [N,T,3C] → [N,G·S,3C]
        split = slots.view(rows, groups, size, 3, self.heads, channels // self.heads)
        query, key, value = split.permute(3, 0, 1, 4, 2, 5)  # each [N,G,heads,S,C/heads]
        bias = self.position[partition.relative].permute(0, 3, 1, 2)  # [G or 1,S,S,heads] → [G or 1,heads,S,S]
        if partition.apart is not None:
            bias = bias.masked_fill(partition.apart.unsqueeze(1), float("-inf"))
        weight = query * (channels // self.heads) ** -0.5 @ key.transpose(-2, -1) + bias  # [N,G,heads,S,S]
        mixed = torch.softmax(weight, dim=-1) @ value  # [N,G,heads,S,C/heads]
        mixed = mixed.transpose(2, 3).reshape(rows, groups * size, channels)
        return self.project(mixed.index_select(1, partition.home))  # [N,G·S,C] → [N,T,C]


class Block(nn.Module):
    """Window attention and a perceptron, each normalised before and added to what came in."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, heads, window)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, partition: Partition) -> Tensor:
        """[N,T,C] → [N,T,C]."""
        x = x + self.attention(self.attention_norm(x), partition)
        return x + self.mlp(x)


class PatchMerging(nn.Module):
    """Four neighbours become one token of twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduce = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N,T,C] → [N,T/4,2C]."""
        rows, tokens, channels = x.shape
        return self.reduce(self.norm(x.reshape(rows, tokens // 4, 4 * channels)))


def standardised(image: Tensor, config: SwinConfig) -> Tensor:
    """Cines [N,F,H,W] as the encoder is to see them: each with mean 0 and deviation 1, where `config` says so."""
    if config.intensity == "given":
        return image
    middle, spread = image.mean(dim=(1, 2, 3), keepdim=True), image.std(dim=(1, 2, 3), keepdim=True)
    return (image - middle) / spread.clamp_min(1e-3)


class Swin(nn.Module):
    """Cine [N,frames,H,W] → tokens of the last stage, one a mask unit."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.config = config
        self.dense = dense_layout(config)
        self.embed = nn.Conv2d(config.frames, config.dim, config.patch, stride=config.patch)
        self.embed_norm = nn.LayerNorm(config.dim)
        self.stages = nn.ModuleList()
        self.merges = nn.ModuleList()
        for stage, (depth, heads) in enumerate(zip(config.depths, config.heads, strict=True)):
            dim = config.dim << stage
            self.stages.append(nn.ModuleList(Block(dim, heads, config.window_of(stage)) for _ in range(depth)))
            if stage + 1 < len(config.depths):
                self.merges.append(PatchMerging(dim))
        self.norm = nn.LayerNorm(config.features)
        self.apply(_initialise)

    def patches(self, image: Tensor, position: Tensor) -> Tensor:
        """[N,F,H,W] and the patches' rows and columns [T,2] → embedded patches [N,T,dim]."""
        rows, frames, height, width = image.shape
        patch, (row, column) = self.config.patch, position.unbind(dim=1)
        if len(position) == self.config.grid(0) ** 2:
            # All of them: four times faster than picking each, on a CPU.
            return self.embed(image)[:, :, row, column].transpose(1, 2)  # [N,dim,T] → [N,T,dim]
        tiles = image.view(rows, frames, height // patch, patch, width // patch, patch)
        # Two indices with dimensions between them put theirs first: [T,N,F,patch,patch].
        picked = tiles[:, :, row, :, column].transpose(0, 1).flatten(2)  # [N,T,F·patch²]
        return F.linear(picked, self.embed.weight.flatten(1), self.embed.bias)

    def stage_tokens(self, image: Tensor, layout: Layout | None = None) -> list[Tensor]:
        """[N,F,H,W] in [−1,1] → what each stage ends with, [N,T,dim], [N,T/4,2·dim], …; the last is normalised."""
        layout = layout or self.dense
        ends = []
        x = self.embed_norm(self.patches(image, layout.position.to(image.device)))  # [N,T,dim]
        for stage, blocks in enumerate(self.stages):
            if stage > 0:
                x = self.merges[stage - 1](x)  # [N,T,C] → [N,T/4,2C]
            partitions = [partition.to(x.device) for partition in layout.stages[stage]]
            for number, block in enumerate(cast(nn.ModuleList, blocks)):
                x = block(x, partitions[number % 2])
            ends.append(x)
        return [*ends[:-1], self.norm(x)]

    def forward(self, image: Tensor, layout: Layout | None = None) -> Tensor:
        """[N,F,H,W] in [−1,1] → tokens [N,U,features], U mask units of `layout` in its order; without one, all."""
        return self.stage_tokens(image, layout)[-1]

    def embedding(self, image: Tensor) -> Tensor:
        """[N,F,H,W] in [−1,1] → [N,config.embedding]; see `SwinConfig.pooled` and `SwinConfig.intensity`."""
        return self.pool(self.stage_tokens(standardised(image, self.config)))

    def pool(self, tokens: list[Tensor]) -> Tensor:
        """What each stage ends with → [N,config.embedding]."""
        if self.config.pooled == "last":
            return tokens[-1].mean(dim=1)
        return torch.cat([figure for x in tokens for figure in (x.mean(dim=1), x.std(dim=1))], dim=1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
