"""Where the waves of a virtual ECG begin and end: known exactly, because each wave is drawn by itself.

A wave drawn from bells has no first sample. Its boundary is where it has fallen to a share of its peak that readers
call the end of a wave: 2.3 standard deviations of a bell (7 %) for P and T, and 3 % for the steeper QRS.

For QRS in all leads there is a second definition, that of the standard: a lead shows it where it is at least 30 uV away
from its level for at least 6 ms (IEC 60601-2-51, GG.5), from the first such moment of any lead to the last.
"""

from dataclasses import dataclass, replace

import numpy as np

from .anatomy import Floats
from .ecg import _add_atria, _add_ventricles, _coefficients
from .electrics import Electrics, draw_electrics
from .leads import twelve_leads
from .noise import RATE_HZ, SAMPLES
from .person import ECG_STREAM, Person, generator
from .rhythm import SINUS, Rhythm, draw_rhythm

WAVES = ("p", "qrs", "t")
END_SHARE = {"p": 0.07, "qrs": 0.03, "t": 0.07}
VISIBLE_UV, VISIBLE_S = 30.0, 0.006
LEAST_UV = {"p": 25.0, "qrs": 50.0, "t": 40.0}  # a wave lower than this has no boundary that could be seen


@dataclass(frozen=True)
class Boundaries:
    """Of one conducted beat; NaN where a lead does not show the wave."""

    onset_s: Floats  # [12, 3], leads by P, QRS, T
    end_s: Floats  # [12, 3]
    visible_s: tuple[float, float]
    """First and last moment of QRS in any lead, by the standard; NaN where no lead shows it."""


def beat_boundaries(person: Person, seed: int) -> list[Boundaries]:
    """Of each conducted sinus beat that lies within the ten seconds of `render_ecg(person, seed)`."""
    rng = generator(seed, person.index, ECG_STREAM)
    electrics = draw_electrics(person, rng)
    rhythm = draw_rhythm(person, rng)
    return [
        _of_beat(electrics, rhythm, onset, rr)
        for onset, rr, kind in zip(rhythm.time_s, rhythm.rr_s, rhythm.kind, strict=True)
        if kind == SINUS and 0.35 < onset < SAMPLES / RATE_HZ - 0.65
    ]


def _of_beat(electrics: Electrics, rhythm: Rhythm, onset: float, rr: float) -> Boundaries:
    qt = electrics.qt_s * np.clip(rr / float(np.mean(rhythm.rr_s)), 0.6, 1.5) ** 0.20
    # U belongs to no wave of ours, and neither do the levels of ST and PR.
    bare = replace(electrics, u_share=0.0, st=0 * electrics.st, pr_shift=0 * electrics.pr_shift)
    coefficients = _coefficients(bare)
    still = replace(coefficients, qrs=0 * coefficients.qrs)
    one = np.ones(9)
    ventricles, late, atria = (np.zeros((9, SAMPLES)) for _ in range(3))
    _add_ventricles(ventricles, coefficients, bare, onset, qt, one)
    _add_ventricles(late, still, bare, onset, qt, one)
    if not rhythm.fibrillation:
        _add_atria(atria, coefficients, bare, onset, 0, one)
    waves = {"p": twelve_leads(atria), "qrs": twelve_leads(ventricles - late), "t": twelve_leads(late)}
    onsets, ends = np.full((12, 3), np.nan), np.full((12, 3), np.nan)
    for column, wave in enumerate(WAVES):
        for lead, size in enumerate(np.abs(waves[wave])):
            peak = size.max()
            if peak < LEAST_UV[wave]:
                continue
            inside = np.flatnonzero(size >= END_SHARE[wave] * peak)
            onsets[lead, column], ends[lead, column] = inside[0] / RATE_HZ, inside[-1] / RATE_HZ
    return Boundaries(onsets, ends, visible_span(np.abs(waves["qrs"])))


def visible_span(size_uv: Floats) -> tuple[float, float]:
    """First and last moment (s) at which a lead of `size_uv` [leads, samples] stays at 30 uV or more for 6 ms."""
    least = round(VISIBLE_S * RATE_HZ)
    long_enough = np.lib.stride_tricks.sliding_window_view(size_uv >= VISIBLE_UV, least, axis=1).all(axis=2)
    starts = np.flatnonzero(long_enough.any(axis=0))
    if starts.size == 0:
        return float("nan"), float("nan")
    return float(starts[0]) / RATE_HZ, float(starts[-1] + least - 1) / RATE_HZ
