"""Operating points for people: limits by sex and age that flag about the same share of reader-normals in every group.

A quantile of each group alone (Mondrian conformal; Vovk et al. 2003) holds in every group, but with 100 to 250 people
it rests on one or two of them: in 5-fold cross-validation on fold 8, stated 1%, 2% and 4% were .3%, 1.2% and 3.3%.
A quantile of everybody's scores, normalised by each group's median and spread (Lei et al. 2018, "Distribution-free
predictive inference for regression", section 5.2), rests on many, but its groups must have the same tail.
A group's limit is between the two, nearer to its own the more people are expected above it. The service applies the
limits (`shared/inference/limits.ts`).

A bundle branch block looks like what a loaded or dilated ventricle does. Where an ECG shows one, a condition may have
a limit of its own, which few people reach who have nothing but the block. It raises a person's limit, and never lowers
it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from cardiacnets.domain import BLOCKS

Array = NDArray[np.floating]

AGE_EDGES = (0, 50, 65, 80, 200)
LEAST = 100
"""Groups of fewer normal people are pooled."""
OWN = 5.0
"""People expected above a group's limit at which its own quantile and that of everybody count the same."""
SEXES = ("male", "female")


@dataclass(frozen=True)
class Band:
    """One group; `sex` None: both."""

    sex: str | None
    fromAge: float
    belowAge: float
    n: int
    threshold: float


@dataclass(frozen=True)
class InBlock:
    """The least limit in ECGs that show a block; set on n of them, `falseAlarms` of which lie above it."""

    block: str
    n: int
    falseAlarms: float
    threshold: float


@dataclass(frozen=True)
class Limits:
    """As the manifest holds them."""

    dataset: str
    falseAlarms: float
    bands: tuple[Band, ...]
    otherwise: float
    inBlocks: tuple[InBlock, ...] = ()

    def described(self) -> dict[str, Any]:
        """Plain JSON."""
        bands = [{name: value for name, value in vars(band).items() if value is not None} for band in self.bands]
        own = {name: value for name, value in vars(self).items() if name != "inBlocks"}
        return own | {"bands": bands} | ({"inBlocks": [vars(each) for each in self.inBlocks]} if self.inBlocks else {})


def read_limits(described: Mapping[str, Any]) -> Limits:
    """What `described` wrote."""
    bands = tuple(Band(**{"sex": None} | band) for band in described["bands"])
    blocks = tuple(InBlock(**each) for each in described.get("inBlocks", []))
    return Limits(described["dataset"], described["falseAlarms"], bands, described["otherwise"], blocks)


def log_odds(chance: Array) -> Array:
    """Of probabilities, finite."""
    return np.asarray(logit(np.clip(chance, 1e-9, 1 - 1e-9)))


def conformal_limit(chance: Array, rate: float) -> float:
    """Probability that at most `rate` of new people like these [n] are expected to reach.

    Raises:
        ValueError: they are too few to tell.
    """
    n = len(chance)
    below = math.ceil((n + 1) * (1 - rate))
    if below > n:
        raise ValueError(f"{n} people cannot tell what {rate:.1%} of people reach")
    rising = np.sort(log_odds(chance))
    highest = rising[below - 1]
    above = rising[below] if below < n else highest + 0.1
    return rounded_up(float(expit((highest + above) / 2)), float(expit(highest)))


def reached_by(score: Array, rate: float) -> float:
    """Score that `rate` of new people like these [n] are expected to reach; the highest one, if they are too few."""
    return float(np.quantile(score, 1 - rate, method="weibull"))


def rounded_up(value: float, over: float) -> float:
    """`value` at four significant digits, and above `over` at as many digits.

    The service compares probabilities at this precision.
    """
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    rounded = round(value / step) * step
    lowest = (math.floor(over / step + 0.5) + 1) * step
    return min(float(f"{max(rounded, lowest):.4g}"), 0.9999)


