"""Stage `ablation`: what each kind of pretraining is worth, by the share of people whose labels are known.

Three encoders of one size are fine-tuned alike on virtual people: from scratch, after masked modelling of ECGs, and
after that and contrast with CMR (the paper's claim). Every run is judged on the same virtual test people.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiacnets.configuration import to_json
from cardiacnets.domain import CONDITIONS
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.trunks import AnyTrunk
from cardiacnets.stages.screening import ScreeningConfig, TrainingData, load_trained, predict, train_screening

VARIANTS = ("scratch", "masked", "contrastive")


@dataclass(frozen=True)
class AblationConfig:
    """Which runs there are."""

    fractions: tuple[float, ...] = (0.01, 0.05, 0.10, 0.25, 1.0)
    """Shares of the training people whose labels are known."""
    steps: tuple[int, ...] = (120, 160, 200, 300, 600)
    """Steps of a run of each fraction, the same for every variant."""
    seeds: tuple[int, ...] = (1, 2, 3)
    batch: int = 32
    learning_rate: float = 1e-3


def run_ablation(
    config: AblationConfig,
    base: ScreeningConfig,
    data: TrainingData,
    trunks: Mapping[str, Callable[[], AnyTrunk | None]],
    out_dir: Path,
) -> Path:
    """Every (seed, fraction, variant) that is not there yet; `out_dir` holds one `.npz` of test predictions a run.

    `base` gives the network and its losses, `trunks` the trunk that each variant starts from. Runs are ordered so that
    a stopped ablation is balanced: whole comparisons of a fraction and a seed.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    test = np.flatnonzero(data.virtual.split == "test")
    for seed, (fraction, steps) in product(config.seeds, zip(config.fractions, config.steps, strict=True)):
        for variant in VARIANTS:
            path = out_dir / f"{variant}-{fraction:g}-{seed}.npz"
            if path.exists():
                continue
            optimisation = replace(
                base.optimisation, seed=seed, steps=steps, learning_rate=config.learning_rate, save_every=10**9
            )
            screening = replace(
                base,
                real_batch=0,
                virtual_batch=config.batch,
                virtual_cad=True,
                label_fraction=fraction,
                optimisation=optimisation,
            )
            folder = out_dir / path.stem
            model, _ = load_trained(train_screening(screening, data, folder, trunks[variant]()))
            logits, means = predict(model, data.virtual.millivolt[test], data.virtual.person[test])
            part = path.with_suffix(".part.npz")
            np.savez(part, logits=logits.astype(np.float32), means=means.astype(np.float32), rows=test)
            part.replace(path)
            for file in folder.glob("*.pt"):  # what the run learned is in its predictions
                file.unlink()
    return out_dir


def _figures(
    logits: NDArray[np.floating],
    means: NDArray[np.floating],
    conditions: NDArray[np.bool_],
    indices: NDArray[np.floating],
) -> tuple[float, float]:
    macro = np.mean([auroc(conditions[:, index], logits[:, index]) for index in range(len(CONDITIONS))])
    return float(macro), float(pearson(indices, means).mean())


@dataclass(frozen=True)
class AblationRun:
    """One run on virtual test people: AUROC of each condition and of all, and the mean R of the 82 indices."""

    variant: str
    fraction: float
    seed: int
    macroAuroc: float  # named as in the JSON
    meanR: float
    conditions: dict[str, float]


@dataclass(frozen=True)
class Difference:
    """A difference between variants and its 95% interval."""

    difference: float
    ci: list[float]


@dataclass(frozen=True)
class Paired:
    """One variant against another at one fraction of the labels, as a mean over seeds."""

    fraction: float
    better: str
    than: str
    seeds: int
    macroAuroc: Difference
    meanR: Difference


@dataclass(frozen=True)
class AblationReport:
    """`ablation` of the evaluation JSON."""

    runs: list[AblationRun]
    paired: list[Paired]
    labels: int
    """People of the training split."""
    testPeople: int


def report_ablation(data: TrainingData, out_dir: Path, rounds: int = 200) -> dict[str, Any]:
    """`measure_ablation` as JSON."""
    return to_json(measure_ablation(data, out_dir, rounds))


def measure_ablation(data: TrainingData, out_dir: Path, rounds: int = 200) -> AblationReport:
    """What the finished runs show: the figures of each, and for each fraction the paired differences.

    An interval is a bootstrap over test people (the same people for both variants and all seeds of a round).
    """
    runs: dict[tuple[str, float, int], dict[str, NDArray[np.floating]]] = {}
    for path in sorted(out_dir.glob("*.npz")):
        if not path.stem.endswith(".part"):
            name, share, number = path.stem.rsplit("-", 2)
            runs[name, float(share), int(number)] = dict(np.load(path))
    test = np.flatnonzero(data.virtual.split == "test")
    conditions, indices = data.virtual.conditions[test], data.virtual.indices[test]
    lines = []
    for (variant, fraction, seed), run in runs.items():
        macro, mean_r = _figures(run["logits"], run["means"], conditions, indices)
        of_each = {
            name: round(auroc(conditions[:, index], run["logits"][:, index]), 4)
            for index, name in enumerate(CONDITIONS)
        }
        lines.append(AblationRun(variant, fraction, seed, round(macro, 4), round(mean_r, 4), of_each))
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(test), size=len(test)) for _ in range(rounds)]
    everybody = np.arange(len(test))
    paired = []
    for fraction in sorted({fraction for _, fraction, _ in runs}):
        for better, than in (("contrastive", "masked"), ("contrastive", "scratch"), ("masked", "scratch")):
            seeds = [s for v, f, s in runs if v == better and f == fraction and (than, f, s) in runs]
            if not seeds:
                continue
            pairs = [(runs[better, fraction, seed], runs[than, fraction, seed]) for seed in seeds]
            observed = _difference(pairs, conditions, indices, everybody)
            spread = np.quantile(
                [_difference(pairs, conditions, indices, rows) for rows in draws], [0.025, 0.975], axis=0
            )
            macro_auroc, r = (
                Difference(round(float(observed[place]), 4), [round(float(limit), 4) for limit in spread[:, place]])
                for place in (0, 1)
            )
            paired.append(Paired(fraction, better, than, len(seeds), macro_auroc, r))
    labels = int((data.virtual.split == "train").sum())
    return AblationReport(lines, paired, labels, len(test))


def _difference(
    pairs: Sequence[tuple[Mapping[str, NDArray[np.floating]], Mapping[str, NDArray[np.floating]]]],
    conditions: NDArray[np.bool_],
    indices: NDArray[np.floating],
    rows: NDArray[np.intp],
) -> NDArray[np.float64]:
    """[2]: difference in macro AUROC and in mean R on some test people, the mean over seeds."""
    figures = [
        [_figures(run["logits"][rows], run["means"][rows], conditions[rows], indices[rows]) for run in pair]
        for pair in pairs
    ]  # [seeds][2][2]
    return np.subtract(*np.mean(figures, axis=0))
