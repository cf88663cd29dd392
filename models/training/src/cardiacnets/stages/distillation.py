"""Stage `distillation`: the denoiser in few steps, guidance included.

One step of the student goes where several guided steps of the teacher go (progressive distillation, Salimans & Ho 2022,
arXiv 2202.00512, from many steps to few at once; guidance folded in as by Meng et al. 2023, arXiv 2210.03142).
"""

import copy
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, alpha_bar, both_of, guided, signal_and_noise, timesteps
from cardiacnets.stages.diffusion import Averaged, Conditions, LatentSet, described
from cardiacnets.stages.loop import OptimisationConfig, device, generator_of, rows_of_step, run


@dataclass(frozen=True)
class DistillationConfig:
    """Everything that decides the weights, but the data and the teacher."""

    steps: int = 8
    """Of the student."""
    teacher_steps: int = 3
    """Of the teacher, for each of the student's."""
    guidance: float = 2.0
    """Of the teacher. More of it shows more of the ECG, and exaggerates (`cardiacnets synthesis guidance`)."""
    batch: int = 16
    average: float = 0.98
    validation_cines: int = 32
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(
            steps=400, learning_rate=3e-4, weight_decay=0.0, warm_up=0.05, save_every=50
        )
    )


def _down_to_none(schedule: ScheduleConfig, where: torch.device) -> Tensor:
    """ᾱ [T+1], the last one (timestep −1) of no noise."""
    return torch.cat([alpha_bar(schedule), torch.ones(1, dtype=torch.float64)]).to(where)


@torch.no_grad()
def destination(
    teacher: Denoiser,
    latent: Tensor,
    ecg: tuple[Tensor, Tensor],
    view: Tensor,
    ends: tuple[int, int],
    config: DistillationConfig,
) -> Tensor:
    """Where the teacher comes to from timestep `ends[0]` at `ends[1]` (−1: no noise), [N,…]."""
    bar = _down_to_none(config.schedule, latent.device)
    predict = guided(teacher, *ecg, view, config.guidance)
    marks = np.linspace(*ends, config.teacher_steps + 1).round().astype(int)
    for now, later in pairwise(marks):
        rows = torch.full((len(latent),), int(now), device=latent.device)
        signal, noise = signal_and_noise(bar[rows], latent)
        said = predict(latent, rows.float())
        clean, epsilon = both_of(said, latent, signal, noise, config.schedule.prediction)
        signal, noise = signal_and_noise(bar[torch.full_like(rows, int(later))], latent)
        latent = signal * clean + noise * epsilon
    return latent


def leading_there(latent: Tensor, reached: Tensor, ends: tuple[int, int], schedule: ScheduleConfig) -> Tensor:
    """The v whose one DDIM step from `ends[0]` to `ends[1]` takes `latent` to `reached`."""
    bar = _down_to_none(schedule, latent.device)
    (signal, noise), (signal_there, noise_there) = (signal_and_noise(bar[[end]], latent) for end in ends)
    share = noise_there / noise
    clean = (reached - share * latent) / (signal_there - share * signal)
    return (signal * latent - clean) / noise


def train_distillation(
    config: DistillationConfig, data: LatentSet, conditions: Conditions, teacher: Denoiser, out_dir: Path
) -> Path:
    """Train on the split `train`, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`).

    The log has the error of a step on validation people, relative to the square of what is to be said.

    Raises:
        ValueError: the teacher does not predict v.
    """
    if config.schedule.prediction != "v":
        raise ValueError("distillation starts at noise alone, where only v says anything")
    optimisation, views = config.optimisation, list(data.latents)
    train, validation = (np.flatnonzero(data.split == name) for name in ("train", "val"))
    validation = validation[: config.validation_cines]
    model = Averaged(copy.deepcopy(teacher).requires_grad_(True), config.average)
    bar = alpha_bar(config.schedule).to(device())
    teacher.to(device())
    marks = [*timesteps(config.schedule.steps, config.steps), -1]

    def error(network: Denoiser, step: int, rows: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        view = views[step % len(views)]
        place = int(torch.randint(config.steps, (1,), generator=generator))
        ends = marks[place], marks[place + 1]
        latent = torch.from_numpy(data.latents[view][rows]).float().to(device())
        number = torch.full((len(rows),), views.index(view), device=device())
        tokens, embedding = (part.to(device()) for part in conditions.take(rows))
        signal, spread = signal_and_noise(bar[[ends[0]]], latent)
        mixed = signal * latent + spread * torch.randn(latent.shape, generator=generator).to(device())
        reached = destination(teacher, mixed, (tokens, embedding), number, ends, config)
        target = leading_there(mixed, reached, ends, config.schedule)
        ones = torch.ones(len(rows), device=device())
        said = network(mixed, ones * ends[0], tokens, embedding, ones, number)
        return F.mse_loss(said, target), target.square().mean()

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        model.update(step)
        rows = rows_of_step(train, config.batch, step // len(views), optimisation.seed)
        return error(model.network, step, rows, generator)[0]

    def validate() -> dict[str, float]:
        if not len(validation):
            return {}
        pairs = [error(model.ema, place, validation, generator_of(0, place)) for place in range(2 * len(views))]
        return {"relative": float(sum(wrong for wrong, _ in pairs) / sum(size for _, size in pairs))}

    return run("distillation", optimisation, described(config), model, loss_of, validate, out_dir)
