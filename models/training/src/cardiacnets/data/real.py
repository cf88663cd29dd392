"""PTB-XL as the trunk sees it, with labels: the real half of the training data."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiacnets.data import ptbxl
from cardiacnets.data.windows import cached_millivolt

FOLDS = tuple(range(1, 10))


@dataclass(frozen=True)
class RealSet:
    """n recordings: mV float16 [n][12][1000] and their labels, in the order of the packs of `folds`."""

    millivolt: NDArray[np.float16]
    cad: NDArray[np.bool_]
    superclasses: NDArray[np.bool_]
    person: NDArray[np.float32]
    """[n,4]; NaN where unknown (height and weight always)."""
    fold: NDArray[np.int64]


def recordings(folds: tuple[int, ...]) -> Iterator[NDArray[np.floating]]:
    """mV [12][1000] of every recording of `folds`, in order."""
    for fold in folds:
        for microvolt in ptbxl.read_fold(fold)[1]:
            yield microvolt / 1000


def load_real(folds: tuple[int, ...] = FOLDS) -> RealSet:
    """Preprocess (or read the cache of) `folds`, one cache file a fold."""
    labels = ptbxl.read_labels()
    row_of = {ecg_id: row for row, ecg_id in enumerate(labels.ecg_id)}
    parts, rows = [], []
    for fold in folds:
        ids = ptbxl.read_ids(fold)
        parts.append(cached_millivolt(f"ptbxl-fold{fold:02d}", recordings((fold,)), len(ids), ptbxl.RATE_HZ))
        rows += [row_of[ecg_id] for ecg_id in ids]
    unknown = np.full(len(rows), np.nan, dtype=np.float32)
    return RealSet(
        millivolt=np.concatenate(parts),
        cad=labels.cad[rows],
        superclasses=labels.superclasses[rows],
        person=np.stack([labels.sex[rows], labels.age[rows], unknown, unknown], axis=1),
        fold=labels.fold[rows],
    )
