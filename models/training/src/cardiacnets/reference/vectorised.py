"""Profile `cardiacnets-v1` over all leads at once: cumulative sums, 2-D wavelets, one Savitzky-Golay call."""

import numpy as np
import pywt
from scipy.signal import savgol_filter

from cardiacnets.reference.stages import Float64, Stages
from cardiacnets.signal.profile import FLAT_RANGE_MV, Profile


def baseline(window: Float64, period: int) -> Float64:
    """Centred moving average over one period, [leads][samples]; an even period has half-weighted ends."""
    half = period // 2
    samples = window.shape[1]
    sums = np.zeros((window.shape[0], samples + 1))
    np.cumsum(window, axis=1, out=sums[:, 1:])
    centre = (sums[:, period:] - sums[:, :-period]) / period
    if period % 2 == 0:
        centre = (centre[:, :-1] + centre[:, 1:]) / 2
    trend = np.empty_like(window)
    trend[:, half : samples - half] = centre
    trend[:, :half] = centre[:, :1]
    trend[:, samples - half :] = centre[:, -1:]
    return trend


def denoise(window: Float64, profile: Profile) -> Float64:
    """Soft threshold on every detail, a part of the universal one; sigma a lead, as in `obvious`."""
    approximation, *details = pywt.wavedec(
        window, profile.wavelet, mode=profile.wavelet_mode, level=profile.wavelet_level, axis=1
    )
    noise = details[-profile.noise_level]
    sigma = np.median(np.abs(noise), axis=1, keepdims=True) / 0.6745
    threshold = profile.threshold_scale * sigma * np.sqrt(2 * np.log(window.shape[1]))
    kept = [detail - np.clip(detail, -threshold, threshold) for detail in details]
    restored = pywt.waverec([approximation, *kept], profile.wavelet, mode=profile.wavelet_mode, axis=1)
    return restored[:, : window.shape[1]]


def scale(window: Float64, amplitude: Float64) -> Float64:
    """Min-max a lead to [−1, 1]; a flat lead becomes zeros."""
    low, high = amplitude[:, :1], amplitude[:, 1:]
    flat = high - low <= FLAT_RANGE_MV
    span = np.where(flat, 1.0, high - low)
    return np.where(flat, 0.0, 2 * (window - low) / span - 1)


def preprocess(window: Float64, heart_rate_bpm: float, profile: Profile) -> Stages:
    """`window`: float64 [leads][samples], mV, at the profile's rate."""
    trend = baseline(window, profile.period(heart_rate_bpm))
    detrended = window - trend
    denoised = denoise(detrended, profile)
    smoothed = savgol_filter(denoised, profile.savgol_window, profile.savgol_order, mode=profile.savgol_edges, axis=1)
    amplitude = np.stack([smoothed.min(axis=1), smoothed.max(axis=1)], axis=1)
    return Stages(trend, detrended, denoised, smoothed, scale(smoothed, amplitude), amplitude)
