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
    draw_coat,
    draw_pericardium,
    trabeculae,
)
from .motion import FRAMES
from .scanner import BLOOD, FAT, Grid, Image, Window, around, blend, ellipse_distance, inside
from .surroundings import four_chamber_surroundings

Labels = NDArray[np.uint8]


ROUGH = 4  # every fourth pixel tells where the heart is


def draw_four_chamber(heart: Heart, grid: Grid, rng: np.random.Generator) -> tuple[Image, Image, Window, Labels]:
    """What stands still [H, W], the heart's signal [50, h, w] in its window, and labels [50, H, W]."""
    size = grid.shape[0]
    pose = _draw_pose(heart, rng)
    coat = draw_coat(heart, rng)
    rough = _Chambers(heart, pose, grid.part((slice(None, None, ROUGH),) * 2))
    shown = (rough.hull.min(axis=0) < sum(coat.depth_mm(rough.theta)) + 2) | (rough.groove.min(axis=0) < 2)
    window = around(shown, ROUGH, ROUGH)
    part = _Chambers(heart, pose, grid.part(window))

    still = four_chamber_surroundings(heart, grid, rng)
    image = np.repeat(still[window][None], FRAMES, axis=0)
    draw_pericardium(image, part.hull, part.theta, coat)
    blood = (BLOOD * (1 + rng.uniform(0.04, 0.12) * scanner.smooth_field(rng, size, 6)))[window]
    wall = (heart.muscle * (1 + 0.16 * scanner.smooth_field(rng, size, 12)))[window]
    blend(image, inside(part.groove, 3), rng.uniform(0.6, 0.85) * FAT)
    blend(image, inside(np.minimum(part.la, part.ra) - np.float32(2.4)), 0.9 * wall)
    blend(image, inside(part.rv - part.rv_wall_mm), wall)
    blend(image, inside(part.lv_wall), wall)
    for chamber in (part.la, part.ra):
        blend(image, inside(chamber), rng.uniform(0.88, 1.04) * blood)
    strands = heart.trabeculation * scanner.smooth_field(rng, size, rng.uniform(9, 16))[window]
    share = inside(part.rv)
    share *= 1 - np.float32(0.6) * trabeculae(part.rv, rng.uniform(7, 15), strands)
    blend(image, share, blood)
    strands = heart.trabeculation * scanner.smooth_field(rng, size, 13)[window]
    packed = 0.8 * heart.compaction * heart.cycle.contraction[:, None, None]
    share = inside(part.lv_cavity)
    share *= 1 - np.float32(0.7) * trabeculae(part.endo, 6, strands, packed)
    blend(image, share, blood)
    _valves(image, part)
    _long_papillary(image, part, wall, rng)

    labels = np.where(part.ra < 0, np.uint8(RA_CAVITY), np.uint8(0))
    for distance, label in (
        (part.la, LA_CAVITY), (part.rv, RV_CAVITY), (part.lv_wall, LV_WALL), (part.lv_cavity, LV_CAVITY)
    ):  # fmt: skip
        np.putmask(labels, distance < 0, label)
    mask = np.zeros((FRAMES, *grid.shape), dtype=np.uint8)
    mask[:, *window] = labels
    return still, image, window, mask


@dataclass(frozen=True)
class _Pose:
    """How the heart lies in the picture, and how its atria are stretched."""

    apex: tuple[float, float]
    tilt: float
    lying: tuple[float, float]  # left, right


def _draw_pose(heart: Heart, rng: np.random.Generator) -> _Pose:
    apex = np.array([-4.0, 56.0 + 0.25 * (heart.length_mm - 92)]) + 3 * rng.normal(size=2)
    tilt = float(np.radians(-14 + 7 * rng.normal()))
    lying = np.sqrt(0.93 * np.array([1.0, 1.05]) * np.exp(0.08 * rng.normal(size=2)))
    return _Pose(tuple(apex.tolist()), tilt, tuple(lying.tolist()))


