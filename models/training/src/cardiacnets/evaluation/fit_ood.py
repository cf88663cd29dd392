"""Stage `ood`: fit the out-of-distribution score on real and virtual ECGs against signals that are none."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cardiacnets.configuration import to_json
from cardiacnets.data.real import RealSet
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.data.windows import cached_millivolt
from cardiacnets.domain import LEADS
from cardiacnets.metrics import auroc
from cardiacnets.models import ood as ood_model
from cardiacnets.models.augment import AugmentConfig, augment, random_lead_mask
from cardiacnets.models.devices import as_another_device
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.ood import Ood
from cardiacnets.models.trunks import AnyTrunk
from cardiacnets.signal import outliers
from cardiacnets.signal.outliers import KINDS, NEEDS_ALL_LEADS, make_outliers
from cardiacnets.stages.loop import save
from cardiacnets.stages.screening import TRAIN_FOLDS, VALIDATION_FOLD, balanced_chances

FALSE_ALARMS = 0.002
"""With 1%, one in ten ECGs of other hospitals was called none. How well outliers are told apart (AUROC) is not a matter
of the limit; how many of them it stops is (`reports/validation.json`)."""
GROUP_ALARMS = 0.01
"""Of the ECGs with any one statement: AF or a block is no reason to call an ECG none."""
GROUP_LEAST = 50
"""A statement counts if at least so many validation ECGs carry it."""
AFTER_TOKENS = ("project.", "person.", "person_", "attention.")
OTHER_DEVICES = 7
"""Seed of what `set_limits` makes of the validation ECGs."""
LEADS_GIVEN: Mapping[int, tuple[tuple[str, ...], ...]] = {
    12: (LEADS,),
    8: ((*LEADS[:6], "V2", "V5"), ("I", "II", *LEADS[6:])),
    6: (LEADS[:6], LEADS[6:]),
    3: (("I", "II", "V2"), LEADS[:3]),
    2: (("I", "II"), ("II", "V5")),
    1: (("I",), ("II",)),
}
"""Sets of leads by their number, on which the limit for that number is set."""


@dataclass(frozen=True)
class OodConfig:
    """Everything that decides the score, but the trunk and the ECGs."""

    seed: int = 5
    real: int = 4000
    rare: int = 4000
    """Further real ECGs, drawn so that rare statements come as often as frequent ones: arrhythmia, pacing, blocks."""
    virtual: int = 900
    each_kind: int = 700
    steps: int = 2500
    calibrated: int = 2500
    """Validation ECGs that the limits are set on, at most."""
    checked: int = 200
    """Validation ECGs, and outliers of each kind, that what the score makes of an unseen kind is measured on."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.02


@dataclass(frozen=True)
class _Rows:
    """Features [n,F] with whether they are of an outlier, and of which kind (−1: none)."""

    features: Tensor
    kind: Tensor


def lead_mask_of(leads: Sequence[str], rows: int) -> Tensor:
    """[rows,12] of 0 and 1."""
    return torch.tensor([float(lead in leads) for lead in LEADS]).repeat(rows, 1)


@torch.no_grad()
def _features(ood: Ood, trunk: AnyTrunk, millivolt: Tensor, lead_mask: Tensor, batch: int = 64) -> Tensor:
    parts = []
    for start in range(0, len(millivolt), batch):
        ecg, mask = millivolt[start : start + batch], lead_mask[start : start + batch]
        ecg = ecg * mask.unsqueeze(-1)
        nobody = torch.zeros(len(ecg), 4)
        tokens = trunk(ecg, mask, nobody, nobody)[0] if ood.token_size else torch.zeros(len(ecg), 1, 0)
        parts.append(ood.features(ecg, mask, tokens))
    return torch.cat(parts)


