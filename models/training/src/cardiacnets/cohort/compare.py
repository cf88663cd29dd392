"""Virtual people beside real ones: what differs, and how well a classifier tells them apart.

Real ECGs are PTB-XL (100 Hz pack, fold 1), real volumes those of 1,149 people of the 2015 Data Science Bowl. Both sides
go through the same measurements at 100 Hz.
"""

import csv
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
from scipy.signal import find_peaks, resample_poly
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from .anatomy import Floats
from .ecg import render_ecg
from .features import INDEPENDENT
from .leads import LEADS
from .person import draw_person

RATE_HZ = 100
BANDS_HZ = ((0.1, 0.5), (0.5, 2), (2, 5), (5, 10), (10, 15), (15, 25), (25, 35), (35, 45))
AMPLITUDES = ("R", "S", "T", "ST60", "P")
PERCENTILES = (5, 25, 50, 75, 95)
INTERVALS = ("heart rate /min", "RR variation %", "QRS ms", "T peak ms", "P peak ms")
_BEFORE, _AFTER = 40, 55  # samples around the R peak


class Measure(TypedDict):
    """Percentiles of both sides, and the AUROC of this measure alone."""

    real: list[float]
    virtual: list[float]
    auroc: float


class Volumes(TypedDict):
    """Percentiles of both sides."""

    real: list[float]
    virtual: list[float]


class Comparison(TypedDict):
    """`compare.json`."""

    n: dict[str, int]
    virtualAgainstReal: dict[str, float]
    measures: dict[str, Measure]
    volumes: dict[str, Volumes]


def names() -> list[str]:
    """What `measure` returns, in order."""
    amplitudes = [f"{wave} {LEADS[lead]} µV" for wave in AMPLITUDES for lead in INDEPENDENT]
    return amplitudes + list(INTERVALS) + [f"{low}–{high} Hz dB" for low, high in BANDS_HZ]


def measure(ecg_uv: Floats) -> Floats | None:
    """[8, 1000] µV at 100 Hz → amplitudes, intervals and spectrum; None where fewer than three beats are found."""
    centred = ecg_uv - np.median(ecg_uv, axis=1, keepdims=True)
    speed = np.convolve(np.abs(np.diff(centred, axis=1)).sum(axis=0), np.ones(6) / 6, "same")
    peaks, _ = find_peaks(speed, height=0.35 * np.percentile(speed, 99), distance=30)
    inside = peaks[(peaks >= _BEFORE) & (peaks < centred.shape[1] - _AFTER)]
    if inside.size < 3:
        return None
    beat = np.median([centred[:, at - _BEFORE : at + _AFTER] for at in inside], axis=0)
    beat = beat - np.median(beat[:, 28:34], axis=1, keepdims=True)
    qrs, wave, p = beat[:, 33:50], beat[:, 56:90], beat[:, 15:30]
    t = wave[np.arange(8), np.abs(wave).argmax(axis=1)]
    amplitudes = np.concatenate([qrs.max(axis=1), -qrs.min(axis=1), t, beat[:, 48], p.max(axis=1)])
    rr = np.diff(peaks) / RATE_HZ
    motion = np.sqrt(np.sum(np.diff(beat, axis=1) ** 2, axis=0))[28:58]
    intervals = np.array([
        60 / rr.mean(), 100 * rr.std() / rr.mean(), 10 * np.count_nonzero(motion > 0.15 * motion.max()),
        10 * (16 + np.sqrt(np.sum(wave**2, axis=0)).argmax()), 10 * (25 - np.sqrt(np.sum(p**2, axis=0)).argmax()),
    ])  # fmt: skip
    power = np.abs(np.fft.rfft(centred * np.hanning(centred.shape[1]), axis=1)) ** 2
    frequency = np.fft.rfftfreq(centred.shape[1], 1 / RATE_HZ)
    bands = [power[:, (frequency >= low) & (frequency < high)].sum(axis=1) for low, high in BANDS_HZ]
    return np.concatenate([amplitudes, intervals, 10 * np.log10(np.median(bands, axis=1) + 1)])


