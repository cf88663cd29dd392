"""Draw cines with the PyTorch networks, and read function from cines: what `synthesis_report` measures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiacnets.data.cines import CROP
from cardiacnets.data.cmr_preparation import Segmenter
from cardiacnets.data.latents import Conditions
from cardiacnets.domain import View
from cardiacnets.models.denoiser import DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, guided, sample
from cardiacnets.models.swin import Swin
from cardiacnets.models.vae import CineDecoder, Vae
from cardiacnets.stages.short_cines import resampling
from cardiacnets.synthesis.readout import features_of, label_areas

LABELS: Mapping[View, int] = {"short_axis": 3, "four_chamber": 5}
Cines = Mapping[View, NDArray[np.uint8]]
"""[n,16,side,side] of each view, in the order of the view numbers."""


@dataclass(frozen=True)
class Sampler:
    """How cines are drawn: networks (of PyTorch, or ONNX files behind the same calls), steps and guidance."""

    decoder: Callable[[Tensor, Tensor], Tensor]
    denoiser: Callable[..., Tensor]
    config: DenoiserConfig
    schedule: ScheduleConfig
    steps: int
    guidance: float
    renoise: bool = False
    """Whether each step but the first starts from fresh noise, as consistency models draw."""


def to_pixels(frames: Tensor) -> NDArray[np.uint8]:
    """[−1,1] → uint8."""
    return ((frames + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


@torch.no_grad()
def draw(sampler: Sampler, conditions: Conditions, rows: NDArray[np.intp], seed: int, batch: int = 16) -> Cines:
    """Both views of some people, from noise that hangs on the seed and the person."""
    config = sampler.config
    cines: dict[View, NDArray[np.uint8]] = {}
    for number, (view, side) in enumerate(CROP.items()):
        parts = []
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            shape = (config.channels, config.frames, side // 8, side // 8)
            sources = [torch.Generator().manual_seed(1_000_003 * seed + 2 * int(row) + number) for row in some]

            def noise(sources: list[torch.Generator] = sources, shape: tuple[int, ...] = shape) -> Tensor:
                return torch.stack([torch.randn(shape, generator=source) for source in sources])

            views = torch.full((len(some),), number)
            predict = guided(sampler.denoiser, *conditions.take(some), views, sampler.guidance)
            latent = sample(predict, noise(), sampler.schedule, sampler.steps, noise if sampler.renoise else None)
            parts.append(to_pixels(sampler.decoder(latent, views)))
        cines[view] = np.concatenate(parts)
    return cines


def measure_features(cines: Cines, segmenters: Mapping[View, Segmenter]) -> NDArray[np.float64]:
    """What our U-Nets find in each cine, [n,features] (`readout`)."""
    areas = {
        view: np.stack([label_areas(segmenters[view](cine), LABELS[view]) for cine in frames])
        for view, frames in cines.items()
    }
    return features_of(areas)


@torch.no_grad()
def cine_embeddings(encoder: Swin, frames: NDArray[np.uint8], batch: int = 16) -> NDArray[np.float32]:
    """[n,16,side,side] → what the CMR encoder of that view makes of them, [n,E], brought to its 50 frames."""
    stretch = torch.from_numpy(resampling(frames.shape[1], encoder.config.frames))
    parts = []
    for start in range(0, len(frames), batch):
        short = torch.from_numpy(np.ascontiguousarray(frames[start : start + batch])).float() / 127.5 - 1
        cine = torch.einsum("oi,nihw->nohw", stretch, short).clamp(-1, 1)
        parts.append(encoder.embedding(cine))
    return torch.cat(parts).numpy()


def reconstruct(vae: Vae, latents: Mapping[View, NDArray[np.float16]], rows: NDArray[np.intp]) -> Cines:
    """What the decoder makes of people's own latents: the most that any denoiser could reach."""
    decode = partial(torch.no_grad()(CineDecoder(vae).forward))
    return {
        view: np.concatenate(
            [to_pixels(decode(torch.from_numpy(values[[row]]).float(), torch.tensor([number]))) for row in rows]
        )
        for number, (view, values) in enumerate(latents.items())
    }
