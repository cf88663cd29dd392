"""MIMIC-IV-ECG: its folder (WFDB records and `record_list.csv`) with diagnoses → entries. Tables may be gzipped.

Records: `record_list.csv` (subject_id, study_id, ecg_time, path), else `machine_measurements.csv`, whose studies lie at
`files/p{first four}/p{subject}/s{study}/{study}`. Diagnoses, the first of these that is there:

- `records_w_diag_icd10.csv` (MIMIC-IV-ECG-Ext-ICD): `all_diag_all`, a list of ICD-10 codes; also `gender`, `age`;
- `diagnoses_icd.csv` and `admissions.csv` of MIMIC-IV (module `hosp`): the discharge codes, ICD-9 and ICD-10, of the
  admission during which the ECG was taken.

An ECG outside any admission has unknown conditions, not none. `patients.csv` gives sex, and age at the ECG.
"""

import ast
import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from cardiacnets.data.diagnoses import conditions_of
from cardiacnets.data.errors import SourceError
from cardiacnets.data.manifest import Entry, unknown
from cardiacnets.domain import CONDITIONS

SEX = {"M": 0.0, "F": 1.0}

Admission = tuple[datetime, datetime, np.ndarray]
"""From, to, and which conditions its codes say [5]."""


def index_mimic(folder: Path) -> list[Entry]:
    """One entry an ECG, in the order of the record list.

    Raises:
        SourceError: a table or a column of it is missing.
    """
    labels = _labels_by_study(folder)
    admissions = None if labels is not None else _admissions(folder)
    patients = {
        row["subject_id"]: row
        for row in _rows(folder, "patients", ("subject_id", "gender", "anchor_age", "anchor_year"))
    }
    entries = []
    for subject, study, time, path in _records(folder):
        about, conditions = unknown(4), unknown(len(CONDITIONS))
        patient = patients.get(subject)
        if patient is not None:
            about[0] = SEX.get(patient["gender"].strip().upper(), np.nan)
            about[1] = float(patient["anchor_age"]) + time.year - int(patient["anchor_year"])
        if labels is not None and study in labels:
            stated, codes = labels[study]
            about = np.where(np.isnan(stated), about, stated)
            if codes is not None:
                conditions[:] = codes
        elif admissions is not None:
            during = [stay[2] for stay in admissions.get(subject, []) if stay[0] <= time <= stay[1]]
            if during:
                conditions[:] = np.any(during, axis=0)
        entries.append(Entry(ecg=folder / path, person=subject, about=about.astype(np.float32), conditions=conditions))
    return entries


def _records(folder: Path) -> Iterator[tuple[str, str, datetime, str]]:
    """Subject, study, time and path without extension of every ECG."""
    found = False
    for row in _rows(folder, "record_list", ("subject_id", "study_id", "ecg_time", "path")):
        found = True
        yield row["subject_id"], row["study_id"], datetime.fromisoformat(row["ecg_time"]), row["path"]
    if found:
        return
    for row in _rows(folder, "machine_measurements", ("subject_id", "study_id", "ecg_time")):
        found = True
        subject, study = row["subject_id"], row["study_id"]
        path = f"files/p{subject[:4]}/p{subject}/s{study}/{study}"
        yield subject, study, datetime.fromisoformat(row["ecg_time"]), path
    if not found:
        raise SourceError(f"neither record_list.csv nor machine_measurements.csv in {folder}")


def _labels_by_study(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray | None]] | None:
    """Study → sex and age [4], and conditions [5] or None where no stay is linked; None without the table."""
    labels = {}
    for row in _rows(folder, "records_w_diag_icd10", ("study_id", "all_diag_all")):
        about = unknown(4)
        about[0] = SEX.get((row.get("gender") or "").strip().upper(), np.nan)
        about[1] = float(row.get("age") or "nan")
        codes = ast.literal_eval(row["all_diag_all"] or "[]")
        labels[row["study_id"]] = about, (conditions_of(codes) if codes else None)
    return labels or None


def _admissions(folder: Path) -> Mapping[str, list[Admission]] | None:
    said: dict[str, np.ndarray] = {}
    for row in _rows(folder, "diagnoses_icd", ("hadm_id", "icd_code", "icd_version")):
        stay = said.setdefault(row["hadm_id"], np.zeros(len(CONDITIONS), dtype=bool))
        stay |= conditions_of([row["icd_code"]], int(row["icd_version"]))
    if not said:
        return None
    stays: dict[str, list[Admission]] = defaultdict(list)
    for row in _rows(folder, "admissions", ("subject_id", "hadm_id", "admittime", "dischtime")):
        if row["hadm_id"] in said:
            times = datetime.fromisoformat(row["admittime"]), datetime.fromisoformat(row["dischtime"])
            stays[row["subject_id"]].append((*times, said[row["hadm_id"]]))
    return stays


def _rows(folder: Path, name: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of `name.csv` or `name.csv.gz` in the folder or in its `hosp`; none where it is not there."""
    places = [folder / part / f"{name}.csv{end}" for part in ("", "hosp") for end in ("", ".gz")]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        return
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or [])]
        if missing:
            raise SourceError(f"{path.name}: no column {', '.join(missing)}")
        yield from reader
