"""Stage `hearts`: where the heart lies in each cine of the cohort, as the segmentation network finds it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cardiacnets.data.cmr_preparation import PreparationError, Segmenter, heart_centre

LOOKED_AT = (0, 17)
"""Frames: end-diastole, where the heart is largest, and about end-systole. All fifty would take an hour."""


def find_hearts(frames: NDArray[np.uint8], segmenter: Segmenter, path: Path) -> Path:
    """Write row and column [n,2] of the heart's middle in cines [n,50,H,W] to `path`; a killed run goes on.

    A cine in which no heart is found counts as centred; the log says how many.
    """
    part = path.with_suffix(".part.npy")
    path.parent.mkdir(parents=True, exist_ok=True)
    centres = np.load(part) if part.exists() else np.zeros((len(frames), 2), dtype=np.int16)
    missing = 0
    first = int((centres[:, 0] > 0).sum())
    for row in tqdm(range(first, len(frames)), initial=first, total=len(frames), desc=path.stem, disable=None):
        try:
            centres[row] = heart_centre(segmenter(frames[row, list(LOOKED_AT)]))
        except PreparationError:
            missing += 1
            centres[row] = frames.shape[2] // 2, frames.shape[3] // 2
        if row % 500 == 499:
            np.save(part, centres)
    np.save(part, centres)
    part.replace(path)
    if missing:
        tqdm.write(f"{path.stem}: no heart found in {missing} of {len(frames)} cines")
    return path
