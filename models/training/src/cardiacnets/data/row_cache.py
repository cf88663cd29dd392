"""Arrays on disk with a row for each file, made once, a part at a time; a killed run goes on where it stopped.

Layout of a folder: an `.npy` for each array, `state.npy` uint8 [n] (0 waiting, 1 made, 2 + k: failed for the k-th of
`errors.CODES`; its row is zeros). A row's state is written after the row itself is on disk.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike, NDArray
from tqdm import tqdm

from cardiacnets.data.errors import CODES, RecordError

CHUNK = 64
MADE = 1

Make = Callable[[Any], Mapping[str, NDArray[Any]]]
Layout = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]


@dataclass(frozen=True)
class Rows:
    """Memory-mapped arrays and what became of each row."""

    arrays: Mapping[str, NDArray[Any]]
    state: NDArray[np.uint8]

    @property
    def made(self) -> NDArray[np.bool_]:
        """[n]: whether the row holds something."""
        return self.state == MADE

    def failures(self) -> dict[str, int]:
        """Code → how many rows failed for it."""
        return {code: count for k, code in enumerate(CODES) if (count := int((self.state == 2 + k).sum()))}


def fill(folder: Path, layout: Layout, items: Sequence[Any], make: Make, label: str, workers: int = 1) -> Rows:
    """Make a row of each item that has none yet. `make` can be pickled, and may raise RecordError."""
    done = folder / "done"
    if not done.exists():
        _prepare(folder, layout, len(items))
        state = np.load(folder / "state.npy", mmap_mode="r+")
        waiting = np.flatnonzero(state == 0)
        chunks = [waiting[start : start + CHUNK] for start in range(0, len(waiting), CHUNK)]
        bar = tqdm(total=len(items), initial=len(items) - len(waiting), desc=label, disable=None)
        for rows, states in _run(folder, chunks, items, make, workers):
            state[rows] = states
            state.flush()
            bar.update(len(rows))
        bar.close()
        done.touch()
    return Rows(
        {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in layout}, np.load(folder / "state.npy")
    )


def _prepare(folder: Path, layout: Layout, count: int) -> None:
    """Lay the files out on the first call; `state.npy` last, so that a folder with it is laid out."""
    if (folder / "state.npy").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, (dtype, shape) in layout.items():
        _empty(folder / f"{name}.npy", dtype, (count, *shape))
    part = folder / "state.part.npy"
    np.save(part, np.zeros(count, dtype=np.uint8))
    part.replace(folder / "state.npy")


def _empty(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    # No file can be mapped that holds nothing.
    if 0 in shape:
        np.save(path, np.zeros(shape, dtype))
    else:
        open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _run(
    folder: Path, chunks: list[NDArray[np.intp]], items: Sequence[Any], make: Make, workers: int
) -> Iterator[tuple[NDArray[np.intp], list[int]]]:
    def job(rows: NDArray[np.intp]) -> tuple[Path, NDArray[np.intp], list[Any], Make]:
        return folder, rows, [items[row] for row in rows], make

    if workers <= 1:
        for rows in chunks:
            yield rows, _make_chunk(*job(rows))
        return
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = {pool.submit(_make_chunk, *job(rows)): rows for rows in chunks}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _make_chunk(folder: Path, rows: NDArray[np.intp], items: Sequence[Any], make: Make) -> list[int]:
    """Write rows and return their states. Other processes write other rows of the same files."""
    states: list[int] = []
    mapped: dict[str, np.memmap[Any, Any]] = {}
    for row, item in zip(rows, items, strict=True):
        try:
            made = make(item)
        except RecordError as error:
            states.append(2 + CODES.index(error.code))
            continue
        for name, value in made.items():
            if name not in mapped:
                mapped[name] = open_memmap(folder / f"{name}.npy", mode="r+")
            mapped[name][row] = value
        states.append(MADE)
    for array in mapped.values():
        array.flush()
    return states
