"""Stage `screening`: encoder and both heads in one run, from real labels (CAD) and virtual truth (all else)."""

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from cardiacnets.augment import AugmentConfig, augment
from cardiacnets.data.real import RealSet
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.domain import CONDITIONS
from cardiacnets.losses import masked_bce, masked_gaussian_nll
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.encoder import EncoderConfig
from cardiacnets.models.screen import Screen

TRAIN_FOLDS = tuple(range(1, 8))
VALIDATION_FOLD = 8
CAD = CONDITIONS.index("cad")
VIRTUAL_CONDITIONS = [index for index in range(len(CONDITIONS)) if index != CAD]


@dataclass(frozen=True)
class ScreeningConfig:
    """Everything that decides the weights, but the data."""

    seed: int = 1
    steps: int = 4400
    real_batch: int = 40
    virtual_batch: int = 24
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls as a cosine."""
    average_decay: float = 0.998
    """Of the moving average of weights that is validated and shipped."""
    statement_weight: float = 2.0
    """Of the auxiliary PTB-XL statements, which shape the encoder and are dropped at export. CAD on fold 8 after 450
    steps: .837 without, .858 with the five superclasses alone, .865 with the frequent statements too."""
    index_weight: float = 1.0
    bfloat16: bool = False
    validate_every: int = 1000
    save_every: int = 200
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class TrainingData:
    """Real and virtual sets, whole; the stage picks the training and validation rows."""

    real: RealSet
    virtual: VirtualSet


class TrainingModel(nn.Module):
    """The shipped model and the auxiliary head that only training sees."""

    def __init__(self, config: EncoderConfig, statements: int) -> None:
        super().__init__()
        self.screen = Screen(config)
        self.statements = nn.Linear(config.embedding, statements)


@dataclass(frozen=True)
class Batch:
    """Rows of both sets together; `real` [N,1] is 1 where the row is a real ECG."""

    ecg: Tensor
    person: Tensor
    real: Tensor
    conditions: Tensor
    statements: Tensor
    indices: Tensor


def _generator(*key: int) -> torch.Generator:
    """A generator that depends on nothing but `key`, so that a resumed run draws what an unbroken one would."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


def _rows_of_step(rows: np.ndarray, batch: int, step: int, seed: int) -> np.ndarray:
    """Rows of one step: epochs of shuffled rows laid end to end."""
    picked, position = [], step * batch
    while len(picked) < batch:
        epoch, offset = divmod(position, len(rows))
        order = np.random.default_rng([seed, epoch]).permutation(rows)
        part = order[offset : offset + batch - len(picked)]
        picked.extend(part)
        position += len(part)
    return np.array(picked)


def make_batch(data: TrainingData, real_rows: np.ndarray, virtual_rows: np.ndarray) -> Batch:
    """Gather rows; targets that a row does not know are NaN."""
    real, virtual = data.real, data.virtual
    n_real, n_virtual = len(real_rows), len(virtual_rows)
    conditions = np.full((n_real + n_virtual, len(CONDITIONS)), np.nan, dtype=np.float32)
    conditions[:n_real, CAD] = real.cad[real_rows]
    # The virtual CAD label is left out: the shipped CAD finding learns from real ECGs only.
    conditions[n_real:, VIRTUAL_CONDITIONS] = virtual.conditions[virtual_rows][:, VIRTUAL_CONDITIONS]
    statements = np.full((n_real + n_virtual, real.statements.shape[1]), np.nan, dtype=np.float32)
    statements[:n_real] = real.statements[real_rows]
    indices = np.full((n_real + n_virtual, virtual.indices.shape[1]), np.nan, dtype=np.float32)
    indices[n_real:] = virtual.indices[virtual_rows]
    is_real = np.zeros((n_real + n_virtual, 1), dtype=np.float32)
    is_real[:n_real] = 1
    ecg = np.concatenate([real.millivolt[real_rows], virtual.millivolt[virtual_rows]]).astype(np.float32)
    person = np.concatenate([real.person[real_rows], virtual.person[virtual_rows]])
    return Batch(*map(torch.from_numpy, (ecg, person, is_real, conditions, statements, indices)))


def losses(
    model: TrainingModel, batch: Batch, config: ScreeningConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """The parts of the loss on one augmented batch, each already weighted."""
    ecg, lead_mask, person_mask = augment(batch.ecg, batch.person, config.augment, generator)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        _, embedding = model.screen.encoder.trunk(ecg, lead_mask, batch.person, person_mask)
    embedding = embedding.float()
    logits = model.screen.screening_head(embedding)
    stated = model.statements(F.relu(embedding))
    mean, logvar = model.screen.function_head.standardised(embedding)
    target = model.screen.function_head.standard(batch.indices)
    known = (~batch.conditions.isnan()).float()
    return {
        "conditions": masked_bce(logits, batch.conditions, known),
        "statements": config.statement_weight
        * masked_bce(stated, batch.statements, batch.real.expand(-1, stated.shape[1])),
        "indices": config.index_weight * masked_gaussian_nll(mean, logvar, target, 1 - batch.real),
    }


def learning_rate(step: int, config: ScreeningConfig) -> float:
    """Linear rise, then a cosine to zero."""
    progress = step / config.steps
    if progress < config.warm_up:
        return config.learning_rate * (step + 1) / (config.warm_up * config.steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - config.warm_up) / (1 - config.warm_up)))