def cached_outliers(kind: str, ecgs: NDArray[np.floating], seed: int) -> NDArray[np.float16]:
    """`make_outliers` as the trunk sees them, through the signal profile; kept in the cache of windows.

    `ecgs` are as the trunk sees them too. The profile works lead by lead, so that leads may change places after it.
    """
    if kind in NEEDS_ALL_LEADS:
        return make_outliers(kind, ecgs, seed).astype(np.float16)
    code = hashlib.sha256(Path(outliers.__file__).read_bytes() + np.ascontiguousarray(ecgs).tobytes()).hexdigest()[:12]
    name = f"outliers-{kind.lower().replace(' ', '-')}-{seed}-{code}"
    made = make_outliers(kind, ecgs, seed)
    return cached_millivolt(name, iter(made), len(made), outliers.RATE_HZ)


def _pick(rows: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.permutation(rows)[:count])


def training_rows(config: OodConfig, ood: Ood, trunk: AnyTrunk, real: RealSet, virtual: VirtualSet | None) -> _Rows:
    """Augmented ECGs with and without all leads, and as many outliers."""
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    train = np.flatnonzero(np.isin(real.fold, TRAIN_FOLDS))
    ecgs = [real.millivolt[_pick(train, config.real, rng)]]
    if config.rare and len(train):
        chances = balanced_chances(real.statements[train].astype(np.float32))
        ecgs.append(real.millivolt[np.sort(rng.choice(train, config.rare, p=chances))])
    if virtual is not None:
        ecgs.append(virtual.millivolt[_pick(np.flatnonzero(virtual.split == "train"), config.virtual, rng)])
    ecg = torch.from_numpy(np.concatenate(ecgs).astype(np.float32))
    settings = AugmentConfig(crop_resize=0.12, gain=0, noise_mv=0.02)
    ecg, mask, _ = augment(ecg, torch.zeros(len(ecg), 4), settings, generator)
    ecg = as_another_device(ecg, generator) * mask.unsqueeze(-1)
    features, kinds = [_features(ood, trunk, ecg, mask)], [torch.full((len(ecg),), -1)]
    for number, kind in enumerate(KINDS):
        made = cached_outliers(kind, real.millivolt[_pick(train, config.each_kind, rng)], config.seed)
        signal = torch.from_numpy(made.astype(np.float32))
        mask = torch.ones(len(signal), 12)
        if kind not in NEEDS_ALL_LEADS:
            mask = random_lead_mask(len(signal), 0.5, generator)
        features.append(_features(ood, trunk, signal, mask))
        kinds.append(torch.full((len(signal),), number))
    return _Rows(torch.cat(features), torch.cat(kinds))


