"""Stage `distillation`: the denoiser in few steps, guidance included, by one of three methods (`METHODS`).

All of them learn from the teacher's guided steps (guidance folded in as by Meng et al. 2023, arXiv 2210.03142):

- `progressive`: one step of the student goes where several of the teacher go (Salimans & Ho 2022, arXiv 2202.00512,
  from many steps to few at once);
- `consistency`: the student tells the end of the teacher's path from anywhere on it, learning it from itself one step
  of the teacher further (Song et al. 2023, arXiv 2303.01469; in latents: Luo et al. 2023, arXiv 2310.04378). It draws
  with fresh noise before each step but the first;
- `flow`: the student learns straight lines from noise to what the teacher drew of it (rectified flow, Liu et al. 2022,
  arXiv 2209.03003), as v: on such a line noise and picture stay the same, which is where DDIM steps lose nothing.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from cardiacnets.configuration import to_json
from cardiacnets.data.latents import Conditions, LatentSet
from cardiacnets.device import device, generator_of
from cardiacnets.domain import View
from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, alpha_bar, both_of, guided, sample, signal_and_noise, timesteps
from cardiacnets.stages.diffusion import Averaged
from cardiacnets.stages.loop import OptimisationConfig, digest_of, rows_of_step, run

Method = Literal["progressive", "consistency", "flow"]
Ends = tuple[int, int]
"""Timesteps from and to; −1 is no noise."""


@dataclass(frozen=True)
class DistillationConfig:
    """Everything that decides the weights, but the data and the teacher."""

    method: Method = "progressive"
    steps: int = 8
    """Of the student."""
    teacher_steps: int = 3
    """Of the teacher, for each of the student's."""
    guidance: float = 2.0
    """Of the teacher."""
    pairs: float = 1.25
    """`flow`: people, for each step of training, whose cines the teacher draws first, in half as many steps as it takes
    for the other methods."""
    batch: int = 16
    average: float = 0.98
    validation_cines: int = 32
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(
            steps=200, learning_rate=3e-4, weight_decay=0.0, warm_up=0.05, save_every=50
        )
    )


@dataclass(frozen=True)
class Target:
    """What a student learns from in one training step, all [N,…]."""

    latent: Tensor
    timestep: Tensor
    tokens: Tensor
    embedding: Tensor
    view: Tensor
    target: Tensor
    """The v that it should predict."""

    def error_of(self, student: Denoiser) -> Tensor:
        """Mean square."""
        ones = torch.ones(len(self.view), device=self.view.device)
        said = student(self.latent, self.timestep, self.tokens, self.embedding, ones, self.view)
        return F.mse_loss(said, self.target)


def _down_to_none(schedule: ScheduleConfig, where: torch.device) -> Tensor:
    """ᾱ [T+1], the last one (timestep −1) of no noise."""
    return torch.cat([alpha_bar(schedule), torch.ones(1, dtype=torch.float64)]).to(where)


@torch.no_grad()
def destination(
    predict: Callable[[Tensor, Tensor], Tensor], latent: Tensor, ends: Ends, steps: int, schedule: ScheduleConfig
) -> Tensor:
    """Where DDIM comes to in so many steps, [N,…]."""
    bar = _down_to_none(schedule, latent.device)
    marks = np.linspace(*ends, steps + 1).round().astype(int)
    for now, later in pairwise(marks):
        rows = torch.full((len(latent),), int(now), device=latent.device)
        signal, noise = signal_and_noise(bar[rows], latent)
        said = predict(latent, rows.float())
        clean, epsilon = both_of(said, latent, signal, noise, schedule.prediction)
        signal, noise = signal_and_noise(bar[torch.full_like(rows, int(later))], latent)
        latent = signal * clean + noise * epsilon
    return latent


def leading_there(latent: Tensor, reached: Tensor, ends: Ends, schedule: ScheduleConfig) -> Tensor:
    """The v whose one DDIM step from `ends[0]` to `ends[1]` takes `latent` to `reached`."""
    bar = _down_to_none(schedule, latent.device)
    (signal, noise), (signal_there, noise_there) = (signal_and_noise(bar[[end]], latent) for end in ends)
    share = noise_there / noise
    clean = (reached - share * latent) / (signal_there - share * signal)
    return (signal * latent - clean) / noise


