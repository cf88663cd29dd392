"""What stands still around the heart: chest wall, lung, liver, stomach, spine, aorta."""

import numpy as np

from . import scanner
from .anatomy import Floats
from .heart import Heart
from .person import Person
from .scanner import BLOOD, FAT, Grid, Image, blend, inside


def short_axis_surroundings(heart: Heart, grid: Grid, centre: Floats, rng: np.random.Generator, epi_mm: float) -> Image:
    """[H, W] what stands still around a short-axis heart: chest wall, lung, liver, stomach, aorta."""
    size, person = grid.shape[0], heart.person
    x, y = grid.x - np.float32(centre[0]), grid.y - np.float32(centre[1])
    image = np.full(grid.shape, scanner.LUNG, dtype=np.float32)
    for _ in range(26):  # vessels of the lung
        at = rng.uniform(-110, 110, size=2)
        blend(image, inside(np.hypot(x - at[0], y - at[1]) - rng.uniform(0.5, 2.2)), rng.uniform(0.25, 0.8))
    floor = -(epi_mm + 5 + heart.fat_mm + person.effusion_mm * 0.6 + 3 * rng.random())
    texture = 1 + 0.08 * scanner.smooth_field(rng, size, 9)
    reach = 26 + 10 * rng.normal()  # where the liver ends and the stomach begins
    blend(image, inside(np.hypot((x - reach - 34) / 1.3, y - floor + 40) - 36), rng.uniform(0.2, 0.7) * texture)
    dome = y - floor + 0.0022 * (x + 25) ** 2
    slope = (x - reach - 0.35 * (y - floor)) * 0.9
    blend(image, inside(np.maximum(dome, slope), 3), scanner.LIVER * texture)
    radius = np.sqrt(person.descending_max_mm2 / np.pi)
    aorta = np.array([epi_mm + 24, -(epi_mm + 6)]) + 4 * rng.normal(size=2)
    blend(image, inside(np.hypot(x - aorta[0], y - aorta[1]) - radius - 1.5), 0.3)
    blend(image, inside(np.hypot(x - aorta[0], y - aorta[1]) - radius), 1.05 * BLOOD)
    _chest_wall(image, x, y, person, rng, np.radians(122 + 8 * rng.normal()), epi_mm + 42 + 6 * rng.normal())
    return image


def four_chamber_surroundings(heart: Heart, grid: Grid, across: Image, down: Image, rng: np.random.Generator) -> Image:
    """[H, W] what stands still around a four-chamber view: chest wall, lung, liver, spine, aorta."""
    person, size = heart.person, grid.shape[0]
    image = np.full(grid.shape, scanner.LUNG, dtype=np.float32)
    for _ in range(26):
        at = rng.uniform(-110, 110, size=2)
        blend(image, inside(np.hypot(grid.x - at[0], grid.y - at[1]) - rng.uniform(0.5, 2.0)), rng.uniform(0.2, 0.7))
    texture = 1 + 0.08 * scanner.smooth_field(rng, size, 9)
    liver = np.hypot((grid.x + 108) / 1.0, (grid.y + 12) / 1.3) - 44
    blend(image, inside(liver), scanner.LIVER * texture)
    spine = np.hypot((grid.x - 18) / 1.2, grid.y + 118) - 30
    blend(image, inside(spine), 0.5 * texture)
    radius = np.sqrt(person.descending_max_mm2 / np.pi)
    at = np.array([38.0, -88.0]) + 4 * rng.normal(size=2)
    blend(image, inside(np.hypot(grid.x - at[0], grid.y - at[1]) - radius - 1.5), 0.3)
    blend(image, inside(np.hypot(grid.x - at[0], grid.y - at[1]) - radius), 1.05 * BLOOD)
    _chest_wall(image, grid.x, grid.y, person, rng, np.radians(112 + 7 * rng.normal()), 84 + 5 * rng.normal())
    return image


def _chest_wall(
    image: Image, x: Image, y: Image, person: Person, rng: np.random.Generator, direction: float, distance: float
) -> None:
    """Muscle with ribs, then fat, then air, in that direction from the heart."""
    along = x * np.cos(direction) + y * np.sin(direction)
    across = y * np.cos(direction) - x * np.sin(direction)
    depth = along + 0.0022 * across**2 - distance
    fat = float(np.clip(9 + 1.5 * (person.bmi - 25), 4, 40))
    blend(image, inside(-depth), 0.9 * scanner.MUSCLE * (1 + 0.35 * np.sin(across / rng.uniform(9, 13))))
    blend(image, inside(9 - depth), 0.95 * FAT)
    blend(image, inside(9 + fat - depth), scanner.AIR)
