"""What a published heart-failure ensemble says of PTB-XL's ECGs: soft labels, by no means a diagnosis.

The ensemble is that of Ahus AIM (github.com/Ahus-AIM/Heart-Failure-Detection, Apache-2.0; npj Digital Medicine 2026,
s41746-026-02774-4). The table and its README lie in `hf_teacher/` of the data folder; neither code nor weights of the
ensemble are part of this project.
"""

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiacnets.data.ptbxl import data_dir

NAME = "Ahus AIM heart-failure ensemble, logits on PTB-XL"


def read_logits(root: Path | None = None) -> dict[int, float]:
    """Mean logit of the five networks by ECG id; nothing where the table is absent."""
    path = (root or data_dir()) / "hf_teacher" / "hf_logits.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {int(row["ecg_id"]): float(row["hf_logit_mean"]) for row in csv.DictReader(file)}


def logits_of(ecg_ids: NDArray[np.int64], root: Path | None = None) -> NDArray[np.float32] | None:
    """[n] logits of these ECGs, NaN where the teacher said nothing; None where there is no table."""
    known = read_logits(root)
    if not known:
        return None
    return np.array([known.get(int(ecg_id), math.nan) for ecg_id in ecg_ids], dtype=np.float32)
