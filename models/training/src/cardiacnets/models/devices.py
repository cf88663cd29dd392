"""ECGs as other makes of device would have recorded them.

PTB-XL has one make of device, and nothing that is learned may depend on it.
ECGs are mV [N,12,T] at 100 Hz. All randomness comes from the generator passed in.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiacnets.domain import LEADS

RATE_HZ = 100
CHANNELS = (0, 1, *range(6, len(LEADS)))
"""What a device records; the other limb leads follow from the first two."""


def derived(channels: Tensor) -> Tensor:
    """[N,8,T], I, II, V1 … V6 → [N,12,T] (Einthoven, Goldberger)."""
    i, ii = channels[:, 0], channels[:, 1]
    limb = torch.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], dim=1)
    return torch.cat([limb, channels[:, 2:]], dim=1)


def as_another_device(ecg: Tensor, generator: torch.Generator, *, gain: float = 0.45, chest: float = 0.2) -> Tensor:
    """Each change applies to some rows: filters, gain, muscle noise, wander, hum that aliases, coarse steps.

    `gain` is the spread (log-normal) of one factor for the whole ECG, `chest` that of one for each chest lead, whose
    electrodes stick better or worse. What is added is added to the eight channels: limb leads keep Einthoven's law.
    """
    rows, _, samples = ecg.shape

    def some(share: float) -> Tensor:
        return (torch.rand(rows, 1, 1, generator=generator) < share).float()

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(rows, 1, 1, generator=generator)

    def smooth(signal: Tensor, width: int) -> Tensor:
        return F.avg_pool1d(signal, width, 1, width // 2, count_include_pad=False)

    signal = ecg[:, CHANNELS]
    # Muscle filters of 35 to 40 Hz and below.
    soft = 0.5 * signal + 0.25 * (signal.roll(1, -1) + signal.roll(-1, -1))
    signal = torch.lerp(signal, soft, some(0.4) * uniform(0, 1))
    signal = torch.lerp(signal, smooth(signal, 3), some(0.15))
    signal = torch.lerp(signal, smooth(signal, 5), some(0.05))
    # High-pass filters of a diagnostic and of a monitor's setting.
    signal = signal - some(0.3) * uniform(0, 1) * smooth(signal, 101)
    signal = signal - some(0.1) * uniform(0, 0.8) * smooth(signal, 51)
    signal = signal * torch.exp(gain * torch.randn(rows, 1, 1, generator=generator))
    sticking = torch.exp(chest * torch.randn(rows, len(CHANNELS) - 2, 1, generator=generator))
    signal = torch.cat([signal[:, :2], signal[:, 2:] * sticking], dim=1)
    signal = signal + some(0.4) * uniform(0, 0.08) * torch.randn(signal.shape, generator=generator)
    time = torch.arange(samples) / RATE_HZ
    # What a chain leaves of a wandering baseline: one rhythm, in each channel as strong as it likes.
    wander = torch.sin(2 * torch.pi * uniform(0.15, 0.6) * time + uniform(0, 6.3))
    strength = torch.randn(rows, len(CHANNELS), 1, generator=generator)
    signal = signal + some(0.3) * uniform(0, 0.12) * wander * strength
    hum = torch.sin(2 * torch.pi * uniform(28, 42) * time + uniform(0, 6.3))
    signal = signal + some(0.2) * uniform(0, 0.08) * hum
    step = uniform(0.005, 0.03)
    signal = torch.lerp(signal, torch.round(signal / step) * step, some(0.25))
    return derived(signal)
