"""Stage `diffusion`: a denoiser of both views' latents, conditioned on the ECG by a frozen encoder."""

import copy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.configuration import from_json, to_json
from cardiacnets.data.latents import Conditions, LatentSet
from cardiacnets.data.paired import PairedSet
from cardiacnets.device import device, generator_of
from cardiacnets.domain import View
from cardiacnets.models.augment import AugmentConfig, augment
from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, alpha_bar, signal_and_noise
from cardiacnets.models.trunks import AnyTrunk
from cardiacnets.stages.loop import OptimisationConfig, digest_of, rows_of_step, run


@dataclass(frozen=True)
class DiffusionConfig:
    """Everything that decides the weights, but the data."""

    batch: int = 12
    """Cines of one view; views take turns."""
    dropout: float = 0.12
    """Share of the cines whose ECG is withheld, for guidance."""
    average: float = 0.995
    """Decay of the moving average of the weights, which is what draws."""
    condition_copies: int = 2
    """Augmented copies of each ECG that training draws from, beside the ECG as it is."""
    late: float = 0.7
    """Steps are drawn as T·u^late: below 1, more of the noisy ones, where size and motion of the heart are settled;
    what is left at little noise the decoder smooths away."""
    validation_cines: int = 64
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(reversal=0, inversion=0))
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(
            steps=8000, learning_rate=2e-3, weight_decay=0.01, warm_up=0.03, save_every=100
        )
    )


@torch.no_grad()
def encode_ecgs(
    trunk: AnyTrunk, people: PairedSet, config: DiffusionConfig, folder: Path, batch: int = 64
) -> Conditions:
    """`Conditions` mapped from `folder`, or made there; the name holds what they were made with."""
    made_with = digest_of(trunk, config.condition_copies, config.augment, people.millivolt.shape)
    finished = folder / f"ecg-{made_with}"
    if not finished.exists():
        trunk.eval().to(device())
        part = finished.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[np.float16]] = {}
        for start in range(0, len(people.split), batch):
            some = slice(start, start + batch)
            person = torch.from_numpy(np.array(people.person[some]))
            millivolt = torch.from_numpy(people.millivolt[some].astype(np.float32))
            generator = generator_of(config.optimisation.seed, start)
            versions = [(millivolt, torch.ones(len(person), 12), (~person.isnan()).float())]
            versions += [augment(millivolt, person, config.augment, generator) for _ in range(config.condition_copies)]
            answers = [
                trunk(*(x.to(device()) for x in (changed, leads, person, known))) for changed, leads, known in versions
            ]
            for name, values in zip(("tokens", "embedding"), zip(*answers, strict=True), strict=True):
                rows = torch.stack(values, dim=1).half().cpu().numpy()
                if name not in arrays:
                    shape = (len(people.split), *rows.shape[1:])
                    arrays[name] = open_memmap(part / f"{name}.npy", mode="w+", dtype=np.float16, shape=shape)
                arrays[name][some] = rows
        trunk.cpu()
        del arrays  # written and closed
        part.replace(finished)
    return Conditions(*(np.load(finished / f"{name}.npy", mmap_mode="r") for name in ("tokens", "embedding")))


class Averaged(nn.Module):
    """A network and the moving average of its weights, `ema`, which learns nothing itself."""

    network: Denoiser
    ema: Denoiser

    def __init__(self, network: Denoiser, decay: float) -> None:
        super().__init__()
        self.network = network
        self.ema = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as they stand; at first they count for more."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for slow, fast in zip(self.ema.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def noisy(latent: Tensor, bar: Tensor, schedule: ScheduleConfig, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Latent [N,…] with noise to ᾱ [N], and what the network is to say of it."""
    signal, spread = signal_and_noise(bar, latent)
    target = noise if schedule.prediction == "epsilon" else signal * noise - spread * latent
    return signal * latent + spread * noise, target


Question = tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...], Tensor]
"""Latents, numbers of their views, steps, ECGs (tokens, embedding, whether they count), and the noise."""


