"""The virtual cohort's ECGs as the trunk sees them, with the truth: the virtual half of the training data."""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiacnets import cohort
from cardiacnets.data.windows import WINDOW_S, cached_millivolt
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.models.frontend import RATE_HZ
from cardiacnets.signal.profile import load_profile


@dataclass(frozen=True)
class VirtualSet:
    """n virtual people: mV float16 [n][12][10 s], the truth, and the split by person."""

    millivolt: NDArray[np.float16]
    indices: NDArray[np.float32]
    """[n,82] in the units of `shared/domain/indices.json`."""
    conditions: NDArray[np.bool_]
    """[n,5] in the order of `shared/domain/conditions.json`."""
    person: NDArray[np.float32]
    """[n,4]: sex, age, height, weight."""
    split: NDArray[np.str_]
    """'train', 'val' or 'test'."""

    def rows(self, chosen: slice | NDArray[np.intp]) -> "VirtualSet":
        """Some of the people."""
        return VirtualSet(*(getattr(self, part.name)[chosen] for part in fields(self)))


def no_virtual(trunk_hz: int = RATE_HZ) -> VirtualSet:
    """Nobody: where the people are real."""
    return VirtualSet(
        millivolt=np.zeros((0, 12, WINDOW_S * trunk_hz), dtype=np.float16),
        indices=np.zeros((0, len(INDICES)), dtype=np.float32),
        conditions=np.zeros((0, len(CONDITIONS)), dtype=bool),
        person=np.zeros((0, 4), dtype=np.float32),
        split=np.zeros(0, dtype=str),
    )


def load_virtual(cohort_dir: Path, trunk_hz: int = RATE_HZ) -> VirtualSet:
    """Preprocess (or read the cache of) what `cohort.generate` wrote to `cohort_dir`, for a trunk of that rate."""
    people = cohort.load(cohort_dir)
    # The truth identifies the cohort: one drawn anew in the same folder must not meet the old one's windows.
    digest = hashlib.sha256(np.ascontiguousarray(people.indices).tobytes()).hexdigest()[:12]
    recordings = (microvolt / 1000 for microvolt in people.ecg)
    return VirtualSet(
        millivolt=cached_millivolt(f"virtual-{digest}", recordings, len(people.ecg), load_profile().rate_hz, trunk_hz),
        indices=np.asarray(people.indices, dtype=np.float32),
        conditions=np.asarray(people.conditions, dtype=bool),
        person=np.asarray(people.person, dtype=np.float32),
        split=np.asarray(people.split),
    )
