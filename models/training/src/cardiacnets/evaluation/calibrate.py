"""Turn logits into probabilities, thresholds and intervals, on data that was not trained on."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_curve

from cardiacnets.bundle.write import Calibration

Array = NDArray[np.floating]


def fit_platt(logit: Array, truth: NDArray[np.bool_] | Array) -> Calibration:
    """Scale and offset that minimise the cross-entropy of sigmoid(scale · logit + offset) (Platt 1999).

    `truth`: 0 and 1, or soft labels between them.
    """

    def cross_entropy(parameters: Array) -> float:
        z = parameters[0] * logit + parameters[1]
        return float(np.mean(np.logaddexp(0, z) - truth * z))

    scale, offset = minimize(cross_entropy, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return Calibration(float(scale), float(offset))


def probability(logit: Array, calibration: Calibration) -> Array:
    """Calibrated probability."""
    return expit(calibration.scale * logit + calibration.offset)


def fit_thresholds(score: Array, truth: NDArray[np.bool_]) -> dict[str, float]:
    """Probability thresholds: Youden's best sensitivity + specificity, and the highest with 90% sensitivity."""
    false_positive, true_positive, thresholds = roc_curve(truth, score)
    youden = thresholds[np.argmax(true_positive - false_positive)]
    sensitivity90 = thresholds[np.argmax(true_positive >= 0.9)]
    return {"youden": float(min(youden, 1.0)), "sensitivity90": float(min(sensitivity90, 1.0))}


def fit_interval_scale(truth: Array, mean: Array, logvar: Array, coverage: float = 0.9) -> Array:
    """[K]: mean ± scale · exp(logvar/2) covers `coverage` of new people (split conformal); inputs [n,K]."""
    score = np.abs(truth - mean) * np.exp(-logvar / 2)
    n = len(score)
    level = min(1.0, np.ceil((n + 1) * coverage) / n)
    return np.quantile(score, level, axis=0, method="higher")
