"""The cohort on disk: written a shard at a time, resumed after a kill, read through memory maps.

Layout of a cohort folder: `meta.json` (n, seed, version), `ecg.npy` int16 µV [n, 12, 5000], `indices.npy` float32
[n, 82], `conditions.npy` bool [n, 5], `person.npy` float32 [n, 4], `split.npy` uint8 [n], `done.npy` uint8, one flag a
shard.
With cines also `short_axis.npy` and `four_chamber.npy`, uint8 [cines, 50, 128, 128] of the first people (1.6 MB a
person; masks are drawn again when they are needed). A shard is marked done after its rows are on disk, so that a kill
costs the shards under way and nothing else.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from .cmr import FIELD, render_four_chamber, render_short_axis
from .ecg import render_ecg
from .indices import INDEX_COUNT, measure_indices
from .leads import LEADS
from .motion import FRAMES
from .noise import SAMPLES
from .person import CONDITIONS, SPLIT_STREAM, draw_person, generator

# Raised whenever the same seed would give other people, so that an old cache is never taken for a new one.
COHORT_VERSION = 5
CINE_VERSION = 2
SHARD_PEOPLE = 100
SPLITS = ("train", "val", "test")
_ARRAYS = {
    "ecg": (np.int16, (len(LEADS), SAMPLES)),
    "indices": (np.float32, (INDEX_COUNT,)),
    "conditions": (np.bool_, (len(CONDITIONS),)),
    "person": (np.float32, (4,)),
    "split": (np.uint8, ()),
}
_CINES = {
    "short_axis": (np.uint8, (FRAMES, FIELD, FIELD)),
    "four_chamber": (np.uint8, (FRAMES, FIELD, FIELD)),
}


class CohortMismatchError(ValueError):
    """The folder holds a cohort of another seed, size or version."""

    code = "cohort-mismatch"


class CohortIncompleteError(ValueError):
    """The cohort was not generated to its end: run `generate` again to resume."""

    code = "cohort-incomplete"


@dataclass(frozen=True)
class Cohort:
    """Memory-mapped arrays, one row a person."""

    ecg: np.ndarray  # int16 µV [n, 12, 5000], 500 Hz, leads in the project's order
    indices: np.ndarray  # float32 [n, 82]
    conditions: np.ndarray  # bool [n, 5]: cad, cm, pericarditis, hf, ph
    person: np.ndarray  # float32 [n, 4]: sex (0 male, 1 female), age y, height cm, weight kg
    split: np.ndarray  # str [n]: train, val, test (7:1:2 by person)
    seed: int
    short_axis: np.ndarray | None = None  # uint8 [cines, 50, 128, 128] of the first people, where cines were asked for
    four_chamber: np.ndarray | None = None

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split."""
        return np.flatnonzero(self.split == split)


def split_of(seed: int, index: int) -> int:
    """0 train, 1 val, 2 test: a person's own, whatever the size of the cohort."""
    return int(np.searchsorted((0.7, 0.8), generator(seed, index, SPLIT_STREAM).random(), side="right"))


def generate(
    out_dir: Path | str,
    n: int,
    seed: int,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
    cines: int = 0,
) -> Path:
    """Write the cohort of `n` people, the first `cines` of them with both cines, or what is missing of it.

    Raises:
        CohortMismatchError: the folder holds another cohort.
    """
    folder = Path(out_dir).expanduser()
    meta = {"n": n, "seed": seed, "version": COHORT_VERSION}
    if cines:
        meta |= {"cines": min(cines, n), "cineVersion": CINE_VERSION}
    done = _prepare(folder, meta)
    waiting = [int(shard) for shard in np.flatnonzero(done == 0)]
    report = on_progress or _progress_bar
    finished = done.size - len(waiting)
    report(min(finished * SHARD_PEOPLE, n), n)

    def mark(shard: int) -> None:
        nonlocal finished
        done[shard] = 1
        done.flush()
        finished += 1
        report(min(finished * SHARD_PEOPLE, n), n)

    if workers <= 1:
        for shard in waiting:
            mark(_write_shard(folder, meta, shard))
        return folder
    with ProcessPoolExecutor(workers) as pool:
        for future in as_completed([pool.submit(_write_shard, folder, meta, shard) for shard in waiting]):
            mark(future.result())
    return folder


def load(out_dir: Path | str, *, any_version: bool = False) -> Cohort:
    """Open a complete cohort; `any_version`: of people that other code drew, to measure on.

    Raises:
        CohortMismatchError: it was written by another version.
        CohortIncompleteError: shards are missing.
    """
    folder = Path(out_dir).expanduser()
    meta = json.loads((folder / "meta.json").read_text())
    is_ours = meta["version"] == COHORT_VERSION and meta.get("cineVersion", CINE_VERSION) == CINE_VERSION
    if not is_ours and not any_version:
        raise CohortMismatchError(f"{folder} holds {meta}, this code reads versions {COHORT_VERSION}, {CINE_VERSION}")
    if not np.load(folder / "done.npy").all():
        raise CohortIncompleteError(f"{folder} is not complete: run `cohort generate` again to resume")
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _arrays(meta)}
    arrays["split"] = np.array(SPLITS)[arrays["split"]]
    return Cohort(**arrays, seed=meta["seed"])


def _arrays(meta: dict[str, int]) -> dict[str, tuple[type, tuple[int, ...]]]:
    return _ARRAYS | _CINES if "cines" in meta else _ARRAYS


def _prepare(folder: Path, meta: dict[str, int]) -> np.memmap:
    """The flags of the shards; files are laid out on the first call."""
    n = meta["n"]
    meta_file = folder / "meta.json"
    if meta_file.exists():
        found = json.loads(meta_file.read_text())
        if found != meta:
            raise CohortMismatchError(f"{folder} holds {found}, not {meta}")
        return np.load(folder / "done.npy", mmap_mode="r+")
    folder.mkdir(parents=True, exist_ok=True)
    for name, (dtype, shape) in _arrays(meta).items():
        rows = meta["cines"] if name in _CINES else n
        open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(rows, *shape))
    done = open_memmap(folder / "done.npy", mode="w+", dtype=np.uint8, shape=(-(-n // SHARD_PEOPLE),))
    done.flush()
    meta_file.write_text(json.dumps(meta))  # last: a folder with it is laid out
    return done


def _write_shard(folder: Path, meta: dict[str, int], shard: int) -> int:
    seed = meta["seed"]
    people = range(shard * SHARD_PEOPLE, min((shard + 1) * SHARD_PEOPLE, meta["n"]))
    rows: dict[str, list[Any]] = {name: [] for name in _arrays(meta)}
    for index in people:
        person = draw_person(seed, index)
        rows["ecg"].append(render_ecg(person, seed).recorded_uv)
        rows["indices"].append(measure_indices(person))
        rows["conditions"].append(person.conditions())
        rows["person"].append(person.row())
        rows["split"].append(split_of(seed, index))
        if index < meta.get("cines", 0):
            rows["short_axis"].append(render_short_axis(person, seed).frames)
            rows["four_chamber"].append(render_four_chamber(person, seed).frames)
    for name, values in rows.items():
        if not values:
            continue
        array = np.load(folder / f"{name}.npy", mmap_mode="r+")
        array[people.start : people.start + len(values)] = values
        array.flush()
    return shard


def _progress_bar(done: int, total: int) -> None:
    if sys.stderr.isatty():
        filled = 40 * done // max(total, 1)
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{'█' * filled}{'·' * (40 - filled)} {done:,}/{total:,} people{end}")
        sys.stderr.flush()
