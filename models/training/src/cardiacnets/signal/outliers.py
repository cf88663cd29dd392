"""Signals that are no ECG, or no longer one: what the out-of-distribution score is fitted on and measured with.

Every maker draws mV [12][1000] at 100 Hz from a generator, so that the same seed gives the same signals. The simulators
draw eight channels, and the four other limb leads follow from two of them as they do in a device: Einthoven's law alone
must not give them away.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.floating]

RATE_HZ = 100
SAMPLES = 1000
CHANNELS = 8
_TIME = np.arange(SAMPLES) / RATE_HZ


def twelve_leads(channels: Array) -> Array:
    """[8][T], taken as I, II, V1 … V6 → [12][T] in the project's order (Einthoven, Goldberger)."""
    i, ii = channels[:2]
    return np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2, *channels[2:]])


def _in_millivolt(channels: Array, rng: np.random.Generator) -> Array:
    """Scale to the size of an ECG, so that size alone tells nothing; each channel keeps its share."""
    size = np.exp(rng.normal(np.log(0.25), 0.5))
    return channels * (size / max(float(channels.std()), 1e-9))


def _beat_times(rng: np.random.Generator) -> Array:
    """Onset of each heartbeat of the window, s, from before its start."""
    interval = 60 / rng.uniform(45, 125)
    variation = rng.uniform(0.01, 0.1)
    return np.cumsum(interval * (1 + variation * rng.normal(size=60))) - 2 * interval


def ppg(rng: np.random.Generator) -> Array:
    """Pulse waves: a systolic wave and a reflected one a beat, each channel a little late; breathing."""
    rise, delay, reflected = rng.uniform(0.06, 0.11), rng.uniform(0.22, 0.34), rng.uniform(0.15, 0.6)
    channels = np.zeros((CHANNELS, SAMPLES))
    lag, gain = rng.uniform(0, 0.12, CHANNELS), rng.normal(1, 0.4, CHANNELS) * rng.choice([1, 1, 1, -1], CHANNELS)
    for start in _beat_times(rng):
        since = _TIME - start - lag[:, None]
        height = rng.normal(1, 0.05)
        channels += height * np.exp(-0.5 * ((since - 0.15) / np.where(since < 0.15, rise, 1.5 * rise)) ** 2)
        channels += height * reflected * np.exp(-0.5 * ((since - 0.15 - delay) / (1.6 * rise)) ** 2)
    breathing = rng.uniform(0, 0.4) * np.sin(2 * np.pi * rng.uniform(0.15, 0.35) * _TIME + rng.uniform(0, 6.3))
    noise = rng.uniform(0.005, 0.05) * rng.normal(size=channels.shape)
    return twelve_leads(_in_millivolt(gain[:, None] * (channels + breathing + noise), rng))


def _coloured(rng: np.random.Generator, exponent: float, channels: int) -> Array:
    """Noise [channels][T] whose power falls as 1/f^exponent from 0.5 Hz on, unit variance."""
    frequency = np.fft.rfftfreq(SAMPLES, 1 / RATE_HZ)
    shape = np.maximum(frequency, 0.5) ** (-exponent / 2) * (frequency > 0)
    spectrum = shape * (rng.normal(size=(channels, len(frequency))) + 1j * rng.normal(size=(channels, len(frequency))))
    noise = np.fft.irfft(spectrum, SAMPLES)
    return noise / noise.std(axis=1, keepdims=True)


