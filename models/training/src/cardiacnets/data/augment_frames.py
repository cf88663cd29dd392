"""Augmentation of cine frames with masks, so that a network that saw only drawn hearts finds real ones.

Shape (turn, scale, shift, bend), tissue (each label's signal, what lies around the heart), and scanner (coil, contrast,
resolution, noise, ghosts, bands, field of view). All randomness comes from the generator passed in.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class FrameAugmentConfig:
    """Strengths; 0 turns a part off."""

    rotation_deg: float = 50.0
    scale: float = 1.6
    """Largest enlargement, and its inverse the largest reduction."""
    shift: float = 0.25
    """Of the picture's side."""
    bend_px: float = 3.0
    """Standard deviation of a smooth displacement: no real ventricle is an ellipse."""
    tissue: float = 0.25
    """Log standard deviation of each label's signal."""
    surroundings: float = 0.7
    """Share of frames whose surroundings are painted over with random organs."""
    coil: float = 0.35
    """Log standard deviation of a smooth sensitivity."""
    gamma: float = 0.4
    """Log standard deviation."""
    inversion: float = 0.05
    """Share of frames in which dark and bright change places."""
    blur_px: float = 1.2
    noise: float = 0.09
    """Largest standard deviation, as a share of the brightest tissue."""
    artefact: float = 0.2
    """Share of frames with a ghost, and of those with dark bands."""
    field_of_view: float = 0.4
    """Share of frames cut to a circle, as scanners do that correct distortion."""


