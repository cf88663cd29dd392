"""Stage `further`: a bundle's heads learn new targets while its convolutions stay as they are.

What the convolutions make of an ECG is computed once, with all leads and once more with leads left out, gain and
noise. The projection, the person's branch and both heads then learn on it: minutes of one core, where `screening`
takes hours. What an encoder has learned of CAD cannot be lost, and what it never saw cannot be learned.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiacnets.configuration import to_json
from cardiacnets.data.real import RealSet
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.device import generator_of
from cardiacnets.models.augment import AugmentConfig, augment, random_person_mask
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.stages.loop import OptimisationConfig, learning_rate, save
from cardiacnets.stages.screening import (
    TRAIN_FOLDS,
    VALIDATION_FOLD,
    Batch,
    ScreeningConfig,
    TrainingData,
    TrainingModel,
    figures_of,
    head_losses,
    isolated_rows,
    make_batch,
)


@dataclass(frozen=True)
class FurtherConfig:
    """Everything that decides the heads, but the data and the bundle that they go on from."""

    # Weight of `isolated_excess` (fold 8, 900 steps): RBBB taken for PH, LBBB for CM, AUROC of the proxies LVH and RVH.
    # 0: 100%, 100%, .77, .90;  .04: 59%, 17%, .74, .86;  .15: 12%, 6%, .69, .77. Bundle 0.4.0: 88%, 100%, .77, .93.
    screening: ScreeningConfig = field(
        default_factory=lambda: ScreeningConfig(
            real_batch=224, isolated_batch=48, virtual_batch=240, isolated_weight=0.04, average=0.99
        )
    )
    augmented: float = 0.5
    """Share of the rows of a batch that come with leads left out, gain and noise."""
    features: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(crop_resize=0.08, gain=0.12, noise_mv=0.015, lead_dropout=0.6)
    )
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(steps=900, learning_rate=1e-3, save_every=150)
    )


@dataclass(frozen=True)
class Features:
    """What the convolutions make of n ECGs, as they are and augmented: float16 [n,576] each."""

    clean: NDArray[np.float16]
    augmented: NDArray[np.float16]

    def of(self, rows: NDArray[np.intp], is_augmented: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Some rows of either."""
        return np.where(is_augmented[:, None], self.augmented[rows], self.clean[rows]).astype(np.float32)


@torch.no_grad()
def features_of(
    trunk: Trunk, millivolt: NDArray[np.floating], config: AugmentConfig, seed: int, batch: int = 48
) -> Features:
    """Both passes over mV [n,12,1000]."""
    trunk.eval()
    found: dict[str, list[NDArray[np.floating]]] = {"clean": [], "augmented": []}
    for start in range(0, len(millivolt), batch):
        ecg = torch.from_numpy(millivolt[start : start + batch].astype(np.float32))
        changed, mask, _ = augment(ecg, torch.zeros(len(ecg), 4), config, generator_of(seed, start))
        for name, signal, present in (("clean", ecg, torch.ones(len(ecg), 12)), ("augmented", changed, mask)):
            found[name].append(trunk.pool(signal, present)[1].numpy().astype(np.float16))
    return Features(np.concatenate(found["clean"]), np.concatenate(found["augmented"]))


def _embed(model: Screen, pooled: NDArray[np.floating], person: Tensor, person_mask: Tensor) -> Tensor:
    trunk = model.encoder.trunk
    assert isinstance(trunk, Trunk), "its convolutions are what stays as it is"
    return trunk.embed(torch.from_numpy(pooled), person, person_mask)


