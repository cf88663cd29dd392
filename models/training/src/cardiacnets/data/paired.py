"""ECG and cines of the same people."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiacnets.data.cines import CineSet
from cardiacnets.domain import View


@dataclass(frozen=True)
class PairedSet:
    """ECG and cines of the same n people; the cines' splits are the people's."""

    millivolt: NDArray[np.float16]
    """[n,12,T], mV at the rate that the trunk reads."""
    person: NDArray[np.float32]
    """[n,4], NaN where unknown."""
    cines: Mapping[View, CineSet]
    split: NDArray[np.str_]

    def __post_init__(self) -> None:
        for view, cines in self.cines.items():
            if not np.array_equal(cines.split, self.split):
                raise ValueError(f"the {view} cines are not those of the same people in the same order")

    def ecgs(self, chosen: slice) -> "PairedSet":
        """Some of the people, without their cines."""
        return PairedSet(self.millivolt[chosen], self.person[chosen], {}, self.split[chosen])
