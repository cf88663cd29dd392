"""Function read from a cine: areas of what our U-Nets find, and a small linear calibration (fitted on true cines).

index = intercept + Σ weight · area^power, the area (cm²) of one label in one view: the largest of the cycle, or the
smallest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cardiacnets.cohort.heart import LA_CAVITY, LV_CAVITY, LV_WALL, RA_CAVITY, RV_CAVITY
from cardiacnets.cohort.scanner import PIXEL_MM
from cardiacnets.domain import View

READ_INDICES = ("lvEdv", "lvEsv", "lvEf", "lvMass", "rvEdv")
RIDGE = 3.0
"""Penalty on standardised weights, in people: features go together, and weights must not fight one another."""


@dataclass(frozen=True)
class Feature:
    """One number of a cine's areas."""

    view: View
    label: int
    statistic: Literal["max", "min"]
    power: float
    """1.5 makes of an area what a volume of the same shape grows with."""


_LABELS: Mapping[View, tuple[int, ...]] = {
    "short_axis": (LV_CAVITY, LV_WALL, RV_CAVITY),
    "four_chamber": (LV_CAVITY, LV_WALL, RV_CAVITY, LA_CAVITY, RA_CAVITY),
}
_STATISTICS: tuple[Literal["max", "min"], ...] = ("max", "min")
FEATURES: tuple[Feature, ...] = tuple(
    Feature(view, label, statistic, power)
    for view, labels in _LABELS.items()
    for label in labels
    for statistic in _STATISTICS
    for power in (1.0, 1.5)
)


def label_areas(labels: NDArray[np.uint8], count: int) -> NDArray[np.float64]:
    """Labels [F,H,W] of one cine → cm² [F,count], the background left out."""
    pixels = np.stack([(labels == label).sum(axis=(1, 2)) for label in range(1, count + 1)], axis=1)
    return pixels * (PIXEL_MM / 10) ** 2


def features_of(areas: Mapping[View, NDArray[np.floating]]) -> NDArray[np.float64]:
    """Areas [n,F,labels] of each view → [n,features]."""
    columns = []
    for feature in FEATURES:
        area = areas[feature.view][:, :, feature.label - 1]
        columns.append(getattr(area, feature.statistic)(axis=1) ** feature.power)
    return np.stack(columns, axis=1).astype(np.float64)


@dataclass(frozen=True)
class Readout:
    """Intercept and weights of each index."""

    names: tuple[str, ...]
    intercept: NDArray[np.float64]  # [K]
    weights: NDArray[np.float64]  # [features,K]

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """[n,features] → [n,K] in the units of the indices."""
        return features @ self.weights + self.intercept


def fit_readout(features: NDArray[np.floating], truth: NDArray[np.floating], names: Sequence[str]) -> Readout:
    """Ridge regression of truth [n,K] on [n,features]."""
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    standard = (features - middle) / spread
    penalty = RIDGE * np.eye(standard.shape[1])
    mean = truth.mean(axis=0)
    weights = np.linalg.solve(standard.T @ standard + penalty, standard.T @ (truth - mean)) / spread[:, None]
    return Readout(tuple(names), mean - middle @ weights, weights)


def describe_readout(
    readout: Readout,
    correlation: Mapping[str, float],
    view_names: Mapping[View, str],
    drawn: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """The manifest's `readout`.

    `correlation` is with the truth on true cines of held-out people; `drawn` is that of each sampler on what it drew of
    their ECGs, if that was measured.
    """
    return {
        "areaUnit": "cm2",
        "features": [asdict(feature) | {"view": view_names[feature.view]} for feature in FEATURES],
        "indices": [
            {
                "id": name,
                "intercept": float(readout.intercept[column]),
                "weights": [float(weight) for weight in readout.weights[:, column]],
                "correlation": float(correlation[name]),
            }
            | ({"drawnCorrelation": {sampler: float(r[name]) for sampler, r in drawn.items()}} if drawn else {})
            for column, name in enumerate(readout.names)
        ],
    }