def augment_frames(
    image: Tensor, mask: Tensor, size: int, config: FrameAugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """uint8 [N,H,W] and labels [N,H,W] → float [N,1,size,size] and int64 labels [N,size,size]."""
    draw = _Draw(len(image), size, generator)
    x, labels = _reshape(image.float()[:, None] / 255, mask, draw, config)
    x = _tissues(x, labels, draw, config)
    x = _surroundings(x, labels, draw, config)
    return _scanner(x, draw, config), labels


class _Draw:
    """Random numbers, a row a frame, shaped to multiply [N,1,H,W]."""

    def __init__(self, rows: int, size: int, generator: torch.Generator) -> None:
        self.rows, self.size, self.generator = rows, size, generator

    def uniform(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.rows, 1, 1, 1, generator=self.generator)

    def normal(self) -> Tensor:
        return torch.randn(self.rows, 1, 1, 1, generator=self.generator)

    def chance(self, share: float) -> Tensor:
        return (torch.rand(self.rows, 1, 1, 1, generator=self.generator) < share).float()

    def smooth(self, knots: int, channels: int = 1) -> Tensor:
        """[N,channels,size,size] smooth field of about unit variance."""
        coarse = torch.randn(self.rows, channels, knots, knots, generator=self.generator)
        return F.interpolate(coarse, (self.size, self.size), mode="bicubic", align_corners=True)

    def white(self) -> Tensor:
        return torch.randn(self.rows, 1, self.size, self.size, generator=self.generator)


def _reshape(image: Tensor, mask: Tensor, draw: _Draw, config: FrameAugmentConfig) -> tuple[Tensor, Tensor]:
    angle = torch.deg2rad(draw.uniform(-1, 1) * config.rotation_deg).flatten()
    # A grid that spans less of the source enlarges it.
    span = (draw.size / image.shape[-1]) * config.scale ** draw.uniform(-1, 1).flatten()
    stretch = 1.15 ** draw.uniform(-1, 1).flatten()
    cos, sin = angle.cos(), angle.sin()
    shift = config.shift * torch.stack([draw.uniform(-1, 1).flatten(), draw.uniform(-1, 1).flatten()], dim=1)
    turn = torch.stack([cos * span * stretch, -sin * span, sin * span * stretch, cos * span], dim=1).view(-1, 2, 2)
    affine = torch.cat([turn, (shift * span[:, None])[:, :, None]], dim=2)  # [N,2,3]
    grid = F.affine_grid(affine, [draw.rows, 1, draw.size, draw.size], align_corners=False)  # [N,size,size,2]
    bend = draw.smooth(5, 2) * (2 * config.bend_px / draw.size) * draw.uniform(0, 1)
    grid = grid + bend.permute(0, 2, 3, 1)
    moved = F.grid_sample(image, grid, mode="bilinear", align_corners=False)
    labels = F.grid_sample(mask.float()[:, None], grid, mode="nearest", align_corners=False)[:, 0].long()
    return moved, labels


def _tissues(x: Tensor, labels: Tensor, draw: _Draw, config: FrameAugmentConfig) -> Tensor:
    """Brighten or darken each label on its own, the borders softly."""
    factors = torch.exp(config.tissue * torch.randn(draw.rows, 6, generator=draw.generator))
    factor = factors.gather(1, labels.flatten(1)).view_as(x)
    return x * F.avg_pool2d(factor, 3, stride=1, padding=1, count_include_pad=False)


def _surroundings(x: Tensor, labels: Tensor, draw: _Draw, config: FrameAugmentConfig) -> Tensor:
    """Paint organs of random outline and signal wherever the heart is not; the rim around it stays sometimes."""
    heart = (labels > 0).float()[:, None]
    near = F.max_pool2d(heart, 5, stride=1, padding=2)
    keep = torch.where(draw.chance(0.5) > 0, near, heart)
    organs = x
    for knots in (4, 8, 14):
        outline = (draw.smooth(knots) > draw.uniform(0.2, 1.2)).float()
        signal = draw.uniform(0, 1.3) * (1 + 0.2 * draw.smooth(20))
        organs = organs + draw.chance(0.7) * outline * (signal - organs)
    painted = draw.chance(config.surroundings) * (1 - keep)
    return x + F.avg_pool2d(painted, 3, stride=1, padding=1) * (1 - heart) * (organs - x)


def _scanner(x: Tensor, draw: _Draw, config: FrameAugmentConfig) -> Tensor:
    x = x.clamp(0, 2)
    x = x * torch.exp(config.coil * draw.smooth(4) * draw.uniform(0, 1.5))
    x = x + draw.chance(config.inversion) * (1.2 - 2 * x)
    x = x.clamp_min(1e-3) ** torch.exp(config.gamma * draw.normal())
    x = _blur(x, draw.uniform(0, 1) * config.blur_px)
    places = torch.linspace(-torch.pi, torch.pi, draw.size)
    # A ghost of the moving heart, shifted along the phase encoding.
    along = 2 if torch.rand((), generator=draw.generator) < 0.5 else 3
    offset = int(torch.randint(draw.size // 6, draw.size // 2, (), generator=draw.generator))
    x = x + draw.chance(config.artefact) * draw.uniform(0.05, 0.3) * x.roll(offset, dims=along)
    # Dark bands of balanced SSFP where the field is off resonance.
    wave = draw.uniform(0.5, 1.5) * places[:, None] + draw.uniform(-1.5, 1.5) * places[None, :] + 3 * draw.smooth(3)
    bands = torch.exp(-(((torch.cos(wave / 2)) / 0.12) ** 2))
    x = x * (1 - draw.chance(config.artefact) * draw.uniform(0.3, 0.8) * bands)
    sigma = config.noise * draw.uniform(0, 1) ** 2
    x = torch.hypot(x + sigma * draw.white(), sigma * draw.white())
    radius = torch.hypot(*torch.meshgrid(places, places, indexing="ij")) / torch.pi
    cut = draw.chance(config.field_of_view) * (radius > draw.uniform(0.75, 1.2)).float()
    x = x * (1 - cut)
    return torch.minimum(x, draw.uniform(0.8, 2.0))


def _blur(x: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian of that many pixels, [N,1,1,1]: one kernel a frame, as grouped convolutions."""
    offsets = torch.arange(-3, 4, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.flatten()[:, None].clamp_min(0.05)) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)  # [N,7]
    rows = len(x)
    flat = F.conv2d(x.transpose(0, 1), kernel[:, None, :, None], padding=(3, 0), groups=rows)
    return F.conv2d(flat, kernel[:, None, None, :], padding=(0, 3), groups=rows).transpose(0, 1)