def age_bands(age: Array) -> list[tuple[float, float]]:
    """Bands between `AGE_EDGES` with `LEAST` people each; what is smaller joins the band before it."""
    bands: list[tuple[float, float]] = []
    for low, high in pairwise(AGE_EDGES):
        count = int(np.sum((age >= low) & (age < high)))
        if bands and (count < LEAST or _count(age, bands[-1]) < LEAST):
            bands[-1] = (bands[-1][0], high)
        else:
            bands.append((low, high))
    return bands


def _count(age: Array, band: tuple[float, float]) -> int:
    return int(np.sum((age >= band[0]) & (age < band[1])))


def fit_limits(
    chance: Array,
    unknown: Array,
    person: Array,
    rate: float,
    dataset: str,
    lowest: float = 0.0,
    *,
    one_for_all: bool = False,
) -> Limits:
    """Limits from normal people [n]: `chance` with sex and age known, `unknown` with both withheld; `person` [n,4].

    No limit is below `lowest`. `one_for_all`: people of either sex and any age share one.
    """
    sex, age = person[:, 0], person[:, 1]
    groups: list[tuple[str | None, float, float, NDArray[np.bool_]]] = []
    for low, high in [(AGE_EDGES[0], AGE_EDGES[-1])] if one_for_all else age_bands(age):
        inside = (age >= low) & (age < high)
        by_sex = [inside & (sex == number) for number in range(2)]
        if not one_for_all and min(int(rows.sum()) for rows in by_sex) >= LEAST:
            groups += [(name, low, high, rows) for name, rows in zip(SEXES, by_sex, strict=True)]
        else:
            groups.append((None, low, high, inside))
    scores = [log_odds(chance[rows]) for *_, rows in groups]
    usual = [_usual(score) for score in scores]
    normalised = [(score - middle) / spread for score, (middle, spread) in zip(scores, usual, strict=True)]
    common = reached_by(np.concatenate(normalised), rate)
    bands = []
    for (name, low, high, _), score, (middle, spread) in zip(groups, scores, usual, strict=True):
        expected = rate * len(score)
        share = expected / (expected + OWN)
        limit = (1 - share) * (middle + common * spread) + share * reached_by(score, rate)
        below = score[score < limit].max(initial=-np.inf)
        threshold = max(lowest, rounded_up(float(expit(limit)), float(expit(below))))
        bands.append(Band(name, low, high, len(score), threshold))
    return Limits(dataset, rate, tuple(bands), max(lowest, conformal_limit(unknown, rate)))


def _usual(score: Array) -> tuple[float, float]:
    """Median, and median distance from it."""
    middle = float(np.median(score))
    return middle, max(float(np.median(np.abs(score - middle))), 1e-3)


def fit_in_block(block: str, chance: Array, rate: float) -> InBlock:
    """The limit that `rate` of new ECGs like these [n] reach, whose readers found the block and no more."""
    return InBlock(block, len(chance), rate, conformal_limit(chance, rate))


def limits_of(limits: Limits, person: Array, blocks: NDArray[np.bool_] | None = None) -> Array:
    """[n] the limit of each person [n,4], as the service chooses it.

    `blocks` [n,2]: the blocks that the ECG shows, in the order of `BLOCKS`.
    """
    chosen = np.full(len(person), limits.otherwise)
    sex, age = person[:, 0], person[:, 1]
    for band in reversed(limits.bands):  # the first that fits counts
        inside = (age >= band.fromAge) & (age < band.belowAge) & ~np.isnan(sex)
        if band.sex is not None:
            inside &= sex == SEXES.index(band.sex)
        chosen[inside] = band.threshold
    for each in limits.inBlocks:
        shown = np.zeros(len(person), dtype=bool) if blocks is None else blocks[:, BLOCKS.index(each.block)]
        chosen[shown] = np.maximum(chosen[shown], each.threshold)
    return chosen
