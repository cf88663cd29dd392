"""Stage `screening`: both heads on the ECG encoder.

They learn from real labels (CAD), a teacher (HF) and virtual truth (all else). The encoder starts from scratch or from
a pretrained trunk, and learns on with the heads or stays as it is. Heads that go on from a bundle: `further.py`.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.configuration import to_json
from cardiacnets.data.real import HELD, NORMAL, RealSet
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.device import process
from cardiacnets.domain import CONDITIONS
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.augment import AugmentConfig, augment
from cardiacnets.models.encoder import EncoderConfig
from cardiacnets.models.losses import masked_bce, masked_gaussian_nll
from cardiacnets.models.screen import Screen
from cardiacnets.models.trunks import AnyTrunk, TrunkConfig, trunk_config
from cardiacnets.stages.loop import OptimisationConfig, Stopping, rows_of_step, run

TRAIN_FOLDS = tuple(range(1, 8))
VALIDATION_FOLD = 8
CAD, HF = CONDITIONS.index("cad"), CONDITIONS.index("hf")
VIRTUAL_CONDITIONS = [index for index in range(len(CONDITIONS)) if index != CAD]
STRUCTURAL = [index for index in VIRTUAL_CONDITIONS if index != HF]
"""Conditions that nobody labelled on real ECGs."""
LOGIT_RANGE = (-9.0, 6.0)
"""Of the teacher: a logit beyond it says no more than one at its end."""


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
    teacher_weight: float = 1.0
    """Of the teacher's logits for HF, where the real set has them; virtual people then do not teach the finding."""
    isolated_batch: int = 0
    """Real ECGs a step whose only finding is one of conduction or rhythm, each kind as often as another."""
    isolated_weight: float = 0.0
    """Of what `isolated_excess` gives."""
    isolated_later: float | None = None
    """Its weight from step `isolated_until` on; None: the same. The steps before teach what a block alone is; those
    after give hypertrophy, which looks like it, back what they took."""
    isolated_until: int = 0
    held: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: HELD)
    """How hard each isolated kind is held, condition by condition."""
    balanced: bool = False
    """Draw real ECGs so that rare labels come as often as frequent ones (`balanced_chances`); for cohorts of one's own,
    where few people have a disease. Export calibrates on people as they are."""
    average: float = 0.0
    """Decay of the moving average of the weights, which is what validation and export take; 0: the weights
    themselves."""
    encoder: TrunkConfig = field(default_factory=EncoderConfig)
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
        self.virtual_hf = nn.Linear(config.encoder.embedding, 1)
        self.is_frozen = config.is_frozen
        self.screen.encoder.requires_grad_(not config.is_frozen)
        self.decay = config.average
        self.average = copy.deepcopy(self.screen).requires_grad_(False) if config.average else None

    @property
    def shipped(self) -> Screen:
        """What validation and export take."""
        return self.screen if self.average is None else self.average

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights and batch statistics as they stand into the average; at first they count for more."""
        if self.average is None:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        for slow, fast in zip(self.average.state_dict().values(), self.screen.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - decay)
            else:
                slow.copy_(fast)

    def train(self, mode: bool = True) -> Self:
        """A frozen trunk keeps its batch statistics, and drops nothing out."""
        super().train(mode)
        if self.is_frozen:
            self.screen.encoder.eval()
        if self.average is not None:
            self.average.eval()
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
    teacher: Tensor
    """[N] logits of heart failure, NaN where nobody gave them."""
    virtual_hf: Tensor
    """[N,1] 0 or 1 of virtual people where a teacher sets the finding, else NaN."""
    normal: Tensor
    """[N] bool: real ECGs that a reader called normal."""
    isolated: Tensor
    """[N,K]: how hard an ECG is held to what is said of normal ones (`HELD`), 0 for most; K conditions without labels
    on real ECGs."""


def at_step(config: ScreeningConfig, step: int) -> ScreeningConfig:
    """The configuration with the weights of a step."""
    if config.isolated_later is None or step < config.isolated_until:
        return config
    return replace(config, isolated_weight=config.isolated_later)


def held_to(held: Mapping[str, Mapping[str, float]], kind: str) -> list[float]:
    """How hard an ECG of an isolated kind is held to normal ones, for each of `STRUCTURAL`."""
    return [held.get(kind, {}).get(CONDITIONS[index], 0.0) for index in STRUCTURAL]


def make_batch(
    data: TrainingData,
    real_rows: NDArray[np.intp],
    virtual_rows: NDArray[np.intp],
    *,
    held: Mapping[str, Mapping[str, float]] = HELD,
    virtual_cad: bool = False,
) -> Batch:
    """Gather rows; targets that a row does not know are NaN."""
    real, virtual = data.real, data.virtual
    n_real, n_virtual = len(real_rows), len(virtual_rows)
    taught = virtual.conditions[virtual_rows].astype(np.float32)
    if not virtual_cad:
        taught[:, CAD] = np.nan
    n = n_real + n_virtual
    teacher, virtual_hf = np.full(n, np.nan, dtype=np.float32), np.full((n, 1), np.nan, dtype=np.float32)
    if real.teacher is not None:
        teacher[:n_real] = real.teacher[real_rows]
        virtual_hf[n_real:, 0] = taught[:, HF]
        taught[:, HF] = np.nan
    normal, isolated = np.zeros(n, dtype=bool), np.zeros((n, len(STRUCTURAL)), dtype=np.float32)
    if real.kind is not None:
        normal[:n_real] = real.kind[real_rows] == NORMAL
        isolated[:n_real] = [held_to(held, kind) for kind in real.kind[real_rows]]
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
    arrays = ecg, person, is_real, conditions, statements, indices, teacher, virtual_hf, normal, isolated
    return Batch(*map(torch.from_numpy, arrays))


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
        return head_losses(model, embedding.float(), batch, config)


def head_losses(model: TrainingModel, embedding: Tensor, batch: Batch, config: ScreeningConfig) -> dict[str, Tensor]:
    """The parts of the loss, from embeddings [N,256]."""
    logits = model.screen.screening_head(embedding)
    stated = model.statements(F.relu(embedding))
    mean, logvar = model.screen.function_head.standardised(embedding)
    target = model.screen.function_head.standard(batch.indices)
    known = (~batch.conditions.isnan()).float()
    virtual_hf = model.virtual_hf(F.relu(embedding))
    return {
        "teacher": config.teacher_weight * teacher_loss(logits[:, HF], batch.teacher),
        "virtualHf": masked_bce(virtual_hf, batch.virtual_hf, (~batch.virtual_hf.isnan()).float()) / len(CONDITIONS),
        "isolated": config.isolated_weight * isolated_excess(logits[:, STRUCTURAL], batch.normal, batch.isolated),
        "conditions": masked_bce(logits, batch.conditions, known),
        "statements": config.statement_weight
        * masked_bce(stated, batch.statements, batch.real.expand(-1, stated.shape[1])),
        "indices": config.index_weight * masked_gaussian_nll(mean, logvar, target, (~target.isnan()).float()),
    }


def teacher_loss(logit: Tensor, teacher: Tensor) -> Tensor:
    """Loss of the logits [N] against a teacher's [N], as a mean over the rows that the teacher knows.

    Cross-entropy against the teacher's probability, and a smooth distance of the logits: without it, the many ECGs of
    which the teacher is certain would teach nothing about their order.
    """
    known = ~teacher.isnan()
    if not known.any():
        return logit.new_zeros(())
    target = teacher[known].clamp(*LOGIT_RANGE)
    entropy = F.binary_cross_entropy_with_logits(logit[known], target.sigmoid())
    return entropy + 0.15 * F.smooth_l1_loss(logit[known], target)


def isolated_excess(logits: Tensor, normal: Tensor, isolated: Tensor) -> Tensor:
    """How far ECGs [N] with an isolated finding of conduction or rhythm are above the batch's normal ones.

    The reference is the normal ones' mean and one deviation. The excess is squared up to one, then linear, and counts
    by `isolated` [N,K], 0 for other ECGs. `logits` is [N,K], of conditions without labels on real ECGs.

    An assumption, not a label: a bundle branch block, AF or a fast heart alone says nothing of these conditions. Only
    the difference counts, and normal ECGs receive the opposite gradient: if they were left out, "real" would be learned
    as "healthy" (tried: AUROC of the PH finding for statements of RVH fell from .93 to .56).
    """
    held = (isolated > 0).any(dim=1)
    if normal.sum() < 2 or not held.any():
        return logits.new_zeros(())
    usual = logits[normal]
    limit = usual.mean(dim=0) + usual.detach().std(dim=0)
    excess = F.relu(logits[held] - limit)
    each = F.smooth_l1_loss(excess, torch.zeros_like(excess), reduction="none")
    return (isolated[held] * each).mean()


@torch.no_grad()
def predict(
    model: Screen, ecg: NDArray[np.floating], person: NDArray[np.floating], batch: int = 128
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
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


def _mean_r_of_known(truth: NDArray[np.floating], means: NDArray[np.floating]) -> float:
    """Mean R over the indices that three people or more are known to have."""
    known = ~np.isnan(truth)
    columns = np.flatnonzero(known.sum(axis=0) >= 3)
    of_each = [pearson(truth[known[:, k], k : k + 1], means[known[:, k], k : k + 1])[0] for k in columns]
    return float(np.mean(of_each)) if of_each else float("nan")


def validate(model: Screen, data: TrainingData) -> dict[str, float]:
    """`figures_of` a network on fold 8 and virtual validation people."""
    real, virtual = data.real.fold == VALIDATION_FOLD, data.virtual.split == "val"
    answers = [
        predict(model, some.millivolt[rows], some.person[rows]) if rows.any() else None
        for some, rows in ((data.real, real), (data.virtual, virtual))
    ]
    return figures_of(data, real, virtual, *answers)


def figures_of(
    data: TrainingData,
    real: NDArray[np.bool_],
    virtual: NDArray[np.bool_],
    on_real: tuple[NDArray[np.floating], NDArray[np.floating]] | None,
    on_virtual: tuple[NDArray[np.floating], NDArray[np.floating]] | None,
) -> dict[str, float]:
    """Figures by which a checkpoint is judged.

    AUROC of what fold 8 has (PTB-XL: CAD), and of the rest on virtual validation people; mean R over the indices;
    agreement with the teacher, and what isolated findings are taken for. Answers (logits, index means) are of the rows
    chosen.
    """
    figures = {}
    if on_real is not None and real.any():
        logits, means = on_real
        for index, name in enumerate(CONDITIONS):
            truth = data.real.conditions[real, index]
            known = ~np.isnan(truth)
            if index == HF and data.real.teacher is not None:
                figures["hfTeacherR"] = teacher_r(data.real.teacher[real], logits[:, HF])
            elif known.any():
                figures[name] = auroc(truth[known] > 0, logits[known, index])
        if data.real.kind is not None:
            figures |= isolated_flags(data.real.kind[real], logits)
        for name, stated in (data.real.proxies or {}).items():
            figures[f"{name}Proxy"] = auroc(stated[real], logits[:, CONDITIONS.index(name)])
        if data.real.indices is not None:
            figures["meanR"] = _mean_r_of_known(data.real.indices[real], means)
    if on_virtual is not None and virtual.any():
        logits, means = on_virtual
        for index in VIRTUAL_CONDITIONS:
            figures[CONDITIONS[index]] = auroc(data.virtual.conditions[virtual, index], logits[:, index])
        figures["meanR"] = float(pearson(data.virtual.indices[virtual], means).mean())
    return figures


def teacher_r(teacher: NDArray[np.floating], logit: NDArray[np.floating]) -> float:
    """Pearson's R of logits on the ECGs that the teacher knows."""
    known = ~np.isnan(teacher)
    return float(pearson(teacher[known, None].astype(np.float64), logit[known, None].astype(np.float64))[0])


