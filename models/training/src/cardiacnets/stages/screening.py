"""Stage `screening`: both heads on the ECG encoder, from real labels (CAD) and virtual truth (all else).

The encoder starts from scratch or from a pretrained trunk, and learns on with the heads or stays as it is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.real import RealSet
from ..data.virtual import VirtualSet
from ..domain import CONDITIONS
from ..metrics import auroc, pearson
from ..models.augment import AugmentConfig, augment
from ..models.encoder import EncoderConfig, Trunk, encoder_config
from ..models.losses import masked_bce, masked_gaussian_nll
from ..models.screen import Screen
from .loop import OptimisationConfig, rows_of_step, run

TRAIN_FOLDS = tuple(range(1, 8))
VALIDATION_FOLD = 8
CAD = CONDITIONS.index("cad")
VIRTUAL_CONDITIONS = [index for index in range(len(CONDITIONS)) if index != CAD]


@dataclass(frozen=True)
class ScreeningConfig:
    """Everything that decides the weights, but the data and the trunk that training starts from."""

    real_batch: int = 40
    """0: virtual people only."""
    virtual_batch: int = 24
    is_frozen: bool = False
    """The trunk stays as pretraining left it, and the heads alone learn."""
    virtual_cad: bool = False
    """Learn CAD from virtual people too. Not for what is shipped: its CAD finding learned from real ECGs only."""
    label_fraction: float = 1.0
    """Share of the virtual training people whose labels are known; who they are follows from the seed."""
    statement_weight: float = 2.0
    """Of the auxiliary PTB-XL statements, which shape the encoder and are dropped at export. CAD on fold 8 after 450
    steps: .837 without, .858 with the five superclasses alone, .865 with the frequent statements too."""
    index_weight: float = 1.0
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimisation: OptimisationConfig = field(
        default_factory=lambda: OptimisationConfig(steps=4400, learning_rate=2e-3, warm_up=0.1)
    )


@dataclass(frozen=True)
class TrainingData:
    """Real and virtual sets, whole; the stage picks the training and validation rows."""

    real: RealSet
    virtual: VirtualSet


class TrainingModel(nn.Module):
    """The shipped model and the auxiliary head that only training sees."""

    def __init__(self, config: ScreeningConfig, statements: int) -> None:
        super().__init__()
        self.screen = Screen(config.encoder)
        self.statements = nn.Linear(config.encoder.embedding, statements)
        self.is_frozen = config.is_frozen
        self.screen.encoder.requires_grad_(not config.is_frozen)

    def train(self, mode: bool = True) -> Self:
        """A frozen trunk keeps its batch statistics, and drops nothing out."""
        super().train(mode)
        if self.is_frozen:
            self.screen.encoder.eval()
        return self


@dataclass(frozen=True)
class Batch:
    """Rows of both sets together; `real` [N,1] is 1 where the row is a real ECG."""

    ecg: Tensor
    person: Tensor
    real: Tensor
    conditions: Tensor
    statements: Tensor
    indices: Tensor


def make_batch(
    data: TrainingData, real_rows: NDArray[np.intp], virtual_rows: NDArray[np.intp], *, virtual_cad: bool = False
) -> Batch:
    """Gather rows; targets that a row does not know are NaN."""
    real, virtual = data.real, data.virtual
    n_real, n_virtual = len(real_rows), len(virtual_rows)
    taught = virtual.conditions[virtual_rows].astype(np.float32)
    if not virtual_cad:
        taught[:, CAD] = np.nan
    statements = np.full((n_real + n_virtual, real.statements.shape[1]), np.nan, dtype=np.float32)
    statements[:n_real] = real.statements[real_rows]
    indices = np.full((n_real + n_virtual, virtual.indices.shape[1]), np.nan, dtype=np.float32)
    indices[n_real:] = virtual.indices[virtual_rows]
    if real.indices is not None:
        indices[:n_real] = real.indices[real_rows]
    is_real = np.zeros((n_real + n_virtual, 1), dtype=np.float32)
    is_real[:n_real] = 1
    ecg = np.concatenate([real.millivolt[real_rows], virtual.millivolt[virtual_rows]]).astype(np.float32)
    person = np.concatenate([real.person[real_rows], virtual.person[virtual_rows]])
    conditions = np.concatenate([real.conditions[real_rows], taught])
    return Batch(*map(torch.from_numpy, (ecg, person, is_real, conditions, statements, indices)))


def losses(
    model: TrainingModel, batch: Batch, config: ScreeningConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """The parts of the loss on one augmented batch, each already weighted."""
    where = next(model.parameters()).device
    ecg, lead_mask, person_mask = augment(batch.ecg, batch.person, config.augment, generator)
    ecg, lead_mask, person_mask = ecg.to(where), lead_mask.to(where), person_mask.to(where)
    batch = Batch(*(getattr(batch, part.name).to(where) for part in fields(batch)))
    with torch.set_grad_enabled(not config.is_frozen):
        _, embedding = model.screen.encoder.trunk(ecg, lead_mask, batch.person, person_mask)
    with torch.autocast(embedding.device.type, enabled=False):  # variances want more digits than bfloat16 has
        return _head_losses(model, embedding.float(), batch, config)


def _head_losses(model: TrainingModel, embedding: Tensor, batch: Batch, config: ScreeningConfig) -> dict[str, Tensor]:
    logits = model.screen.screening_head(embedding)
    stated = model.statements(F.relu(embedding))
    mean, logvar = model.screen.function_head.standardised(embedding)
    target = model.screen.function_head.standard(batch.indices)
    known = (~batch.conditions.isnan()).float()
    return {
        "conditions": masked_bce(logits, batch.conditions, known),
        "statements": config.statement_weight
        * masked_bce(stated, batch.statements, batch.real.expand(-1, stated.shape[1])),
        "indices": config.index_weight * masked_gaussian_nll(mean, logvar, target, (~target.isnan()).float()),
    }


@torch.no_grad()
def predict(model: Screen, ecg: NDArray, person: NDArray, batch: int = 128) -> tuple[NDArray, NDArray]:
    """Condition logits [n,5] and index means [n,82] of mV [n][12][1000], all leads and known person fields given."""
    where = next(model.parameters()).device
    model.eval()
    logits, means = [], []
    for start in range(0, len(ecg), batch):
        rows = slice(start, start + batch)
        someone = torch.from_numpy(person[rows]).to(where)
        millivolt = torch.from_numpy(ecg[rows].astype(np.float32)).to(where)
        present = torch.ones(len(someone), 12, device=where)
        _, embedding = model.encoder.trunk(millivolt, present, someone, (~someone.isnan()).float())
        logits.append(model.screening_head(embedding).cpu().numpy())
        means.append(model.function_head(embedding)[0].cpu().numpy())
    return np.concatenate(logits), np.concatenate(means)


def _mean_r_of_known(truth: NDArray, means: NDArray) -> float:
    """Mean R over the indices that three people or more are known to have."""
    known = ~np.isnan(truth)
    columns = np.flatnonzero(known.sum(axis=0) >= 3)
    of_each = [pearson(truth[known[:, k], k : k + 1], means[known[:, k], k : k + 1])[0] for k in columns]
    return float(np.mean(of_each)) if of_each else float("nan")


def validate(model: Screen, data: TrainingData) -> dict[str, float]:
    """AUROC of what fold 8 knows (PTB-XL: CAD), of the rest on virtual validation people; mean R over the indices."""
    real = data.real.fold == VALIDATION_FOLD
    virtual = data.virtual.split == "val"
    figures = {}
    if real.any():
        logits, means = predict(model, data.real.millivolt[real], data.real.person[real])
        for index, name in enumerate(CONDITIONS):
            truth = data.real.conditions[real, index]
            known = ~np.isnan(truth)
            if known.any():
                figures[name] = auroc(truth[known] > 0, logits[known, index])
        if data.real.indices is not None:
            figures["meanR"] = _mean_r_of_known(data.real.indices[real], means)
    if virtual.any():
        logits, means = predict(model, data.virtual.millivolt[virtual], data.virtual.person[virtual])
        for index in VIRTUAL_CONDITIONS:
            figures[CONDITIONS[index]] = auroc(data.virtual.conditions[virtual, index], logits[:, index])
        figures["meanR"] = float(pearson(data.virtual.indices[virtual], means).mean())
    return figures


def labelled_rows(split: NDArray[np.str_], fraction: float, seed: int) -> NDArray[np.intp]:
    """The virtual training people whose labels are known. A larger fraction of the same seed holds the smaller one."""
    rows = np.flatnonzero(split == "train")
    if fraction >= 1:
        return rows
    return np.sort(np.random.default_rng([seed, 1]).permutation(rows)[: max(2, round(fraction * len(rows)))])


def train_screening(config: ScreeningConfig, data: TrainingData, out_dir: Path, trunk: Trunk | None = None) -> Path:
    """Train, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`; read it with `load_trained`).

    `trunk` is what the encoder starts from (pretraining), if anything.
    """
    optimisation = config.optimisation
    torch.manual_seed(optimisation.seed)
    model = TrainingModel(config, data.real.statements.shape[1])
    if trunk is not None:
        model.screen.encoder.trunk.load_state_dict(trunk.state_dict())
    virtual_train = labelled_rows(data.virtual.split, config.label_fraction, optimisation.seed)
    real_train = np.flatnonzero(np.isin(data.real.fold, TRAIN_FOLDS))
    known = [data.virtual.indices[virtual_train]]
    if data.real.indices is not None:
        known.append(data.real.indices[real_train])
    model.screen.function_head.standardise(torch.from_numpy(np.concatenate(known)))

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        rows = (
            rows_of_step(rows, batch, step, optimisation.seed) if batch and len(rows) else rows[:0]
            for rows, batch in ((real_train, config.real_batch), (virtual_train, config.virtual_batch))
        )
        batch = make_batch(data, *rows, virtual_cad=config.virtual_cad)
        return sum(losses(model, batch, config, generator).values())

    described = json.loads(json.dumps(asdict(config)))
    return run("screening", optimisation, described, model, loss_of, lambda: validate(model.screen, data), out_dir)


def load_trained(path: Path) -> tuple[Screen, Mapping[str, Any]]:
    """The network of `model.pt`, in evaluation mode, and its configuration."""
    state = torch.load(path, weights_only=True)
    model = Screen(encoder_config(state["config"]["encoder"]))
    prefix = "screen."
    own = {name.removeprefix(prefix): value for name, value in state["model"].items() if name.startswith(prefix)}
    model.load_state_dict(own)
    return model.eval(), state["config"]
