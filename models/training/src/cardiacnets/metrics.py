"""Figures of merit with bootstrap intervals."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.floating]


def auroc(truth: NDArray[np.bool_], score: Array) -> float:
    """Area under the ROC curve from ranks (Mann-Whitney); NaN when one class is absent."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    return float((rankdata(score)[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def bootstrap_ci(
    measure: Callable[[NDArray[np.intp]], float], rows: int, seed: int = 0, rounds: int = 1000
) -> tuple[float, float]:
    """95% percentile interval of `measure(row numbers)` over `rounds` resamples of the rows."""
    rng = np.random.default_rng(seed)
    values = [measure(rng.integers(rows, size=rows)) for _ in range(rounds)]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def auroc_with_ci(truth: NDArray[np.bool_], score: Array, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """AUROC and its 95% bootstrap interval (1,000 resamples); the scores are ranked once and not in each resample."""
    levels, level = np.unique(score, return_inverse=True)

    def resampled(rows: NDArray[np.intp]) -> float:
        sick = truth[rows]
        positives = np.bincount(level[rows[sick]], minlength=len(levels))
        negatives = np.bincount(level[rows[~sick]], minlength=len(levels))
        below = np.cumsum(negatives) - negatives / 2
        pairs = positives.sum() * negatives.sum()
        return float(positives @ below / pairs) if pairs else float("nan")

    return auroc(truth, score), bootstrap_ci(resampled, len(truth), seed)


def pearson(truth: Array, estimate: Array) -> Array:
    """Pearson r of each column of [n,K]; 0 for a column that does not vary."""
    a, b = truth - truth.mean(axis=0), estimate - estimate.mean(axis=0)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), norm, out=np.zeros_like(norm), where=norm > 0)


def retrieval_rank(query: NDArray[np.floating], key: NDArray[np.floating]) -> NDArray[np.intp]:
    """Rank [n], from 1, of each query's own key among all, by inner product of [n,D]. Ties count against it."""
    similarity = query @ key.T
    return (similarity >= np.diagonal(similarity)[:, None]).sum(axis=1)  # its own is one of them
