"""The four-chamber view: two half-ellipsoid ventricles side by side over their atria."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import scanner
from .anatomy import FOUR_CHAMBER_SEGMENTS
from .heart import (
    LA_CAVITY,
    LV_CAVITY,
    LV_WALL,
    RA_CAVITY,
    RING_CENTRES,
    RV_CAVITY,
    Heart,
    draw_pericardium,
    trabeculae,
)  # fmt: skip
from .motion import FRAMES
from .scanner import BLOOD, FAT, MYOCARDIUM, Grid, Image, blend, inside
from .surroundings import four_chamber_surroundings


def draw_four_chamber(heart: Heart, grid: Grid, rng: np.random.Generator) -> tuple[Image, NDArray[np.uint8]]:
    """Signal [50, H, W] and labels."""
    across, down = _heart_axes(heart, grid, rng)
    person, active = heart.person, heart.cycle.contraction[:, None, None].astype(np.float32)
    # The base comes to the apex in systole; the apex stays.
    length = heart.length_mm * (1 + heart.lengthwise * active)
    rise = length - down  # above the mitral plane
    septal, lateral = _long_walls(heart)
    side = across > 0
    level = np.clip(rise / length, 0, 1)
    half = _base_taper(level) * np.where(side, *(_along(values[0], level) for values in (lateral, septal)))
    wall = np.where(side, *(_along(values[1], level) for values in (lateral, septal)))
    apical = 0.4 * (septal[1][:, -1] + lateral[1][:, -1])[:, None, None]
    endo = _half_ellipse(rise, across, length, half)
    epi = _half_ellipse(rise, across, length + apical, half + wall)
    plane = -rise  # mitral plane: negative above
    lv_cavity, lv_wall = np.maximum(endo, plane), np.maximum(epi, plane - 2)

    rv = _four_chamber_rv(heart, across, down, rise, length, half + wall, active)
    la, ra = _four_chamber_atria(heart, across, plane, rv.plane, active, rng)
    rv_wall_mm = 2.8 + 3.2 * person.ph
    hull = np.minimum.reduce([lv_wall, rv.distance - rv_wall_mm, la - 2, ra - 2])

    image = four_chamber_surroundings(heart, grid, across, down, rng)
    image = np.repeat(image[None], FRAMES, axis=0)
    draw_pericardium(image, hull, np.arctan2(-(down - 60), across) % (2 * np.pi), heart, rng)
    blood = BLOOD * (1 + 0.08 * scanner.smooth_field(rng, grid.shape[0], 6))
    wall_signal = MYOCARDIUM * (1 + 0.16 * scanner.smooth_field(rng, grid.shape[0], 12))
    groove = np.minimum(
        np.hypot(across - 0.96 * (half + wall), rise + 1), np.hypot(across - rv.middle + 1.3 * rv.half, rv.plane - 1)
    )
    blend(image, inside(groove - 3.5 - 0.6 * heart.fat_mm, 3), 0.75 * FAT)
    blend(image, inside(np.minimum(la, ra) - 2.4), 0.9 * wall_signal)
    blend(image, inside(rv.distance - rv_wall_mm), wall_signal)
    blend(image, inside(lv_wall), wall_signal)
    for chamber in (la, ra):
        blend(image, inside(chamber), 0.97 * blood)
    blend(image, inside(rv.distance) * (1 - 0.6 * trabeculae(rv.distance, 10, rng)), blood)
    blend(image, inside(lv_cavity) * (1 - 0.6 * trabeculae(endo, 6, rng)), blood)
    _valves(image, across, plane, rv.plane, half, rv, active)
    _long_papillary(image, across, rise, half, length, wall_signal, rng)

    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[ra < 0] = RA_CAVITY
    mask[la < 0] = LA_CAVITY
    mask[rv.distance < 0] = RV_CAVITY
    mask[lv_wall < 0] = LV_WALL
    mask[lv_cavity < 0] = LV_CAVITY
    return image, mask


def _heart_axes(heart: Heart, grid: Grid, rng: np.random.Generator) -> tuple[Image, Image]:
    """[H, W] mm from the long axis to the lateral side, and from the apex to the base."""
    apex = np.array([-4.0, 56.0 + 0.25 * (heart.length_mm - 92)]) + 3 * rng.normal(size=2)
    tilt = np.radians(-14 + 7 * rng.normal())
    x, y = grid.x - apex[0], grid.y - apex[1]
    across = np.cos(tilt) * x - np.sin(tilt) * y
    down = -(np.sin(tilt) * x + np.cos(tilt) * y)
    return across.astype(np.float32), down.astype(np.float32)


def _long_walls(heart: Heart) -> tuple[tuple[Image, Image], tuple[Image, Image]]:
    """For the septal and the lateral wall: semi-axis and thickness [50, 3] at base, middle and apex, mm."""
    person = heart.person
    sides = []
    for segments in (FOUR_CHAMBER_SEGMENTS[:3], FOUR_CHAMBER_SEGMENTS[:2:-1]):
        chosen = list(segments)
        active = heart.cycle.segment[:, chosen]
        axis = heart.radius_mm * (1 + heart.shortening[chosen].astype(np.float32) * active)
        if chosen[0] == FOUR_CHAMBER_SEGMENTS[0]:
            axis = axis * (1 - 0.30 * person.ph * (0.45 + 0.55 * heart.cycle.contraction[:, None]))
        thickness = person.thickness_mm[chosen]
        length = 1 + heart.lengthwise * heart.cycle.contraction[:, None]
        area = (heart.radius_mm + thickness) ** 2 - heart.radius_mm**2
        thick = np.sqrt(axis**2 + area / length) - axis
        sides.append((axis.astype(np.float32), thick.astype(np.float32)))
    return sides[0], sides[1]


def _base_taper(level: Image) -> Image:
    """The ventricle narrows towards its valve; the factor before keeps the volume of the half ellipsoid (to 0.5 %)."""
    return 1.035 * (1 - 0.20 * np.clip(1 - level / 0.35, 0, 1) ** 2)


def _along(values: Image, level: Image) -> Image:
    """[50, 3] at base, middle and apex → [50, H, W] at each pixel's level."""
    place = np.clip((level - RING_CENTRES[0]) / 0.33, 0, 2)
    base, middle, apex = (values[:, column][:, None, None] for column in range(3))
    return np.where(place < 1, base + (middle - base) * place, middle + (apex - middle) * (place - 1))


