"""What stands still around the heart: chest wall, lung, liver, stomach, spine, aorta, vessels."""

import numpy as np

from . import scanner
from .anatomy import Floats
from .heart import Heart
from .person import Person
from .scanner import AIR, BLOOD, FAT, FLUID, MUSCLE, Grid, Image, blend, inside


def short_axis_surroundings(heart: Heart, grid: Grid, centre: Floats, rng: np.random.Generator, epi_mm: float) -> Image:
    """[H, W] what stands still around a short-axis heart: chest wall, lung, spine, liver, stomach, aorta."""
    person = heart.person
    x, y = grid.x - np.float32(centre[0]), grid.y - np.float32(centre[1])
    image = _lung(grid, x, y, rng)
    texture = 1 + 0.08 * scanner.smooth_field(rng, grid.shape[0], 9)
    aorta_mm = np.sqrt(person.descending_max_mm2 / np.pi)
    aorta_x, aorta_y = (np.array([epi_mm + 24, -(epi_mm + 6)]) + 5 * rng.normal(size=2)).tolist()
    _spine(image, x, y, aorta_x - 16 + 5 * rng.normal(), aorta_y - 30 + 4 * rng.normal(), texture, rng)
    floor = -(epi_mm + 5 + heart.fat_mm + person.effusion_mm * 0.6 + 3 * rng.random())
    reach = 26 + 10 * rng.normal()  # where the liver ends and the stomach begins
    dome = y - np.float32(floor) + 0.0022 * (x + 25) ** 2
    if rng.random() < 0.5:  # fat under the diaphragm
        blend(image, inside(dome - 1, 3), rng.uniform(0.4, 0.9) * FAT)
    _stomach(image, x, y, reach + 32 + 7 * rng.normal(), floor - 36 + 6 * rng.normal(), texture, rng)
    slope = (x - np.float32(reach) - 0.35 * (y - np.float32(floor))) * 0.9
    edge = rng.uniform(0, 4)  # of the fat that shows between diaphragm and liver
    blend(image, inside(np.maximum(dome + np.float32(edge), slope), 3), _liver(x, y, -25, floor - 45, texture, rng))
    if rng.random() < 0.5:  # inferior caval or hepatic vein, oesophagus: round, bright, near the heart
        at = rng.uniform(-45, 30), floor - rng.uniform(4, 16)
        _disc(image, x, y, at, rng.uniform(4, 10), rng.uniform(0.6, 1.05) * BLOOD, rng.uniform(1, 1.6))
    _disc(image, x, y, (aorta_x, aorta_y), aorta_mm + 1.5, 0.3)
    _disc(image, x, y, (aorta_x, aorta_y), aorta_mm, rng.uniform(0.8, 1.15) * BLOOD)
    _chest_wall(image, x, y, person, rng, np.radians(122 + 8 * rng.normal()), epi_mm + 42 + 6 * rng.normal())
    return image


def four_chamber_surroundings(heart: Heart, grid: Grid, rng: np.random.Generator) -> Image:
    """[H, W] what stands still around a four-chamber view: chest wall, lung, liver, spine, aorta."""
    person, x, y = heart.person, grid.x, grid.y
    image = _lung(grid, x, y, rng)
    texture = 1 + 0.08 * scanner.smooth_field(rng, grid.shape[0], 9)
    liver_x, liver_y = -108 + 5 * rng.normal(), -12 + 8 * rng.normal()
    liver = np.hypot(x - np.float32(liver_x), (y - np.float32(liver_y)) / np.float32(1.3)) - 44
    blend(image, inside(liver), _liver(x, y, liver_x + 18, liver_y, texture, rng))
    _spine(image, x, y, 18 + 4 * rng.normal(), -116 + 4 * rng.normal(), texture, rng)
    for _ in range(rng.integers(0, 5)):  # pulmonary veins and arteries of the hila
        at = rng.choice((-1, 1)) * rng.uniform(52, 85), rng.uniform(-75, -20)
        _disc(image, x, y, at, rng.uniform(2.5, 6.5), rng.uniform(0.6, 1.05) * BLOOD, rng.uniform(1, 2))
    aorta_mm = np.sqrt(person.descending_max_mm2 / np.pi)
    aorta = tuple((np.array([38.0, -88.0]) + 4 * rng.normal(size=2)).tolist())
    if rng.random() < 0.6:  # oesophagus, between aorta and left atrium
        at = aorta[0] - 14 + 3 * rng.normal(), aorta[1] + 10 + 3 * rng.normal()
        _disc(image, x, y, at, rng.uniform(4, 7), 0.4, 1.4)
        _disc(image, x, y, at, rng.uniform(1, 3), rng.choice((AIR, 0.8)), 1.4)
    _disc(image, x, y, aorta, aorta_mm + 1.5, 0.3)
    _disc(image, x, y, aorta, aorta_mm, rng.uniform(0.8, 1.15) * BLOOD)
    _chest_wall(image, x, y, person, rng, np.radians(112 + 7 * rng.normal()), 84 + 5 * rng.normal())
    return image