class Teacher:
    """The targets that a trained denoiser gives its student, for some people at a time."""

    def __init__(
        self, config: DistillationConfig, data: LatentSet, conditions: Conditions, teacher: Denoiser, out_dir: Path
    ) -> None:
        self.config, self.data, self.conditions = config, data, conditions
        self.pair_steps = max(1, config.steps * config.teacher_steps // 2)
        self.drawn = out_dir / f"pairs-{digest_of(teacher, config.guidance, self.pair_steps)}"
        self.teacher, self.views = teacher.to(device()), list(data.latents)
        self.bar = _down_to_none(config.schedule, device())

    def ecg(self, view: View, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, embeddings and view numbers."""
        tokens, embedding = (part.to(device()) for part in self.conditions.take(rows))
        return tokens, embedding, torch.full((len(rows),), self.views.index(view), device=device())

    def noisy(self, view: View, rows: NDArray[np.intp], timestep: int, generator: torch.Generator) -> Tensor:
        """True latents, with noise to a timestep."""
        latent = torch.from_numpy(self.data.latents[view][rows]).float().to(device())
        signal, noise = signal_and_noise(self.bar[[timestep]], latent)
        return signal * latent + noise * torch.randn(latent.shape, generator=generator).to(device())

    def progressive(self, view: View, rows: NDArray[np.intp], generator: torch.Generator, _: Denoiser) -> Target:
        """One step for several of the teacher's."""
        config = self.config
        marks = [*timesteps(config.schedule.steps, config.steps), -1]
        place = int(torch.randint(config.steps, (1,), generator=generator))
        ends = marks[place], marks[place + 1]
        latent, ecg = self.noisy(view, rows, ends[0], generator), self.ecg(view, rows)
        predict = guided(self.teacher, *ecg, config.guidance)
        reached = destination(predict, latent, ends, config.teacher_steps, config.schedule)
        return self._target(latent, ends[0], ecg, leading_there(latent, reached, ends, config.schedule))

    def consistency(self, view: View, rows: NDArray[np.intp], generator: torch.Generator, average: Denoiser) -> Target:
        """The end of the path, as the student's `average` sees it one step of the teacher further."""
        config = self.config
        levels = config.steps * config.teacher_steps
        marks = [*timesteps(config.schedule.steps, levels), -1]
        place = int(torch.randint(levels, (1,), generator=generator))
        now, later = marks[place], marks[place + 1]
        latent, ecg = self.noisy(view, rows, now, generator), self.ecg(view, rows)
        end = destination(guided(self.teacher, *ecg, config.guidance), latent, (now, later), 1, config.schedule)
        if later >= 0:
            end = destination(guided(average, *ecg, 1.0), end, (later, -1), 1, config.schedule)
        return self._target(latent, now, ecg, leading_there(latent, end, (now, -1), config.schedule))

    def flow(self, view: View, rows: NDArray[np.intp], generator: torch.Generator, _: Denoiser) -> Target:
        """Anywhere on the straight line from noise to what the teacher drew of it."""
        config = self.config
        noise, drawn = self.pairs(view, rows)
        marks = timesteps(config.schedule.steps, config.steps)
        chosen = torch.tensor(marks)[torch.randint(len(marks), (len(rows),), generator=generator)].to(device())
        signal, spread = signal_and_noise(self.bar[chosen], drawn)
        target = signal * noise - spread * drawn
        return self._target(signal * drawn + spread * noise, chosen, self.ecg(view, rows), target)

    def _target(
        self, latent: Tensor, timestep: int | Tensor, ecg: tuple[Tensor, Tensor, Tensor], target: Tensor
    ) -> Target:
        rows = torch.as_tensor(timestep, device=latent.device).expand(len(latent)).float()
        return Target(latent, rows, *ecg, target)

    def pairs(self, view: View, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Noise [N,…] of each person, and what the teacher drew of it; drawn once and kept."""
        config, shape = self.config, self.data.latents[view].shape[1:]
        number = self.views.index(view)
        noise = torch.stack([torch.randn(shape, generator=generator_of(0, number, int(row))) for row in rows])
        paths = [self.drawn / f"{view}-{row}.npy" for row in rows]
        missing = [place for place, path in enumerate(paths) if not path.exists()]
        if missing:
            predict = guided(self.teacher, *self.ecg(view, rows[missing]), config.guidance)
            latents = sample(predict, noise[missing].to(device()), config.schedule, self.pair_steps)
            self.drawn.mkdir(parents=True, exist_ok=True)
            for place, latent in zip(missing, latents.half().cpu(), strict=True):
                np.save(paths[place], latent.numpy())
        kept = np.stack([np.load(path) for path in paths])
        return noise.to(device()), torch.from_numpy(kept).float().to(device())


METHODS: Mapping[Method, Callable[[Teacher, View, NDArray[np.intp], torch.Generator, Denoiser], Target]] = {
    "progressive": Teacher.progressive,
    "consistency": Teacher.consistency,
    "flow": Teacher.flow,
}


STEPS: Mapping[Method, float] = {"progressive": 1.0, "consistency": 1.5, "flow": 1.5}
"""Training steps for as much computing, relative to the first."""


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
    teaching, ask = Teacher(config, data, conditions, teacher, out_dir), METHODS[config.method]
    model = Averaged(copy.deepcopy(teacher).requires_grad_(True), config.average)
    if config.method == "flow":
        train = train[: max(config.batch, round(config.pairs * optimisation.steps))]
        for view in views:
            for start in tqdm(range(0, len(train), config.batch), desc=f"the teacher draws, {view}", disable=None):
                teaching.pairs(view, train[start : start + config.batch])

    def target_of(step: int, rows: NDArray[np.intp], generator: torch.Generator) -> Target:
        return ask(teaching, views[step % len(views)], rows, generator, model.ema)

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        model.update(step)
        rows = rows_of_step(train, config.batch, step // len(views), optimisation.seed)
        return target_of(step, rows, generator).error_of(model.network)

    def validate() -> dict[str, float]:
        if not len(validation):
            return {}
        targets = [target_of(place, validation, generator_of(0, place)) for place in range(2 * len(views))]
        wrong = sum(each.error_of(model.ema) for each in targets)
        return {"relative": float(wrong / sum(each.target.square().mean() for each in targets))}

    return run("distillation", optimisation, to_json(config), model, loss_of, validate, out_dir)
