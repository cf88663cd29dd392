"""Stage `vae`: frames of both views → latents an eighth as wide, and back."""

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from cardiacnets.configuration import from_json, to_json
from cardiacnets.device import device
from cardiacnets.domain import View
from cardiacnets.models.vae import Vae, VaeConfig
from cardiacnets.stages.loop import OptimisationConfig, digest_of, rows_of_step, run, save


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
    """[n,16,side,side]."""
    split: NDArray[np.str_]

    def rows(self, split: str) -> NDArray[np.intp]:
        """Row numbers of a split."""
        return np.flatnonzero(self.split == split)


def normalised(frames: NDArray[np.uint8]) -> Tensor:
    """uint8 → [−1,1]."""
    return torch.from_numpy(np.array(frames)).float() / 127.5 - 1


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
        return normalised(cines.frames[view][rows, frame]).to(device()), number

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
    with torch.no_grad():
        some = train[:: max(1, len(train) // 200)]
        latents = [
            model.encode(normalised(cines.frames[view][some, 0]), _number(some, views, view))[0] for view in views
        ]
        flat = torch.cat([latent.transpose(0, 1).flatten(1) for latent in latents], dim=1)  # [C, all places]
        model.fit_scale(flat.unsqueeze(0).unsqueeze(-1))
    save(finished, {"config": described, "model": model.state_dict()})
    return finished


def _number(rows: Sized, views: list[View], view: View) -> Tensor:
    return torch.full((len(rows),), views.index(view))


def load_vae(path: Path) -> Vae:
    """The network of `model.pt`, frozen and in evaluation mode."""
    state = torch.load(path, weights_only=True)
    model = Vae(from_json(VaeConfig, state["config"]["vae"]))
    model.load_state_dict(state["model"])
    return model.requires_grad_(False).eval()


@torch.no_grad()
def encode_cines(vae: Vae, cines: ShortCineSet, view: View, folder: Path, batch: int = 4) -> NDArray[np.float16]:
    """Standardised latents [n,C,F,h,w] of a view from `folder`, or made and kept there; the name tells by what."""
    frames = cines.frames[view]
    path = folder / f"{view}-{digest_of(vae, frames.shape)}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        people, length, side = frames.shape[:3]
        part = path.with_suffix(".part.npy")
        shape = (people, vae.config.channels, length, side // 8, side // 8)
        made = open_memmap(part, mode="w+", dtype=np.float16, shape=shape)
        for start in range(0, people, batch):
            some = normalised(frames[start : start + batch])
            flat = some.flatten(0, 1)
            latents = vae.to_standard(vae.encode(flat, _number(flat, list(cines.frames), view))[0])
            made[start : start + batch] = latents.unflatten(0, some.shape[:2]).transpose(1, 2).numpy()
        made.flush()
        part.replace(path)
    return np.load(path)
