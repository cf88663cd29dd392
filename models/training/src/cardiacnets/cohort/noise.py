"""What electrodes and amplifiers add, with the statistics of real recordings.

Measured on 85 PTB-XL records at 500 Hz (median, 5th and 95th percentile over records and leads): baseline below 0.5 Hz
41 µV (11–213), falling with f⁻⁴ above 0.2 Hz; quiet-window muscle noise 1.0 µV (0.6–3.5) at 55–100 Hz and 0.75 µV
(0.4–2.4) at 100–150 Hz, limb leads twice the precordial; mains 0.8 µV (0.1–3.2). Neighbouring precordial leads
correlate by 0.5–0.8.
"""

import numpy as np

from .anatomy import Floats

SAMPLES, RATE_HZ = 5000, 500
_FREQUENCY = np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
_SAFE = np.maximum(_FREQUENCY, 0.05)
# One-sided amplitude spectra with unit variance: drift of the skin contact, and muscle.
_DRIFT = np.where(_FREQUENCY > 0, 1 / (1 + (_SAFE / 0.18) ** 2.2), 0)
_MUSCLE = np.where(_FREQUENCY > 4, (_SAFE / 50) ** -0.75, 0) / (1 + (_SAFE / 170) ** 6) ** 0.5
_BAND = slice(0, int(8 * SAMPLES / RATE_HZ))  # drift has nothing above 8 Hz
for _spectrum in (_DRIFT, _MUSCLE):
    _spectrum *= SAMPLES / np.sqrt(2 * np.sum(_spectrum**2))
_TIME_S = np.arange(SAMPLES) / RATE_HZ


def _neighbours(strength: float) -> Floats:
    """[9, 9] mixing: limb electrodes are on their own, chest electrodes share a part with the next."""
    chest = strength ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    mixing = np.eye(9)
    mixing[3:, 3:] = np.linalg.cholesky(chest)
    return mixing


_DRIFT_MIXING, _MUSCLE_MIXING = _neighbours(0.6), _neighbours(0.75)
_LIMB = np.array([1.25, 1.0, 1.0] + [0.55] * 6)


def electrode_noise(rng: np.random.Generator) -> Floats:
    """[9, 5000] µV at RA, LA, LL, V1…V6."""
    drift_uv = 33 * np.exp(0.75 * rng.normal() + 0.45 * rng.normal(size=9))
    muscle_uv = 3.9 * np.exp(0.55 * rng.normal() + 0.30 * rng.normal(size=9)) * _LIMB
    mains_uv = 0.5 * np.exp(1.0 * rng.normal()) * np.exp(0.5 * rng.normal(size=9))
    noise = rng.standard_normal((9, SAMPLES), dtype=np.float32)
    spectrum = np.fft.rfft(noise, axis=1) * (_MUSCLE / np.sqrt(SAMPLES))
    spectrum = (_MUSCLE_MIXING * muscle_uv[:, None]) @ spectrum
    low = rng.normal(size=(2, 9, _BAND.stop))
    drift = (low[0] + 1j * low[1]) * (_DRIFT[_BAND] / np.sqrt(2))
    spectrum[:, _BAND] += (_DRIFT_MIXING * drift_uv[:, None]) @ drift
    result = np.fft.irfft(spectrum, SAMPLES, axis=1)
    phase = 2 * np.pi * rng.random()
    result += mains_uv[:, None] * np.sin(2 * np.pi * 50 * _TIME_S + phase)
    # An electrode that is touched steps away and creeps back.
    if rng.random() < 0.04:
        at, electrode = rng.integers(SAMPLES), rng.integers(9)
        decay = np.exp(-np.arange(SAMPLES - at) / (RATE_HZ * rng.uniform(0.1, 0.6)))
        result[electrode, at:] += rng.normal(0, 250) * decay
    return result
