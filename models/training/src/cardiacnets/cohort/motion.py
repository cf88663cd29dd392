"""The cardiac cycle: how far a ventricle has contracted, frame by frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .anatomy import SEGMENT_ANGLE_DEG, SEPTAL_SEGMENTS, Floats
from .person import Person

FRAMES = 50


@dataclass(frozen=True)
class Cycle:
    """Time course of one heart, shared by both views."""

    contraction: NDArray[np.float32]  # [50], 0 at end-diastole, 1 at end-systole: also how full the atria are
    segment: NDArray[np.float32]  # [50, 16], the same with the delays of a conduction block
    end_systole: int  # frame


def draw_cycle(person: Person, conduction: str, rng: np.random.Generator) -> Cycle:
    """Contraction, early filling, diastasis and atrial kick at the person's rate, as 50 phases of one beat."""
    rr = 60 / person.heart_rate_bpm
    # Systole shortens with rate less than diastole does (Weissler et al. 1968, Circulation 37:149: QS2).
    end_systole = float(np.clip(0.515 - 0.0021 * person.heart_rate_bpm + 0.008 * rng.normal(), 0.22, 0.62 * rr))
    kick = 0.0
    if not person.atrial_fibrillation:  # the older and stiffer, the more is left to the atrium
        kick = float(np.clip(0.20 + 0.006 * (person.age_y - 55) + 0.06 * rng.normal(), 0.08, 0.45))
    filling = 0.17 * (1 + 0.5 * person.stiffness)
    time = np.arange(FRAMES) / FRAMES * rr

    def course(at: Floats) -> Floats:
        rise = _ramp(at, 0.035, end_systole)
        early = (1 - kick) * _ramp(at, end_systole, min(end_systole + filling * 1.6, rr - 0.02))
        late = kick * _ramp(at, max(rr - 0.13, end_systole + 0.05), rr)
        return rise - early - late

    contraction = course(time)
    delay = np.zeros(16)
    if conduction == "lbbb":  # the lateral wall comes late, the septum gives way before it
        angle = np.radians(SEGMENT_ANGLE_DEG)
        delay = 0.045 * (1 + np.cos(angle))
        delay[list(SEPTAL_SEGMENTS)] = -0.015
    segment = course(np.clip(time[:, None] - delay * (time[:, None] < end_systole + 0.25), 0, rr))
    return Cycle(contraction.astype(np.float32), segment.astype(np.float32), int(contraction.argmax()))


def _ramp(time: Floats, start: float, stop: float) -> Floats:
    """0 before `start`, 1 after `stop`, half a cosine between."""
    share = np.clip((time - start) / (stop - start), 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * share)
