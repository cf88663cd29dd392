"""From tissue to a bSSFP magnitude image: surroundings of the heart, coil sensitivity, resolution and Rician noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

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
        return self.x.shape


def make_grid(size: int) -> Grid:
    """A square field of `size` pixels."""
    place = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * PIXEL_MM
    x, y = np.meshgrid(place, -place)
    return Grid(x.astype(np.float32), y.astype(np.float32))


def inside(distance_mm: Image, edge_mm: float = EDGE_MM) -> Image:
    """Share of a pixel within a border, from the signed distance to it (negative inside)."""
    return np.clip(0.5 - distance_mm / edge_mm, 0, 1).astype(np.float32)


def blend(image: Image, share: Image, value: float | Image) -> None:
    """Put a tissue on top of what is there, in place."""
    image += share * (np.float32(value) - image) if np.isscalar(value) else share * (value - image)


def smooth_field(rng: np.random.Generator, size: int, cycles: float) -> Image:
    """[size, size] smooth random field of unit variance with up to that many waves across the picture."""
    place = np.linspace(0, 1, size, dtype=np.float32)
    field = np.zeros((size, size), dtype=np.float32)
    for _ in range(8):
        kx, ky = rng.uniform(-cycles, cycles, size=2)
        phase = rng.uniform(0, 2 * np.pi)
        field += np.cos(2 * np.pi * (kx * place[None, :] + ky * place[:, None]) + phase).astype(np.float32)
    return field / 2.0


def _coil(size: int, rng: np.random.Generator) -> Image:
    """[size, size] sensitivity of a coil on the chest: fat under it outshines the blood (74 Sunnybrook frames: 99th
    percentile 2.4–5.2 times the cavity), and the RV the LV."""
    place = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * PIXEL_MM / 100
    direction = np.radians(115 + 12 * rng.normal())
    towards = np.cos(direction) * place[None, :] - np.sin(direction) * place[:, None]
    steep = np.clip(0.65 + 0.25 * rng.normal(), 0.1, 1.3)
    uneven = 0.07 * smooth_field(rng, size, 0.7) + 0.04 * smooth_field(rng, size, 1.6)
    return np.exp(steep * towards + uneven).astype(np.float32)


def acquire(tissue: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """[T, H, W] signal → uint8 magnitude: coil, k-space truncation, Rician noise, window."""
    size = tissue.shape[-1]
    coil = _coil(size, rng)
    spectrum = np.fft.rfft2(tissue * coil, axes=(1, 2)).astype(np.complex64)
    kx, ky = np.fft.rfftfreq(size) * 2, np.fft.fftfreq(size) * 2
    radius = np.sqrt(kx[None, :] ** 2 + ky[:, None] ** 2)
    limit = rng.uniform(0.72, 0.92)
    spectrum *= (1 / (1 + np.exp((radius - limit) / 0.05))).astype(np.float32)
    signal = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2)).astype(np.float32)
    sigma = np.float32(0.030 * np.exp(0.35 * rng.normal()))
    signal += sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    quadrature = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    magnitude = np.sqrt(signal**2 + quadrature**2)
    # Windowed as a viewer does: a bright percentile of the first frame near white.
    white = float(np.percentile(magnitude[0], 98.0)) * rng.uniform(0.95, 1.30)
    return np.clip(magnitude * (255 / white), 0, 255).astype(np.uint8)
