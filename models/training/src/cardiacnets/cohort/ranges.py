"""Where healthy virtual people's indices lie: `shared/domain/virtual-ranges.json`, which the console shows.

They are simulated people and no patients: the file says so in `source`, and its ranges are never normal ranges.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cache import COHORT_VERSION
from .indices import measure_indices
from .person import draw_person

PERCENTILES = (5, 95)
FROM_YEARS = (18, 30, 40, 50, 60, 70, 80)
"""First year of each age band; the last one is open."""
SEXES = ("male", "female")


@dataclass(frozen=True)
class Healthy:
    """n virtual people without any condition."""

    indices: np.ndarray
    """float32 [n, 82] in the units of `shared/domain/indices.json`."""
    sex: np.ndarray
    """[n]: 0 male, 1 female."""
    age: np.ndarray
    """[n], years."""


def draw_healthy(n: int, seed: int) -> Healthy:
    """Those of the cohort's first `n` people who have no condition. No ECG is drawn, so this takes a minute."""
    people = (draw_person(seed, index) for index in range(n))
    healthy = [(measure_indices(person), person.row()) for person in people if not any(person.conditions())]
    indices, rows = (np.stack(column) for column in zip(*healthy, strict=True))
    return Healthy(indices, rows[:, 0], rows[:, 1])


def describe_ranges(healthy: Healthy, n: int, seed: int) -> dict[str, Any]:
    """The document: percentiles of the indices (in the domain's order) by sex and age, and of everybody."""
    return {
        "source": "virtual",
        "cohort": {"version": COHORT_VERSION, "seed": seed, "people": n},
        "percentiles": list(PERCENTILES),
        "everybody": _percentiles(healthy.indices),
        "groups": list(_groups(healthy)),
    }


def _groups(healthy: Healthy) -> Iterator[dict[str, Any]]:
    for code, sex in enumerate(SEXES):
        for first, following in zip(FROM_YEARS, (*FROM_YEARS[1:], np.inf), strict=True):
            members = (healthy.sex == code) & (healthy.age >= first) & (healthy.age < following)
            last = int(healthy.age.max() if np.isinf(following) else following - 1)
            yield {"sex": sex, "fromYears": first, "toYears": last} | _percentiles(healthy.indices[members])


def _percentiles(indices: np.ndarray) -> dict[str, Any]:
    low, high = np.percentile(indices.astype(np.float64), PERCENTILES, axis=0)
    return {"people": len(indices), "low": [_short(x) for x in low], "high": [_short(x) for x in high]}


def _short(value: float) -> float:
    """To three digits: with 200 people of a group, a percentile is not known better."""
    return float(f"{value:.3g}")
