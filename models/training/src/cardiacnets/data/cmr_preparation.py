"""A study's cine stack → the cine that the networks see: middle slice, cohort's pixels, 50 frames, cut to the heart."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from cardiacnets.cohort.motion import FRAMES
from cardiacnets.cohort.scanner import PIXEL_MM
from cardiacnets.data.cines import CROP

Segmenter = Callable[[NDArray[Any]], NDArray[np.uint8]]
"""Frames [n, H, W] at the cohort's spacing → labels of the cohort [n, H, W], 0 outside the heart."""
STACK_SLICES = (3, 10)
NEIGHBOURHOOD = 128  # pixels around the heart that set the grey scale, the cohort's field of view
WHITE = 1.12  # of the 98th percentile: the middle of what the cohort's windows take


class PreparationError(ValueError):
    """A study that cannot be prepared; `code` says why, and never holds anything of a patient."""

    def __init__(self, code: Literal["stack-shape", "stack-slices", "heart-not-found"], message: str) -> None:
        super().__init__(message)
        self.code = code


def prepare(
    stack: NDArray[Any],
    spacing_mm: tuple[float, float],
    segmenter: Segmenter,
    view: Literal["short_axis", "four_chamber"] = "short_axis",
) -> NDArray[np.uint8]:
    """The cine of one view, [50, 80, 80] (short axis) or [50, 96, 96] (four-chamber), 1.8 mm a pixel.

    `stack` is [slices, phases, H, W], base to apex, one heartbeat from end-diastole; `spacing_mm` is that of rows and
    of columns, as DICOM's PixelSpacing. A four-chamber stack has one slice.

    Raises:
        PreparationError: `stack-shape`, `stack-slices` (short axis: 3 to 10) or `heart-not-found`.
    """
    if stack.ndim != 4 or stack.shape[1] < 2:
        raise PreparationError("stack-shape", f"expected [slices, phases, H, W], got {stack.ndim} axes")
    slices = len(stack)
    if not (STACK_SLICES[0] <= slices <= STACK_SLICES[1] if view == "short_axis" else slices == 1):
        raise PreparationError("stack-slices", f"{slices} slices do not make a {view} stack")
    cine = resample_phases(resample_pixels(stack[middle_slice(slices)], spacing_mm), FRAMES)
    row, column = heart_centre(segmenter(cine))
    return crop(to_grey(cine, (row, column)), (row, column), CROP[view])


def middle_slice(slices: int) -> int:
    """Number of the middle slice; of two in the middle the one nearer to the base, which shows more of the heart."""
    return (slices - 1) // 2


def resample_pixels(
    cine: NDArray[Any], spacing_mm: tuple[float, float], pixel_mm: float = PIXEL_MM
) -> NDArray[np.float32]:
    """[T, H, W] → [T, H', W'] at the cohort's spacing; averages where pixels get larger."""
    size = [max(1, round(count * mm / pixel_mm)) for count, mm in zip(cine.shape[1:], spacing_mm, strict=True)]
    frames = torch.from_numpy(np.asarray(cine, dtype=np.float32))[:, None]
    return F.interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False)[:, 0].numpy()


def resample_phases(cine: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """[T, H, W] → [frames, H, W], linear around the heartbeat: after the last phase comes the first."""
    phases = len(cine)
    place = np.arange(frames) * phases / frames
    first = place.astype(int)
    share = (place - first).astype(np.float32)[:, None, None]
    return cine[first] * (1 - share) + cine[(first + 1) % phases] * share


def heart_centre(labels: NDArray[np.uint8]) -> tuple[int, int]:
    """Row and column of the middle of the smallest box that holds the heart in every frame of [T, H, W].

    Raises:
        PreparationError: `heart-not-found`, no label in any frame.
    """
    heart = np.asarray((labels > 0).any(axis=0))
    if not heart.any():
        raise PreparationError("heart-not-found", "no heart was found in the middle slice")
    rows, columns = np.flatnonzero(heart.any(axis=1)), np.flatnonzero(heart.any(axis=0))
    return int(rows[0] + rows[-1] + 1) // 2, int(columns[0] + columns[-1] + 1) // 2


def crop(cine: NDArray[Any], centre: tuple[int, int], size: int) -> NDArray[Any]:
    """[T, H, W] → [T, size, size] around (row, column); black beyond the picture."""
    out = np.zeros((len(cine), size, size), dtype=cine.dtype)
    (rows, to_rows), (columns, to_columns) = (_overlap(centre[axis], cine.shape[1 + axis], size) for axis in (0, 1))
    out[:, to_rows, to_columns] = cine[:, rows, columns]
    return out


def _overlap(centre: int, length: int, size: int) -> tuple[slice, slice]:
    """Along one axis: the part of the picture that the crop shows, and where in the crop it goes."""
    start = centre - size // 2
    low, high = min(max(start, 0), length), min(max(start + size, 0), length)
    return slice(low, high), slice(low - start, high - start)


def to_grey(cine: NDArray[np.float32], centre: tuple[int, int]) -> NDArray[np.uint8]:
    """Magnitude → 0 … 255, windowed as the cohort's cines are."""
    white = WHITE * float(np.percentile(crop(cine[:1], centre, NEIGHBOURHOOD), 98))
    return np.clip(cine * (255 / max(white, 1e-6)), 0, 255).astype(np.uint8)