def compare_with_real(data_dir: Path, n: int, seed: int) -> Comparison:
    """Percentiles of both sides, the separation of each measure, and the classifier's AUROC (0.5 would be perfect)."""
    real = _measured(_real_ecgs(data_dir / "ptbxl100", 1, n))
    virtual = _measured(_virtual_ecgs(seed, n))
    inputs = np.concatenate([real, virtual])
    is_virtual = np.repeat([0, 1], [len(real), len(virtual)])
    groups = {"amplitudes": slice(0, 40), "intervals": slice(40, 45), "spectrum": slice(45, None), "all": slice(None)}
    auroc = {}
    for name, columns in groups.items():
        model = HistGradientBoostingClassifier(max_iter=150, random_state=0)
        score = cross_val_predict(model, inputs[:, columns], is_virtual, cv=4, method="predict_proba")[:, 1]
        auroc[name] = round(float(roc_auc_score(is_virtual, score)), 4)
    rows: dict[str, Measure] = {}
    for column, name in enumerate(names()):
        rows[name] = {
            "real": np.percentile(real[:, column], PERCENTILES).round(1).tolist(),
            "virtual": np.percentile(virtual[:, column], PERCENTILES).round(1).tolist(),
            "auroc": round(float(roc_auc_score(is_virtual, inputs[:, column])), 3),
        }
    return {"n": {"real": len(real), "virtual": len(virtual)}, "virtualAgainstReal": auroc, "measures": rows,
            "volumes": _compare_volumes(data_dir / "cmr" / "dsb_patient_volumes.tsv", seed, n)}  # fmt: skip


def table(report: Comparison) -> str:
    """The report as Markdown."""
    lines = [
        f"Virtual against real, AUROC: {report['virtualAgainstReal']} (0.5 would be perfect).\nPercentiles "
        + ", ".join(map(str, PERCENTILES)),
        "", "| measure | real | virtual | AUROC of this alone |", "| --- | --- | --- | --- |",
    ]  # fmt: skip
    for name, row in report["measures"].items():
        lines.append(f"| {name} | {_row(row['real'])} | {_row(row['virtual'])} | {row['auroc']:.2f} |")
    lines += ["", "| volume | real | virtual |", "| --- | --- | --- |"]
    lines += [f"| {name} | {_row(row['real'])} | {_row(row['virtual'])} |" for name, row in report["volumes"].items()]
    return "\n".join(lines) + "\n"


def _row(values: list[float]) -> str:
    return " / ".join(f"{value:.0f}" for value in values)


def _measured(ecgs: Iterator[Floats]) -> Floats:
    return np.array([row for row in map(measure, ecgs) if row is not None])


def _real_ecgs(folder: Path, fold: int, n: int) -> Iterator[Floats]:
    """[8, 1000] µV each, from the pack that `data/README.md` describes."""
    count = len((folder / f"fold{fold:02d}_ids.txt").read_text().split())
    with lzma.open(folder / f"fold{fold:02d}_8lead_5uV.bin.xz") as file:
        for _ in range(min(n, count)):
            low, high = np.frombuffer(file.read(16_000), dtype=np.uint8).reshape(2, 8_000).astype(np.uint16)
            zigzag = low | high << 8
            difference = (zigzag >> 1).astype(np.int32) ^ -(zigzag & 1).astype(np.int32)
            yield 5.0 * np.cumsum(difference.reshape(8, 1000), axis=1)


def _virtual_ecgs(seed: int, n: int) -> Iterator[Floats]:
    """At the pack's rate and in its steps of 5 µV, so that the packing gives nobody away."""
    for index in range(n):
        recorded = render_ecg(draw_person(seed, index), seed).recorded_uv[INDEPENDENT]
        yield 5 * np.rint(resample_poly(recorded.astype(float), 1, 5, axis=1) / 5)


def _compare_volumes(file: Path, seed: int, n: int) -> dict[str, Volumes]:
    """EDV, ESV and EF of adults on both sides. The real people were referred for a scan: a mix unlike our own."""
    with file.open() as lines:
        people = [row for row in csv.DictReader(lines, delimiter="\t") if float(row["age_years"] or 0) >= 40]
    persons = [draw_person(seed, index) for index in range(n)]
    real = {"EDV mL": [float(row["edv_ml"]) for row in people], "ESV mL": [float(row["esv_ml"]) for row in people],
            "EF %": [100 * float(row["ef"]) for row in people]}  # fmt: skip
    virtual = {"EDV mL": [p.lv_edv_ml for p in persons], "ESV mL": [p.lv_edv_ml * (1 - p.lv_ef) for p in persons],
               "EF %": [100 * p.lv_ef for p in persons]}  # fmt: skip

    def percentiles(values: list[float]) -> list[float]:
        return [float(value) for value in np.percentile(values, PERCENTILES).round(1)]

    return {name: {"real": percentiles(real[name]), "virtual": percentiles(virtual[name])} for name in real}