@torch.no_grad()
def predict(
    model: Screen, pooled: NDArray[np.floating], person: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Condition logits [n,5] and index means [n,82] of ECGs with all leads."""
    model.eval()
    someone = torch.from_numpy(person)
    embedding = _embed(model, pooled.astype(np.float32), someone, (~someone.isnan()).float())
    return model.screening_head(embedding).numpy(), model.function_head(embedding)[0].numpy()


def train_further(
    config: FurtherConfig, data: TrainingData, features: Mapping[str, Features], start: Screen, out_dir: Path
) -> Path:
    """Train the heads of `start`; returns `out_dir/model.pt`, as `train_screening` leaves it.

    `features`: of all rows of `real` and of `virtual`. The best of the checks on validation data is kept, by `score`.
    """
    optimisation, settings = config.optimisation, config.screening
    torch.manual_seed(optimisation.seed)
    model = TrainingModel(settings, data.real.statements.shape[1])
    for network in (model.screen, model.shipped):
        network.load_state_dict(start.state_dict())
    trunk = model.screen.encoder.trunk
    own = {*trunk.project.parameters(), *trunk.person.parameters()}
    for parameter in model.screen.encoder.parameters():
        parameter.requires_grad_(parameter in own)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learning, weight_decay=optimisation.weight_decay)
    real, virtual = data.real, data.virtual
    rows_of = {
        "usual": (np.flatnonzero(np.isin(real.fold, TRAIN_FOLDS)), settings.real_batch),
        "virtual": (np.flatnonzero(virtual.split == "train"), settings.virtual_batch),
    }
    isolated = isolated_rows(real.kind, rows_of["usual"][0], optimisation.seed) if real.kind is not None else None
    rng = np.random.default_rng(optimisation.seed)
    light = TrainingData(_without_signals(real), _without_signals(virtual))
    described = to_json(settings) | {"further": to_json(config)}
    out_dir.mkdir(parents=True, exist_ok=True)
    best, log = -np.inf, out_dir / "log.jsonl"
    log.write_text("")
    losses: list[float] = []
    for step in range(optimisation.steps):
        model.train()
        usual, people = (rng.choice(rows, batch) for rows, batch in rows_of.values())
        if isolated is not None and len(isolated) and settings.isolated_batch:
            usual = np.concatenate([usual, rng.choice(isolated, settings.isolated_batch)])
        batch = make_batch(light, usual, people, held=settings.held)
        pooled = np.concatenate([
            features["real"].of(usual, rng.random(len(usual)) < config.augmented),
            features["virtual"].of(people, rng.random(len(people)) < config.augmented),
        ])  # fmt: skip
        mask = random_person_mask(batch.person, settings.augment.person_dropout, generator_of(optimisation.seed, step))
        loss = _loss(model, batch, pooled, mask, settings)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, optimisation.clip)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, optimisation)
        optimiser.step()
        model.update(step)
        losses.append(loss.item())
        done = step + 1
        if done % optimisation.save_every == 0 or done == optimisation.steps:
            figures = validate(model.shipped, light, features)
            line = {"step": done, "loss": float(np.mean(losses)), "validation": figures}
            losses = []
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            if score(figures) > best:
                best = score(figures)
                save(out_dir / "model.pt", {"config": described, "model": model.state_dict(), "step": done})
    return out_dir / "model.pt"


def _loss(
    model: TrainingModel, batch: Batch, pooled: NDArray[np.floating], mask: Tensor, config: ScreeningConfig
) -> Tensor:
    embedding = _embed(model.screen, pooled, batch.person, mask)
    return sum(head_losses(model, embedding, batch, config).values(), torch.zeros(()))


Set = TypeVar("Set", RealSet, VirtualSet)


def _without_signals(some: Set) -> Set:
    """The same labels; the signals are in the features."""
    return replace(some, millivolt=np.zeros((len(some.person), 1), dtype=np.float16))


def validate(model: Screen, data: TrainingData, features: Mapping[str, Features]) -> dict[str, float]:
    """As `screening.validate`, on features."""
    real, virtual = data.real.fold == VALIDATION_FOLD, data.virtual.split == "val"
    on_real = predict(model, features["real"].clean[real], data.real.person[real])
    on_virtual = predict(model, features["virtual"].clean[virtual], data.virtual.person[virtual])
    return figures_of(data, real, virtual, on_real, on_virtual)


def score(figures: Mapping[str, float]) -> float:
    """What the kept check is chosen by: CAD counts twice, the rest once, and so do the proxies on real ECGs."""
    names = ("cm", "pericarditis", "ph", "meanR", "hfTeacherR", "cmProxy", "phProxy")
    return 2 * figures.get("cad", 0.0) + sum(figures.get(name, 0.0) for name in names)