def isolated_flags(kind: NDArray[np.str_], logits: NDArray[np.floating]) -> dict[str, float]:
    """Share of each isolated kind above what 2.5% of normal ECGs exceed, for the conditions that it is taken for."""
    normal = kind == NORMAL
    figures = {}
    for name, index in (("RBBB", "ph"), ("LBBB", "cm"), ("tachycardia", "hf")):
        column, chosen = logits[:, CONDITIONS.index(index)], kind == name
        if normal.sum() >= 40 and chosen.any():
            figures[f"{name}As{index.title()}"] = float(np.mean(column[chosen] > np.quantile(column[normal], 0.975)))
    return figures


def isolated_rows(kind: NDArray[np.str_], rows: NDArray[np.intp], seed: int, each: int = 300) -> NDArray[np.intp]:
    """Rows with an isolated finding, `each` of a kind (rare ones several times)."""
    rng = np.random.default_rng([seed, 2])
    pools = [rows[kind[rows] == name] for name in HELD]
    drawn = [np.sort(rng.choice(pool, each)) for pool in pools if len(pool)]
    return np.concatenate(drawn) if drawn else rows[:0]


def balanced_chances(conditions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Chance [n] of each ECG to be drawn, from its labels [n,K] (NaN unknown); they add up to 1.

    An ECG counts 1 / (how many share its label), as in the authors' `ImbalancedDatasetSampler`, for each condition with
    a known label, and the mean of these over its conditions. So both labels of a condition would come equally often if
    it were the only one.
    """
    known, positive = ~np.isnan(conditions), conditions > 0
    share = np.zeros_like(conditions, dtype=np.float64)
    for label in (False, True):
        rows = known & (positive == label)
        share += rows / np.maximum(rows.sum(axis=0), 1)
    counted = known.sum(axis=1)
    chance = share.sum(axis=1) / np.maximum(counted, 1)
    chance[counted == 0] = chance[counted > 0].mean() if counted.any() else 1.0
    return chance / chance.sum()


def drawn_rows(
    rows: NDArray[np.intp], chances: NDArray[np.floating], batch: int, step: int, seed: int
) -> NDArray[np.intp]:
    """This process's part of the rows of one step, drawn by chance with repetition; rising."""
    rank, processes = process()
    drawn = np.random.default_rng([seed, 4, step]).choice(rows, batch, p=chances)
    return np.sort(drawn[rank::processes])


def labelled_rows(split: NDArray[np.str_], fraction: float, seed: int) -> NDArray[np.intp]:
    """The virtual training people whose labels are known. A larger fraction of the same seed holds the smaller one."""
    rows = np.flatnonzero(split == "train")
    if fraction >= 1:
        return rows
    return np.sort(np.random.default_rng([seed, 1]).permutation(rows)[: max(2, round(fraction * len(rows)))])


def train_screening(
    config: ScreeningConfig,
    data: TrainingData,
    out_dir: Path,
    start: AnyTrunk | Screen | None = None,
    stopping: Stopping | None = None,
) -> Path:
    """Train, or go on where it stopped; returns `out_dir/model.pt` (see `loop.run`; read it with `load_trained`).

    `start`: the pretrained trunk or the whole network that training begins with, if any.
    `stopping`: by the figures of `validate`; None: all steps, and the last weights.
    """
    optimisation = config.optimisation
    torch.manual_seed(optimisation.seed)
    model = TrainingModel(config, data.real.statements.shape[1])
    if start is not None:
        own = model.screen if isinstance(start, Screen) else model.screen.encoder.trunk
        own.load_state_dict(start.state_dict())
    virtual_train = labelled_rows(data.virtual.split, config.label_fraction, optimisation.seed)
    real_train = np.flatnonzero(np.isin(data.real.fold, TRAIN_FOLDS))
    known = [data.virtual.indices[virtual_train]]
    if data.real.indices is not None:
        known.append(data.real.indices[real_train])
    if not isinstance(start, Screen):  # a whole network keeps the units that its head learned in
        model.screen.function_head.standardise(torch.from_numpy(np.concatenate(known)))
    isolated = np.zeros(0, dtype=np.intp)
    if data.real.kind is not None and config.isolated_batch:
        isolated = isolated_rows(data.real.kind, real_train, optimisation.seed)
    chances = balanced_chances(data.real.conditions[real_train]) if config.balanced else None
    if model.average is not None:
        model.average.load_state_dict(model.screen.state_dict())

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        model.update(step)
        sets = (real_train, config.real_batch), (isolated, config.isolated_batch), (virtual_train, config.virtual_batch)
        usual, special, virtual = (
            rows_of_step(rows, batch, step, optimisation.seed) if batch and len(rows) else rows[:0]
            for rows, batch in sets
        )
        if chances is not None:
            usual = drawn_rows(real_train, chances, config.real_batch, step, optimisation.seed)
        batch = make_batch(
            data, np.concatenate([usual, special]), virtual, held=config.held, virtual_cad=config.virtual_cad
        )
        return sum(losses(model, batch, at_step(config, step), generator).values(), torch.zeros(()))

    described = to_json(config)
    return run(
        "screening", optimisation, described, model, loss_of, lambda: validate(model.shipped, data), out_dir, stopping
    )


def load_trained(path: Path) -> tuple[Screen, Mapping[str, Any]]:
    """The network of `model.pt`, in evaluation mode, and its configuration."""
    state = torch.load(path, weights_only=True)
    model = Screen(trunk_config(state["config"]["encoder"]))
    prefix = "average." if state["config"].get("average") else "screen."
    own = {name.removeprefix(prefix): value for name, value in state["model"].items() if name.startswith(prefix)}
    model.load_state_dict(own)
    return model.eval(), state["config"]


def mixed(first: Screen, second: Screen, share: float) -> Screen:
    """The mean of two networks' weights, `share` of it the second's; batch statistics too.

    Of a network and what it became by further training, the mean is often better than either on both old and new
    tasks (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
    """
    mean, other = copy.deepcopy(first), second.state_dict()
    state = {
        name: value.lerp(other[name], share) if value.is_floating_point() else other[name]
        for name, value in first.state_dict().items()
    }
    mean.load_state_dict(state)
    return mean
