"""A short-axis slice: rings of wall around the left ventricle, a crescent of right ventricle, papillary muscles."""

import numpy as np
from numpy.typing import NDArray

from . import scanner
from .anatomy import Floats
from .heart import ANGLES, LV_CAVITY, LV_WALL, RV_CAVITY, Heart, draw_coat, draw_pericardium, ring_weights, trabeculae
from .motion import FRAMES
from .scanner import BLOOD, EDGE_MM, Grid, Image, Window, around, blend, ellipse_distance, inside
from .surroundings import short_axis_surroundings

PAPILLARY_ANGLES_DEG = (42, 252)  # anterolateral and posteromedial


ROUGH = 4  # every fourth pixel tells where the heart is


def draw_short_axis(
    heart: Heart, level: float, grid: Grid, rng: np.random.Generator, fixed: np.random.Generator
) -> tuple[Image, Image, Window, NDArray[np.uint8]]:
    """Draw the slice at `level`: what stands still, the heart, and labels.

    Returns the surroundings [H, W], the heart's signal [50, h, w] in its window, the window, and labels [50, H, W].
    `fixed` draws what is the same in all slices.
    """
    size = grid.shape[0]
    roll = np.radians(12 * fixed.normal())
    breath = 2.2 * rng.normal(size=2)
    centre = np.array([12.0, 4.0]) + 3 * fixed.normal(size=2) + breath
    endo, epi = _rings(heart, level, rng)
    lean = fixed.normal(size=2)
    coat = draw_coat(heart, fixed)
    rv_wall_mm = np.float32(2.8 + 3.2 * heart.person.ph)

    def outlines(part: Grid) -> tuple[_Polar, Image, Image, Image]:
        """Places, distances to the epicardium, to the RV cavity, to the hull of both."""
        x, y = part.x - np.float32(centre[0]), part.y - np.float32(centre[1])
        cos, sin = np.float32(np.cos(roll)), np.float32(np.sin(roll))
        polar = _Polar(cos * x + sin * y, cos * y - sin * x)
        epi_distance = polar.distance(epi)
        rv_distance = _right_ventricle(heart, level, polar, epi, epi_distance, lean)
        return polar, epi_distance, rv_distance, np.minimum(epi_distance, rv_distance - rv_wall_mm)

    polar, _, _, hull = outlines(grid.part((slice(None, None, ROUGH),) * 2))
    window = around(hull.min(axis=0) < sum(coat.depth_mm(polar.theta)) + 2, ROUGH, ROUGH)
    polar, epi_distance, rv_distance, hull = outlines(grid.part(window))
    endo_distance = polar.distance(endo)

    still = short_axis_surroundings(heart, grid, centre, fixed, float(epi[0].mean()))
    image = np.repeat(still[window][None], FRAMES, axis=0)
    draw_pericardium(image, hull, polar.theta, coat)
    blood = (BLOOD * (1 + rng.uniform(0.04, 0.12) * scanner.smooth_field(rng, size, 6)))[window]
    wall = (heart.muscle * (1 + 0.16 * scanner.smooth_field(rng, size, 12)))[window]
    blend(image, inside(rv_distance - rv_wall_mm), wall)
    strands = heart.trabeculation * scanner.smooth_field(rng, size, rng.uniform(9, 17))[window]
    rv_share = inside(rv_distance)
    rv_share *= 1 - np.float32(0.7) * trabeculae(rv_distance, fixed.uniform(7, 17), strands)
    blend(image, rv_share, blood)
    _moderator_band(image, polar, rv_distance, wall, level, fixed)
    blend(image, inside(epi_distance), wall)
    strands = heart.trabeculation * scanner.smooth_field(rng, size, 13)[window]
    packed = heart.compaction * heart.cycle.contraction[:, None, None]
    cavity = inside(endo_distance)
    cavity *= 1 - np.float32(0.8) * trabeculae(endo_distance, 7, strands, packed)
    blend(image, cavity, blood)
    if 0.15 < level < 0.75:
        _papillaries(image, heart, polar, endo, wall, fixed)

    labels = np.where(rv_distance < 0, np.uint8(RV_CAVITY), np.uint8(0))
    np.putmask(labels, epi_distance < 0, LV_WALL)
    np.putmask(labels, endo_distance < 0, LV_CAVITY)
    mask = np.zeros((FRAMES, *grid.shape), dtype=np.uint8)
    mask[:, *window] = labels
    return still, image, window, mask


