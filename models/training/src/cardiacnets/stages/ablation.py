"""Stage `ablation`: what each kind of pretraining is worth, by the share of people whose labels are known.

Three encoders of one size are fine-tuned alike on virtual people: from scratch, after masked modelling of ECGs, and
after that and contrast with CMR (the paper's claim). Every run is judged on the same virtual test people.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiacnets.domain import CONDITIONS
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.encoder import Trunk
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
    trunks: Mapping[str, Callable[[], Trunk | None]],
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


def report_ablation(data: TrainingData, out_dir: Path, rounds: int = 200) -> dict[str, Any]:
    """What the finished runs show: a line a run, and for each fraction the paired differences with their intervals.

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
        lines.append(
            {"variant": variant, "fraction": fraction, "seed": seed}
            | {"macroAuroc": round(macro, 4), "meanR": round(mean_r, 4), "conditions": of_each}
        )
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
            entry: dict[str, Any] = {"fraction": fraction, "better": better, "than": than, "seeds": len(seeds)}
            for place, name in enumerate(("macroAuroc", "meanR")):
                interval = [round(float(limit), 4) for limit in spread[:, place]]
                entry[name] = {"difference": round(float(observed[place]), 4), "ci": interval}
            paired.append(entry)
    labels = int((data.virtual.split == "train").sum())
    return {"runs": lines, "paired": paired, "labels": labels, "testPeople": len(test)}


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


def write_report(data: TrainingData, out_dir: Path, path: Path) -> dict[str, Any]:
    """`report_ablation` as JSON at `path`."""
    report = report_ablation(data, out_dir)
    path.write_text(json.dumps(report, indent=1) + "\n")
    return report