def _half_ellipse(rise: Image, across: Image, length: Image, half: Image) -> Image:
    """Signed distance to an ellipse around the middle of the mitral plane, to first order."""
    u, v = rise / length, across / half
    rho = np.sqrt(u**2 + v**2)
    slope = np.sqrt((u / length) ** 2 + (v / half) ** 2) / np.maximum(rho, 1e-3)
    return (rho - 1) / np.maximum(slope, 1e-3)


@dataclass(frozen=True)
class _LongRv:
    distance: Image  # [50, H, W]
    plane: Image  # [50, H, W], negative above the tricuspid plane
    middle: Image  # [50, 1, 1], of the annulus
    half: Image


def _four_chamber_rv(
    heart: Heart, across: Image, down: Image, rise: Image, length: Image, outer: Image, active: Image
) -> _LongRv:
    """Between the septum and a free wall that runs from the tricuspid annulus towards the apex."""
    person = heart.person
    reach = 0.86 * heart.length_mm
    low = heart.length_mm - 5 + reach * heart.rv_length * active  # tricuspid plane, from the LV apex down
    plane = down - low
    height = np.clip((low - down) / (reach * (1 + heart.rv_length * active) + 1e-6), 0, 1.2)
    u = np.clip(rise / length, 0, 0.999)
    septum = -outer * np.sqrt(1 - u**2)
    width = 39 * (person.rv_edv_ml / 160) ** 0.5 * (1 + heart.rv_width * active)
    free = septum - width * np.clip(1 - height, 0, 1) ** 0.62 * (0.86 + 0.5 * height)
    slant = 1 / np.sqrt(1 + (0.6 * width / reach) ** 2)
    distance = np.maximum.reduce([(free - across) * slant, across - septum, plane, (height - 1) * reach])
    at_plane = -outer.mean(axis=(1, 2), keepdims=True)
    return _LongRv(distance.astype(np.float32), plane, at_plane - 0.45 * width, 0.42 * width)


def _four_chamber_atria(
    heart: Heart, across: Image, mitral: Image, tricuspid: Image, active: Image, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Distances to the left and right atrium: half ellipses that hang from the valves and fill in systole."""
    person = heart.person
    result = []
    for maximum, ef, plane, middle, stretch in (
        (person.la_max_ml, person.la_ef, mitral, 5.0, 1.0),
        (person.ra_max_ml, person.ra_ef, tricuspid, -heart.radius_mm - 24.0, 1.05),
    ):
        volume = maximum * (1 - ef * (1 - active))
        # Area of an atrium from its volume, V = 8 A² / (3 π L) with L = 1.1 of the mean diameter.
        area = 136 * volume ** (2 / 3)
        lying = float(np.sqrt(0.93 * stretch * np.exp(0.06 * rng.normal())))
        semi = np.sqrt(area / np.pi)
        semi_x, semi_y = semi / lying * 1.02, semi * lying
        centre = middle - (0.35 * np.maximum(semi_x - 25, 0) if middle < 0 else -0.25 * np.maximum(semi_x - 25, 0))
        ellipse = _half_ellipse(plane - 0.86 * semi_y, across - centre, semi_y, semi_x)
        result.append(np.maximum(ellipse, 1.2 - plane))
    left, right = result
    wall = np.float32(1.6)  # the septum between them, half way
    middle = (across + 0.5 * heart.radius_mm + 8).astype(np.float32)
    return np.maximum(left, wall - middle), np.maximum(right, wall + middle)


def _valves(
    image: Image, across: Image, mitral: Image, tricuspid: Image, half: Image, rv: _LongRv, active: Image
) -> None:
    """Leaflets: a thin dark line across each annulus, seen best when closed."""
    closed = np.clip(0.25 + 0.5 * active, 0, 1)
    for plane, share in (
        (mitral, inside(np.abs(across) - 0.95 * half)),
        (tricuspid, inside(np.abs(across - rv.middle) - rv.half)),
    ):
        blend(image, closed * share * inside(np.abs(plane - 0.5) - 0.8, 1.6), 0.45)


def _long_papillary(
    image: Image, across: Image, rise: Image, half: Image, length: Image, wall: Image, rng: np.random.Generator
) -> None:
    seen, place, size = rng.random() < 0.6, rng.uniform(0.45, 0.6), rng.uniform(2.0, 3.2)
    if not seen:
        return
    level = rise / length
    edge = half * np.sqrt(np.clip(1 - level**2, 0, 1))
    along = (rise - place * length) / 4.2
    blend(image, 0.75 * inside(np.hypot(along, across - 0.66 * edge) - size), wall)
