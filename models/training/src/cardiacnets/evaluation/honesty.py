"""What an AUROC hides: calibration, the people whom a finding misses, and what it flags in people without it.

Every share has its n and a 95% interval. Denominators hold all ECGs of a group: nothing is won by leaving some out.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from cardiacnets.domain import CONDITIONS
from cardiacnets.evaluation.figures import Accuracy, Agreement, CalibrationFigures, Share, Shares, StatementShares
from cardiacnets.metrics import pearson

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]

AGES = ((0, 50), (50, 65), (65, 80), (80, 200))
ROUNDS = 300
STATEMENTS: Mapping[str, frozenset[str]] = {
    "CRBBB": frozenset({"CRBBB"}),
    "CLBBB": frozenset({"CLBBB"}),
    "AF": frozenset({"AFIB"}),
    "tachycardia": frozenset({"STACH"}),
    "bradycardia": frozenset({"SBRAD"}),
    "LVH": frozenset({"LVH", "VCLVH", "SEHYP"}),
    "RVH": frozenset({"RVH", "RAO/RAE"}),
    "paced": frozenset({"PACE"}),
    "1AVB": frozenset({"1AVB"}),
    "NST/NDT": frozenset({"NST_", "NDT"}),
    "infarction or ischaemia": frozenset(),
}
"""Name → statements of PTB-XL's readers; the last is the CAD label itself."""
HEART_RATES = (0, 50, 60, 70, 80, 90, 100, 110, 250)
NOT_FREE = frozenset({"LVH", "VCLVH", "SEHYP", "CRBBB", "CLBBB", "ILBBB", "IVCD", "AFIB", "AFLT", "PACE", "WPW"})
"""Beside the CAD label: what keeps an ECG out of the table by heart rate."""


def wilson(count: int, n: int) -> list[float]:
    """95% interval of a share (Wilson 1927)."""
    z, share = 1.96, count / n
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return [
        round(float(max(0, (middle - half) / (1 + z**2 / n))), 4),
        round(float((middle + half) / (1 + z**2 / n)), 4),
    ]


def share(flags: Flags) -> Share:
    """{share, ci, n}; null where there is nobody."""
    n = len(flags)
    if n == 0:
        return {"share": None, "ci": None, "n": 0}
    return {"share": round(float(flags.mean()), 4), "ci": wilson(int(flags.sum()), n), "n": n}


def shares(flags: Flags) -> Shares:
    """Of flags [n,5]: each condition's and anything's."""
    by = {name: share(flags[:, index]) for index, name in enumerate(CONDITIONS)}
    return by | {"any": share(np.asarray(flags.any(axis=1)))}


def fit_line(x: Array, truth: Array, *, slope: float | None = None) -> tuple[float, float]:
    """Logistic regression of truth on x by Newton's steps: (slope, intercept); a given slope stays."""
    a, b = (1.0 if slope is None else slope), 0.0
    for _ in range(25):
        p = expit(a * x + b)
        weight = np.maximum(p * (1 - p), 1e-9)
        error = truth - p
        if slope is not None:
            b += error.sum() / weight.sum()
            continue
        hessian = np.array([[(weight * x * x).sum(), (weight * x).sum()], [(weight * x).sum(), weight.sum()]])
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), np.array([(error * x).sum(), error.sum()]))
        a, b = a + step[0], b + step[1]
    return float(a), float(b)


def interval(statistic: Callable[[NDArray[np.intp]], float], n: int, seed: int = 9) -> list[float]:
    """95% bootstrap interval over people."""
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, n, n)) for _ in range(ROUNDS)]
    return [round(float(limit), 4) for limit in np.nanpercentile(values, (2.5, 97.5))]


def calibration(chance: Array, truth: Flags) -> CalibrationFigures:
    """Slope (1: neither over- nor underconfident) and calibration in the large (0: no shift), both in log-odds."""
    x, y = logit(np.clip(chance, 1e-6, 1 - 1e-6)), truth.astype(float)
    return {
        "slope": round(fit_line(x, y)[0], 4),
        "slopeCi": interval(lambda rows: fit_line(x[rows], y[rows])[0], len(x)),
        "inTheLarge": round(fit_line(x, y, slope=1.0)[1], 4),
        "inTheLargeCi": interval(lambda rows: fit_line(x[rows], y[rows], slope=1.0)[1], len(x)),
    }


def by_age(flagged: Flags, truth: Flags, age: Array) -> dict[str, Accuracy]:
    """Sensitivity and specificity in each age group."""
    report: dict[str, Accuracy] = {}
    for low, high in AGES:
        inside = (age >= low) & (age < high)
        name = f"under {high}" if low == 0 else (f"{low}–{high - 1}" if high < 200 else f"{low} and over")
        report[name] = {"sensitivity": share(flagged[inside & truth]), "specificity": share(~flagged[inside & ~truth])}
    return report


def by_statement(flags: Flags, codes: Sequence[frozenset[str]], cad: Flags) -> dict[str, StatementShares]:
    """What is flagged in ECGs with each statement, and in those where it is the only finding.

    "Only" means: no CAD label, and no other of these statements.
    """
    has = {
        name: cad if not some else np.array([bool(stated & some) for stated in codes])
        for name, some in STATEMENTS.items()
    }
    report: dict[str, StatementShares] = {}
    for name, rows in has.items():
        others = np.any([other for key, other in has.items() if key != name], axis=0)
        report[name] = {"all": shares(flags[rows]), "isolated": shares(flags[rows & ~others])}
    return report


def by_heart_rate(flags: Flags, rate: Array, codes: Sequence[frozenset[str]], cad: Flags) -> dict[str, Shares]:
    """Of ECGs without infarction, ischaemia, LVH, bundle branch block, AF or pacing."""
    free = np.array([not stated & NOT_FREE for stated in codes]) & ~cad
    report: dict[str, Shares] = {}
    for low, high in pairwise(HEART_RATES):
        inside = free & (rate >= low) & (rate < high)
        name = f"under {high}" if low == 0 else (f"{low}–{high - 1}" if high < 250 else f"{low} and over")
        report[name] = shares(flags[inside])
    return report


def agreement(teacher: Array, own: Array) -> Agreement:
    """Pearson's R of logits."""
    known = ~np.isnan(teacher)
    a, b = teacher[known, None].astype(float), own[known, None].astype(float)
    return {
        "r": round(float(pearson(a, b)[0]), 4),
        "ci": interval(lambda rows: float(pearson(a[rows], b[rows])[0]), len(a)),
        "n": len(a),
    }
