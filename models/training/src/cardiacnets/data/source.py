"""`load_source(spec)`: any cohort, virtual or real, as the arrays that the stages take."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cardiacnets import cohort
from cardiacnets.cohort.cmr import FIELD
from cardiacnets.cohort.motion import FRAMES
from cardiacnets.data import cine_dicom, row_cache
from cardiacnets.data.cines import CineSet, load_cines
from cardiacnets.data.errors import SourceError
from cardiacnets.data.manifest import Entry, read_manifest, splits_of
from cardiacnets.data.mimic import index_mimic
from cardiacnets.data.paired import PairedSet
from cardiacnets.data.real import RealSet
from cardiacnets.data.recordings import trunk_input
from cardiacnets.data.ukb import index_ukb
from cardiacnets.data.virtual import load_virtual
from cardiacnets.data.windows import WINDOW_S, cache_dir, chain_key
from cardiacnets.domain import VIEWS, View
from cardiacnets.models.frontend import RATE_HZ

READER_VERSION = 1
"""Raised whenever the same files would give other rows."""
FOLD_OF_SPLIT = {"train": 1, "val": 8, "test": 9, "": 0}
"""Folds as `RealSet` counts them: 1 to 7 train, 8 validates and calibrates, 9 is reported on."""


@dataclass(frozen=True)
class CohortSource:
    """n ECGs of a cohort. The first `paired` of them have cines as well; their rows in `cines` are the same."""

    name: str
    millivolt: NDArray[np.float16]
    """[n,12,10 s] at the rate that the trunk reads, mapped from disk."""
    who: NDArray[np.int64]
    """[n]: number of the person; ECGs of one person have the same."""
    person: NDArray[np.float32]
    """[n,4] sex, age, height, weight; NaN where unknown."""
    split: NDArray[np.str_]
    """[n]: train, val or test, the same for all ECGs of a person; empty where the ECG cannot or must not be used."""
    conditions: NDArray[np.float32]
    """[n,5]: 1, 0, or NaN where unknown."""
    indices: NDArray[np.float32]
    """[n,82]; NaN where unknown."""
    cines: Mapping[View, CineSet]
    """Of the first `paired` ECGs, 128 × 128 pixels, mapped from disk; none without CMR. A split is empty where one of
    the two cines cannot be used."""
    paired: int

    @property
    def has_indices(self) -> bool:
        """Whether any index of anybody is known."""
        return not np.isnan(self.indices).all()

    def pairs(self) -> PairedSet:
        """ECG and cines of the people who have both.

        Raises:
            SourceError: the cohort has no CMR.
        """
        if not self.cines:
            raise SourceError(f"{self.name} has no CMR")
        first = slice(0, self.paired)
        return PairedSet(self.millivolt[first], self.person[first], self.cines, self.cines[VIEWS[0]].split)

    def real_set(self) -> RealSet:
        """All ECGs with what is known of them, for the stages that take PTB-XL: folds by `FOLD_OF_SPLIT`."""
        return RealSet(
            millivolt=self.millivolt,
            conditions=self.conditions,
            statements=np.zeros((len(self.split), 1), dtype=bool),
            person=self.person,
            fold=np.array([FOLD_OF_SPLIT[split] for split in self.split.tolist()], dtype=np.int64),
            indices=self.indices if self.has_indices else None,
        )


def load_source(spec: str, workers: int = 1, trunk_hz: int = RATE_HZ, most: int | None = None) -> CohortSource:
    """`virtual` or `virtual:DIR`, `ukb:DIR`, `mimic:DIR`, `csv:FILE`. Files are read once, into `<cache>/sources`.

    ECGs come as a trunk reads them that takes `trunk_hz`: 100 (compact) or 500 (paper). `most`: of a cohort of files,
    the first so many ECGs alone, those with CMR before the others.

    Raises:
        SourceError: the spec or the cohort is not understood.
    """
    kind, _, place = spec.partition(":")
    path = Path(place).expanduser()
    if kind == "virtual":
        return _virtual(path if place else cache_dir() / "cohort", trunk_hz)
    indexers: dict[str, Callable[[Path], list[Entry]]] = {"ukb": index_ukb, "mimic": index_mimic, "csv": read_manifest}
    if kind not in indexers or not place:
        raise SourceError(f"{spec!r} is none of virtual, ukb:DIR, mimic:DIR, csv:FILE")
    return load_entries(kind, indexers[kind](path.absolute()), workers, trunk_hz, most)


def load_entries(
    name: str, entries: Sequence[Entry], workers: int = 1, trunk_hz: int = RATE_HZ, most: int | None = None
) -> CohortSource:
    """Read (or take from the cache) the files of a cohort; who has ECG and CMR comes first."""
    if not entries:
        raise SourceError(f"{name}: no ECG")
    entries = [*(each for each in entries if each.is_paired), *(each for each in entries if not each.is_paired)]
    entries = entries[:most]
    paired = sum(each.is_paired for each in entries)
    numbers: dict[str, int] = {}
    who = np.array([numbers.setdefault(each.person, len(numbers)) for each in entries], dtype=np.int64)
    ecgs = _rows(
        name,
        "ecg",
        [each.ecg for each in entries],
        partial(trunk_input, rate_hz=trunk_hz),
        {"millivolt": (np.float16, (12, WINDOW_S * trunk_hz))},
        workers,
        chain_key(trunk_hz),
    )
    split = splits_of(entries)
    usable = np.where(ecgs.made, split, "")
    return CohortSource(
        name=name,
        millivolt=ecgs.arrays["millivolt"],
        who=who,
        person=np.stack([each.about for each in entries]),
        split=usable,
        conditions=np.stack([each.conditions for each in entries]),
        indices=np.stack([each.indices for each in entries]),
        cines=_cines(name, entries[:paired], usable[:paired], workers),
        paired=paired,
    )


def _cines(name: str, entries: Sequence[Entry], split: NDArray[np.str_], workers: int) -> dict[View, CineSet]:
    if not entries:
        return {}
    layout = {"frames": (np.uint8, (FRAMES, FIELD, FIELD))}
    rows = {
        view: _rows(
            name, view, [each.cmr[view] for each in entries], partial(cine_dicom.read_view, view=view), layout, workers
        )
        for view in VIEWS
    }
    both = np.logical_and(*(rows[view].made for view in VIEWS))
    return {view: CineSet(rows[view].arrays["frames"], np.where(both, split, "")) for view in VIEWS}


def _rows(
    name: str,
    what: str,
    paths: Sequence[Path],
    make: row_cache.Make,
    layout: row_cache.Layout,
    workers: int,
    chain: str = "",
) -> row_cache.Rows:
    """Rows of these files, in this order; another list of files, or another chain, has a folder of its own."""
    made_with = [READER_VERSION, chain, *map(str, paths)]
    digest = hashlib.sha256(json.dumps(made_with).encode()).hexdigest()[:12]
    rows = row_cache.fill(
        cache_dir() / "sources" / f"{name}-{what}-{digest}", layout, paths, make, f"{name} {what}", workers
    )
    if not rows.made.all():
        reasons = ", ".join(f"{code} {count}" for code, count in rows.failures().items())
        tqdm.write(f"{name} {what}: {int((~rows.made).sum())} of {len(paths)} left out ({reasons})")
    return rows


def _virtual(folder: Path, trunk_hz: int) -> CohortSource:
    people = load_virtual(folder, trunk_hz)
    drawn = cohort.load(folder)
    paired = 0 if drawn.short_axis is None else len(drawn.short_axis)
    return CohortSource(
        name="virtual",
        millivolt=people.millivolt,
        who=np.arange(len(people.split)),
        person=people.person,
        split=people.split,
        conditions=people.conditions.astype(np.float32),
        indices=people.indices,
        cines={view: load_cines(folder, view) for view in VIEWS} if paired else {},
        paired=paired,
    )
