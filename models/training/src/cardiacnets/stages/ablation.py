"""Stage `ablation`: what each kind of pretraining is worth after fine-tuning, by the share of people with labels.

Encoders of one size are fine-tuned alike on virtual people: from scratch, after masked modelling of ECGs, and after
that and contrast with CMR (the paper's claim), with true pairs and with shuffled ones. Pretrained ones have equal
steps. The one from scratch learns until validation people show no gain. Every run keeps its best step, and answers for
the same virtual test people, by the ECG alone and with the person. `evaluation/ablation.py` compares them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.configuration import to_json
from cardiacnets.data.real import no_real
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.data.windows import WINDOW_S
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.models.trunks import AnyTrunk
from cardiacnets.stages.loop import Stopping
from cardiacnets.stages.screening import ScreeningConfig, TrainingData, load_trained, train_screening

SCRATCH, MASKED, SHUFFLED, ALIGNED = "scratch", "masked", "shuffled", "aligned"
VARIANTS = (SCRATCH, MASKED, SHUFFLED, ALIGNED)
FIRST_SEED = 100
"""Of the draws of labels, here and in `evaluation/probes.py`: the same people have labels in both."""
FEW = 0.1
"""Larger shares of labels are run last."""


@dataclass(frozen=True)
class AblationConfig:
    """Which runs there are."""

    people: int = 5000
    """The first virtual people, of all splits."""
    validation_people: int = 240
    test_people: int = 1000
    seconds: int = 5
    """The first of each ECG, in training and test: half of the ten seconds cost half."""
    fractions: tuple[float, ...] = (0.01, 0.05, 0.10, 0.25, 1.0)
    """Shares of the training people whose labels are known."""
    seeds: tuple[int, ...] = (8, 8, 8, 5, 5)
    """Runs of each variant at each fraction; a seed draws the labels, the first weights and the order of people."""
    steps: tuple[int, ...] = (40, 60, 90, 130, 200)
    """Steps at each fraction, the same for every pretrained variant."""
    longer: int = 3
    """So many times these steps are open to the one from scratch."""
    checks: int = 4
    """Validations within `steps`."""
    patience: int = 3
    """Validations without a better one, after which the one from scratch stops."""
    batch: int = 16
    learning_rate: float = 1e-3
    average: float = 0.98
    """Decay of the moving average of the weights, which is what answers."""


@dataclass(frozen=True)
class AblationRun:
    """One run: a variant, a share of the labels, and a seed."""

    variant: str
    fraction: float
    steps: int
    seed: int

    @property
    def name(self) -> str:
        """Of its file, without the ending."""
        return f"{self.variant}-{self.fraction:g}-{self.seed}"


def runs_of(config: AblationConfig) -> list[AblationRun]:
    """Every run, in an order in which a stopped ablation is balanced.

    Whole comparisons of a fraction and a seed follow each other: one seed of all small fractions, then the next seed;
    after these every larger fraction.
    """
    kinds = [
        (max(fraction, FEW), FIRST_SEED + seed, fraction, steps)
        for fraction, steps, seeds in zip(config.fractions, config.steps, config.seeds, strict=True)
        for seed in range(seeds)
    ]
    return [
        AblationRun(variant, fraction, steps, seed)
        for _, seed, fraction, steps in sorted(kinds)
        for variant in VARIANTS
    ]


def people_of(config: AblationConfig, people: VirtualSet) -> VirtualSet:
    """The training people, and the first of those for validation and test; the first seconds of each ECG."""
    some = people.rows(slice(config.people))
    most = {"train": len(some.split), "val": config.validation_people, "test": config.test_people}
    rows = [np.flatnonzero(some.split == split)[:count] for split, count in most.items()]
    some = some.rows(np.sort(np.concatenate(rows)))
    return replace(some, millivolt=first_seconds(some.millivolt, config.seconds))


def first_seconds(millivolt: NDArray[np.float16], seconds: int) -> NDArray[np.float16]:
    """Of ECGs [n][12][10 s]."""
    return millivolt[:, :, : millivolt.shape[2] * seconds // WINDOW_S]


def score(figures: Mapping[str, float]) -> float:
    """By which a run's steps are compared: the mean AUROC of the conditions but CAD, plus the mean R of the indices."""
    areas = [value for name, value in figures.items() if name != "meanR"]
    return float(np.nanmean(areas)) + figures["meanR"]


