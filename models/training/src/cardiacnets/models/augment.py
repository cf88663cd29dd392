"""Augmentation of ECG batches, mV [N,12,T] at 100 Hz. All randomness comes from the generator passed in."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiacnets.models.devices import as_another_device

LIMB = slice(0, 6)
PRECORDIAL = slice(6, 12)


@dataclass(frozen=True)
class AugmentConfig:
    """Strengths; 0 turns a part off."""

    crop_resize: float = 0.12
    """Largest part of the window cut away before the rest is stretched back. The paper crops harder, but it has no
    function to estimate from intervals while it does so."""
    gain: float = 0.15
    """Spread of one gain for the whole ECG (log-normal): cables and bodies differ, but voltage carries mass."""
    noise_mv: float = 0.02
    """Largest standard deviation of white noise."""
    devices: float = 0.0
    """Share of ECGs that another make of device seems to have recorded (`as_another_device` without its gain)."""
    reversal: float = 0.0
    """Chance that time runs backwards: the paper's, for pretraining, where no label depends on the order of waves."""
    inversion: float = 0.0
    """Chance that all leads change sign (the paper's, too): in mV, (min, max) becomes (−max, −min) by itself."""
    lead_dropout: float = 0.5
    """Share of ECGs that lose leads, in the patterns that devices have."""
    person_dropout: float = 0.3
    """Chance of each field of the person to be unknown; as many ECGs again come with no person at all."""


def crop_resize(ecg: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Cut a random window of at least 1 − `most` of the samples and stretch it to the full length, a row each."""
    rows, _, samples = ecg.shape
    length = 1 - most * torch.rand(rows, generator=generator)
    centre = (1 - length) * (2 * torch.rand(rows, generator=generator) - 1)
    # grid_sample wants [N,C,1,T] and x, y in [−1, 1].
    x = torch.linspace(-1, 1, samples)[None] * length[:, None] + centre[:, None]
    grid = torch.stack([x, torch.zeros_like(x)], dim=-1).unsqueeze(1)
    return F.grid_sample(ecg.unsqueeze(2), grid, mode="bilinear", align_corners=True).squeeze(2)


def random_lead_mask(rows: int, share: float, generator: torch.Generator) -> Tensor:
    """[rows,12] of 0 and 1: `share` of the rows lose leads. Every row keeps at least one.

    Six limb leads come and go together (two of them give the rest); a single lead is I or II on most wearables.
    """
    mask = torch.ones(rows, 12)
    pattern = torch.rand(rows, generator=generator) / max(share, 1e-9)
    some = (torch.rand(rows, 12, generator=generator) < 0.5).float()
    single = torch.randint(12, (rows,), generator=generator)
    wearable = torch.randint(2, (rows,), generator=generator)
    for row in range(rows):
        if pattern[row] < 0.25:  # limb leads only
            mask[row, PRECORDIAL] = 0
        elif pattern[row] < 0.5:  # limb leads and some of the chest
            mask[row, PRECORDIAL] = some[row, PRECORDIAL]
        elif pattern[row] < 0.75:  # lead I or II alone
            mask[row] = 0
            mask[row, wearable[row]] = 1
        elif pattern[row] < 1:  # any leads
            mask[row] = some[row]
            mask[row, single[row]] = 1
    return mask


def random_person_mask(person: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """[N,4]: 1 where the field is known and kept."""
    kept = torch.rand(person.shape, generator=generator) >= share
    kept &= torch.rand(len(person), 1, generator=generator) >= share
    return (kept & ~person.isnan()).float()


def gain_and_noise(ecg: Tensor, gain: float, noise_mv: float, generator: torch.Generator) -> Tensor:
    """mV [N,12,T] with one gain an ECG (log-normal, spread `gain`) and white noise of up to `noise_mv`."""
    rows = len(ecg)
    ecg = ecg * torch.exp(gain * torch.randn(rows, 1, 1, generator=generator))
    if not noise_mv:
        return ecg
    level = noise_mv * torch.rand(rows, 1, 1, generator=generator)
    return ecg + level * torch.randn(ecg.shape, generator=generator)


def augment(
    ecg: Tensor, person: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """mV [N,12,T] and person [N,4] (NaN unknown) → changed ECG, lead mask [N,12], person mask [N,4]."""
    rows = len(ecg)
    ecg = crop_resize(ecg, config.crop_resize, generator)
    if config.reversal:
        backwards = torch.rand(rows, 1, 1, generator=generator) < config.reversal
        ecg = torch.where(backwards, ecg.flip(-1), ecg)
    if config.inversion:
        ecg = ecg * torch.where(torch.rand(rows, 1, 1, generator=generator) < config.inversion, -1.0, 1.0)
    ecg = gain_and_noise(ecg, config.gain, config.noise_mv, generator)
    if config.devices:
        chosen = torch.rand(rows, generator=generator) < config.devices
        ecg[chosen] = as_another_device(ecg[chosen], generator, gain=0.0, chest=0.1)
    lead_mask = random_lead_mask(rows, config.lead_dropout, generator)
    person_mask = random_person_mask(person, config.person_dropout, generator)
    return ecg * lead_mask.unsqueeze(-1), lead_mask, person_mask