def _batch(data: LatentSet, view: View, rows: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
    latent = torch.from_numpy(data.latents[view][rows]).float()
    number = list(data.latents).index(view)
    return latent.to(device()), torch.full((len(rows),), number, device=device())


def _error(network: nn.Module, schedule: ScheduleConfig, bar: Tensor, question: Question) -> Tensor:
    """Mean square."""
    latent, view, step, ecg, noise = question
    mixed, target = noisy(latent, bar[step].to(latent.device), schedule, noise.to(latent.device))
    said = network(mixed, step.float().to(latent.device), *(part.to(latent.device) for part in ecg), view)
    return F.mse_loss(said.float(), target)


@torch.no_grad()
def validation_errors(
    network: nn.Module, config: DiffusionConfig, data: LatentSet, conditions: Conditions
) -> dict[str, float]:
    """`VIEW.withEcg` and `VIEW.withoutEcg`: errors of a network on `device()`, the same noise each time."""
    figures: dict[str, float] = {}
    rows, bar = np.flatnonzero(data.split == "val")[: config.validation_cines], alpha_bar(config.schedule)
    for view in data.latents if len(rows) else []:
        latent, number = _batch(data, view, rows)
        when = torch.linspace(0, config.schedule.steps - 1, len(rows)).long()
        noise = torch.randn(latent.shape, generator=generator_of(0))
        known = conditions.take(rows)
        for name, counts in (("withoutEcg", torch.zeros), ("withEcg", torch.ones)):
            ecg = (*known, counts(len(rows)))
            question = latent, number, when, ecg, noise
            figures[f"{view}.{name}"] = _error(network, config.schedule, bar, question).item()
    return figures


def train_diffusion(
    config: DiffusionConfig, data: LatentSet, conditions: Conditions, out_dir: Path, start: Denoiser | None = None
) -> Path:
    """Train on the split `train`, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`).

    `start`: a network of the same sizes that training begins with, if any.

    The log has the error on validation people with and without their ECG, the same noise each time: where they are
    equal, the ECG says nothing of the picture.
    """
    optimisation, views = config.optimisation, list(data.latents)
    train = np.flatnonzero(data.split == "train")
    torch.manual_seed(optimisation.seed)
    network = Denoiser(config.denoiser)
    if start is not None:
        network.load_state_dict(start.state_dict())
    model = Averaged(network, config.average)
    model.to(memory_format=torch.channels_last)  # a step of the compact one takes .49 s for .71 on one core
    bar = alpha_bar(config.schedule)

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        model.update(step)
        view = views[step % len(views)]
        rows = rows_of_step(train, config.batch, step // len(views), optimisation.seed)
        latent, number = _batch(data, view, rows)
        noise = torch.randn(latent.shape, generator=generator)
        place = torch.rand(len(rows), generator=generator) ** config.late
        when = (place * config.schedule.steps).long().clamp_max(config.schedule.steps - 1)
        counts = (torch.rand(len(rows), generator=generator) >= config.dropout).float()
        copies = torch.randint(config.condition_copies + 1, (len(rows),), generator=generator).numpy()
        ecg = (*conditions.take(rows, copies), counts)
        return _error(model.network, config.schedule, bar, (latent, number, when, ecg, noise))

    def validate() -> dict[str, float]:
        return validation_errors(model.ema, config, data, conditions)

    return run("diffusion", optimisation, to_json(config), model, loss_of, validate, out_dir)


Ecgs = tuple[Tensor, Tensor]
"""Tokens [N,32,D] and embeddings [N,E] of the same people, as one encoder makes them."""
PENALTY = 30.0
"""Of the ridge regressions in `fitted_to`, in rows."""


@torch.no_grad()
def fitted_to(network: Denoiser, before: Ecgs, after: Ecgs) -> tuple[Denoiser, dict[str, float]]:
    """A denoiser that knows one encoder, so that training can go on with another; and R² of each layer that was fitted.

    Its three layers that read the ECG become those that say of `after` what they said of `before` (ridge regression).
    """
    made, explained = copy.deepcopy(network), {}
    tokens, embedding = (F.layer_norm(part, part.shape[-1:]) for part in after)
    known = network.embedding_norm(before[1])
    layers = {
        "whole": (made.whole, embedding, network.whole(known)),
        "whole_token": (made.whole_token, embedding, network.whole_token(known)),
        "token": (made.token[1], tokens.flatten(0, 1), network.token(before[0]).flatten(0, 1)),
    }
    for name, (layer, inputs, targets) in layers.items():
        assert isinstance(layer, nn.Linear)
        x, y = inputs.double(), targets.double()
        middle, mean = x.mean(dim=0), y.mean(dim=0)
        x, y = x - middle, y - mean
        weight = torch.linalg.solve(x.T @ x + PENALTY * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
        layer.weight.copy_(weight.T)
        layer.bias.copy_(mean - middle @ weight)
        explained[name] = float(1 - ((x @ weight - y) ** 2).sum() / (y**2).sum())
    for norm in (made.embedding_norm, made.token[0]):
        assert isinstance(norm, nn.LayerNorm)
        norm.reset_parameters()
    return made, explained


def load_denoiser(path: Path) -> tuple[Denoiser, ScheduleConfig]:
    """The averaged network of `model.pt`, frozen and in evaluation mode, and the schedule that it knows."""
    state = torch.load(path, weights_only=True)
    model = Denoiser(from_json(DenoiserConfig, state["config"]["denoiser"]))
    prefix = "ema."
    own = {name.removeprefix(prefix): value for name, value in state["model"].items() if name.startswith(prefix)}
    model.load_state_dict(own)
    return model.requires_grad_(False).eval(), ScheduleConfig(**state["config"]["schedule"])
