"""From tissue to a bSSFP magnitude image: surroundings of the heart, coil sensitivity, resolution and Rician noise."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Image = NDArray[np.floating]
Window = tuple[slice, slice]  # rows and columns of a part of the field

PIXEL_MM = 1.8  # UK Biobank cine (Petersen et al. 2016, JCMR 18:8)
EDGE_MM = 2.0  # partial volume of a slice 6–8 mm thick across a slanting border
# Signal of balanced steady-state free precession at 1.5 T, blood = 1: it goes with T2/T1 (Scheffler & Lehnhardt 2003,
# Eur Radiol 13:2409).
BLOOD, MYOCARDIUM, FAT, LUNG, LIVER, MUSCLE, FLUID, AIR = 1.0, 0.36, 0.92, 0.07, 0.42, 0.30, 1.15, 0.02


@dataclass(frozen=True)
class Grid:
    """Places of the pixels, mm from the middle of the picture: x to the right, y up."""

    x: Image  # [H, W]
    y: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns, pixels."""
        return self.x.shape

    def part(self, window: Window) -> "Grid":
        """The pixels of a window."""
        return Grid(self.x[window], self.y[window])


def make_grid(size: int) -> Grid:
    """A square field of `size` pixels."""
    place = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * PIXEL_MM
    x, y = np.meshgrid(place, -place)
    return Grid(x.astype(np.float32), y.astype(np.float32))


def around(shown: NDArray[np.bool_], margin: int, step: int = 1) -> Window:
    """Rows and columns that hold all that is shown on every `step`-th pixel, and `margin` more on each side."""
    rows, columns = (
        slice(max(int(places[0]) * step - margin, 0), int(places[-1]) * step + margin + 1)
        for places in (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    )
    return rows, columns


def inside(distance_mm: Image, edge_mm: float = EDGE_MM) -> Image:
    """Share of a pixel within a border, from the signed distance to it (negative inside)."""
    share = np.multiply(distance_mm, np.float32(-1 / edge_mm))
    share += np.float32(0.5)
    return np.clip(share, 0, 1, out=share)


def ellipse_distance(u: Image, v: Image, semi_u: Image, semi_v: Image) -> Image:
    """Signed distance to an ellipse, to first order; `u` and `v` are in its semi-axes, and are overwritten."""
    u *= u
    v *= v
    square = u + v
    u /= semi_u * semi_u
    v /= semi_v * semi_v
    u += v
    slope = np.sqrt(u, out=u)
    distance = square - np.sqrt(square, out=v)
    return np.divide(distance, np.maximum(slope, 1e-5, out=slope), out=distance)


def blend(image: Image, share: Image, value: float | Image) -> None:
    """Put a tissue on top of what is there, in place."""
    change = np.subtract(np.float32(value) if isinstance(value, float) else value, image)
    change *= share
    image += change


def smooth_field(rng: np.random.Generator, size: int, cycles: float) -> Image:
    """[size, size] smooth random field of unit variance with up to that many waves across the picture."""
    place = np.linspace(0, 2 * np.pi, size, dtype=np.float32)
    waves = rng.uniform(-cycles, cycles, size=(2, 8, 1)).astype(np.float32)
    across = waves[0] * place + rng.uniform(0, 2 * np.pi, size=(8, 1)).astype(np.float32)
    down = waves[1] * place
    # cos(a + b) = cos a cos b − sin a sin b: eight waves are two products of [size, 8] and [8, size].
    return (np.cos(down).T @ np.cos(across) - np.sin(down).T @ np.sin(across)) / np.float32(2)


def _coil(size: int, rng: np.random.Generator) -> Image:
    """Sensitivity [size, size] of a coil on the chest.

    Fat under the coil outshines the blood (74 Sunnybrook frames: 99th percentile 2.4–5.2 times the cavity), and the RV
    outshines the LV.
    """
    place = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * PIXEL_MM / 100
    direction = np.radians(115 + 12 * rng.normal())
    towards = np.cos(direction) * place[None, :] - np.sin(direction) * place[:, None]
    steep = np.clip(0.65 + 0.25 * rng.normal(), 0.1, 1.3)
    uneven = 0.07 * smooth_field(rng, size, 0.7) + 0.04 * smooth_field(rng, size, 1.6)
    return np.exp(steep * towards + uneven).astype(np.float32)


def _truncation(size: int, limit: float) -> Image:
    """[size, size] matrix that takes a line to itself without what lies beyond that share of its highest frequency."""
    keep = 1 / (1 + np.exp((np.fft.rfftfreq(size) * 2 - limit) / 0.05))
    kernel = np.fft.irfft(keep, size)
    return kernel[(np.arange(size)[:, None] - np.arange(size)) % size].astype(np.float32)


@cache
def _normal_table() -> Image:
    """[65536] quantiles of the normal distribution: as a table three times as fast as drawing afresh."""
    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)


def acquire(still: Image, moving: Image, window: Window, rng: np.random.Generator) -> NDArray[np.uint8]:
    """[H, W] signal of what stands still, [T, h, w] of the heart in its window → [T, H, W] uint8 magnitude.

    Coil, k-space truncation (a rectangle, as lines are sampled), Rician noise, window. All before the noise is linear,
    so that only the difference of the heart from what lies behind it is filtered frame by frame.
    """
    size = still.shape[-1]
    coil = _coil(size, rng)
    limit = rng.uniform(0.70, 0.92)
    rows, columns = _truncation(size, limit), _truncation(size, min(limit * rng.uniform(0.95, 1.2), 0.97))
    change = (moving - still[window]) * coil[window]
    signal = rows[:, window[0]] @ change @ columns[window[1]]
    signal += rows @ (still * coil) @ columns
    sigma = np.float32(0.030 * np.exp(0.35 * rng.normal()))
    for frame in signal:  # a frame at a time stays in the processor's cache
        _add_noise(frame, sigma, rng)
    # Windowed as a viewer does: a bright percentile of the first frame near white.
    white = float(np.percentile(signal[0], 98.0)) * rng.uniform(0.95, 1.30)
    signal *= np.float32(255 / white)
    return np.minimum(signal, 255, out=signal).astype(np.uint8)


def _add_noise(frame: Image, sigma: np.float32, rng: np.random.Generator) -> None:
    """Signal to the magnitude of it and complex noise, in place."""
    real, imaginary = _normal_table().take(rng.integers(0, 65536, (2, *frame.shape), dtype=np.uint16)) * sigma
    frame += real
    frame *= frame
    imaginary *= imaginary
    frame += imaginary
    np.sqrt(frame, out=frame)