def _disc(
    image: Image, x: Image, y: Image, at: tuple[float, float], radius_mm: float, value: float, long: float = 1.0
) -> None:
    """A disc, or an ellipse `long` times as wide as tall, in its box; rows share their y, columns their x."""
    columns = np.flatnonzero(np.abs(x[0] - at[0]) < long * (radius_mm + 2))
    rows = np.flatnonzero(np.abs(y[:, 0] - at[1]) < radius_mm + 2)
    if columns.size and rows.size:
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        away = np.hypot((x[box] - np.float32(at[0])) / np.float32(long), y[box] - np.float32(at[1]))
        blend(image[box], inside(away - np.float32(radius_mm)), value)


def _lung(grid: Grid, x: Image, y: Image, rng: np.random.Generator) -> Image:
    image = np.full(grid.shape, scanner.LUNG * rng.uniform(0.6, 1.6), dtype=np.float32)
    for _ in range(26):  # its vessels, larger ones fewer
        at = rng.uniform(-110, 110), rng.uniform(-110, 110)
        _disc(image, x, y, at, 0.5 + rng.gamma(1.6, 0.7), rng.uniform(0.25, 0.85), rng.choice((1.0, 1.0, 1.7)))
    return image


def _liver(x: Image, y: Image, at_x: float, at_y: float, texture: Image, rng: np.random.Generator) -> Image:
    """Signal of a liver, with vessels around that place."""
    signal = rng.uniform(0.75, 1.3) * scanner.LIVER * texture
    for _ in range(rng.integers(2, 10)):
        at = at_x + 28 * rng.normal(), at_y + 22 * rng.normal()
        _disc(signal, x, y, at, 0.8 + rng.gamma(2.0, 0.9), rng.uniform(0.6, 1.0) * BLOOD, rng.uniform(1, 3))
    return signal


def _spine(
    image: Image, x: Image, y: Image, at_x: float, at_y: float, texture: Image, rng: np.random.Generator
) -> None:
    """A vertebra with the bright fluid of its canal behind, in muscle."""
    away = np.hypot((x - np.float32(at_x)) / np.float32(1.7), y - np.float32(at_y) + 12) - 30
    blend(image, inside(away), rng.uniform(0.8, 1.2) * MUSCLE * texture)
    _disc(image, x, y, (at_x, at_y), 15, rng.uniform(0.4, 0.65), 1.15)
    _disc(image, x, y, (at_x, at_y - 21), 7, rng.uniform(0.7, 1.0) * FLUID, 1.2)
    _disc(image, x, y, (at_x, at_y - 21), 4, 0.55, 1.2)


def _stomach(
    image: Image, x: Image, y: Image, at_x: float, at_y: float, texture: Image, rng: np.random.Generator
) -> None:
    """Round, with a wall: gas, food or fluid within. Beside a heart it is easily taken for one."""
    radius, long, wall = rng.uniform(14, 38), rng.uniform(0.85, 1.5), rng.uniform(1.5, 7)
    content = (AIR, rng.uniform(0.2, 0.6), rng.uniform(0.6, 1.1))[rng.integers(3)]
    away = np.hypot((x - np.float32(at_x)) / np.float32(long), y - np.float32(at_y)) - np.float32(radius)
    blend(image, inside(away - 2), rng.uniform(0.2, 0.95))  # fat around it or none
    blend(image, inside(away), rng.uniform(0.3, 0.5))
    blend(image, inside(away + np.float32(wall)), content * texture)
    for _ in range(rng.integers(0, 4)):  # folds, gas bubbles
        at = at_x + 0.5 * radius * rng.normal(), at_y + 0.5 * radius * rng.normal()
        _disc(image, x, y, at, rng.uniform(2, 7), rng.choice((AIR, 0.35, 0.9)), rng.uniform(0.8, 1.8))


def _chest_wall(
    image: Image, x: Image, y: Image, person: Person, rng: np.random.Generator, direction: float, distance: float
) -> None:
    """Muscle with ribs, then fat, then air, in that direction from the heart."""
    cos, sin = np.float32(np.cos(direction)), np.float32(np.sin(direction))
    across = y * cos - x * sin
    depth = x * cos + y * sin + 0.0022 * across**2 - np.float32(distance)
    fat = float(np.clip(9 + 1.5 * (person.bmi - 25), 4, 40))
    blend(image, inside(-depth), 0.9 * MUSCLE * (1 + 0.35 * np.sin(across / np.float32(rng.uniform(9, 13)))))
    blend(image, inside(9 - depth), rng.uniform(0.85, 1.05) * FAT)
    blend(image, inside(9 + fat - depth), AIR)