@torch.no_grad()
def _average(average: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


@torch.no_grad()
def predict(model: Screen, ecg: np.ndarray, person: np.ndarray, batch: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Condition logits [n,5] and index means [n,82] of mV [n][12][1000], all leads and known person fields given."""
    model.eval()
    logits, means = [], []
    for start in range(0, len(ecg), batch):
        rows = slice(start, start + batch)
        someone = torch.from_numpy(person[rows])
        millivolt = torch.from_numpy(ecg[rows].astype(np.float32))
        present = torch.ones(len(someone), 12)
        _, embedding = model.encoder.trunk(millivolt, present, someone, (~someone.isnan()).float())
        logits.append(model.screening_head(embedding).numpy())
        means.append(model.function_head(embedding)[0].numpy())
    return np.concatenate(logits), np.concatenate(means)


def validate(model: Screen, data: TrainingData) -> dict[str, float]:
    """AUROC of CAD on fold 8 and of the others on virtual validation people; mean R over the indices."""
    real = data.real.fold == VALIDATION_FOLD
    virtual = data.virtual.split == "val"
    figures = {}
    if real.any():
        logits, _ = predict(model, data.real.millivolt[real], data.real.person[real])
        figures["cad"] = auroc(data.real.cad[real], logits[:, CAD])
    logits, means = predict(model, data.virtual.millivolt[virtual], data.virtual.person[virtual])
    for index in VIRTUAL_CONDITIONS:
        figures[CONDITIONS[index]] = auroc(data.virtual.conditions[virtual, index], logits[:, index])
    figures["meanR"] = float(pearson(data.virtual.indices[virtual], means).mean())
    return figures


def _save(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _steps(first: int, last: int) -> Iterator[int]:
    return tqdm(range(first, last), initial=first, total=last, desc="screening", disable=None)


def train_screening(config: ScreeningConfig, data: TrainingData, out_dir: Path) -> Path:
    """Train, or go on from `out_dir/checkpoint.pt`; returns `out_dir/model.pt`, the averaged weights of `Screen`.

    `out_dir/log.jsonl` has a line each `validate_every` steps. Deterministic by seed on one machine and thread count.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint, finished, log = (out_dir / name for name in ("checkpoint.pt", "model.pt", "log.jsonl"))
    described = json.loads(json.dumps(asdict(config)))
    (out_dir / "config.json").write_text(json.dumps(described, indent=1) + "\n")

    torch.manual_seed(config.seed)
    model = TrainingModel(config.encoder, data.real.statements.shape[1])
    virtual_train = np.flatnonzero(data.virtual.split == "train")
    real_train = np.flatnonzero(np.isin(data.real.fold, TRAIN_FOLDS))
    model.screen.function_head.standardise(torch.from_numpy(data.virtual.indices[virtual_train]))
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["config"] != described:
            raise ValueError(f"{checkpoint} was made with another configuration")
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]

    running: dict[str, float] = {}
    for step in _steps(first, config.steps):
        batch = make_batch(
            data,
            _rows_of_step(real_train, config.real_batch, step, config.seed),
            _rows_of_step(virtual_train, config.virtual_batch, step, config.seed),
        )
        model.train()
        torch.manual_seed(config.seed * 1_000_003 + step)  # dropout
        parts = losses(model, batch, config, _generator(config.seed, step))
        optimiser.zero_grad(set_to_none=True)
        sum(parts.values()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, config)
        optimiser.step()
        _average(average, model, min(config.average_decay, (step + 1) / (step + 10)))
        for name, value in parts.items():
            running[name] = 0.98 * running.get(name, value.item()) + 0.02 * value.item()

        done = step + 1
        if done % config.validate_every == 0 or done == config.steps:
            line = {"step": done, "loss": running, "validation": validate(average.screen, data)}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if done % config.save_every == 0 or done == config.steps:
            _save(
                checkpoint,
                {
                    "config": described,
                    "step": done,
                    "model": model.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                },
            )
    _save(finished, {"config": described, "model": average.screen.state_dict()})
    return finished


def load_trained(path: Path) -> tuple[Screen, dict[str, Any]]:
    """The network of `model.pt`, in evaluation mode, and its configuration."""
    state = torch.load(path, weights_only=True)
    encoder = dict(state["config"]["encoder"])
    encoder["widths"] = tuple(encoder["widths"])
    model = Screen(EncoderConfig(**encoder))
    model.load_state_dict(state["model"])
    return model.eval(), state["config"]
