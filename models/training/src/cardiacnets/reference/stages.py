"""The result type that both references share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Stages:
    """The signal after each stage of the profile, [leads][samples]; mV, but `scaled`, which is in [−1, 1]."""

    trend: Float64
    detrended: Float64
    denoised: Float64
    smoothed: Float64
    scaled: Float64
    amplitude: Float64
    """[leads][2]: minimum and maximum of `smoothed`, mV."""
