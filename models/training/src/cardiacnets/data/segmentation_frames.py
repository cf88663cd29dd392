"""Virtual frames with their masks for the segmentation network, drawn once and kept in the cache.

Layout: `<cache>/seg/<view>-<key>/<shard>.npz`, a shard for each 25 people, written whole or not at all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cardiacnets.cohort.cache import CINE_VERSION, COHORT_VERSION, SPLITS, split_of
from cardiacnets.cohort.cmr import Cine, render_four_chamber, render_short_axis_stack
from cardiacnets.cohort.motion import FRAMES
from cardiacnets.cohort.person import draw_person
from cardiacnets.data.windows import cache_dir
from cardiacnets.domain import View

FRAME_SIZE = 160  # pixels of 1.8 mm: more than the network sees, so that it can be moved, turned and shrunk
FRAMES_A_PERSON = 6
SHARD_PEOPLE = 25
LEVELS = (0.08, 0.88)  # of short-axis slices, base to apex: real stacks are not cut where ours are


@dataclass(frozen=True)
class FrameSet:
    """Frames of many people, one row a frame."""

    image: NDArray[np.uint8]  # [n, 160, 160]
    mask: NDArray[np.uint8]  # [n, 160, 160] labels of the cohort
    split: NDArray[np.str_]  # [n] train, val, test: of the person

    def part(self, split: str) -> "FrameSet":
        """The frames of one split."""
        chosen = self.split == split
        return FrameSet(self.image[chosen], self.mask[chosen], self.split[chosen])


def load_frames(view: View, people: int, seed: int, size: int = FRAME_SIZE) -> FrameSet:
    """Frames of people 0 … `people` − 1 of cohort `seed`: end-diastole, end-systole and others between."""
    folder = cache_dir() / "seg" / f"{view}-{seed}-{size}-v{COHORT_VERSION}.{CINE_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    shards = range(-(-people // SHARD_PEOPLE))
    parts = [_shard(folder, view, shard, seed, size) for shard in tqdm(shards, desc=f"frames {view}", disable=None)]
    image, mask, split = (np.concatenate([part[name] for part in parts]) for name in ("image", "mask", "split"))
    rows = slice(0, people * FRAMES_A_PERSON)
    return FrameSet(image[rows], mask[rows], np.array(SPLITS)[split[rows]])


def _shard(folder: Path, view: View, shard: int, seed: int, size: int) -> dict[str, NDArray[Any]]:
    path = folder / f"{shard}.npz"
    if not path.exists():
        images, masks, splits = [], [], []
        for index in range(shard * SHARD_PEOPLE, (shard + 1) * SHARD_PEOPLE):
            rng = np.random.default_rng([seed, index, 7])
            cine = _render(view, seed, index, size, rng)
            between = rng.choice(np.arange(1, FRAMES), FRAMES_A_PERSON - 2, replace=False)
            chosen = [0, cine.end_systole, *between]
            images.append(cine.frames[chosen])
            masks.append(cine.mask[chosen])
            splits.append(np.full(len(chosen), split_of(seed, index), dtype=np.uint8))
        part = path.with_suffix(".part.npz")
        np.savez(part, image=np.concatenate(images), mask=np.concatenate(masks), split=np.concatenate(splits))
        part.rename(path)
    with np.load(path) as stored:
        return dict(stored)


def _render(view: View, seed: int, index: int, size: int, rng: np.random.Generator) -> Cine:
    person = draw_person(seed, index)
    if view == "four_chamber":
        return render_four_chamber(person, seed, size)
    return render_short_axis_stack(person, seed, (rng.uniform(*LEVELS),), size)[0]
