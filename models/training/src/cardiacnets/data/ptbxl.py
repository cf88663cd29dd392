"""The PTB-XL pack (8 leads, 100 Hz, folds 1 to 9) and its labels. The layout is given in the pack's README."""

import csv
import lzma
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiacnets.signal.profile import REPOSITORY

RATE_HZ = 100
SAMPLES = 1000
MICROVOLT_PER_STEP = 5
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
ISCHAEMIA_SUBCLASSES = frozenset({"ISC_", "ISCA", "ISCI"})
AGE_OVER_89 = 300


def data_dir() -> Path:
    """Where the real data lie: `CARDIACNETS_DATA`, else beside the repository."""
    return Path(os.environ.get("CARDIACNETS_DATA", REPOSITORY.parent / "shared" / "data"))


@dataclass(frozen=True)
class Labels:
    """Labels of n recordings, row by row."""

    ecg_id: NDArray[np.int64]
    fold: NDArray[np.int64]
    cad: NDArray[np.bool_]
    superclasses: NDArray[np.bool_]
    """[n,5] in the order of `SUPERCLASSES`."""
    sex: NDArray[np.float32]
    """0 male, 1 female."""
    age: NDArray[np.float32]
    """Years, NaN when unknown; 90 stands for "over 89"."""
    scp_codes: tuple[frozenset[str], ...]


def decode(raw: bytes) -> NDArray[np.int16]:
    """Decompressed bytes of one fold → µV, int16 [n][12][1000], leads in the project's order."""
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 2, 8, SAMPLES)
    zigzag = rows[:, 0].astype(np.int32) | rows[:, 1].astype(np.int32) << 8
    steps = np.cumsum((zigzag >> 1) ^ -(zigzag & 1), axis=-1, dtype=np.int32)
    independent = steps * MICROVOLT_PER_STEP
    i, ii = independent[:, 0], independent[:, 1]
    limb = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], axis=1)
    return np.rint(np.concatenate([limb, independent[:, 2:]], axis=1)).astype(np.int16)


def read_ids(fold: int, root: Path | None = None) -> NDArray[np.int64]:
    """ECG ids of one fold, in the order of its pack."""
    return np.loadtxt((root or data_dir()) / "ptbxl100" / f"fold{fold:02d}_ids.txt", dtype=np.int64)


def read_fold(fold: int, root: Path | None = None) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """ECG ids [n] and µV [n][12][1000] of one fold."""
    ids = read_ids(fold, root)
    packed = (root or data_dir()) / "ptbxl100" / f"fold{fold:02d}_8lead_5uV.bin.xz"
    ecg = decode(lzma.decompress(packed.read_bytes()))
    if len(ids) != len(ecg):
        raise ValueError(f"fold {fold}: {len(ids)} ids but {len(ecg)} recordings")
    return ids, ecg


def cad_codes(root: Path | None = None) -> frozenset[str]:
    """SCP statements that make an ECG CAD: diagnostic class MI, or subclass ISC_, ISCA or ISCI."""
    with ((root or data_dir()) / "ptbxl100" / "scp_statements.csv").open(newline="") as file:
        return frozenset(
            row[""]
            for row in csv.DictReader(file)
            if row["diagnostic_class"] == "MI" or row["diagnostic_subclass"] in ISCHAEMIA_SUBCLASSES
        )


def hypertrophy_codes(root: Path | None = None) -> frozenset[str]:
    """SCP statements of diagnostic class HYP: ventricles and atria."""
    with ((root or data_dir()) / "ptbxl100" / "scp_statements.csv").open(newline="") as file:
        return frozenset(row[""] for row in csv.DictReader(file) if row["diagnostic_class"] == "HYP")


def read_labels(root: Path | None = None) -> Labels:
    """All rows of `ptbxl_labels.csv`."""
    positive = cad_codes(root)
    with ((root or data_dir()) / "ptbxl100" / "ptbxl_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    codes = tuple(frozenset(row["scp_codes"].split()) for row in rows)
    age = np.array([float(row["age"] or "nan") for row in rows], dtype=np.float32)
    return Labels(
        ecg_id=np.array([int(row["ecg_id"]) for row in rows]),
        fold=np.array([int(row["strat_fold"]) for row in rows]),
        cad=np.array([bool(code & positive) for code in codes]),
        superclasses=np.array([[row[name] == "1" for name in SUPERCLASSES] for row in rows]),
        sex=np.array([float(row["sex_ptbxl(0=male,1=female)"] or "nan") for row in rows], dtype=np.float32),
        age=np.where(age == AGE_OVER_89, 90, age).astype(np.float32),
        scp_codes=codes,
    )
