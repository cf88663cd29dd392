"""The moving heart that both views show: its motion, its chambers' shortening, and what lies around them."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .anatomy import SEGMENT_ANGLE_DEG, SEGMENT_LEVEL, Floats, lv_radius_cm
from .electrics import draw_electrics
from .indices import strains
from .motion import Cycle, draw_cycle
from .person import CMR_STREAM, ECG_STREAM, Person, generator
from .scanner import FAT, FLUID, MYOCARDIUM, Image, blend, inside

LV_CAVITY, LV_WALL, RV_CAVITY, LA_CAVITY, RA_CAVITY = range(1, 6)  # labels of the masks, 0 is background
RING_CENTRES = (0.17, 0.50, 0.83)  # of the basal, mid and apical rings, base to apex
ANGLES = 128


@dataclass(frozen=True)
class Heart:
    """What both views share."""

    person: Person
    cycle: Cycle
    shortening: Floats  # [16], endocardial circumferential strain at the peak of each segment
    lengthwise: float  # global longitudinal strain
    radius_mm: float  # of the cavity at the base, end-diastole
    length_mm: float
    rv_width: float  # strain of the RV across and along
    rv_length: float
    fat_mm: float
    muscle: float  # signal of the wall, blood = 1
    trabeculation: float  # relative to the usual
    compaction: float  # how much of the cavity's rim its trabeculae fill at end-systole, [0, 1]


def draw_heart(person: Person, seed: int) -> Heart:
    """The moving heart of that person in the cohort `seed`."""
    conduction = draw_electrics(person, generator(seed, person.index, ECG_STREAM)).conduction
    rng = generator(seed, person.index, CMR_STREAM)
    _, _, longitudinal = strains(person)
    lengthwise = float(longitudinal.mean())
    ef = person.rv_sv_ml / person.rv_edv_ml
    along = -0.40 * ef
    across = ((1 - ef) / (1 + along)) ** (1 / 1.7) - 1
    cycle = draw_cycle(person, conduction, rng)
    fat = 2.5 + 0.25 * (person.bmi - 25) + 0.04 * (person.age_y - 60) + rng.normal()
    # What is left between the trabeculae of a thick or forceful ventricle is small and ragged.
    packed = 0.22 + 2.2 * (person.lv_ef - 0.58) + 0.05 * (person.thickness_mm.mean() - 6) + 0.16 * rng.normal()
    return Heart(
        person=person, cycle=cycle,
        shortening=_shortening(person, lengthwise, cycle.segment[cycle.end_systole]),
        lengthwise=lengthwise, radius_mm=10 * lv_radius_cm(person.lv_edv_ml, person.lv_length_cm),
        length_mm=10 * person.lv_length_cm, rv_width=float(across), rv_length=float(along),
        fat_mm=float(np.clip(fat, 0.8, 9)),
        muscle=float(np.clip(MYOCARDIUM * np.exp(0.16 * rng.normal()), 0.25, 0.48)),
        trabeculation=float(np.exp(0.4 * rng.normal())), compaction=float(np.clip(packed, 0, 0.8)),
    )  # fmt: skip


@cache
def ring_weights(level: float) -> Floats:
    """[128, 16]: how the segments share each angle at that level, smooth from one to the next."""
    angle = np.arange(ANGLES) * (360 / ANGLES)
    weights = np.zeros((ANGLES, 16))
    ring_share = np.array([max(0.0, 1 - abs(np.clip(level, 0.17, 0.83) - centre) / 0.33) for centre in RING_CENTRES])
    for ring in range(3):
        members = np.flatnonzero(ring == SEGMENT_LEVEL)
        gap = np.abs((angle[:, None] - SEGMENT_ANGLE_DEG[members] + 180) % 360 - 180)
        reach = 360 / members.size
        part = np.where(gap < reach, 0.5 + 0.5 * np.cos(np.pi * gap / reach), 0)
        weights[:, members] = ring_share[ring] * part / part.sum(axis=1, keepdims=True)
    return weights / weights.sum(axis=1, keepdims=True)


@cache
def _volume_weights() -> tuple[Floats, Floats]:
    """[320, 16] segments at places all over the endocardium, and [320] the share of the cavity's volume beside each."""
    levels = np.arange(0.05, 1, 0.1)
    weights = np.concatenate([ring_weights(float(level))[::4] for level in levels])
    share = np.repeat(1 - levels**2, ANGLES // 4)
    return weights, share / share.sum()


def _shortening(person: Person, lengthwise: float, active: NDArray[np.float32]) -> Floats:
    """[16] endocardial strain: as the segments contract, scaled so that together they eject the person's EF.

    `active` [16] is how far each has come at end-systole: the late ones of a bundle branch block are not there yet.
    """
    remains = (1 - person.lv_ef) / (1 + lengthwise)  # of the cross-section
    motion = person.contraction / person.contraction.mean()
    weights, share = _volume_weights()
    scale = 1 - np.sqrt(remains)
    for _ in range(8):
        radius = weights @ (1 - np.minimum(scale * motion, 0.88) * active)
        scale *= ((1 - remains) / (1 - share @ radius**2)) ** 0.9
    return np.maximum(1 - scale * motion, 0.12) - 1


@dataclass(frozen=True)
class Coat:
    """What lies around the heart, by angle: fluid of an effusion, then fat."""

    heart: Heart
    signal: float  # of the fat
    phases: tuple[float, ...]

    def depth_mm(self, theta: Image) -> tuple[Image, Image]:
        """Fluid and fat at these angles."""
        fluid_1, fluid_2, fat_1, fat_2, fat_3, fat_5 = self.phases
        uneven = 1 + 0.5 * np.cos(theta - fluid_1) + 0.25 * np.cos(2 * theta + fluid_2)
        fluid = self.heart.person.effusion_mm * np.clip(0.75 * uneven + 0.15, 0.2, 1.8)
        lumps = 0.75 * np.cos(theta - fat_1) + 0.45 * np.cos(2 * theta + fat_2)
        lumps += 0.35 * np.cos(3 * theta + fat_3) + 0.2 * np.cos(5 * theta + fat_5)
        return fluid.astype(np.float32), (self.heart.fat_mm * np.clip(0.55 + lumps, 0, 2.2)).astype(np.float32)


def draw_coat(heart: Heart, rng: np.random.Generator) -> Coat:
    """Fat and fluid of one view."""
    phases = rng.uniform((3.4, 0, 1.6, 0, 0, 0), (4.4, 6, 2.8, 6, 6, 6))
    return Coat(heart, rng.uniform(0.55, 0.9) * FAT, tuple(phases.tolist()))


def draw_pericardium(image: Image, hull: Image, theta: Image, coat: Coat) -> None:
    """Fat around the heart, an effusion within it, and the dark line of the pericardium between."""
    fluid, fat = coat.depth_mm(theta)
    blend(image, inside(hull - (fluid + fat + 1)), coat.signal)
    if coat.heart.person.effusion_mm:
        blend(image, inside(hull - (fluid + np.float32(1.6))), 0.25)
        blend(image, inside(hull - fluid), FLUID)
    # Where water meets fat in one pixel their signals cancel: the dark rim of balanced SSFP.
    rim = hull - np.float32(0.6)
    rim *= rim
    np.exp(np.negative(rim, out=rim), out=rim)
    rim *= np.float32(-0.5) * (fluid < 1)
    rim += 1
    image *= rim


def trabeculae(distance: Image, depth_mm: float, strands: Image, packed: Image | float = 0.0) -> Image:
    """[50, h, w] share of muscle within a ventricle: uneven strands along its walls, closing up at end-systole.

    `strands` is a smooth field [h, w], `packed` how much of the outermost 3 mm is closed.
    """
    share = distance * np.float32(1 / depth_mm)
    share += 1
    np.clip(share, 0, 1, out=share)
    share *= np.clip(0.55 * strands - 0.25, 0, 0.9)
    if np.ndim(packed):
        rim = distance * np.float32(1 / 3)
        rim += 1
        np.clip(rim, 0, 1, out=rim)
        rim *= packed * np.clip(0.8 + 0.35 * strands, 0.2, 1.2)
        share += rim
    return np.minimum(share, 0.9, out=share)