class _Chambers:
    """Signed distances [50, h, w] mm to the borders of the heart, on the pixels of a grid."""

    def __init__(self, heart: Heart, pose: _Pose, grid: Grid) -> None:
        active = heart.cycle.contraction[:, None, None]
        x, y = grid.x - np.float32(pose.apex[0]), grid.y - np.float32(pose.apex[1])
        cos, sin = np.float32(np.cos(pose.tilt)), np.float32(np.sin(pose.tilt))
        # From the long axis to the lateral side, and from the apex to the base. [h, w]
        across, down = cos * x - sin * y, -(sin * x + cos * y)
        self.across, self.active = across, active
        self.theta = np.arctan2(60 - down, across) % np.float32(2 * np.pi)
        # The base comes to the apex in systole; the apex stays.
        self.length = length = heart.length_mm * (1 + heart.lengthwise * active)
        self.rise = rise = length - down  # above the mitral plane
        septal, lateral = _long_walls(heart)
        self.level = level = np.clip(rise / length, 0, 1)
        self.half, wall = _walls(across > 0, level, septal, lateral)
        self.half *= _base_taper(level)
        outer = self.half + wall
        apical = 0.4 * (septal[1][:, -1] + lateral[1][:, -1])[:, None, None]
        self.endo = ellipse_distance(rise / length, across / self.half, length, self.half)
        longer = length + apical
        epi = ellipse_distance(rise / longer, across / outer, longer, outer)
        self.plane = -rise  # mitral plane: negative above
        self.lv_cavity, self.lv_wall = np.maximum(self.endo, self.plane), np.maximum(epi, self.plane - 2, out=epi)
        self.rv_wall_mm = np.float32(2.8 + 3.2 * heart.person.ph)
        septum = 0.47 * (septal[0][:, 0] + septal[1][:, 0] + septal[0][:, 1] + septal[1][:, 1])
        self._right_ventricle(heart, down, outer, septum[:, None, None])
        self._atria(heart, pose)
        self.groove = np.minimum(
            np.hypot(across - 0.96 * outer, rise + 1),
            np.hypot(across - (self.rv_middle - 1.3 * self.rv_half), self.rv_plane - 1),
        )
        self.groove -= np.float32(3.5 + 0.6 * heart.fat_mm)
        self.hull = np.minimum(self.la, self.ra)
        self.hull -= 2
        np.minimum(self.hull, self.lv_wall, out=self.hull)
        np.minimum(self.hull, self.rv - self.rv_wall_mm, out=self.hull)

    def _right_ventricle(self, heart: Heart, down: Image, outer: Image, at_plane: Image) -> None:
        """Between the septum and a free wall that runs from the tricuspid annulus towards the apex."""
        person, across, active = heart.person, self.across, self.active
        reach = 0.86 * heart.length_mm
        low = heart.length_mm - 5 + reach * heart.rv_length * active  # tricuspid plane, from the LV apex down
        self.rv_plane = down - low  # negative above
        height = self.rv_plane * (-1 / (reach * (1 + heart.rv_length * active) + 1e-6))
        np.clip(height, 0, 1.2, out=height)
        u = np.minimum(self.level, 0.999)
        u *= u
        septum = np.sqrt(np.subtract(1, u, out=u), out=u)
        septum *= -outer
        width = 39 * (person.rv_edv_ml / 160) ** 0.5 * (1 + heart.rv_width * active)
        bulge = np.maximum(1 - height, 0)
        np.power(bulge, np.float32(0.62), out=bulge)
        bulge *= 0.86 + 0.5 * height
        bulge *= width
        free = septum - bulge
        free -= across
        free *= 1 / np.sqrt(1 + (0.6 * width / reach) ** 2)
        np.maximum(free, across - septum, out=free)
        np.maximum(free, self.rv_plane, out=free)
        height -= 1
        height *= np.float32(reach)
        self.rv = np.maximum(free, height, out=free)
        self.rv_middle, self.rv_half = -at_plane - 0.45 * width, 0.42 * width  # of the annulus

    def _atria(self, heart: Heart, pose: _Pose) -> None:
        """Half ellipses that hang from the valves and fill in systole."""
        person, result = heart.person, []
        for maximum, ef, plane, middle, lying in (
            (person.la_max_ml, person.la_ef, self.plane, 5.0, pose.lying[0]),
            (person.ra_max_ml, person.ra_ef, self.rv_plane, -heart.radius_mm - 24.0, pose.lying[1]),
        ):
            volume = maximum * (1 - ef * (1 - self.active))
            # Area of an atrium from its volume, V = 8 A² / (3 π L) with L = 1.1 of the mean diameter.
            area = 136 * volume ** (2 / 3)
            semi = np.sqrt(area / np.pi)
            semi_x, semi_y = semi / lying * 1.02, semi * lying
            wide = np.maximum(semi_x - 25, 0)
            centre = middle - (0.35 * wide if middle < 0 else -0.25 * wide)
            v, u = (plane - 0.86 * semi_y) / semi_y, (self.across - centre) / semi_x
            result.append(np.maximum(ellipse_distance(u, v, semi_x, semi_y), np.float32(1.2) - plane))
        wall = np.float32(1.6)  # the septum between them, half way
        septum = self.across + np.float32(0.5 * heart.radius_mm + 8)
        self.la, self.ra = np.maximum(result[0], wall - septum), np.maximum(result[1], wall + septum)


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


