"""A small made-up ECG for reference vectors and benchmarks: Gaussian waves, wander and noise; no patient in it."""

import numpy as np

from cardiacnets.reference.stages import Float64

# Centre (s from R), width (s) and height (mV in a lead of gain 1) of P, Q, R, S and T.
WAVES = ((-0.17, 0.022, 0.12), (-0.03, 0.009, -0.10), (0.0, 0.010, 1.10), (0.03, 0.010, -0.25), (0.26, 0.045, 0.30))


def synthetic_ecg(
    rng: np.random.Generator,
    *,
    leads: int,
    heart_rate_bpm: float,
    noise_mv: float = 0.008,
    rate_hz: int = 500,
    seconds: float = 10,
) -> Float64:
    """Float64 [leads][rate · seconds], mV."""
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    rr = 60 / heart_rate_bpm
    beats = np.arange(-1, seconds / rr + 1) * rr + rng.normal(0, 0.012, size=int(np.ceil(seconds / rr + 2)))
    gains = rng.uniform(0.4, 1.3, size=leads) * rng.choice([-1, 1], size=leads)
    ecg = np.zeros((leads, len(time)))
    for centre, width, height in WAVES:
        wave = np.exp(-0.5 * ((time[None, :] - beats[:, None] - centre) / width) ** 2).sum(axis=0)
        ecg += np.outer(gains * height * rng.uniform(0.7, 1.3, size=leads), wave)
    wander = rng.uniform(0.05, 0.4, size=(leads, 1)) * np.sin(2 * np.pi * 0.24 * time + rng.uniform(0, 6, (leads, 1)))
    return ecg + wander + rng.uniform(-0.3, 0.3, (leads, 1)) + rng.normal(0, noise_mv, ecg.shape)