def fit(config: OodConfig, ood: Ood, rows: _Rows, unseen: Sequence[str] = ()) -> None:
    """Fit the perceptron on `rows` without the kinds `unseen`, ECGs and kinds weighing the same."""
    known = ~torch.isin(rows.kind, torch.tensor([KINDS.index(kind) for kind in unseen]))
    features, is_outlier = rows.features[known], (rows.kind[known] >= 0).float()
    ood.middle.copy_(features[is_outlier == 0].mean(dim=0))
    ood.spread.copy_(features[is_outlier == 0].std(dim=0).clamp_min(0.05))
    weight = torch.where(is_outlier > 0, 0.5 / is_outlier.mean(), 0.5 / (1 - is_outlier.mean()))
    torch.manual_seed(config.seed)
    for layer in ood.layers:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    optimiser = torch.optim.AdamW(ood.layers.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    ood.train()
    for _ in range(config.steps):
        some = torch.randint(len(features), (128,))
        loss = F.binary_cross_entropy_with_logits(ood.raw(features[some]), is_outlier[some], weight[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    ood.eval()


@torch.no_grad()
def set_limits(ood: Ood, trunk: AnyTrunk, millivolt: Tensor, statements: NDArray[np.bool_]) -> None:
    """Shift the score so that at most `FALSE_ALARMS` of these ECGs are above 0, whatever the number of leads.

    And at most `GROUP_ALARMS` of those with any one statement [n,K]. The ECGs count both as they are and as other
    devices would have recorded them.
    """
    groups = [torch.from_numpy(rows) for rows in statements.T if rows.sum() >= GROUP_LEAST]
    counts, limits = [0], []
    others = as_another_device(millivolt, torch.Generator().manual_seed(OTHER_DEVICES))
    for count in sorted(LEADS_GIVEN):
        scores = [
            ood.raw(_features(ood, trunk, signal, lead_mask_of(leads, len(signal))))
            for leads in LEADS_GIVEN[count]
            for signal in (millivolt, others)
        ]
        counts.append(count)
        # The limit of the set that alarms most: no set of so many leads alarms more often.
        limits.append(max(_limit(score, groups) for score in scores))
    ood.offset.copy_(torch.from_numpy(np.interp(np.arange(len(LEADS) + 1), counts[1:], limits)))


def _limit(score: Tensor, groups: Sequence[Tensor]) -> float:
    everybody = float(torch.quantile(score, 1 - FALSE_ALARMS))
    return max([everybody, *(float(torch.quantile(score[rows], 1 - GROUP_ALARMS)) for rows in groups)])


def trunk_digest(trunk: AnyTrunk) -> str:
    """Digest of the weights that a score was fitted to.

    These are the weights that make its tokens, without the projection and the person branch.
    """
    digest = hashlib.sha256()
    for name, value in trunk.state_dict().items():
        if not name.startswith(AFTER_TOKENS):
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def fit_ood(
    config: OodConfig, trunk: AnyTrunk, real: RealSet, virtual: VirtualSet | None, out_dir: Path
) -> tuple[Ood, dict[str, float]]:
    """The score to ship; and for each kind, how well (AUROC, fold 8) a score that never saw that kind finds it.

    Made once for a trunk: `out_dir/model.pt`.
    """
    trunk.eval()
    parts = (Path(outliers.__file__), Path(ood_model.__file__), Path(__file__))
    code = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
    described = to_json(config)
    # Outliers are made at 100 Hz, which other trunks do not read: there the score takes the signal alone.
    known = trunk if isinstance(trunk, Trunk) else None
    made_with = {"config": described, "trunk": trunk_digest(known) if known else "", "code": code}
    path = out_dir / "model.pt"
    ood = Ood(known.attention.in_channels if known else 0).eval()
    if path.exists():
        state = torch.load(path, weights_only=True)
        if state["made_with"] == made_with:
            ood.load_state_dict(state["model"])
            return ood, state["unseen"]
    rows = training_rows(config, ood, trunk, real, virtual)
    validation = real.millivolt[real.fold == VALIDATION_FOLD]
    check = _check_rows(config, ood, trunk, validation)
    unseen = {}
    for number, kind in enumerate(KINDS):
        fit(config, ood, rows, (kind,))
        chosen = (check.kind == -1) | (check.kind == number)
        with torch.no_grad():
            score = ood.raw(check.features[chosen]).numpy()
        unseen[kind] = auroc((check.kind[chosen] >= 0).numpy(), score)
    fit(config, ood, rows)
    even = np.linspace(0, len(validation) - 1, min(config.calibrated, len(validation))).round().astype(int)
    statements = real.statements[real.fold == VALIDATION_FOLD][even]
    set_limits(ood, trunk, torch.from_numpy(validation[even].astype(np.float32)), statements)
    out_dir.mkdir(parents=True, exist_ok=True)
    save(path, {"made_with": made_with, "model": ood.state_dict(), "unseen": unseen})
    return ood, unseen


def _check_rows(config: OodConfig, ood: Ood, trunk: AnyTrunk, validation: NDArray[np.floating]) -> _Rows:
    """Validation ECGs with all leads, and outliers made of others."""
    ecgs, others = validation[: config.checked], validation[config.checked : 2 * config.checked]
    signals = [ecgs, *(cached_outliers(kind, others, config.seed + 1) for kind in KINDS)]
    kinds = torch.cat([torch.full((len(signal),), number - 1) for number, signal in enumerate(signals)])
    whole = torch.from_numpy(np.concatenate(signals).astype(np.float32))
    return _Rows(_features(ood, trunk, whole, torch.ones(len(whole), len(LEADS))), kinds)
