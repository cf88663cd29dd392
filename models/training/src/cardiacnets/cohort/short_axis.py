"""A short-axis slice: rings of wall around the left ventricle, a crescent of right ventricle, papillary muscles."""

import numpy as np
from numpy.typing import NDArray

from . import scanner
from .anatomy import SEGMENT_ANGLE_DEG, SEGMENT_LEVEL, Floats
from .heart import LV_CAVITY, LV_WALL, RING_CENTRES, RV_CAVITY, Heart, draw_pericardium, trabeculae
from .motion import FRAMES
from .scanner import BLOOD, MYOCARDIUM, Grid, Image, blend, inside
from .surroundings import short_axis_surroundings

ANGLES = 128
PAPILLARY_ANGLES_DEG = (42, 252)  # anterolateral and posteromedial


def draw_short_axis(
    heart: Heart, level: float, grid: Grid, rng: np.random.Generator, fixed: np.random.Generator
) -> tuple[Image, NDArray[np.uint8]]:
    """Signal [50, H, W] and labels of the slice at that level; `fixed` draws what is the same in all slices."""
    roll = np.radians(12 * fixed.normal())
    breath = 2.2 * rng.normal(size=2)
    centre = np.array([12.0, 4.0]) + 3 * fixed.normal(size=2) + breath
    x, y = grid.x - centre[0], grid.y - centre[1]
    turned = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
    x, y = (place.astype(np.float32) for place in turned)  # single precision halves the time
    endo, epi = _rings(heart, level, rng)
    lookup = _Polar(x, y)
    endo_distance, epi_distance = lookup.distance(endo), lookup.distance(epi)
    rv_distance = _right_ventricle(heart, level, x, y, epi)

    image = short_axis_surroundings(heart, grid, centre, fixed, float(epi[0].mean()))
    image = np.repeat(image[None], FRAMES, axis=0)
    rv_wall_mm = 2.8 + 3.2 * heart.person.ph
    hull = np.minimum(epi_distance, rv_distance - rv_wall_mm)
    draw_pericardium(image, hull, lookup.theta, heart, fixed)
    blood = BLOOD * (1 + 0.08 * scanner.smooth_field(rng, grid.shape[0], 6))
    wall = MYOCARDIUM * (1 + 0.16 * scanner.smooth_field(rng, grid.shape[0], 12))
    blend(image, inside(rv_distance - rv_wall_mm), wall)
    rv_share = inside(rv_distance)
    blend(image, rv_share * (1 - 0.7 * trabeculae(rv_distance, 12, rng)), blood)
    blend(image, inside(epi_distance), wall)
    cavity = inside(endo_distance)
    blend(image, cavity * (1 - 0.7 * trabeculae(endo_distance, 7, rng)), blood)
    if 0.15 < level < 0.75:
        _papillaries(image, heart, x, y, endo, wall, fixed)

    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[rv_distance < 0] = RV_CAVITY
    mask[epi_distance < 0] = LV_WALL
    mask[endo_distance < 0] = LV_CAVITY
    return image, mask


class _Polar:
    """Distance of every pixel to closed curves given as a radius an angle."""

    def __init__(self, x: Image, y: Image) -> None:
        self.radius = np.hypot(x, y)
        self.theta = np.arctan2(y, x) % (2 * np.pi)
        place = self.theta * (ANGLES / (2 * np.pi))
        self._first = place.astype(np.int32) % ANGLES
        self._second = (self._first + 1) % ANGLES
        self._share = (place - np.floor(place)).astype(np.float32)

    def distance(self, curve: Image) -> Image:
        """[T, 128] mm → [T, H, W] mm, negative inside."""
        radius = curve[:, self._first] * (1 - self._share) + curve[:, self._second] * self._share
        return self.radius - radius


def _ring_weights(level: float) -> Floats:
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


def _rings(heart: Heart, level: float, rng: np.random.Generator) -> tuple[Image, Image]:
    """Endocardial and epicardial radius [50, 128] mm."""
    person, weights = heart.person, _ring_weights(level)
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
    endo = endo + 0.25 * coarse * (0.4 + level)
    return endo.astype(np.float32), epi.astype(np.float32)


def _right_ventricle(heart: Heart, level: float, x: Image, y: Image, epi: Image) -> Image:
    """[50, H, W] mm to the RV cavity: an ellipse on the septal side without the left ventricle."""
    person = heart.person
    septal_edge = epi[:, ANGLES // 2][:, None, None]
    taper = max(1 - (level / 0.92) ** 2, 0.0) ** 0.5 * 1.12
    across = 38 * (person.rv_edv_ml / 160) ** 0.5 * taper
    tall = 1.04 * float(epi[0].mean()) * (person.rv_edv_ml / (1.15 * person.lv_edv_ml)) ** 0.2 * (0.55 + 0.45 * taper)
    active = heart.cycle.contraction[:, None, None]
    depth = 9.0
    semi_x = depth + across * (1 + heart.rv_width * active)
    semi_y = tall * (1 + 0.75 * heart.rv_width * active)
    centre_x, centre_y = -(septal_edge - depth), 5.0
    u, v = (x - centre_x) / semi_x, (y - centre_y - 0.12 * (x + septal_edge)) / semi_y
    rho = np.sqrt(u**2 + v**2)
    ellipse = (rho - 1) / np.maximum(np.sqrt((u / semi_x) ** 2 + (v / semi_y) ** 2) / np.maximum(rho, 1e-3), 1e-3)
    radius = np.hypot(x, y)
    angle = (np.arctan2(y, x) % (2 * np.pi)) * (ANGLES / (2 * np.pi))
    left = epi[:, angle.astype(np.int32) % ANGLES] - radius
    insertion = x - 0.10 * septal_edge  # it ends where it meets the left ventricle in front, rounded
    rounded = 0.5 * (ellipse + insertion + np.sqrt((ellipse - insertion) ** 2 + 14**2)) - 2
    return np.maximum(rounded, left + 0.5) if taper > 0 else np.full_like(left, 99)


def _papillaries(
    image: Image, heart: Heart, x: Image, y: Image, endo: Image, wall: Image, rng: np.random.Generator
) -> None:
    for degrees in PAPILLARY_ANGLES_DEG:
        angle = np.radians(degrees + 8 * rng.normal())
        radius = endo[:, round(angle / (2 * np.pi) * ANGLES) % ANGLES][:, None, None]
        size = (4.6 + 0.35 * (heart.person.thickness_mm.mean() - 5.7)) * np.exp(0.15 * rng.normal())
        place = np.maximum(radius - 0.9 * size, 0) - 1.2 * heart.cycle.contraction[:, None, None]
        along = (x * np.cos(angle) + y * np.sin(angle) - place) / 1.25
        across = y * np.cos(angle) - x * np.sin(angle)
        blend(image, 0.9 * inside(np.hypot(along, across) - size), wall)
