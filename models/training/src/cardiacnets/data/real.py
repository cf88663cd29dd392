"""PTB-XL as the trunk sees it, with labels: the real half of the training data."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiacnets.data import ptbxl, teacher
from cardiacnets.data.windows import cached_millivolt
from cardiacnets.domain import BLOCKS, CONDITIONS

FOLDS = tuple(range(1, 10))
STATEMENT_FOLDS = tuple(range(1, 8))
STATEMENT_MINIMUM = 50
"""A statement is an auxiliary target if at least so many training ECGs carry it."""


@dataclass(frozen=True)
class RealSet:
    """n recordings: mV float16 [n][12][1000] and their labels, in the order of the packs of `folds`."""

    millivolt: NDArray[np.float16]
    conditions: NDArray[np.float32]
    """[n,5] in the order of `CONDITIONS`: 0, 1, or NaN where nobody said."""
    statements: NDArray[np.bool_]
    """[n,K]: the five superclasses and every frequent SCP statement; they shape the encoder, no more."""
    person: NDArray[np.float32]
    """[n,4]; NaN where unknown (height and weight always)."""
    fold: NDArray[np.int64]
    indices: NDArray[np.float32] | None = None
    """[n,82], NaN where unknown; PTB-XL knows none."""
    teacher: NDArray[np.float32] | None = None
    """[n] logits of heart failure by a published ensemble, NaN where it said nothing."""
    proxies: Mapping[str, NDArray[np.bool_]] | None = None
    """Condition → [n] statements that stand in for it where nobody labelled it (`PROXIES`): watched, never learned."""
    kind: NDArray[np.str_] | None = None
    """[n] what the reader's statements make of the ECG (`isolated_kinds`)."""
    blocks: NDArray[np.bool_] | None = None
    """[n,2] complete bundle branch blocks that a reader stated (`stated_blocks`)."""

    @property
    def cad(self) -> NDArray[np.bool_]:
        """[n] CAD labels, which PTB-XL has for every ECG."""
        return self.conditions[:, CONDITIONS.index("cad")] > 0


def no_real() -> RealSet:
    """Nobody: for a run on virtual people alone."""
    return RealSet(
        millivolt=np.zeros((0, 12, 1000), dtype=np.float16),
        conditions=np.zeros((0, len(CONDITIONS)), dtype=np.float32),
        statements=np.zeros((0, 1), dtype=bool),
        person=np.zeros((0, 4), dtype=np.float32),
        fold=np.zeros(0, dtype=np.int64),
    )


def recordings(folds: tuple[int, ...]) -> Iterator[NDArray[np.floating]]:
    """mV [12][1000] of every recording of `folds`, in order."""
    for fold in folds:
        for microvolt in ptbxl.read_fold(fold)[1]:
            yield microvolt / 1000


def statements(labels: ptbxl.Labels) -> NDArray[np.bool_]:
    """[rows,K] of `labels`: superclasses, then the statements that are frequent in the training folds, by name."""
    training = np.isin(labels.fold, STATEMENT_FOLDS)
    counts = Counter(code for row in np.flatnonzero(training) for code in labels.scp_codes[row])
    frequent = sorted(code for code, count in counts.items() if count >= STATEMENT_MINIMUM)
    present = [[code in codes for code in frequent] for codes in labels.scp_codes]
    return np.concatenate([labels.superclasses, np.array(present)], axis=1)


