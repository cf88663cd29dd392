"""Heart rate of a training window. The serving twin is the R-peak detector of `shared/signal` (TypeScript)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

QRS_BAND_HZ = (5.0, 20.0)
REFRACTORY_S = 0.25
INTEGRATION_S = 0.1


def heart_rate(window: NDArray[np.floating], rate_hz: float) -> float:
    """Beats per minute from the median RR interval of `window` [leads][samples]; NaN with fewer than three beats.

    Band-pass, squared slope summed over leads, moving average, peaks: the order of Pan and Tompkins (1985).
    """
    qrs = sosfiltfilt(butter(2, QRS_BAND_HZ, "bandpass", fs=rate_hz, output="sos"), window, axis=-1)
    slope = np.gradient(qrs, axis=-1)
    # Leads count by how peaked they are, not by voltage: a noisy lead must not drown the others.
    power = slope**2 / np.maximum(
        np.median(slope**2, axis=-1, keepdims=True) * 10 + slope.var(axis=-1, keepdims=True), 1e-12
    )
    energy = uniform_filter1d(power.sum(axis=0), max(1, round(INTEGRATION_S * rate_hz)))
    peaks, _ = find_peaks(energy, height=0.25 * np.quantile(energy, 0.98), distance=round(REFRACTORY_S * rate_hz))
    if len(peaks) < 3:
        return float("nan")
    return float(60 * rate_hz / np.median(np.diff(peaks)))
