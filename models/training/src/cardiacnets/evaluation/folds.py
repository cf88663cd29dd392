"""How much a calibration slope differs from one fold of PTB-XL to the next: what an interval over people leaves out.

CAD is read by a logistic regression from an encoder that never saw a label of a real ECG (`align`). Each of folds 1 to
8 is left out once. One fold calibrates what is shipped; this says what to expect of its slope elsewhere.
Fold 9 is not read.

`python -m cardiacnets.evaluation.folds [--run-dir DIR]`
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from cardiacnets.configuration import to_json
from cardiacnets.data.windows import cache_dir
from cardiacnets.evaluation.honesty import fit_line
from cardiacnets.metrics import auroc
from cardiacnets.signal.profile import REPOSITORY

Array = NDArray[np.floating]

STRENGTH = 0.003
"""Inverse of the penalty."""
ROUNDS = 60
REPORT = REPOSITORY / "models" / "training" / "reports" / "folds.json"


@dataclass(frozen=True)
class FoldSlope:
    """One fold, by a regression that never saw it."""

    fold: int
    n: int
    auroc: float
    slope: float
    standardError: float  # named as in the JSON
    """Of the slope, by a bootstrap over people."""


def left_out_scores(features: Array, truth: NDArray[np.bool_], fold: NDArray[np.integer]) -> Array:
    """Log-odds [n] of each ECG by a regression on the other folds."""
    x = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    score = np.zeros(len(truth))
    for one in np.unique(fold):
        out = fold == one
        score[out] = LogisticRegression(C=STRENGTH, max_iter=60).fit(x[~out], truth[~out]).decision_function(x[out])
    return score


def fold_slopes(
    score: Array, truth: NDArray[np.bool_], fold: NDArray[np.integer], rounds: int = ROUNDS
) -> list[FoldSlope]:
    """Calibration slope of each fold's scores."""
    found = []
    for one in np.unique(fold):
        s, y = score[fold == one], truth[fold == one]
        rng = np.random.default_rng(int(one))
        draws = [rng.integers(0, len(s), len(s)) for _ in range(rounds)]
        error = float(np.std([fit_line(s[rows], y[rows].astype(float))[0] for rows in draws]))
        slope = fit_line(s, y.astype(float))[0]
        found.append(FoldSlope(int(one), len(s), round(auroc(y, s), 4), round(slope, 4), round(error, 4)))
    return found


def between_folds(slopes: list[FoldSlope]) -> float:
    """Standard deviation of the log slope between folds, beside that of people (DerSimonian and Laird 1986)."""
    value = np.log([each.slope for each in slopes])
    weight = np.array([(each.slope / each.standardError) ** 2 for each in slopes])
    excess = float(weight @ (value - np.average(value, weights=weight)) ** 2) - (len(value) - 1)
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    return max(0.0, excess / scale) ** 0.5


def report(features: Array, truth: NDArray[np.bool_], fold: NDArray[np.integer]) -> dict[str, Any]:
    """Slopes, their deviation between folds, and the 95% range of one fold's slope after calibration on another."""
    slopes = fold_slopes(left_out_scores(features, truth, fold), truth, fold)
    between = between_folds(slopes)
    people = float(np.median([each.standardError / each.slope for each in slopes]))
    half = 1.96 * (2 * (between**2 + people**2)) ** 0.5
    return {
        "folds": [to_json(each) for each in slopes],
        "betweenFolds": round(between, 4),
        "expected": [round(float(np.exp(sign * half)), 3) for sign in (-1, 1)],
    }


def main() -> None:
    """Write the report and print it."""
    from cardiacnets.evaluation.probes import pooled
    from cardiacnets.programme import ptbxl
    from cardiacnets.stages.contrastive import load_aligned_trunk

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact")
    options = parser.parse_args()
    real = ptbxl()
    trunk: Any = load_aligned_trunk(options.run_dir / "align" / "model.pt")
    person = np.nan_to_num(real.person[:, :2], nan=60)
    features = np.concatenate([pooled(trunk, real.millivolt), person], axis=1)
    found = report(features, real.cad, real.fold)
    REPORT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
