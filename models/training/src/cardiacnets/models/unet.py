"""A small 2-D U-Net that labels the heart in one cine frame (Ronneberger et al. 2015, arXiv 1505.04597)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of the network; the picture's sides are multiples of 2^len(widths)."""

    classes: int = 4
    """Labels of the cohort's masks with the background: 4 in the short axis, 6 in the four-chamber view."""
    widths: tuple[int, ...] = (24, 48, 96, 128)
    """Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution."""
    groups: int = 8


class UNet(nn.Module):
    """Logits of every pixel. Group norm only: no statistics of virtual pictures are carried over to real ones."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        # Half resolution is the finest that is convolved: at one core, full resolution costs as much as all the rest.
        self.stem = nn.Conv2d(1, widths[0], 4, stride=2, padding=1)
        self.down = nn.ModuleList(
            [Block(widths[0], widths[0], config.groups)]
            + [Block(near, far, config.groups) for near, far in pairwise(widths)]
        )
        self.up = nn.ModuleList([Block(near + far, near, config.groups) for near, far in pairwise(widths)])
        self.head = nn.Conv2d(widths[0], 4 * config.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """[N,1,H,W], standardised by `standardise` → [N,classes,H,W]."""
        x = self.stem(image)  # [N, w0, H/2, W/2]
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)  # [N, w_l, H/2^(l+1), W/2^(l+1)]
            skips.append(x)
        for block, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([skip, x], dim=1))
        return F.pixel_shuffle(self.head(x), 2)  # [N, 4·classes, H/2, W/2] → [N, classes, H, W]


class Block(nn.Module):
    """Two 3×3 convolutions, each normalised over groups of channels."""

    def __init__(self, channels_in: int, channels_out: int, groups: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.GroupNorm(groups, channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.GroupNorm(groups, channels_out),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N,in,H,W] → [N,out,H,W]."""
        return self.layers(x)


def standardise(image: Tensor) -> Tensor:
    """[N,1,H,W] magnitude of any unit → the same with zero mean and unit variance a picture.

    The brightest hundredth is cut off first: fat under the coil may be ten times as bright as the heart.
    """
    flat = image.flatten(1)
    white = flat.quantile(0.99, dim=1)[:, None, None, None]
    image = image.clamp_max(white)
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    return (image - mean) / image.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