def run_ablation(
    config: AblationConfig,
    base: ScreeningConfig,
    people: VirtualSet,
    trunks: Mapping[str, Callable[[], AnyTrunk | None]],
    out_dir: Path,
) -> Path:
    """Every run that is not there yet; `out_dir` holds one `.npz` of test answers a run (`answers`).

    `base` gives the network and its losses, `trunks` the trunk that each variant starts from. All leads are given in
    training, as in the test.

    Raises:
        ValueError: the runs in `out_dir` were made with another configuration.
    """
    _note(config, out_dir)
    nobody = no_real()
    nobody = replace(nobody, millivolt=first_seconds(nobody.millivolt, config.seconds))
    data = TrainingData(nobody, people_of(config, people))
    test = np.flatnonzero(data.virtual.split == "test")
    for run in runs_of(config):
        path = out_dir / f"{run.name}.npz"
        if path.exists():
            continue
        is_scratch = run.variant == SCRATCH
        optimisation = replace(
            base.optimisation,
            seed=run.seed,
            steps=run.steps * (config.longer if is_scratch else 1),
            learning_rate=config.learning_rate,
            save_every=max(1, run.steps // config.checks),
        )
        screening = replace(
            base,
            real_batch=0,
            isolated_batch=0,
            virtual_batch=config.batch,
            virtual_cad=True,
            label_fraction=run.fraction,
            average=config.average,
            augment=replace(base.augment, lead_dropout=0.0),
            optimisation=optimisation,
        )
        stopping = Stopping(score, config.patience if is_scratch else optimisation.steps)
        folder = out_dir / run.name
        model, _ = load_trained(train_screening(screening, data, folder, trunks[run.variant](), stopping))
        found = answers(model, data.virtual.rows(test))
        part = path.with_suffix(".part.npz")
        np.savez(part, allow_pickle=False, **found)
        part.replace(path)
        for file in (*folder.glob("model.*"), folder / "checkpoint.pt"):  # what the run learned is in its answers
            file.unlink()
    return out_dir


def _note(config: AblationConfig, out_dir: Path) -> None:
    """Write the configuration beside the runs, or see that it is the one that is there."""
    out_dir.mkdir(parents=True, exist_ok=True)
    path, described = out_dir / "config.json", json.dumps(to_json(config), indent=1) + "\n"
    if path.exists() and path.read_text() != described:
        raise ValueError(f"{out_dir} was made with another configuration")
    path.write_text(described)


@torch.no_grad()
def answers(model: Screen, people: VirtualSet, batch: int = 100) -> dict[str, NDArray[np.float32]]:
    """[n,5+82] logits of the conditions and means of the indices, `alone` (by the ECG) and `withPerson`."""
    model.eval()
    found: dict[str, list[torch.Tensor]] = {"alone": [], "withPerson": []}
    for start in range(0, len(people.person), batch):
        rows = slice(start, start + batch)
        someone = torch.from_numpy(people.person[rows])
        persons = [torch.full_like(someone, torch.nan), someone]
        embeddings = _embeddings(
            model.encoder.trunk, torch.from_numpy(people.millivolt[rows].astype(np.float32)), persons
        )
        for parts, embedding in zip(found.values(), embeddings, strict=True):
            parts.append(torch.cat([model.screening_head(embedding), model.function_head(embedding)[0]], dim=1))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def _embeddings(trunk: AnyTrunk, millivolt: torch.Tensor, persons: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Of the same ECGs with each of `persons` [N,4], NaN where unknown."""
    present = torch.ones(millivolt.shape[:2])
    known = [(~person.isnan()).float() for person in persons]
    if isinstance(trunk, Trunk):  # its convolutions know nothing of the person
        pooled = trunk.pool(millivolt, present)[1]
        return [trunk.embed(pooled, *each) for each in zip(persons, known, strict=True)]
    return [trunk(millivolt, present, *each)[1] for each in zip(persons, known, strict=True)]
