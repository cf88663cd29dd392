"""Intervals that hold published people too: a virtual cohort varies less than life, and so do its conformal intervals.

Petersen et al. 2017 (JCMR 19:18) give mean and deviation of healthy UK Biobank participants by sex. An interval around
what the network predicts for a typical normal person must hold 90% of them, or it is widened until it does.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cardiacnets.domain import INDICES
from cardiacnets.evaluation.figures import Widened

Array = NDArray[np.floating]

PUBLISHED: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "lvEdv": ((166, 32), (124, 21)),
    "lvEf": ((58, 5), (61, 5)),
    "lvMass": ((103, 21), (70, 13)),
    "rvEdv": ((182, 36), (130, 24)),
    "rvEf": ((54, 6), (58, 6)),
    "laMaxVolume": ((71, 19), (62, 17)),
    "laEf": ((60, 7), (61, 7)),
    "raMaxVolume": ((93, 27), (69, 17)),
    "raEf": ((41, 9), (46, 9)),
}
"""Index → (mean, deviation) of men and of women; RV and atria from memory, as in `cohort/person.py`."""
AGES = (45, 75)
COVERAGE = 0.90
GRID = np.arange(1.0, 6.01, 0.05)


def covered(middle: float, half: float, published: tuple[float, float]) -> float:
    """Share of published people within `middle` ± `half`."""
    low, high = (float(norm.cdf(limit, *published)) for limit in (middle - half, middle + half))
    return high - low


def widening(mean: Array, half: Array, person: Array) -> tuple[Array, dict[str, Widened]]:
    """Factors [82] for the intervals, and for each published index the share covered before and the factor.

    mean, half: what the network says of normal people [n,82] and half the width of its intervals; person [n,4].
    """
    factors = np.ones(len(INDICES))
    report: dict[str, Widened] = {}
    sex, age = person[:, 0], person[:, 1]
    inside = (age >= AGES[0]) & (age < AGES[1])
    for name, by_sex in PUBLISHED.items():
        column = INDICES.index(name)
        typical = [
            (float(np.median(mean[rows, column])), float(np.median(half[rows, column])), published)
            for published, rows in zip(by_sex, (inside & (sex == 0), inside & (sex == 1)), strict=True)
        ]
        shares = [min(covered(middle, k * width, published) for middle, width, published in typical) for k in GRID]
        enough = np.flatnonzero(np.array(shares) >= COVERAGE)
        factors[column] = GRID[enough[0]] if len(enough) else GRID[-1]
        report[name] = {"coveredBefore": round(shares[0], 4), "factor": round(float(factors[column]), 2)}
    return factors, report


def volumes_follow(factors: Array) -> Array:
    """The volumes that follow from largest and EF (`consistent`) are as uncertain as the more uncertain of the two."""
    wider = factors.copy()
    for first, after in pairwise((0, 6, 10, 14, 18)):
        largest, ef = first, first + 3
        most = max(wider[largest], wider[ef])
        wider[[first + 1, first + 2]] = np.maximum(wider[[first + 1, first + 2]], most)
        assert after > ef, "chambers do not overlap"
    return wider
