"""A person's cines: a short-axis slice and the four-chamber view, 50 frames of one beat, with masks.

The shapes are those of the person: the ellipsoid whose volume is the LV's, walls of the sixteen segments, motion of
their strains (incompressible muscle), chambers of their volumes. The cavity of a short-axis stack has the EDV and ESV
of the indices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import scanner
from .four_chamber import draw_four_chamber
from .heart import draw_heart
from .person import CMR_STREAM, Person
from .scanner import acquire, make_grid
from .short_axis import draw_short_axis

FIELD = 128  # pixels of 1.8 mm
MIDDLE_SLICE = 0.42  # of the way from base to apex
STACK = (0.06, 0.20, 0.34, 0.48, 0.62, 0.76, 0.90)


@dataclass(frozen=True)
class Cine:
    """One cardiac cycle of one view; frame 0 is end-diastole."""

    frames: NDArray[np.uint8]  # [50, H, W] magnitude
    mask: NDArray[np.uint8]  # [50, H, W] labels
    end_systole: int
    pixel_mm: float = scanner.PIXEL_MM


def render_short_axis(person: Person, seed: int, size: int = FIELD) -> Cine:
    """The middle slice of the stack, of that person in the cohort `seed`."""
    return render_short_axis_stack(person, seed, (MIDDLE_SLICE,), size)[0]


def render_short_axis_stack(
    person: Person, seed: int, levels: Sequence[float] = STACK, size: int = FIELD
) -> list[Cine]:
    """One cine a level (0 base, 1 apex); each was taken in a breath-hold of its own."""
    heart = draw_heart(person, seed)
    setting = np.random.SeedSequence((seed, person.index, CMR_STREAM, 1))  # what all slices share
    cines = []
    for level, child in zip(levels, setting.spawn(len(levels)), strict=True):
        rng, fixed = np.random.Generator(np.random.SFC64(child)), np.random.Generator(np.random.SFC64(setting))
        still, moving, window, mask = draw_short_axis(heart, level, make_grid(size), rng, fixed)
        cines.append(Cine(acquire(still, moving, window, rng), mask, heart.cycle.end_systole))
    return cines


def render_four_chamber(person: Person, seed: int, size: int = FIELD) -> Cine:
    """The horizontal long axis: apex up, left ventricle to the right, atria below."""
    heart = draw_heart(person, seed)
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, person.index, CMR_STREAM, 2))))
    still, moving, window, mask = draw_four_chamber(heart, make_grid(size), rng)
    return Cine(acquire(still, moving, window, rng), mask, heart.cycle.end_systole)