class _Polar:
    """Distance of every pixel to closed curves given as a radius an angle."""

    def __init__(self, x: Image, y: Image) -> None:
        self.x, self.y = x, y
        self.radius = np.hypot(x, y)
        self.theta = np.arctan2(y, x) % (2 * np.pi)
        place = self.theta * (ANGLES / (2 * np.pi))
        self._first = place.astype(np.int32) % ANGLES
        self._share = (place - np.floor(place)).astype(np.float32)

    def distance(self, curve: Image) -> Image:
        """[T, 128] mm → [T, H, W] mm, negative inside."""
        step = np.roll(curve, -1, axis=1) - curve
        distance = step.take(self._first, axis=1)
        distance *= -self._share
        distance -= curve.take(self._first, axis=1)
        distance += self.radius
        return distance


def _rings(heart: Heart, level: float, rng: np.random.Generator) -> tuple[Image, Image]:
    """Endocardial and epicardial radius [50, 128] mm."""
    person, weights = heart.person, ring_weights(level)
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    rest = heart.radius_mm * np.sqrt(max(1 - level**2, 0.02))
    outline = 1 + 0.02 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.010 * np.cos(3 * angle + rng.uniform(0, 6))
    coarse = sum(rng.normal() * np.cos(k * angle + rng.uniform(0, 6)) for k in range(6, 14))
    rest = rest * outline
    active = heart.cycle.segment @ weights.T  # [50, 128]
    shortening = weights @ heart.shortening
    endo = rest * (1 + shortening * active)
    # RV pressure flattens the septum, most at end-systole; the cavity keeps its area.
    septal = np.clip(-np.cos(angle), 0, None) ** 2
    flat = 1 - 0.40 * person.ph * septal * (0.45 + 0.55 * heart.cycle.contraction[:, None])
    flat = flat / np.sqrt((flat**2).mean(axis=1, keepdims=True))
    endo = endo * flat
    # Towards the apex the slice cuts the wall at a slant, and shows it thicker than it is.
    slope = heart.radius_mm * level / (heart.length_mm * np.sqrt(max(1 - level**2, 0.02)))
    thickness = weights @ person.thickness_mm * np.sqrt(1 + min(slope, 1.5) ** 2)
    # Muscle keeps its volume: what the slice loses in circumference and length it gains in thickness.
    area = (rest + thickness) ** 2 - rest**2
    length = 1 + heart.lengthwise * heart.cycle.contraction[:, None]
    epi = np.sqrt(endo**2 + area / length * flat)
    # Folds, as deep as the cavity is wide; its area stays.
    narrowed = endo.mean(axis=1, keepdims=True) / rest.mean()
    folded = np.maximum(endo + 0.25 * coarse * (0.4 + level) * narrowed, 0.5)
    endo = folded * np.sqrt((endo**2).mean(axis=1, keepdims=True) / (folded**2).mean(axis=1, keepdims=True))
    return endo.astype(np.float32), epi.astype(np.float32)


