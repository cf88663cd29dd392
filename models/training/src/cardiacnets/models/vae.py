"""Frame VAE: a cine frame ↔ a latent an eighth as wide and high (Rombach et al. 2022, arXiv 2112.10752).

One network for both views, conditioned on the view by an embedding; the sides are any multiple of 8.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VIEW_COUNT = 2


@dataclass(frozen=True)
class VaeConfig:
    """Sizes of the network. The defaults are the compact ones."""

    channels: int = 4
    """Of the latent."""
    stem: int = 2
    """Pixels a side that are folded into channels before the first convolution: full resolution costs as much as all
    the rest."""
    widths: tuple[int, ...] = (16, 32, 64)
    """Channels a level; each level halves the sides of the one before. stem · 2^(levels − 1) = 8."""
    blocks: int = 1
    """Residual blocks a level of the encoder; the decoder has one more."""
    groups: int = 8
    middle_attention: bool = False
    """Whether the places of a frame attend to one another at the lowest level, as in Stable Diffusion."""

    def __post_init__(self) -> None:
        if self.stem << (len(self.widths) - 1) != 8:
            raise ValueError("stem · 2^(levels − 1) must be 8")


VAE_PAPER = VaeConfig(stem=1, widths=(128, 256, 512, 512), blocks=2, groups=32, middle_attention=True)
"""Stable Diffusion's: 256 px → 4×32×32."""


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels_in: int, channels: int, groups: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(groups, channels_in),
            nn.SiLU(),
            nn.Conv2d(channels_in, channels, 3, padding=1),
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[N,in,h,w] → [N,channels,h,w]."""
        return self.body(x) + self.shortcut(x)


class PlaceAttention(nn.Module):
    """One head over all places of a frame."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,h,w] → the same."""
        query, key, value = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)  # 3 × [N,h·w,C]
        mixed = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(mixed.transpose(1, 2).reshape(x.shape))


def _middle(config: VaeConfig) -> list[nn.Module]:
    last = config.widths[-1]
    if not config.middle_attention:
        return []
    return [Block(last, last, config.groups), PlaceAttention(last, config.groups), Block(last, last, config.groups)]


class Vae(nn.Module):
    """Frames ↔ latents of zero mean and unit variance a channel, once `fit_scale` has seen what the encoder makes."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        widths, groups, square = config.widths, config.groups, config.stem**2
        self.view_in = nn.Embedding(VIEW_COUNT, widths[0])
        self.view_out = nn.Embedding(VIEW_COUNT, widths[-1])
        self.stem = nn.Conv2d(square, widths[0], 3, padding=1)
        down: list[nn.Module] = []
        channels = widths[0]
        for level, width in enumerate(widths):
            if level:
                down.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
            for _ in range(config.blocks):
                down.append(Block(channels, width, groups))
                channels = width
        self.down = nn.Sequential(*down, *_middle(config))
        to_latent = nn.Conv2d(channels, 2 * config.channels, 3, padding=1)
        self.to_latent = nn.Sequential(nn.GroupNorm(groups, channels), nn.SiLU(), to_latent)
        # Little noise at first: under much of it the decoder would learn to look away.
        assert to_latent.bias is not None
        nn.init.constant_(to_latent.bias[config.channels :], -4.0)
        self.from_latent = nn.Conv2d(config.channels, channels, 3, padding=1)
        up: list[nn.Module] = _middle(config)
        for width, after in pairwise((*reversed(widths), 0)):
            for _ in range(config.blocks + 1):
                up.append(Block(channels, width, groups))
                channels = width
            if after:
                up += [nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(channels, channels, 3, padding=1)]
        self.up = nn.Sequential(*up)
        self.head = nn.Sequential(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, square, 3, padding=1))
        self.register_buffer("latent_mean", torch.zeros(config.channels))
        self.register_buffer("latent_std", torch.ones(config.channels))

    def encode(self, frames: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [N,H,W] in [−1,1], view [N] → mean and log-variance [N,C,H/8,W/8], not yet standardised."""
        x = self.stem(F.pixel_unshuffle(frames.unsqueeze(1), self.config.stem))  # [N,w0,H/stem,W/stem]
        x = self.down(x + self.view_in(view)[:, :, None, None])  # [N,w_last,H/8,W/8]
        mean, logvar = self.to_latent(x).chunk(2, dim=1)
        return mean, logvar.clamp(-20, 10)

    def decode_raw(self, latent: Tensor, view: Tensor) -> Tensor:
        """[N,C,h,w] as `encode` gives it → frames [N,8h,8w]."""
        x = self.from_latent(latent) + self.view_out(view)[:, :, None, None]
        return F.pixel_shuffle(self.head(self.up(x)), self.config.stem).squeeze(1)

    def fit_scale(self, latents: Tensor) -> None:
        """Take mean and spread of each channel from [N,C,h,w]."""
        self.latent_mean.copy_(latents.mean(dim=(0, 2, 3)))
        self.latent_std.copy_(latents.std(dim=(0, 2, 3)))

    def to_standard(self, latents: Tensor) -> Tensor:
        """[N,C,h,w] → zero mean, unit variance."""
        return (latents - self.latent_mean[:, None, None]) / self.latent_std[:, None, None]

    def decode(self, latent: Tensor, view: Tensor) -> Tensor:
        """Standardised [N,C,h,w], view [N] → frames [N,8h,8w] in [−1,1]."""
        return self.decode_raw(latent * self.latent_std[:, None, None] + self.latent_mean[:, None, None], view)


class CineDecoder(nn.Module):
    """What ships as `decoder.onnx`."""

    def __init__(self, vae: Vae) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor, view: Tensor) -> Tensor:
        """latent [N,C,F,h,w], view int64 [N] → frames [N,F,8h,8w] in [−1,1]."""
        rows, channels, frames, height, width = latent.shape
        single = latent.transpose(1, 2).reshape(rows * frames, channels, height, width)
        of_frame = view.unsqueeze(1).expand(rows, frames).reshape(rows * frames)
        return self.vae.decode(single, of_frame).reshape(rows, frames, 8 * height, 8 * width).clamp(-1, 1)