def _walls(
    lateral_side: NDArray[np.bool_], level: Image, septal: tuple[Image, Image], lateral: tuple[Image, Image]
) -> list[Image]:
    """Semi-axis and thickness [50, h, w], from their values [50, 3] at base, middle and apex of each side."""
    upper = (level - np.float32(RING_CENTRES[0])) * np.float32(1 / 0.33)
    lower = np.clip(upper, 0, 1)
    upper -= 1
    np.clip(upper, 0, 1, out=upper)
    result = []
    for septal_values, lateral_values in zip(septal, lateral, strict=True):
        base, middle, apex = (
            np.where(lateral_side, lateral_values[:, column, None, None], septal_values[:, column, None, None])
            for column in range(3)
        )
        apex -= middle
        middle -= base
        middle *= lower
        apex *= upper
        base += middle
        base += apex
        result.append(base)
    return result


def _valves(image: Image, part: _Chambers) -> None:
    """Leaflets: a thin dark line across each annulus, seen best when closed."""
    closed = np.clip(0.25 + 0.5 * part.active, 0, 1)
    for plane, share in (
        (part.plane, inside(np.abs(part.across) - 0.95 * part.half)),
        (part.rv_plane, inside(np.abs(part.across - part.rv_middle) - part.rv_half)),
    ):
        line = share * closed
        line *= inside(np.abs(plane - np.float32(0.5)) - np.float32(0.8), 1.6)
        blend(image, line, 0.45)


def _long_papillary(image: Image, part: _Chambers, wall: Image, rng: np.random.Generator) -> None:
    seen, place, size, depth = rng.random() < 0.6, rng.uniform(0.45, 0.6), rng.uniform(2.0, 3.6), rng.uniform(0.6, 0.72)
    if not seen:
        return
    rows, columns = around((np.abs(part.level - place).min(axis=0) < 0.25) & (part.across > 0), 0)
    box = slice(None), rows, columns
    edge = part.half[box] * np.sqrt(1 - part.level[box] ** 2)
    # In systole it grows as thick as the wall does, and joins it.
    reach = depth + (0.8 - depth) * part.active
    along = (part.rise[box] - place * part.length) * np.float32(1 / 4.2)
    share = inside(np.hypot(along, part.across[rows, columns] - reach * edge) - size * (1 + 0.2 * part.active))
    share *= 0.8
    blend(image[box], share, wall[rows, columns])
