"""Masked image modelling with a Swin that sees visible patches only (Huang et al. 2022, GreenMIM, arXiv 2205.13515).

Masking leaves windows unequally full. Windows are therefore dealt to groups of about equal size, attention runs group
by group, and tokens of different windows in a group do not see each other. One mask serves a batch, so that it is dealt
once.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.domain import View
from cardiacnets.models.swin import (
    SWIN_COMPACT,
    SWIN_PAPER,
    Layout,
    Partition,
    Swin,
    SwinConfig,
    relative_row,
    standardised,
    token_position,
    window_cell,
)

GroupCost = Callable[[int, int], float]
"""Cost of (groups, slots a group); it rises with both."""


def attention_cost(groups: int, size: int) -> float:
    """Pairs of slots. Padding costs no projection here (`WindowAttention`), so the paper's term in C² falls away."""
    return groups * size**2


def best_fill(sizes: Sequence[int], room: int) -> list[int]:
    """Which of `sizes` have the largest sum that is ≤ `room`: the knapsack by dynamic programming.

    Bit s of `reach[k]` says that some of the first k sizes add up to s.
    """
    reach = [1]
    for size in sizes:
        reach.append((reach[-1] | reach[-1] << size) & ((2 << room) - 1))
    total = reach[-1].bit_length() - 1
    chosen = []
    for index in reversed(range(len(sizes))):
        if not reach[index] >> total & 1:
            chosen.append(index)
            total -= sizes[index]
    return chosen


def pack(counts: Sequence[int], size: int) -> list[list[int]]:
    """Deal windows of `counts` tokens to groups of at most `size`: the largest left, then the best fill beside it."""
    left = sorted(range(len(counts)), key=lambda window: -counts[window])
    groups = []
    while left:
        first, *rest = left
        beside = best_fill([counts[window] for window in rest], size - counts[first])
        group = [first, *(rest[index] for index in beside)]
        groups.append(group)
        left = [window for window in left if window not in group]
    return groups


