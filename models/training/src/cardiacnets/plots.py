"""Figures of an evaluation, saved, never shown."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_curve

from cardiacnets.bundle import NOTICE, Calibration
from cardiacnets.calibrate import probability
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluate import CAD, EvaluationSet, Predictions
from cardiacnets.metrics import auroc, pearson

SHOWN_INDICES = ("lvEdv", "lvEf", "lvMass", "rvEdv", "laMaxVolume", "wallThicknessGlobal")


def _by_condition(
    real: EvaluationSet, on_real: Predictions, virtual: EvaluationSet, on_virtual: Predictions
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Name, evidence, truth and logits of each condition, from the set that it is judged on."""
    for index, name in enumerate(CONDITIONS):
        data, predictions = (real, on_real) if index == CAD else (virtual, on_virtual)
        evidence = "real, PTB-XL fold 9" if index == CAD else "virtual"
        yield name, evidence, data.conditions[:, index], predictions.logits[:, index]


def _save(figure: plt.Figure, path: Path) -> None:
    figure.text(0.01, 0.005, NOTICE, fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_roc(path: Path, *sets: EvaluationSet | Predictions) -> None:
    """One ROC curve a condition; arguments after `path` as in `_by_condition`."""
    figure, axes = plt.subplots(figsize=(5.5, 5.5))
    for name, evidence, truth, logit in _by_condition(*sets):
        false_positive, true_positive, _ = roc_curve(truth, logit)
        style = "-" if evidence.startswith("real") else "--"
        axes.plot(false_positive, true_positive, style, label=f"{name} ({evidence}) {auroc(truth, logit):.3f}")
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", title="ROC; real and virtual are not comparable")
    axes.legend(loc="lower right", fontsize=8)
    _save(figure, path)


def plot_calibration(
    path: Path,
    real: EvaluationSet,
    on_real: Predictions,
    virtual: EvaluationSet,
    on_virtual: Predictions,
    calibrations: dict[str, Calibration],
) -> None:
    """Observed frequency against calibrated probability, ten bins of equal count a condition."""
    figure, axes = plt.subplots(figsize=(5.5, 5.5))
    for name, evidence, truth, logit in _by_condition(real, on_real, virtual, on_virtual):
        observed, predicted = calibration_curve(
            truth, probability(logit, calibrations[name]), n_bins=10, strategy="quantile"
        )
        axes.plot(
            predicted, observed, "o-" if evidence.startswith("real") else "o--", ms=4, label=f"{name} ({evidence})"
        )
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="predicted probability", ylabel="observed frequency", title="Calibration on test data")
    axes.legend(fontsize=8)
    _save(figure, path)


def plot_indices(path: Path, virtual: EvaluationSet, on_virtual: Predictions) -> None:
    """Estimate against truth of six indices, virtual test people."""
    figure, grid = plt.subplots(2, 3, figsize=(10, 6.5))
    correlation = pearson(virtual.indices, on_virtual.mean)
    for axes, name in zip(grid.flat, SHOWN_INDICES, strict=True):
        column = INDICES.index(name)
        truth, estimate = virtual.indices[:, column], on_virtual.mean[:, column]
        axes.plot(truth, estimate, ".", ms=2, alpha=0.4)
        ends = [truth.min(), truth.max()]
        axes.plot(ends, ends, ":", color="grey")
        axes.set(xlabel="truth", ylabel="estimate")
        axes.set_title(f"{name} (virtual), r {correlation[column]:.2f}", fontsize=9)
    _save(figure, path)
