"""Stage `vae`: frames of both views → latents an eighth as wide, and back."""

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cardiacnets.configuration import from_json, to_json
from cardiacnets.device import device, process
from cardiacnets.domain import View
from cardiacnets.models.vae import Vae, VaeConfig
from cardiacnets.stages.loop import (
    OptimisationConfig,
    digest_of,
    first_process_first,
    rows_of_step,
    run,
    save_model,
)
from cardiacnets.stages.short_cines import FRAMES

SCALED_BY = 200
"""People whose latents give the scale."""


@dataclass(frozen=True)
class VaeTrainingConfig:
    """Everything that decides the weights, but the cines."""

    batch: int = 8
    """Frames, each of another person; views take turns."""
    edges: float = 1.0
    """Weight of the difference of neighbouring pixels: borders of the chambers are what is measured."""
    divergence: float = 3e-4
    """Weight of the mean divergence from a standard normal of a latent's element."""
    validation_frames: int = 128
    """Of each view."""
    frames: int = FRAMES
    """Of a cine, as it is learned and drawn."""
    side: int | None = None
    """Pixels a side that a crop is brought to; None: as it is."""
    vae: VaeConfig = field(default_factory=VaeConfig)
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(
            steps=4000, learning_rate=2e-3, weight_decay=0.01, warm_up=0.02, save_every=200
        )
    )


@dataclass(frozen=True)
class ShortCineSet:
    """`short_cines` of the same n people in each view, in the order of the view numbers."""

    frames: Mapping[View, NDArray[np.uint8]]
    """[n,F,side,side]."""
    split: NDArray[np.str_]

    def rows(self, split: str) -> NDArray[np.intp]:
        """Row numbers of a split."""
        return np.flatnonzero(self.split == split)


def normalised(frames: NDArray[np.uint8], side: int | None = None) -> Tensor:
    """uint8 [N,H,W] → [−1,1] where training runs, brought to `side` pixels a side by bilinear interpolation."""
    image = torch.from_numpy(np.array(frames)).to(device()).float() / 127.5 - 1
    if side is None or side == image.shape[-1]:
        return image
    return F.interpolate(image.unsqueeze(1), (side, side), mode="bilinear", align_corners=False).squeeze(1)


def psnr(drawn: Tensor, true: Tensor) -> float:
    """dB, both in [−1,1]."""
    return float(10 * torch.log10(4 / (drawn - true).square().mean()))


def vae_loss(vae: Vae, frames: Tensor, view: Tensor, config: VaeTrainingConfig, generator: torch.Generator) -> Tensor:
    """Absolute error, that of edges, and divergence of the latent. Frames [N,H,W], view [N] → scalar."""
    mean, logvar = vae.encode(frames, view)
    latent = mean + (0.5 * logvar).exp() * torch.randn(mean.shape, generator=generator).to(mean.device)
    error = vae.decode_raw(latent, view) - frames
    edges = error.diff(dim=1).abs().mean() + error.diff(dim=2).abs().mean()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return error.abs().mean() + config.edges * edges + config.divergence * divergence


def train_vae(config: VaeTrainingConfig, cines: ShortCineSet, out_dir: Path) -> Path:
    """Train on the split `train`, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`).

    The log has the PSNR of validation frames. The finished weights hold the scale of the latents.
    """
    optimisation, views = config.optimisation, list(cines.frames)
    torch.manual_seed(optimisation.seed)
    model = Vae(config.vae)
    train, validation = cines.rows("train"), cines.rows("val")[: config.validation_frames]

    def batch(view: View, rows: NDArray[np.intp], frame: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        number = torch.full((len(rows),), views.index(view), device=device())
        return normalised(cines.frames[view][rows, frame], config.side), number

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        view = views[step % len(views)]
        rows = rows_of_step(train, config.batch, step // len(views), optimisation.seed)
        frame = torch.randint(cines.frames[view].shape[1], (len(rows),), generator=generator).numpy()
        return vae_loss(model, *batch(view, rows, frame), config, generator)

    def validate() -> dict[str, float]:
        figures = {}
        for view in views:
            frame = np.arange(len(validation)) % cines.frames[view].shape[1]
            frames, number = batch(view, validation, frame)
            figures[f"{view}.psnr"] = psnr(model.decode_raw(model.encode(frames, number)[0], number), frames)
        return figures

    described = to_json(config)
    finished = run("vae", optimisation, described, model, loss_of, validate, out_dir)
    some = train[:: max(1, len(train) // SCALED_BY)]
    parts = np.array_split(some, -(-len(some) // config.batch))
    model.to(device())
    with torch.no_grad():
        latents = [model.encode(*batch(view, rows, np.zeros_like(rows)))[0].cpu() for view in views for rows in parts]
        model.cpu()
        flat = torch.cat([latent.transpose(0, 1).flatten(1) for latent in latents], dim=1)  # [C, all places]
        model.fit_scale(flat.unsqueeze(0).unsqueeze(-1))
    with first_process_first():
        if process()[0] == 0:
            save_model(finished, described, model.state_dict())
    return finished


def _number(rows: Sized, views: list[View], view: View) -> Tensor:
    return torch.full((len(rows),), views.index(view), device=device())


def load_vae(path: Path) -> Vae:
    """The network of `model.pt`, frozen and in evaluation mode."""
    state = torch.load(path, weights_only=True)
    model = Vae(from_json(VaeConfig, state["config"]["vae"]))
    model.load_state_dict(state["model"])
    return model.requires_grad_(False).eval()


@torch.no_grad()
def encode_cines(
    vae: Vae, cines: ShortCineSet, view: View, folder: Path, batch: int = 4, side: int | None = None
) -> NDArray[np.float16]:
    """Standardised latents [n,C,F,h,w] of a view, mapped from `folder`, or made there; the name tells by what.

    `side` as in `VaeTrainingConfig`.
    """
    frames = cines.frames[view]
    made_with = (frames.shape,) if side is None else (frames.shape, side)
    path = folder / f"{view}-{digest_of(vae, *made_with)}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        people, length = frames.shape[:2]
        small = (side or frames.shape[2]) // 8
        vae.to(device())
        part = path.with_suffix(".part.npy")
        shape = (people, vae.config.channels, length, small, small)
        made = open_memmap(part, mode="w+", dtype=np.float16, shape=shape)
        for start in range(0, people, batch):
            some = frames[start : start + batch]
            flat = normalised(some.reshape(-1, *some.shape[2:]), side)
            latents = vae.to_standard(vae.encode(flat, _number(flat, list(cines.frames), view))[0])
            made[start : start + batch] = latents.unflatten(0, some.shape[:2]).transpose(1, 2).cpu().numpy()
        made.flush()
        part.replace(path)
        vae.cpu()
    return np.load(path, mmap_mode="r")