def group_windows(counts: Sequence[int], cost: GroupCost = attention_cost) -> list[list[int]]:
    """Window numbers of each group, at the group size that costs least (the paper's equation 6).

    Every size from the fullest window on is tried, unless even groups without padding would cost more than the best.
    """
    total, best, chosen = sum(counts), math.inf, []
    for size in range(max(counts), total + 1):
        if cost(-(-total // size), size) >= best:
            continue
        groups = pack(counts, size)
        if (found := cost(len(groups), size)) < best:
            best, chosen = found, groups
    return chosen


def group_partition(position: Tensor, window: int, shift: int, cost: GroupCost = attention_cost) -> Partition:
    """Tokens at `position` [T,2], any part of a picture, dealt to groups of whole windows."""
    _, window_of_token, counts = window_cell(position, window, shift).unique(return_inverse=True, return_counts=True)
    # Token numbers of each window, in their order.
    members = window_of_token.argsort(stable=True).split(counts.tolist())
    groups = [torch.cat([members[number] for number in group]) for group in group_windows(counts.tolist(), cost)]
    size = max(len(group) for group in groups)
    slots = torch.zeros(len(groups), size, dtype=torch.int64)
    taken = torch.zeros(len(groups), size, dtype=torch.bool)
    for row, group in enumerate(groups):
        slots[row, : len(group)] = group
        taken[row, : len(group)] = True
    home = torch.empty(len(position), dtype=torch.int64)
    home[slots[taken]] = taken.flatten().nonzero().squeeze(1)
    # Slots left over see each other and nothing else: a row of −∞ alone would have no softmax.
    label = torch.where(taken, window_of_token[slots], -1)
    apart = label.unsqueeze(2) != label.unsqueeze(1)
    relative = relative_row(position[slots], window).masked_fill(apart, 0)  # [G,S,S]
    return Partition(slots, home, relative, apart)


def visible_layout(config: SwinConfig, units: Tensor, cost: GroupCost = attention_cost) -> Layout:
    """The tokens of mask units `units` [U] alone."""
    stages = []
    for stage in range(len(config.depths)):
        position, window, shift = token_position(config, units, stage), config.window_of(stage), config.shift_of(stage)
        plain = group_partition(position, window, 0, cost)
        stages.append((plain, group_partition(position, window, shift, cost) if shift else plain))
    return Layout(token_position(config, units), tuple(stages))


@dataclass(frozen=True)
class GreenMimConfig:
    """The encoder, what it may not see, and the decoder, which training alone has."""

    swin: SwinConfig = field(default_factory=SwinConfig)
    mask_ratio: float = 0.75
    decoder_dim: int = 128
    decoder_depth: int = 1
    decoder_heads: int = 4
    target_frames: int = 10
    target_pixels: int = 2
    """What is drawn is a mean over so many parts of the cycle's frames and squares of so many pixels a side: most of
    a cine's fine detail is noise, which nobody can foresee, and which nothing is learned from."""
    motion: float = 3.0
    """How far motion is brought out: deviations from a pixel's mean over the cycle are drawn so many times as large.
    Most of a cine stands still, and function is in the rest."""
    normalise_target: bool = False
    """Bring each unit to zero mean and unit variance, as masked autoencoders do with the pixels of photographs. Here
    it would make the empty corners as important as the heart."""

    def __post_init__(self) -> None:
        if self.swin.frames % self.target_frames or self.swin.unit % self.target_pixels:
            raise ValueError("targets: frames and mask unit must be multiples of target_frames and target_pixels")


GREENMIM_PAPER = GreenMimConfig(
    SWIN_PAPER, decoder_dim=512, decoder_heads=16, target_frames=50, target_pixels=1, motion=1.0, normalise_target=True
)
GREENMIM_COMPACT: dict[View, GreenMimConfig] = {view: GreenMimConfig(swin) for view, swin in SWIN_COMPACT.items()}


def draw_visible(config: GreenMimConfig, generator: torch.Generator) -> Tensor:
    """Numbers of the mask units that are seen, int64 [U], rising."""
    units = config.swin.units
    kept = max(1, round(units * (1 - config.mask_ratio)))
    return torch.randperm(units, generator=generator)[:kept].sort().values


class GreenMim(nn.Module):
    """Encoder of visible units and a small transformer that draws the masked ones from them."""

    def __init__(self, config: GreenMimConfig) -> None:
        super().__init__()
        self.config = config
        swin, dim = config.swin, config.decoder_dim
        self.encoder = Swin(swin)
        self.into_decoder = nn.Linear(swin.features, dim)
        self.masked_token = nn.Parameter(torch.empty(1, 1, dim))
        self.position = nn.Parameter(torch.empty(1, swin.units, dim))
        nn.init.trunc_normal_(self.masked_token, std=0.02)
        nn.init.trunc_normal_(self.position, std=0.02)
        layer = nn.TransformerEncoderLayer(
            dim, config.decoder_heads, 4 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerEncoder(
            layer, config.decoder_depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False
        )
        self.to_pixels = nn.Linear(dim, config.target_frames * (swin.unit // config.target_pixels) ** 2)

    def forward(self, image: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """[N,F,H,W] in [−1,1] and visible units [U] → masked units [M], their targets as drawn [N,M,values]."""
        return self.draw(self.encoder(image, visible_layout(self.config.swin, visible)), visible)

    def draw(self, tokens: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [N,U,features] of the visible units [U] → masked units [M], their targets as drawn [N,M,values]."""
        seen = self.into_decoder(tokens)  # [N,U,D]
        hidden = torch.ones(self.config.swin.units, dtype=torch.bool)
        hidden[visible] = False
        masked = hidden.nonzero().squeeze(1)
        tokens = torch.cat([seen, self.masked_token.expand(len(seen), len(masked), -1)], dim=1)  # [N,U+M,D]
        tokens = self.decoder(tokens + self.position[:, torch.cat([visible, masked])])
        return masked, self.to_pixels(tokens[:, len(visible) :])

    def targets(self, image: Tensor, units: Tensor) -> Tensor:
        """What is to be drawn of mask units [M]: [N,M,target_frames·(unit/target_pixels)²]."""
        config, (rows, frames, height, width) = self.config, image.shape
        picture = image.view(rows, config.target_frames, frames // config.target_frames, height, width).mean(dim=2)
        picture = F.avg_pool2d(picture, config.target_pixels)
        still = picture.mean(dim=1, keepdim=True)
        picture = still + config.motion * (picture - still)
        unit, across = config.swin.unit // config.target_pixels, width // config.swin.unit
        tiles = picture.view(rows, config.target_frames, -1, unit, across, unit)
        values = tiles[:, :, units // across, :, units % across].flatten(2)  # [M,N,frames,unit,unit] → [M,N,values]
        if config.normalise_target:
            values = F.layer_norm(values, values.shape[2:], eps=1e-6)
        return values.transpose(0, 1)

    def loss(self, image: Tensor, visible: Tensor) -> Tensor:
        """Mean squared error over the masked units of [N,F,H,W] in [−1,1]."""
        return self.loss_and_embedding(image, visible)[0]

    def loss_and_embedding(self, image: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """`loss`, and the embedding [N,config.swin.embedding] of what was seen."""
        image = standardised(image, self.config.swin)
        tokens = self.encoder.stage_tokens(image, visible_layout(self.config.swin, visible))
        masked, drawn = self.draw(tokens[-1], visible)
        return F.mse_loss(drawn.float(), self.targets(image, masked)), self.encoder.pool(tokens)
