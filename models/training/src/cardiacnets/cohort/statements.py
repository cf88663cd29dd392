"""Virtual people with a block or a loaded ventricle beside real ECGs that readers stated to have it.

The effects in `electrics.py` were fitted to these medians (PTB-XL, 100 Hz): blocks and LVH of folds 1–3, RVH of folds
1–7, as it is rare. Nothing of fold 8 or 9 is read here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from cardiacnets.data import ptbxl

from .anatomy import Floats
from .compare import measure, names
from .ecg import render_ecg
from .electrics import Electrics, draw_electrics
from .features import INDEPENDENT
from .person import ECG_STREAM, Person, draw_person, generator

Codes = frozenset[str]
COMPARED = 32
"""R, S, T and ST of eight leads: the first columns of `compare.measure`."""
WEIGHT = np.repeat([1.0, 0.0], [24, 8])
NOT_SINUS = frozenset({"WPW", "PACE", "AFIB", "AFLT"})
COMPLETE = frozenset({"CRBBB", "CLBBB"})
PARTIAL = frozenset({"IRBBB", "ILBBB", "IVCD", "LAFB", "LPFB"})
LEFT = frozenset({"LVH", "VCLVH", "SEHYP"})
FEW_FOLDS, FOLDS = (1, 2, 3), tuple(range(1, 8))
HEAVY_G_M2 = {False: 76.0, True: 58.0}
"""LV mass by body surface above which a healthy virtual man or woman (True) counts as heavy: the mean plus three
deviations."""
LOADED = 0.4
"""Of the right ventricle's load as the ECG shows it. 42% of virtual people with PH have more; ECG criteria find 55% of
patients (Ahearn et al. 2002, Chest 122:524)."""


@dataclass(frozen=True)
class Pair:
    """One statement: which real ECGs have it, and which virtual people stand beside them."""

    real: Callable[[Codes, Codes], bool]
    """Of an ECG's statements, and those that make an ECG CAD."""
    folds: tuple[int, ...]
    virtual: Callable[[Person, Electrics], bool]


def _is_free(person: Person) -> bool:
    return not (person.conditions().any() or person.atrial_fibrillation)


def _is_narrow(electrics: Electrics) -> bool:
    return electrics.conduction in {"normal", "irbbb", "lafb"}


PAIRS: Mapping[str, Pair] = {
    "normal": Pair(
        lambda codes, cad: "NORM" in codes and not codes & (cad | NOT_SINUS | COMPLETE | PARTIAL),
        FEW_FOLDS,
        lambda person, electrics: _is_free(person) and not electrics.mimic and electrics.conduction == "normal",
    ),
    "RVH": Pair(
        lambda codes, _: "RVH" in codes and not codes & (NOT_SINUS | COMPLETE),
        FOLDS,
        lambda person, electrics: (
            electrics.right_load > LOADED
            and _is_narrow(electrics)
            and not (person.cad or person.cm or person.atrial_fibrillation)
        ),
    ),
    "RBBB": Pair(
        lambda codes, cad: "CRBBB" in codes and not codes & (cad | NOT_SINUS | LEFT | {"RVH", "RAO/RAE"}),
        FEW_FOLDS,
        lambda person, electrics: _is_free(person) and electrics.conduction == "rbbb",
    ),
    "LBBB": Pair(
        lambda codes, cad: "CLBBB" in codes and not codes & (cad | NOT_SINUS | LEFT),
        FEW_FOLDS,
        lambda person, electrics: _is_free(person) and electrics.conduction == "lbbb",
    ),
    "LVH": Pair(
        lambda codes, cad: "LVH" in codes and not codes & (cad | NOT_SINUS | COMPLETE | PARTIAL | {"RVH"}),
        FEW_FOLDS,
        lambda person, electrics: (
            _is_free(person) and _is_narrow(electrics) and person.lv_mass_g / person.bsa_m2 > HEAVY_G_M2[person.female]
        ),
    ),
}


class Compared(TypedDict):
    """One statement's figures."""

    real: int
    virtual: int
    distance: float
    """Sum of squared distances of the medians, in deviations of real normal ECGs; without ST."""
    medians: dict[str, tuple[float, float]]
    """Measure → real and virtual, µV."""


def compare_statements(data_dir: Path, n: int, seed: int) -> dict[str, Compared]:
    """Medians of both sides, of each of `PAIRS`; `n` virtual people are drawn."""
    real, virtual = _real(data_dir), _virtual(n, seed)
    quartiles = np.percentile(real["normal"], (25, 75), axis=0)
    spread = (quartiles[1] - quartiles[0]) / 1.35
    report: dict[str, Compared] = {}
    for name in PAIRS:
        a, b = np.median(real[name], axis=0), np.median(virtual[name], axis=0)
        report[name] = Compared(
            real=len(real[name]),
            virtual=len(virtual[name]),
            distance=round(float((WEIGHT * ((a - b) / spread) ** 2).sum()), 2),
            medians={
                measured: (round(float(x), 1), round(float(y), 1))
                for measured, x, y in zip(names()[:COMPARED], a, b, strict=True)
            },
        )
    return report


def table(report: Mapping[str, Compared]) -> str:
    """The report as Markdown."""
    head = [f"{name} real / virtual" for name in report]
    lines = ["| measure | " + " | ".join(head) + " |", "| --- |" + " --- |" * len(report)]
    lines.append("| ECGs | " + " | ".join(f"{entry['real']} / {entry['virtual']}" for entry in report.values()) + " |")
    lines.append("| distance | " + " | ".join(f"{entry['distance']:.1f}" for entry in report.values()) + " |")
    for measured in names()[:COMPARED]:
        cells = ["{:.0f} / {:.0f}".format(*entry["medians"][measured]) for entry in report.values()]
        lines.append(f"| {measured} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _real(data_dir: Path) -> dict[str, Floats]:
    labels, cad = ptbxl.read_labels(data_dir), ptbxl.cad_codes(data_dir)
    codes = dict(zip(labels.ecg_id.tolist(), labels.scp_codes, strict=True))
    rows: dict[str, list[Floats]] = {name: [] for name in PAIRS}
    for fold in FOLDS:
        ids, microvolt = ptbxl.read_fold(fold, data_dir)
        for ecg_id, ecg in zip(ids.tolist(), microvolt, strict=True):
            chosen = [name for name, pair in PAIRS.items() if fold in pair.folds and pair.real(codes[ecg_id], cad)]
            if chosen:
                _add(rows, chosen, ecg[INDEPENDENT].astype(float))
    return {name: np.array(values) for name, values in rows.items()}


def _virtual(n: int, seed: int) -> dict[str, Floats]:
    rows: dict[str, list[Floats]] = {name: [] for name in PAIRS}
    for index in range(n):
        person = draw_person(seed, index)
        electrics = draw_electrics(person, generator(seed, index, ECG_STREAM))
        chosen = [name for name, pair in PAIRS.items() if pair.virtual(person, electrics)]
        if chosen:
            _add(rows, chosen, _at_100_hz(render_ecg(person, seed).recorded_uv[INDEPENDENT]))
    return {name: np.array(values) for name, values in rows.items()}


def _at_100_hz(recorded_uv: NDArray[np.int16]) -> Floats:
    return np.asarray(resample_poly(recorded_uv.astype(float), 1, 5, axis=1))


def _add(rows: dict[str, list[Floats]], chosen: list[str], ecg_uv: Floats) -> None:
    measured = measure(ecg_uv)
    if measured is None:
        return
    for name in chosen:
        rows[name].append(measured[:COMPARED])
