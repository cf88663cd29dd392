"""Bring a recording from any rate to the profile's, anti-aliased (polyphase FIR)."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly


def resample(signal: NDArray[np.floating], rate_hz: float, to_hz: float) -> NDArray[np.floating]:
    """`signal` [..., samples] at `rate_hz` → [..., samples · to/rate] at `to_hz`; the ends are continued as lines."""
    ratio = Fraction(to_hz / rate_hz).limit_denominator(1000)
    if ratio == 1:
        return signal
    return resample_poly(signal, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
