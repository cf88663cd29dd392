"""ECGs as other makes of device would have recorded them.

PTB-XL has one make of device, and nothing that is learned may depend on it.
ECGs are mV [N,12,T] at 100 Hz. All randomness comes from the generator passed in.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiacnets.domain import LEADS

RATE_HZ = 100
LIMB_LEADS = 6


def as_another_device(ecg: Tensor, generator: torch.Generator, *, gain: float = 0.45, chest: float = 0.2) -> Tensor:
    """Each change applies to some rows: filters, gain, muscle noise, wander, hum that aliases, coarse steps.

    `gain` is the spread (log-normal) of one factor for the whole ECG, `chest` that of one for each chest lead, whose
    electrodes stick better or worse. What is added to a limb lead is its own: devices that filter, round and store each
    lead break Einthoven's law a little. A score fitted to ECGs that keep it to the digit calls such a source none.
    """
    rows, _, samples = ecg.shape

    def some(share: float) -> Tensor:
        return (torch.rand(rows, 1, 1, generator=generator) < share).float()

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(rows, 1, 1, generator=generator)

    def smooth(signal: Tensor, width: int) -> Tensor:
        return F.avg_pool1d(signal, width, 1, width // 2, count_include_pad=False)

    signal = ecg
    # Muscle filters of 35 to 40 Hz and below.
    soft = 0.5 * signal + 0.25 * (signal.roll(1, -1) + signal.roll(-1, -1))
    signal = torch.lerp(signal, soft, some(0.4) * uniform(0, 1))
    signal = torch.lerp(signal, smooth(signal, 3), some(0.15))
    signal = torch.lerp(signal, smooth(signal, 5), some(0.05))
    # High-pass filters of a diagnostic and of a monitor's setting.
    signal = signal - some(0.3) * uniform(0, 1) * smooth(signal, 101)
    signal = signal - some(0.1) * uniform(0, 0.8) * smooth(signal, 51)
    signal = signal * torch.exp(gain * torch.randn(rows, 1, 1, generator=generator))
    sticking = torch.exp(chest * torch.randn(rows, len(LEADS) - LIMB_LEADS, 1, generator=generator))
    signal = torch.cat([signal[:, :LIMB_LEADS], signal[:, LIMB_LEADS:] * sticking], dim=1)
    signal = signal + some(0.4) * uniform(0, 0.08) * torch.randn(signal.shape, generator=generator)
    time = torch.arange(samples) / RATE_HZ
    # What a chain leaves of a wandering baseline: one rhythm, in each lead as strong as it likes.
    wander = torch.sin(2 * torch.pi * uniform(0.15, 0.6) * time + uniform(0, 6.3))
    strength = torch.randn(rows, len(LEADS), 1, generator=generator)
    signal = signal + some(0.3) * uniform(0, 0.12) * wander * strength
    hum = torch.sin(2 * torch.pi * uniform(28, 42) * time + uniform(0, 6.3))
    signal = signal + some(0.2) * uniform(0, 0.08) * hum
    step = uniform(0.005, 0.03)
    return torch.lerp(signal, torch.round(signal / step) * step, some(0.25))