def eeg(rng: np.random.Generator) -> Array:
    """1/f background and waxing alpha rhythm (8–12 Hz), mixed between channels as in volume conduction; some blink."""
    sources = _coloured(rng, rng.uniform(0.8, 2), CHANNELS)
    envelope = np.maximum(_coloured(rng, 2, 1) + rng.uniform(0, 1), 0)
    alpha = np.sin(2 * np.pi * rng.uniform(8, 12) * _TIME + 0.4 * np.cumsum(rng.normal(size=SAMPLES)) / 10)
    sources[: CHANNELS // 2] += rng.uniform(0.3, 2) * envelope * alpha
    place = np.arange(CHANNELS)
    spread = np.exp(-np.abs(place[:, None] - place) / rng.uniform(0.5, 4))
    channels = spread @ sources
    for blink in rng.uniform(0, 10, rng.integers(0, 5)):
        strength = rng.uniform(1, 5) * np.exp(-place / 2)
        channels += strength[:, None] * np.exp(-0.5 * ((_TIME - blink) / 0.1) ** 2)
    return twelve_leads(_in_millivolt(channels, rng))


def accelerometer(rng: np.random.Generator) -> Array:
    """Three axes seen by eight channels: gait (steps with harmonics and impacts) or rest, turns, sensor noise."""
    axes = rng.uniform(0.05, 0.4) * rng.normal(size=(3, SAMPLES))
    axes += rng.uniform(0, 1) * np.cumsum(rng.normal(size=(3, SAMPLES)), axis=1) / np.sqrt(SAMPLES)
    if rng.random() < 0.75:
        cadence = rng.uniform(1.4, 2.8)
        phase = 2 * np.pi * cadence * _TIME + 0.3 * np.cumsum(rng.normal(size=SAMPLES)) / 10
        for harmonic in range(1, 5):
            strength = rng.uniform(0.1, 1, (3, 1)) / harmonic
            axes += strength * np.sin(harmonic * phase + rng.uniform(0, 6.3, (3, 1)))
        steps = np.flatnonzero(np.diff(np.floor(phase / (2 * np.pi))) > 0)
        impact = np.zeros(SAMPLES)
        impact[steps] = rng.uniform(0.5, 3) * rng.uniform(0.7, 1.3, len(steps))
        radius, turn = rng.uniform(0.6, 0.9), 2 * np.pi * rng.uniform(5, 20) / RATE_HZ
        ringing = lfilter([1], [1, -2 * radius * np.cos(turn), radius**2], impact)
        axes += rng.uniform(0.3, 1, (3, 1)) * ringing
    return twelve_leads(_in_millivolt(rng.normal(size=(CHANNELS, 3)) @ axes, rng))


def copied_lead(ecg: Array, rng: np.random.Generator) -> Array:
    """One lead of an ECG under all twelve names."""
    return np.repeat(ecg[rng.integers(12)][None], 12, axis=0)


def shuffled_leads(ecg: Array, rng: np.random.Generator) -> Array:
    """The twelve leads under each other's names."""
    return ecg[rng.permutation(12)]


def shuffled_channels(ecg: Array, rng: np.random.Generator) -> Array:
    """The eight channels of a device under each other's names, the other limb leads computed from the wrong two."""
    return twelve_leads(ecg[[0, 1, *range(6, 12)]][rng.permutation(CHANNELS)])


def time_shuffled(ecg: Array, rng: np.random.Generator) -> Array:
    """Blocks of 0.1 to 0.5 s in another order, the same in all leads."""
    block = int(rng.integers(RATE_HZ // 10, RATE_HZ // 2 + 1))
    blocks = [ecg[:, start : start + block] for start in range(0, SAMPLES, block)]
    return np.concatenate([blocks[place] for place in rng.permutation(len(blocks))], axis=1)


SIMULATED: dict[str, Callable[[np.random.Generator], Array]] = {
    "PPG-like": ppg,
    "EEG-like": eeg,
    "accelerometer": accelerometer,
}
ALTERED: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "one lead copied": copied_lead,
    "shuffled leads": shuffled_leads,
    "shuffled channels": shuffled_channels,
    "time-shuffled": time_shuffled,
}
KINDS = (*SIMULATED, *ALTERED)
NEEDS_ALL_LEADS = frozenset({"one lead copied", "shuffled leads", "shuffled channels"})
"""Kinds that are ECGs again once few leads are left."""


def make_outliers(kind: str, ecgs: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """mV [n][12][1000] of one kind, one for each of real `ecgs` (mV, 100 Hz), which the simulators do not look at."""
    made = []
    for row, ecg in enumerate(ecgs):
        rng = np.random.default_rng([seed, KINDS.index(kind), row])
        altered = SIMULATED[kind](rng) if kind in SIMULATED else ALTERED[kind](np.asarray(ecg, dtype=np.float64), rng)
        made.append(altered.astype(np.float32))
    return np.stack(made)
