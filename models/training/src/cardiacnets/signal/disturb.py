"""Noise of a known strength on a clean recording: how far may it go before the answers suffer?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cardiacnets.signal.outliers import CHANNELS, twelve_leads
from cardiacnets.signal.profile import load_profile
from cardiacnets.signal.resample import resample

Array = NDArray[np.floating]
NoiseKind = Literal["white", "baseline wander", "mains", "electrode motion"]
NOISE_KINDS: tuple[NoiseKind, ...] = ("white", "baseline wander", "mains", "electrode motion")
SNR_DB = (12, 6, 0)


@dataclass(frozen=True)
class Disturbance:
    """`kind` at a signal-to-noise ratio: power of the twelve leads about their means over that of the noise."""

    kind: NoiseKind
    snr_db: float


def disturb(millivolt: Array, rate_hz: float, disturbance: Disturbance, seed: int) -> tuple[Array, float]:
    """mV [12][10 s] at any rate → the same with noise, at the profile's rate, and that rate.

    Noise enters at eight electrodes' channels; the other limb leads follow from two of them, as in a device.
    """
    rate = load_profile().rate_hz
    clean = resample(millivolt, rate_hz, rate)
    rng = np.random.default_rng([seed, NOISE_KINDS.index(disturbance.kind), round(10 * disturbance.snr_db)])
    noise = twelve_leads(_noise(disturbance.kind, clean.shape[1], rate, rng))
    power = ((clean - clean.mean(axis=1, keepdims=True)) ** 2).mean()
    scale = np.sqrt(power / (noise**2).mean() / 10 ** (disturbance.snr_db / 10))
    return clean + scale * noise, rate


def _noise(kind: NoiseKind, samples: int, rate: float, rng: np.random.Generator) -> Array:
    """[8][samples], any unit."""
    time = np.arange(samples) / rate
    if kind == "white":
        return rng.normal(size=(CHANNELS, samples))
    if kind == "mains":
        wave = sum(np.sin(2 * np.pi * 50 * k * time + rng.uniform(0, 6.3)) / k**2 for k in (1, 2, 3))
        return rng.uniform(0.3, 1, (CHANNELS, 1)) * wave
    band = (0.05, 0.5) if kind == "baseline wander" else (1.0, 10.0)
    frequency = np.fft.rfftfreq(samples, 1 / rate)
    # 1/f in the band and nothing outside it.
    shape = np.where((frequency >= band[0]) & (frequency <= band[1]), 1 / np.maximum(frequency, band[0]), 0)
    spectrum = shape * (rng.normal(size=(CHANNELS, len(frequency))) + 1j * rng.normal(size=(CHANNELS, len(frequency))))
    noise = np.fft.irfft(spectrum, samples)
    if kind == "electrode motion":  # comes and goes, and not in all electrodes at once
        middle, width = rng.uniform(0, samples / rate, (CHANNELS, 1)), rng.uniform(0.5, 2, (CHANNELS, 1))
        noise *= np.exp(-0.5 * ((time - middle) / width) ** 2)
    return noise
