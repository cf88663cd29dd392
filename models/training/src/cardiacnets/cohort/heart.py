"""The moving heart that both views show: its motion, its chambers' shortening, and what lies around them."""

from dataclasses import dataclass

import numpy as np

from . import scanner
from .anatomy import Floats, lv_radius_cm
from .electrics import draw_electrics
from .indices import strains
from .motion import Cycle, draw_cycle
from .person import CMR_STREAM, ECG_STREAM, Person, generator
from .scanner import FAT, FLUID, Image, blend, inside

LV_CAVITY, LV_WALL, RV_CAVITY, LA_CAVITY, RA_CAVITY = range(1, 6)  # labels of the masks, 0 is background
RING_CENTRES = (0.17, 0.50, 0.83)  # of the basal, mid and apical rings, base to apex
# Cavity beside each segment: thirds of a half ellipsoid hold 13/27, 10/27 and 4/27 of its volume.
SEGMENT_VOLUME_SHARE: Floats = np.array([13 / 27 / 6] * 6 + [10 / 27 / 6] * 6 + [4 / 27 / 4] * 4)


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


def draw_heart(person: Person, seed: int) -> Heart:
    """The moving heart of that person in the cohort `seed`."""
    conduction = draw_electrics(person, generator(seed, person.index, ECG_STREAM)).conduction
    rng = generator(seed, person.index, CMR_STREAM)
    _, _, longitudinal = strains(person)
    lengthwise = float(longitudinal.mean())
    ef = person.rv_sv_ml / person.rv_edv_ml
    along = -0.40 * ef
    across = ((1 - ef) / (1 + along)) ** (1 / 1.7) - 1
    return Heart(
        person=person, cycle=draw_cycle(person, conduction, rng),
        shortening=_shortening(person, lengthwise),
        lengthwise=lengthwise, radius_mm=10 * lv_radius_cm(person.lv_edv_ml, person.lv_length_cm),
        length_mm=10 * person.lv_length_cm, rv_width=float(across), rv_length=float(along),
        fat_mm=float(np.clip(2.5 + 0.25 * (person.bmi - 25) + 0.04 * (person.age_y - 60) + rng.normal(), 0.8, 9)),
    )  # fmt: skip


def _shortening(person: Person, lengthwise: float) -> Floats:
    """[16] endocardial strain: as the segments contract, scaled so that together they eject the person's EF."""
    remains = (1 - person.lv_ef) / (1 + lengthwise)  # of the cross-section
    motion = person.contraction / person.contraction.mean()
    scale = 1 - np.sqrt(remains)
    for _ in range(6):
        radius = np.maximum(1 - scale * motion, 0.2)
        scale *= ((1 - remains) / (1 - np.sum(SEGMENT_VOLUME_SHARE * radius**2))) ** 0.9
    return np.maximum(1 - scale * motion, 0.2) - 1


def draw_pericardium(image: Image, hull: Image, theta: Image, heart: Heart, rng: np.random.Generator) -> None:
    """Fat around the heart, an effusion within it, and the dark line of the pericardium between."""
    person = heart.person
    uneven = 1 + 0.5 * np.cos(theta - rng.uniform(3.4, 4.4)) + 0.25 * np.cos(2 * theta + rng.uniform(0, 6))
    fluid = (person.effusion_mm * np.clip(0.75 * uneven + 0.15, 0.2, 1.8)).astype(np.float32)
    lumps = 0.75 * np.cos(theta - rng.uniform(1.6, 2.8)) + 0.45 * np.cos(2 * theta + rng.uniform(0, 6))
    lumps += 0.35 * np.cos(3 * theta + rng.uniform(0, 6)) + 0.2 * np.cos(5 * theta + rng.uniform(0, 6))
    fat = (heart.fat_mm * np.clip(0.55 + lumps, 0, 2.2)).astype(np.float32)
    blend(image, inside(hull - fluid - fat - 1), rng.uniform(0.6, 0.85) * FAT)
    if person.effusion_mm:
        blend(image, inside(hull - fluid - 1.6), 0.25)
        blend(image, inside(hull - fluid), FLUID)
    # Where water meets fat in one pixel their signals cancel: the dark rim of balanced SSFP.
    image *= 1 - 0.5 * np.exp(-((hull - 0.6) ** 2)) * (fluid < 1)


def trabeculae(distance: Image, depth_mm: float, rng: np.random.Generator) -> Image:
    """[50, H, W] share of muscle within a ventricle: uneven strands along its walls."""
    strands = scanner.smooth_field(rng, distance.shape[-1], 13)
    return np.clip(0.55 * strands - 0.25, 0, 0.9) * np.clip(1 + distance / depth_mm, 0, 1)
