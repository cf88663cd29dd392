"""What a reader looks for in a cine: fluid around the heart, a septum that is pushed flat, walls that hardly move."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cardiacnets.cohort.person import draw_person
from cardiacnets.domain import INDICES

SIGNS: Mapping[str, str] = {
    "effusion": "fluid around the heart",
    "septum": "septum flattened by at least a fifth at end-systole (PH)",
    "hypokinesia": "two or more of 16 segments contract less than half as much as in healthy people",
}
STRAINS = [INDICES.index(f"circumferentialStrainAha{segment}") for segment in range(1, 17)]
FLATTENED = 0.5
"""Severity of PH from which the renderer flattens the septum by a fifth or more (`cohort/short_axis.py`)."""
WEAK_SEGMENTS = 2
"""1% of virtual people without a disease have as many, 12% of all."""


def signs_of(
    rows: NDArray[np.intp], indices: NDArray[np.floating], healthy: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Which of `SIGNS` virtual people have, [len(rows),3].

    `indices` [n,82] and `healthy` [n] are of all people of the cohort that `seed` draws.
    """
    usual = np.median(indices[healthy][:, STRAINS], axis=0)  # contraction is negative
    weak = (indices[rows][:, STRAINS] > usual / 2).sum(axis=1) >= WEAK_SEGMENTS
    people = [draw_person(seed, int(row)) for row in rows]
    fluid, flat = (
        np.array(found) for found in zip(*((p.effusion_mm > 0, p.ph >= FLATTENED) for p in people), strict=True)
    )
    return np.stack([fluid, flat, weak], axis=1)
