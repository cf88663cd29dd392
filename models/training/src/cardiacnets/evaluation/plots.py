"""Figures of an evaluation, saved, never shown."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.decomposition import PCA
from sklearn.metrics import roc_curve

from cardiacnets.bundle.write import NOTICE
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluation.calibrate import probability
from cardiacnets.evaluation.figures import EvaluationReport
from cardiacnets.evaluation.inference import CAD, TEST_FOLD, CachedScreener, Predictions
from cardiacnets.evaluation.report import Adjustment, HeldOut
from cardiacnets.metrics import auroc, pearson, retrieval_rank
from cardiacnets.pictures import save_figure

BLAND_ALTMAN = (("lvEf", "%"), ("lvMass", "g"), ("rvEdv", "mL"))
RETRIEVAL_AMONG = 1000
Answers = tuple[Predictions, Predictions]


def draw_all(
    folder: Path,
    report: EvaluationReport,
    data: HeldOut,
    screener: CachedScreener,
    adjustment: Adjustment,
    space: tuple[Mapping[str, NDArray[Any]], NDArray[Any]] | None,
) -> None:
    """Every figure that the report has data for, as PNG in `folder`; `space`: points of both modalities, LV mass."""
    folder.mkdir(parents=True, exist_ok=True)
    (on_real,), (on_virtual,) = screener(data.real), screener(data.virtual)
    answers = on_real, on_virtual
    _draw(folder / "roc.png", (5.5, 5.5), lambda axes: _roc(axes, data, answers))
    _draw(folder / "calibration.png", (5.5, 5.5), lambda axes: _calibration(axes, data, answers, adjustment))
    _bland_altman(folder / "bland-altman.png", data, on_virtual)
    if space:
        points, mass = space
        _draw(folder / "retrieval.png", (5.5, 4.5), lambda axes: _retrieval(axes, points))
        _shared_space(folder / "shared-space.png", points, mass)


def _draw(path: Path, size: tuple[float, float], draw: Callable[[Axes], None]) -> None:
    figure, axes = plt.subplots(figsize=size)
    draw(axes)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure with the notice."""
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    figure.text(0.01, 0.008, NOTICE, fontsize=7)
    save_figure(figure, path, dpi=110)
    plt.close(figure)


def _by_condition(data: HeldOut, answers: Answers) -> Iterator[tuple[str, bool, NDArray[Any], NDArray[Any]]]:
    """Name, whether it is judged on real people, truth and logits of each condition."""
    for index, name in enumerate(CONDITIONS):
        is_real = index == CAD
        of, answer = (data.real, answers[0]) if is_real else (data.virtual, answers[1])
        yield name, is_real, of.conditions[:, index], answer.logits[:, index]


def _label(name: str, is_real: bool) -> str:
    return f"{name} ({f'real, PTB-XL fold {TEST_FOLD}' if is_real else 'virtual'})"


def _roc(axes: Axes, data: HeldOut, answers: Answers) -> None:
    for name, is_real, truth, logit in _by_condition(data, answers):
        false_positive, true_positive, _ = roc_curve(truth, logit)
        label = f"{_label(name, is_real)} {auroc(truth, logit):.3f}"
        axes.plot(false_positive, true_positive, "-" if is_real else "--", label=label)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC; real and virtual are not comparable")
    axes.legend(loc="lower right", fontsize=8)


def _calibration(axes: Axes, data: HeldOut, answers: Answers, adjustment: Adjustment) -> None:
    for name, is_real, truth, logit in _by_condition(data, answers):
        chance = probability(logit, adjustment.calibrations[name])
        observed, predicted = calibration_curve(truth, chance, n_bins=10, strategy="quantile")
        axes.plot(predicted, observed, "o-" if is_real else "o--", ms=4, label=_label(name, is_real))
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="predicted probability", ylabel="observed frequency", title="Calibration on test data")
    axes.legend(fontsize=8)


def _bland_altman(path: Path, data: HeldOut, answers: Predictions) -> None:
    """Estimate − truth against their mean, with bias and limits of agreement (Bland and Altman 1986)."""
    figure, grid = plt.subplots(1, len(BLAND_ALTMAN), figsize=(12, 4.2))
    correlation = pearson(data.virtual.true_indices, answers.mean)
    for axes, (name, unit) in zip(grid, BLAND_ALTMAN, strict=True):
        column = INDICES.index(name)
        truth, estimate = data.virtual.true_indices[:, column], answers.mean[:, column]
        difference = estimate - truth
        bias, spread = difference.mean(), difference.std()
        axes.plot((truth + estimate) / 2, difference, ".", ms=2, alpha=0.35)
        for level, style in ((bias, "-"), (bias - 1.96 * spread, "--"), (bias + 1.96 * spread, "--")):
            axes.axhline(level, linestyle=style, color="black", lw=1)
        limits = f"{bias:+.1f} ({bias - 1.96 * spread:.1f} to {bias + 1.96 * spread:.1f}) {unit}"
        axes.set_title(f"{name} (virtual people), r {correlation[column]:.2f}\n{limits}", fontsize=9)
        axes.set(xlabel=f"mean of truth and estimate, {unit}", ylabel=f"estimate − truth, {unit}")
    save(figure, path)


def _retrieval(axes: Axes, points: Mapping[str, NDArray[Any]]) -> None:
    people = min(RETRIEVAL_AMONG, len(points["ecg"]))
    chosen = np.random.default_rng(0).choice(len(points["ecg"]), people, replace=False)
    depth = np.arange(1, people + 1)
    for view in points:
        if view != "ecg":
            rank = retrieval_rank(points["ecg"][chosen], points[view][chosen])
            label = f"{view.replace('_', ' ')}: median rank {np.median(rank):.0f}"
            axes.plot(depth, (rank[:, None] <= depth).mean(axis=0), label=label)
    axes.plot(depth, depth / people, ":", color="grey", label="chance")
    axes.set(xscale="log", xlabel="k", ylabel="own cine among the k nearest", ylim=(0, 1))
    axes.set_title(f"Retrieval of a cine by its ECG among {people} held-out virtual people", fontsize=9)
    axes.legend(fontsize=8)


def _shared_space(path: Path, points: Mapping[str, NDArray[Any]], mass: NDArray[Any]) -> None:
    """The first two principal components of both modalities together, coloured by what the ECG and the heart share."""
    people = len(points["ecg"])
    names = list(points)
    plane = PCA(2, random_state=0).fit_transform(np.concatenate([points[name] for name in names]))
    figure, grid = plt.subplots(1, len(names) + 1, figsize=(4 * (len(names) + 1), 4), sharex=True, sharey=True)
    parts = plane.reshape(len(names), people, 2)
    for place, name in enumerate(names):
        grid[0].plot(*parts[place].T, ".", ms=3, alpha=0.4, label=name.replace("_", " "))
        shown = grid[place + 1].scatter(*parts[place].T, c=mass, s=4, cmap="viridis", vmax=np.quantile(mass, 0.98))
        grid[place + 1].set_title(f"{name.replace('_', ' ')}, by LV mass", fontsize=9)
    grid[0].legend(fontsize=8, markerscale=2)
    grid[0].set_title(f"PCA of {people} held-out virtual people", fontsize=9)
    figure.colorbar(shown, ax=grid[-1], label="LV mass, g")
    save(figure, path)
