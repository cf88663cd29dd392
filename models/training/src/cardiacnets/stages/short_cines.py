"""Cines as they are learned and drawn: cut to the heart, and by default 16 frames of one cycle.

Fewer frames by the Fourier series of the cycle: what they keep is a mean over frames that differ by noise alone, so
that they have half of it. Computed once and kept beside the stage.
"""

from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from scipy.signal import resample
from tqdm import tqdm

from cardiacnets.data.cines import CineSet

FRAMES = 16


def resampling(frames_in: int, frames_out: int) -> NDArray[np.float32]:
    """[out,in]: a cycle of `frames_in` frames → the same cycle in `frames_out`."""
    return resample(np.eye(frames_in), frames_out, axis=0).astype(np.float32)


def cut(frames: NDArray[np.uint8], centre: NDArray[np.integer], side: int) -> NDArray[np.uint8]:
    """[F,H,W] → [F,side,side] around row and column `centre`; black beyond the picture."""
    padded = np.pad(frames, ((0, 0), (side, side), (side, side)))
    top, left = (int(place) - side // 2 + side for place in centre)
    return padded[:, top : top + side, left : left + side]


def shorten(frames: NDArray[np.uint8], frames_out: int = FRAMES) -> NDArray[np.uint8]:
    """[F,h,w] → [frames_out,h,w]."""
    if len(frames) == frames_out:
        return frames
    flat = resampling(len(frames), frames_out) @ frames.reshape(len(frames), -1).astype(np.float32)
    return np.clip(flat + 0.5, 0, 255).astype(np.uint8).reshape(frames_out, *frames.shape[1:])


def short_cines(cines: CineSet, side: int, path: Path, frames: int = FRAMES) -> NDArray[np.uint8]:
    """Every person's [n,frames,side,side], mapped from `path`; made if that is not there or holds fewer people."""
    count = len(cines.frames)
    if not path.exists() or len(np.load(path, mmap_mode="r")) < count:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        made = open_memmap(part, mode="w+", dtype=np.uint8, shape=(count, frames, side, side))
        for row in tqdm(range(count), desc=f"short cines {path.stem}", disable=None):
            centre = np.array(cines.frames.shape[2:]) // 2 if cines.centre is None else cines.centre[row]
            made[row] = shorten(cut(cines.frames[row], centre, side), frames)
        made.flush()
        part.replace(path)
    return np.load(path, mmap_mode="r")[:count]
