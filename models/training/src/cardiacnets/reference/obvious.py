"""Profile `cardiacnets-v1` as a researcher writes it first: a loop over leads and the libraries' own functions.

It is the oracle of the other implementations, so it is kept plain.
"""

import numpy as np
import pywt
from scipy.signal import savgol_filter
from statsmodels.tsa.seasonal import seasonal_decompose

from cardiacnets.reference.stages import Float64, Stages
from cardiacnets.signal.profile import FLAT_RANGE_MV, Profile


def baseline(lead: Float64, period: int) -> Float64:
    """Trend of an additive seasonal decomposition, mV; the ends, where it is NaN, hold the nearest value."""
    trend = seasonal_decompose(lead, model="additive", period=period, two_sided=True).trend
    known = np.flatnonzero(~np.isnan(trend))
    trend[: known[0]] = trend[known[0]]
    trend[known[-1] + 1 :] = trend[known[-1]]
    return trend


def denoise(lead: Float64, profile: Profile) -> Float64:
    """Soft threshold on every detail, a part of the universal one; sigma from one detail's median absolute value."""
    approximation, *details = pywt.wavedec(
        lead, profile.wavelet, mode=profile.wavelet_mode, level=profile.wavelet_level
    )
    noise = details[-profile.noise_level]
    sigma = np.median(np.abs(noise)) / 0.6745
    threshold = profile.threshold_scale * sigma * np.sqrt(2 * np.log(len(lead)))
    # pywt divides by the magnitude: an exact zero under a zero threshold (a flat lead) would be 0/0.
    kept = [pywt.threshold(detail, threshold, mode="soft") if threshold > 0 else detail for detail in details]
    return pywt.waverec([approximation, *kept], profile.wavelet, mode=profile.wavelet_mode)[: len(lead)]


def scale(lead: Float64) -> Float64:
    """Min-max to [−1, 1]; a flat lead becomes zeros."""
    low, high = lead.min(), lead.max()
    if high - low <= FLAT_RANGE_MV:
        return np.zeros_like(lead)
    return 2 * (lead - low) / (high - low) - 1


def preprocess(window: Float64, heart_rate_bpm: float, profile: Profile) -> Stages:
    """`window`: float64 [leads][samples], mV, at the profile's rate."""
    period = profile.period(heart_rate_bpm)
    trend, detrended, denoised, smoothed, scaled = ([] for _ in range(5))
    for lead in window:
        trend.append(baseline(lead, period))
        detrended.append(lead - trend[-1])
        denoised.append(denoise(detrended[-1], profile))
        smoothed.append(
            savgol_filter(denoised[-1], profile.savgol_window, profile.savgol_order, mode=profile.savgol_edges)
        )
        scaled.append(scale(smoothed[-1]))
    amplitude = [(lead.min(), lead.max()) for lead in smoothed]
    return Stages(*map(np.array, (trend, detrended, denoised, smoothed, scaled, amplitude)))
