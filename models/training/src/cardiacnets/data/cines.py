"""Cines as the CMR encoders see them: cut to the heart, augmented as the paper lists, normalised."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cardiacnets import cohort
from cardiacnets.device import device
from cardiacnets.domain import View

CROP: dict[View, int] = {"short_axis": 80, "four_chamber": 96}
"""Pixels a side around the heart, as in the paper."""


@dataclass(frozen=True)
class CineSet:
    """Cines of one view, one row a person."""

    frames: NDArray[np.uint8]
    """[n,50,H,W], in memory or mapped; already cut to the heart, or a larger field around it."""
    split: NDArray[np.str_]
    """[n]: train, val, test."""
    centre: NDArray[np.integer] | None = None
    """Row and column [n,2] of the heart's middle; the middle of the picture where not given."""

    def rows(self, split: str) -> NDArray[np.intp]:
        """Row numbers of a split."""
        return np.flatnonzero(self.split == split)

    def part(self, chosen: slice) -> "CineSet":
        """Some of the people."""
        centre = None if self.centre is None else self.centre[chosen]
        return CineSet(self.frames[chosen], self.split[chosen], centre)

    def take(self, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Frames uint8 [N,50,H,W] and centres [N,2] of some rows."""
        frames = torch.from_numpy(np.ascontiguousarray(self.frames[rows]))
        if self.centre is None:
            middle = torch.tensor([frames.shape[2] // 2, frames.shape[3] // 2])
            return frames, middle.expand(len(frames), 2)
        return frames, torch.from_numpy(np.asarray(self.centre[rows]))


def load_cines(cohort_dir: Path, view: View) -> CineSet:
    """The cines that `cohort.generate(..., cines=True)` wrote.

    Raises:
        ValueError: the cohort was generated without cines.
    """
    people = cohort.load(cohort_dir)
    frames = people.short_axis if view == "short_axis" else people.four_chamber
    if frames is None:
        raise ValueError(f"{cohort_dir} has no cines: generate the cohort with them")
    return CineSet(frames, people.split[: len(frames)])


@dataclass(frozen=True)
class CineAugmentConfig:
    """The paper's augmentation of CMR (DESIGN section 6); the frames of a cine change together."""

    rotation_deg: float = 30.0
    flip: float = 0.5
    """Chance of each of the two flips."""
    scale: tuple[float, float] = (0.8, 1.0)
    """Of the area that a resized crop keeps."""
    ratio: tuple[float, float] = (0.9, 1.1)
    """Width by height of that crop."""


def draw_affine(rows: int, config: CineAugmentConfig, generator: torch.Generator) -> Tensor:
    """[rows,2,3]: where in the crop (x, y in [−1,1]) each place of the input lies, after rotation, flips and crop."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(rows, *shape, generator=generator)

    turn = uniform(-1, 1) * math.radians(config.rotation_deg)
    mirror = torch.where(uniform(0, 1, 2) < config.flip, -1.0, 1.0)  # [N,2]
    area, ratio = uniform(*config.scale), uniform(math.log(config.ratio[0]), math.log(config.ratio[1])).exp()
    size = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp_max(1)  # [N,2] width, height
    offset = uniform(-1, 1, 2) * (1 - size)
    cosine, sine = turn.cos(), turn.sin()
    rotation = torch.stack([cosine, -sine, sine, cosine], dim=1).view(rows, 2, 2)
    # input → resized crop → flips → rotation: one affine map, so that pixels are interpolated once.
    return rotation @ torch.cat([torch.diag_embed(mirror * size), (mirror * offset).unsqueeze(2)], dim=2)


def no_affine(rows: int) -> Tensor:
    """[rows,2,3]: the crop as it is."""
    return torch.eye(2, 3).expand(rows, 2, 3)


def sample_cines(frames: Tensor, centre: Tensor, affine: Tensor, crop: int, size: int) -> Tensor:
    """Frames uint8 [N,F,H,W] → [N,F,size,size] in [−1,1], bilinear; black beyond the picture.

    `affine` [N,2,3] maps the input to a crop of `crop` pixels a side around `centre` [N,2] (row, column). Done where
    the frames are: on a GPU this is far less to bring there, and to wait for.
    """
    rows, _, height, width = frames.shape
    affine, centre = affine.to(frames.device), centre.to(frames.device)
    place = (torch.arange(size, device=frames.device) * 2 + 1) / size - 1  # middles of the input's pixels
    y, x = torch.meshgrid(place, place, indexing="ij")
    where = torch.stack([x, y, torch.ones_like(x)], dim=-1).view(1, -1, 3)  # [1,size²,3]
    inside = where @ affine.mT  # [N,size²,2]
    pixel = centre.flip(1).unsqueeze(1) + inside * (crop / 2)  # x and y from the picture's corner
    grid = pixel * torch.tensor([2 / width, 2 / height], device=frames.device) - 1
    grid = grid.view(rows, size, size, 2)
    sampled = F.grid_sample(frames.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled / 127.5 - 1  # [0,1], then mean 0.5 and deviation 0.5


def plain_batches(cines: CineSet, rows: NDArray[np.intp], crop: int, size: int, batch: int) -> Iterator[Tensor]:
    """[≤ batch,F,size,size] without augmentation, in order, where `loop.run` trains."""
    for start in range(0, len(rows), batch):
        frames, centre = cines.take(rows[start : start + batch])
        yield sample_cines(frames.to(device()), centre, no_affine(len(frames)), crop, size)