NORMAL = "normal"
ISOLATED: Mapping[str, frozenset[str]] = {
    "RBBB": frozenset({"CRBBB"}),
    "LBBB": frozenset({"CLBBB"}),
    "AF": frozenset({"AFIB"}),
    "tachycardia": frozenset({"STACH"}),
    "bradycardia": frozenset({"SBRAD"}),
    "paced": frozenset({"PACE"}),
    "IRBBB": frozenset({"IRBBB"}),
    "LAFB": frozenset({"LAFB"}),
    "1AVB": frozenset({"1AVB"}),
}
"""Name → statements of conduction or rhythm. The first that an ECG has counts."""
HELD: Mapping[str, Mapping[str, float]] = {
    "RBBB": {"ph": 0.8},
    "LBBB": {"cm": 0.2},
    "paced": {"cm": 0.2, "ph": 0.5},
    "AF": {"cm": 0.4, "pericarditis": 0.8, "ph": 0.8},
    "tachycardia": {"cm": 0.4, "pericarditis": 0.8, "ph": 0.8},
    "bradycardia": {"cm": 0.4, "pericarditis": 0.8, "ph": 0.8},
}
"""Those that training holds to what it says of normal ECGs: for which conditions, and how hard. The others are part of
what a hypertrophied heart looks like: 53 of 114 ECGs of PTB-XL with RVH have IRBBB, and 19 LAFB."""
PROXIES: Mapping[str, frozenset[str]] = {
    "cm": frozenset({"LVH", "VCLVH", "SEHYP"}),
    "ph": frozenset({"RVH", "RAO/RAE"}),
}
"""Condition → statements of hypertrophy."""
BLOCK_CODES: Mapping[str, str] = {"rbbb": "CRBBB", "lbbb": "CLBBB"}
"""Block → the statement of it."""
VOLTAGE = frozenset({"VCLVH", "HVOLT", "LVOLT"})


def isolated_kinds(codes: Sequence[frozenset[str]], root: Path | None = None) -> NDArray[np.str_]:
    """Name [n] of the isolated finding of each ECG.

    `NORMAL` where a reader called the ECG normal and not CAD. A name of `ISOLATED` where conduction or rhythm is all
    that a reader found: no infarction, ischaemia, hypertrophy or abnormal voltage. Else "".
    """
    disease = ptbxl.cad_codes(root) | ptbxl.hypertrophy_codes(root) | VOLTAGE
    kinds = []
    for stated in codes:
        name = ""
        if not stated & disease:
            found = (kind for kind, some in ISOLATED.items() if stated & some)
            name = next(found, NORMAL if "NORM" in stated else "")
        kinds.append(name)
    return np.array(kinds)


def stated_blocks(codes: Sequence[frozenset[str]]) -> NDArray[np.bool_]:
    """[n,2] in the order of `BLOCKS`."""
    return np.array([[BLOCK_CODES[block] in stated for block in BLOCKS] for stated in codes]).reshape(-1, len(BLOCKS))


def load_real(folds: tuple[int, ...] = FOLDS) -> RealSet:
    """Preprocess (or read the cache of) `folds`, one cache file a fold."""
    labels = ptbxl.read_labels()
    row_of = {ecg_id: row for row, ecg_id in enumerate(labels.ecg_id)}
    parts, rows, all_ids = [], [], []
    for fold in folds:
        ids = ptbxl.read_ids(fold)
        parts.append(cached_millivolt(f"ptbxl-fold{fold:02d}", recordings((fold,)), len(ids), ptbxl.RATE_HZ))
        rows += [row_of[ecg_id] for ecg_id in ids]
        all_ids.append(ids)
    unknown = np.full(len(rows), np.nan, dtype=np.float32)
    conditions = np.full((len(rows), len(CONDITIONS)), np.nan, dtype=np.float32)
    conditions[:, CONDITIONS.index("cad")] = labels.cad[rows]
    return RealSet(
        millivolt=np.concatenate(parts),
        conditions=conditions,
        statements=statements(labels)[rows],
        person=np.stack([labels.sex[rows], labels.age[rows], unknown, unknown], axis=1),
        fold=labels.fold[rows],
        teacher=teacher.logits_of(np.concatenate(all_ids)),
        kind=isolated_kinds([labels.scp_codes[row] for row in rows]),
        blocks=stated_blocks([labels.scp_codes[row] for row in rows]),
        proxies={
            name: np.array([bool(labels.scp_codes[row] & codes) for row in rows]) for name, codes in PROXIES.items()
        },
    )
