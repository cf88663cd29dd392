"""Noise schedule and the reference sampler (DDIM, arXiv 2010.02502), which `shared/inference` must reproduce."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Prediction = Literal["v", "epsilon"]


@dataclass(frozen=True)
class ScheduleConfig:
    """`linear_sd`: β runs linearly in its square root."""

    steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    zero_terminal_snr: bool = True
    """Rescaled so that the last step is noise alone, as sampling starts (Lin et al. 2024, arXiv 2305.08891)."""
    prediction: Prediction = "v"

    def __post_init__(self) -> None:
        if self.zero_terminal_snr and self.prediction == "epsilon":
            raise ValueError("ε says nothing about a picture that is noise alone: predict v")


SCHEDULE_PAPER = ScheduleConfig(zero_terminal_snr=False, prediction="epsilon")
STEPS_PAPER, GUIDANCE_PAPER = 50, 9.0


def alpha_bar(config: ScheduleConfig) -> Tensor:
    """ᾱ [T], float64: the share of the signal's variance at each step."""
    beta = torch.linspace(config.beta_start**0.5, config.beta_end**0.5, config.steps, dtype=torch.float64) ** 2
    cumulative = torch.cumprod(1 - beta, dim=0)
    if not config.zero_terminal_snr:
        return cumulative
    root = cumulative.sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2


def timesteps(total: int, steps: int) -> list[int]:
    """The trailing ones: round(T − i·T/S) − 1, halves up."""
    return [int(total - i * total / steps + 0.5) - 1 for i in range(steps)]


def signal_and_noise(bar: Tensor, shape_like: Tensor) -> tuple[Tensor, Tensor]:
    """√ᾱ and √(1 − ᾱ) of [N], as float32 that multiplies [N,…]."""
    shape = (-1, *[1] * (shape_like.dim() - 1))
    return bar.sqrt().float().view(shape), (1 - bar).sqrt().float().view(shape)


def both_of(
    prediction: Tensor, noisy: Tensor, signal: Tensor, noise: Tensor, kind: Prediction
) -> tuple[Tensor, Tensor]:
    """What the network predicts → the clean latent and ε."""
    if kind == "v":  # Salimans & Ho 2022, arXiv 2202.00512
        return signal * noisy - noise * prediction, noise * noisy + signal * prediction
    return (noisy - noise * prediction) / signal, prediction


@torch.no_grad()
def sample(
    predict: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    config: ScheduleConfig,
    steps: int,
    fresh: Callable[[], Tensor] | None = None,
) -> Tensor:
    """DDIM, η 0, from noise [N,…]; `predict(latent, timestep [N])` is guided already.

    `fresh`: noise [N,…] for each step but the first, in place of what the network took off, as consistency models draw.
    """
    bar = alpha_bar(config)
    chosen = timesteps(config.steps, steps)
    latent = start
    for now, later in zip(chosen, [*chosen[1:], -1], strict=True):
        rows = torch.full((len(latent),), now)
        signal, noise = signal_and_noise(bar[rows], latent)
        clean, epsilon = both_of(predict(latent, rows.float()), latent, signal, noise, config.prediction)
        if later < 0:
            return clean
        signal, noise = signal_and_noise(bar[torch.full_like(rows, later)], latent)
        latent = signal * clean + noise * (epsilon if fresh is None else fresh())
    return latent


def guided(
    denoiser: Callable[..., Tensor], tokens: Tensor, embedding: Tensor, view: Tensor, guidance: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598): uncond + g · (cond − uncond) in one call."""
    rows = len(view)
    if guidance == 1:
        ones = torch.ones(rows, device=view.device)
        return lambda latent, step: denoiser(latent, step, tokens, embedding, ones, view)
    twice = [torch.cat([value, value]) for value in (tokens, embedding, view)]
    flag = torch.cat([torch.zeros(rows), torch.ones(rows)]).to(view.device)

    def predict(latent: Tensor, step: Tensor) -> Tensor:
        both = denoiser(torch.cat([latent, latent]), torch.cat([step, step]), *twice[:2], flag, twice[2])
        without, with_ecg = both.chunk(2)
        return without + guidance * (with_ecg - without)

    return predict
