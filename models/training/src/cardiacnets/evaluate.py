"""Run an exported bundle on data that it did not learn from, through the same chain as the service."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tqdm import tqdm

from cardiacnets import cohort
from cardiacnets.bundle import Calibration
from cardiacnets.calibrate import probability
from cardiacnets.data import ptbxl, wfdb
from cardiacnets.data.windows import Window, to_window
from cardiacnets.domain import CONDITIONS, INDICES, LEADS
from cardiacnets.metrics import auroc, auroc_with_ci, bootstrap_ci, pearson
from cardiacnets.profile import load_profile
from cardiacnets.resample import resample

Array = NDArray[np.floating]

CAD = CONDITIONS.index("cad")
TEST_FOLD = 9
LEAD_SETS: dict[str, tuple[str, ...]] = {
    "12 leads": LEADS,
    "6 limb leads": LEADS[:6],
    "limb and V2, V5": (*LEADS[:6], "V2", "V5"),
    "lead II": ("II",),
    "lead I": ("I",),
}
AGE_GROUPS = ((0, 50), (50, 65), (65, 80), (80, 200))


@dataclass(frozen=True)
class EvaluationSet:
    """n recordings as model inputs, with the truth that is known of them."""

    windows: list[Window]
    person: Array
    """[n,4], NaN unknown."""
    conditions: NDArray[np.bool_]
    """[n,5]; of a real set only the CAD column means something."""
    indices: Array | None


@dataclass(frozen=True)
class Predictions:
    """Outputs of `screen.onnx`, a row a recording."""

    logits: Array
    mean: Array
    logvar: Array
    embedding: Array


def real_set(fold: int) -> EvaluationSet:
    """One PTB-XL fold."""
    labels = ptbxl.read_labels()
    ids, microvolt = ptbxl.read_fold(fold)
    row_of = {ecg_id: row for row, ecg_id in enumerate(labels.ecg_id)}
    rows = [row_of[ecg_id] for ecg_id in ids]
    windows = [
        to_window(recording / 1000, ptbxl.RATE_HZ) for recording in tqdm(microvolt, desc=f"fold {fold}", disable=None)
    ]
    conditions = np.zeros((len(rows), len(CONDITIONS)), dtype=bool)
    conditions[:, CAD] = labels.cad[rows]
    unknown = np.full(len(rows), np.nan, dtype=np.float32)
    person = np.stack([labels.sex[rows], labels.age[rows], unknown, unknown], axis=1)
    return EvaluationSet(windows, person, conditions, None)


def virtual_set(cohort_dir: Path, split: str) -> EvaluationSet:
    """One split of the virtual cohort."""
    people = cohort.load(cohort_dir)
    rows = people.rows(split)
    rate_hz = load_profile().rate_hz
    windows = [to_window(people.ecg[row] / 1000, rate_hz) for row in tqdm(rows, desc=f"virtual {split}", disable=None)]
    return EvaluationSet(
        windows, people.person[rows], np.asarray(people.conditions[rows]), np.asarray(people.indices[rows])
    )


def model_inputs(windows: Iterable[Window], person: Array, leads: tuple[str, ...] = LEADS) -> dict[str, Array]:
    """Feed of `screen.onnx`: leads that are not in `leads` and person fields that are NaN are masked and zeroed."""
    present = np.array([lead in leads for lead in LEADS], dtype=np.float32)
    ecg = np.stack([window.ecg for window in windows]) * present[:, None]
    amplitude = np.stack([window.amplitude for window in windows]) * present[:, None]
    return {
        "ecg": ecg,
        "amplitude": amplitude,
        "lead_mask": np.tile(present, (len(ecg), 1)),
        "person": np.nan_to_num(person).astype(np.float32),
        "person_mask": (~np.isnan(person)).astype(np.float32),
    }


def predict(
    session: onnxruntime.InferenceSession, data: EvaluationSet, leads: tuple[str, ...] = LEADS, *, person: bool = True
) -> Predictions:
    """Run every recording with only `leads`, and with or without what is known of the person."""
    someone = data.person if person else np.full_like(data.person, np.nan)
    outputs = []
    for start in range(0, len(data.windows), 64):
        rows = slice(start, start + 64)
        feed = model_inputs(data.windows[rows], someone[rows], leads)
        outputs.append(session.run(["condition_logits", "index_mean", "index_logvar", "embedding"], feed))
    return Predictions(*(np.concatenate(parts).astype(np.float64) for parts in zip(*outputs, strict=True)))


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _auroc_entry(truth: NDArray[np.bool_], score: Array) -> dict[str, Any]:
    value, (low, high) = auroc_with_ci(truth, score)
    return {
        "auroc": _rounded(value),
        "ci": [_rounded(low), _rounded(high)],
        "n": len(truth),
        "positive": int(truth.sum()),
    }


def _person_groups(person: Array) -> dict[str, NDArray[np.bool_]]:
    sex, age = person[:, 0], person[:, 1]
    groups = {"male": sex == 0, "female": sex == 1}
    for low, high in AGE_GROUPS:
        name = f"age {low}–{high - 1}" if high < 200 else f"age {low} and over"
        groups[f"under {high}" if low == 0 else name] = (age >= low) & (age < high)
    return groups


def evaluate_real(
    session: onnxruntime.InferenceSession, data: EvaluationSet, calibration: Calibration, thresholds: dict[str, float]
) -> dict[str, Any]:
    """CAD on one PTB-XL fold: AUROC with interval, at the thresholds, by sex, age and lead set."""
    truth = data.conditions[:, CAD]
    full = predict(session, data)
    score = full.logits[:, CAD]
    chance = probability(score, calibration)
    entry = _auroc_entry(truth, score)
    entry["brier"] = _rounded(np.mean((chance - truth) ** 2))
    entry["operatingPoints"] = {
        name: {
            "threshold": _rounded(threshold),
            "sensitivity": _rounded(np.mean(chance[truth] >= threshold)),
            "specificity": _rounded(np.mean(chance[~truth] < threshold)),
        }
        for name, threshold in thresholds.items()
    }
    entry["subgroups"] = {
        name: _auroc_entry(truth[rows], score[rows]) for name, rows in _person_groups(data.person).items()
    }
    entry["leadSets"] = {
        name: _auroc_entry(truth, predict(session, data, leads).logits[:, CAD]) for name, leads in LEAD_SETS.items()
    }
    entry["withoutPerson"] = _auroc_entry(truth, predict(session, data, person=False).logits[:, CAD])
    return entry


def evaluate_virtual(
    session: onnxruntime.InferenceSession, data: EvaluationSet, interval_scale: Array
) -> dict[str, Any]:
    """The four virtual conditions and the 82 indices on virtual test people."""
    if data.indices is None:
        raise ValueError("virtual people have indices")
    columns = [index for index in range(len(CONDITIONS)) if index != CAD]
    full = predict(session, data)
    half_width = interval_scale * np.exp(full.logvar / 2)
    covered = (np.abs(data.indices - full.mean) <= half_width).mean(axis=0)
    per_index = pearson(data.indices, full.mean)

    def mean_r(rows: NDArray[np.intp]) -> float:
        return float(pearson(data.indices[rows], full.mean[rows]).mean())

    def macro(logits: Array, rows: NDArray[np.bool_] | slice = slice(None)) -> float:
        return float(np.mean([auroc(data.conditions[rows, index], logits[rows, index]) for index in columns]))

    def by_leads(leads: tuple[str, ...]) -> dict[str, float]:
        fewer = predict(session, data, leads)
        return {
            "macroAuroc": _rounded(macro(fewer.logits)),
            "meanR": _rounded(pearson(data.indices, fewer.mean).mean()),
        }

    without = predict(session, data, person=False)
    low, high = bootstrap_ci(mean_r, len(data.windows), rounds=200)
    return {
        "conditions": {
            CONDITIONS[index]: _auroc_entry(data.conditions[:, index], full.logits[:, index]) for index in columns
        },
        "macroAuroc": _rounded(macro(full.logits)),
        "meanR": _rounded(per_index.mean()),
        "meanRCi": [_rounded(low), _rounded(high)],
        "perIndexR": {name: _rounded(r) for name, r in zip(INDICES, per_index, strict=True)},
        "coverage90": _rounded(covered.mean()),
        "coverage90Range": [_rounded(covered.min()), _rounded(covered.max())],
        "n": len(data.windows),
        "subgroups": {
            name: {
                "macroAuroc": _rounded(macro(full.logits, rows)),
                "meanR": _rounded(pearson(data.indices[rows], full.mean[rows]).mean()),
                "n": int(rows.sum()),
            }
            for name, rows in _person_groups(data.person).items()
        },
        "leadSets": {name: by_leads(leads) for name, leads in LEAD_SETS.items()},
        "withoutPerson": {
            "macroAuroc": _rounded(macro(without.logits)),
            "meanR": _rounded(pearson(data.indices, without.mean).mean()),
        },
    }


def virtual_heads_on_real(
    session: onnxruntime.InferenceSession, data: EvaluationSet, normal: NDArray[np.bool_], flags: dict[str, Any]
) -> dict[str, float]:
    """Share of real ECGs labelled normal that each virtual finding flags: how far the virtual cohort carries."""
    chosen = EvaluationSet(
        [window for window, keep in zip(data.windows, normal, strict=True) if keep],
        data.person[normal],
        data.conditions[normal],
        None,
    )
    logits = predict(session, chosen).logits
    shares = {}
    for index, name in enumerate(CONDITIONS):
        if index != CAD:
            calibration, threshold = flags[name]
            shares[name] = _rounded(np.mean(probability(logits[:, index], calibration) >= threshold))
    return shares


def compare_rates(
    session: onnxruntime.InferenceSession, headers: list[Path], calibration: Calibration
) -> dict[str, Any]:
    """The same 500 Hz ECG as it is, and brought down to 100 Hz and up again: embeddings and CAD probability."""
    at_500, at_100 = [], []
    for header in headers:
        record = wfdb.read_record(header)
        if record.rate_hz != 500 or record.millivolt.shape[1] < 5000 or np.isnan(record.millivolt).any():
            continue
        millivolt = record.millivolt[:, :5000]
        at_500.append(to_window(millivolt, 500))
        at_100.append(to_window(resample(millivolt, 500, 100), 100))
    nobody = np.full((len(at_500), 4), np.nan)
    nothing = np.zeros((len(at_500), len(CONDITIONS)), dtype=bool)
    fine, coarse = (predict(session, EvaluationSet(windows, nobody, nothing, None)) for windows in (at_500, at_100))

    def cosine(a: Array, b: Array) -> Array:
        return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))

    same = cosine(fine.embedding, coarse.embedding)
    strangers = cosine(fine.embedding, np.roll(fine.embedding, 1, axis=0))
    change = np.abs(probability(fine.logits[:, CAD], calibration) - probability(coarse.logits[:, CAD], calibration))
    return {
        "n": len(at_500),
        "cosineMedian": _rounded(np.median(same)),
        "cosineP5": _rounded(np.quantile(same, 0.05)),
        "cosineOfStrangersMedian": _rounded(np.median(strangers)),
        "cadProbabilityChangeMedian": _rounded(np.median(change)),
        "cadProbabilityChangeP95": _rounded(np.quantile(change, 0.95)),
        "cadProbabilityChangeMax": _rounded(change.max()),
    }
