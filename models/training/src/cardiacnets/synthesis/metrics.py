"""How like one set of cines is another: SSIM, PSNR, Fréchet distance, nearest neighbours."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage

Cine = NDArray[np.uint8]


def psnr(drawn: Cine, true: Cine) -> NDArray[np.float64]:
    """dB of each of n cines [n,F,H,W]."""
    error = (drawn.astype(np.float64) - true).reshape(len(drawn), -1)
    return 10 * np.log10(255**2 / np.maximum((error**2).mean(axis=1), 1e-9))


def ssim(drawn: Cine, true: Cine, window: int = 7) -> NDArray[np.float64]:
    """Mean structural similarity of each of n cines [n,F,H,W], frame by frame (Wang et al. 2004), square windows."""
    size = (1, 1, window, window)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(values: NDArray[np.floating]) -> NDArray[np.floating]:
        return ndimage.uniform_filter(values, size)

    x, y = drawn.astype(np.float32), true.astype(np.float32)
    mx, my = blur(x), blur(y)
    vx, vy, both = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    likeness = (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return likeness.mean(axis=(1, 2, 3)).astype(np.float64)


def frechet(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Fréchet distance of Gaussians fitted to [n,D] and [m,D] (Heusel et al. 2017, arXiv 1706.08500)."""
    gap = one.mean(axis=0) - other.mean(axis=0)
    a, b = np.cov(one.T), np.cov(other.T)
    root = linalg.sqrtm(a @ b)
    return float(gap @ gap + np.trace(a + b - 2 * np.real(root)))


def nearest(queries: NDArray[np.floating], keys: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Root mean square distance of each of [n,D] to the nearest of [m,D], and which one that is."""
    square = (queries**2).sum(axis=1)[:, None] + (keys**2).sum(axis=1) - 2 * queries @ keys.T
    place = square.argmin(axis=1)
    found = square[np.arange(len(queries)), place]
    return np.sqrt(np.maximum(found, 0) / queries.shape[1]), place


def thumbnails(cines: Cine, factor: int = 4) -> NDArray[np.float32]:
    """[n,F,H,W] → [n,·]: every fourth frame at a quarter of the size."""
    n, _, height, width = cines.shape
    small = cines[:, ::4].astype(np.float32)
    small = small.reshape(n, -1, height // factor, factor, width // factor, factor).mean(axis=(3, 5))
    return small.reshape(n, -1)


def faithful_auroc(p: NDArray[np.floating]) -> float:
    """AUROC of a sign in one drawing of each person, if it is drawn with the probability p [n] that the person has it.

    A sign is seen or not seen: in Σp²/Σp of those who have it, and in Σp(1−p)/Σ(1−p) of the others.
    """
    seen, alarms = (p**2).sum() / p.sum(), (p * (1 - p)).sum() / (1 - p).sum()
    return float(1 + seen - alarms) / 2
