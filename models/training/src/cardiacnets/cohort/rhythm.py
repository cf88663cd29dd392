"""When the heart beats within ten seconds, and which kind of beat it is."""

from dataclasses import dataclass

import numpy as np

from .anatomy import Floats
from .person import Person

DURATION_S = 10.0
SINUS, ATRIAL, VENTRICULAR = 0, 1, 2


@dataclass(frozen=True)
class Rhythm:
    """Beats of one recording; one beat before and one after the ten seconds are among them."""

    time_s: Floats  # [B], QRS onset from the start of the recording
    rr_s: Floats  # [B], interval that ends with the beat
    kind: np.ndarray  # [B]
    fibrillation: bool
    respiration_hz: float
    respiration_phase: float


def draw_rhythm(person: Person, rng: np.random.Generator) -> Rhythm:
    """Sinus rhythm with respiratory and slow variation, ectopy, or atrial fibrillation."""
    mean_rr = 60 / person.heart_rate_bpm
    count = int(np.ceil(DURATION_S / mean_rr)) + 8
    respiration_hz, phase = rng.uniform(0.17, 0.33), rng.uniform(0, 2 * np.pi)
    kind = np.zeros(count, dtype=int)
    if person.atrial_fibrillation:
        rr = mean_rr * np.clip(rng.gamma(22, 1 / 22, size=count), 0.5, 1.9)
    else:
        # RMSSD falls with age and in heart failure (Task Force 1996, Circulation 93:1043).
        depth = 0.035 * np.exp(-0.028 * (person.age_y - 55) + 0.45 * rng.normal() - 0.9 * person.hf)
        depth *= np.clip((mean_rr / 0.95) ** 1.5, 0.3, 1.5)
        clock = np.arange(count) * mean_rr
        rr = mean_rr * (
            1 + depth * np.sin(2 * np.pi * respiration_hz * clock + phase) + 0.25 * depth * rng.normal(size=count)
            + 0.4 * depth * np.sin(2 * np.pi * 0.09 * clock + 2 * phase)
        )  # fmt: skip
        _add_ectopy(person, rr, kind, rng)
    start = -rng.uniform(0.4, 1.4) * mean_rr
    time = start + np.concatenate([[0], np.cumsum(rr[1:])])
    keep = (time > -0.75) & (time < DURATION_S + 0.4)
    return Rhythm(time[keep], rr[keep], kind[keep], person.atrial_fibrillation, respiration_hz, phase)


def _add_ectopy(person: Person, rr: Floats, kind: np.ndarray, rng: np.random.Generator) -> None:
    """Ectopic beats in ten seconds: about 8 % of people over 60 show some (Lindberg et al. 2019)."""
    diseased = 1 + 1.6 * person.hf + 0.8 * person.cad + 0.8 * person.cm
    older = np.exp(0.045 * (person.age_y - 62))
    for beat_kind, share in ((VENTRICULAR, 0.038), (ATRIAL, 0.036)):
        if rng.random() > share * older * diseased:
            continue
        beats = rng.random(kind.size) < np.clip(rng.gamma(1.2, 0.10), 0.06, 0.33)
        beats[:2] = False
        beats[1:] &= ~beats[:-1]
        for beat in np.flatnonzero(beats & (kind == SINUS)):
            if kind[beat - 1] != SINUS or beat + 1 >= kind.size:
                continue
            kind[beat] = beat_kind
            early = rng.uniform(0.60, 0.80)
            whole = rr[beat]
            rr[beat] *= early
            # A ventricular beat leaves the sinus node alone: full pause. An atrial one resets it.
            rr[beat + 1] += whole * (1 - early) if beat_kind == VENTRICULAR else 0.12 * whole