def _right_ventricle(heart: Heart, level: float, polar: _Polar, epi: Image, epi_distance: Image, lean: Floats) -> Image:
    """[50, h, w] mm to the RV cavity: an ellipse on the septal side without the left ventricle."""
    person, x, y = heart.person, polar.x, polar.y
    taper = max(1 - (level / 0.92) ** 2, 0.0) ** 0.5 * 1.12
    if taper == 0:
        return np.full_like(epi_distance, 99)
    septal_edge = epi[:, ANGLES // 2][:, None, None]
    across = 38 * (person.rv_edv_ml / 160) ** 0.5 * taper
    tall = 1.04 * float(epi[0].mean()) * (person.rv_edv_ml / (1.15 * person.lv_edv_ml)) ** 0.2 * (0.55 + 0.45 * taper)
    active = heart.cycle.contraction[:, None, None]
    depth = np.float32(9.0)
    semi_x = (depth + across * (1 + heart.rv_width * active)).astype(np.float32)
    semi_y = (tall * (1 + 0.75 * heart.rv_width * active)).astype(np.float32)
    shear = np.float32(0.12 + 0.06 * lean[0])
    u = (x + (septal_edge - depth)) / semi_x
    v = y - np.float32(5.0 + 2.5 * lean[1]) - shear * (x + septal_edge)
    v /= semi_y
    ellipse = ellipse_distance(u, v, semi_x, semi_y)
    insertion = x - np.float32(0.10) * septal_edge  # it ends where it meets the left ventricle in front, rounded
    gap = ellipse - insertion
    gap *= gap
    gap += 14**2
    ellipse += insertion
    ellipse += np.sqrt(gap, out=gap)
    ellipse *= 0.5
    ellipse -= 2
    return np.maximum(ellipse, 0.5 - epi_distance, out=ellipse)


def _moderator_band(
    image: Image, polar: _Polar, rv_distance: Image, wall: Image, level: float, rng: np.random.Generator
) -> None:
    """A strand from the septum to the RV's free wall, seen in some."""
    seen, place, slope, half_mm = rng.random() < 0.4, rng.uniform(-14, 14), rng.normal() * 0.3, rng.uniform(0.6, 1.8)
    if seen and 0.3 < level < 0.8:
        strand = inside(np.abs(polar.y - place - slope * polar.x) - half_mm)
        columns = strand[None] * inside(rv_distance)
        columns *= 0.75
        blend(image, columns, wall)


def _papillaries(image: Image, heart: Heart, polar: _Polar, endo: Image, wall: Image, rng: np.random.Generator) -> None:
    """Two groups of one or two heads, off the wall at end-diastole and part of it at end-systole."""
    active = heart.cycle.contraction[:, None, None]
    for degrees in PAPILLARY_ANGLES_DEG:
        middle, heads = np.radians(degrees + 8 * rng.normal()), 1 + (rng.random() < 0.4)
        apart, width = rng.uniform(0.2, 0.45, size=2), rng.uniform(1.0, 1.35, size=2)
        size_mm = (4.4 + 0.35 * (heart.person.thickness_mm.mean() - 5.7)) * np.exp(0.2 * rng.normal(size=2))
        off, merged = rng.uniform(0.7, 1.2, size=2), rng.uniform(0.35, 0.8, size=2)
        for head in range(heads):
            angle = middle + (apart[head] * (2 * head - 1) if heads == 2 else 0.0)
            radius = endo[:, round(angle / (2 * np.pi) * ANGLES) % ANGLES][:, None, None]
            # It shortens as the wall does and grows as thick; a closing cavity leaves it no more room.
            size = np.minimum(size_mm[head] / np.sqrt(heads) * (1 + 0.14 * active), 0.66 * radius).astype(np.float32)
            place = radius - size * (off[head] + (merged[head] - off[head]) * active)
            cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            along, across = polar.x * cos + polar.y * sin, polar.y * cos - polar.x * sin
            reach = float(size.max()) * width[head] + EDGE_MM
            near = (np.abs(across) < reach) & (along > place.min() - reach) & (along < place.max() + reach)
            if not near.any():
                continue
            box = around(near, 0)
            away = (along[box] - place) / np.float32(width[head])
            share = np.hypot(away, across[box], out=away)
            share -= size
            share = inside(share)
            share *= 0.9
            blend(image[:, *box], share, wall[box])
