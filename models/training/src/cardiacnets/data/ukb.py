"""UK Biobank, first imaging visit (instance 2): a folder of bulk files and tables → entries.

Bulk files anywhere below the folder, by their own names: `{eid}_20205_2_0.xml` (ECG), `{eid}_20209_2_0.zip` (CMR, short
axis) and `{eid}_20208_2_0.zip` (long axis). Tables: every `.csv` in the folder itself that has a column `eid`; columns
are named as `24103-2.0` or `p24103_i2`:

- 24100 to 24181: the 82 indices;
- 31 sex, 21003 age at the visit, 12144 height, 12143 weight (at imaging);
- 41270 diagnoses, ICD-10: one code a column (`41270-0.7`) or a list in one (`p41270`); or a long table with
  `diag_icd10`, one code a row (`hesin_diag`). At any time: a diagnosis after the visit counts as one before it. Who is
  in the cohort and has no code has not the condition; without any such table, nobody knows.

`w*.csv` without a header, as UK Biobank sends it, lists people who have withdrawn: they are left out of every split.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cardiacnets.data.diagnoses import conditions_of
from cardiacnets.data.errors import SourceError
from cardiacnets.data.manifest import Entry, index_of_column, unknown
from cardiacnets.domain import CONDITIONS, INDICES, View

INSTANCE = "2"
ECG_FIELD = "20205"
CMR_FIELDS: Mapping[str, View] = {"20209": "short_axis", "20208": "four_chamber"}
DIAGNOSES = "41270"
# Position among PERSON_FIELDS → field and instance. Sex is asked for at recruitment only.
ABOUT = {0: ("31", "0"), 1: ("21003", INSTANCE), 2: ("12144", INSTANCE), 3: ("12143", INSTANCE)}
_BULK = re.compile(rf"(\d+)_(20205|20208|20209)_{INSTANCE}_(\d+)\.(?:xml|zip)", re.IGNORECASE)
_CODE = re.compile(r"[A-Z]\d[\dA-Z.]*")


@dataclass
class Participant:
    """What the tables say of one person."""

    about: np.ndarray = field(default_factory=lambda: unknown(4))
    indices: np.ndarray = field(default_factory=lambda: unknown(len(INDICES)))
    codes: set[str] = field(default_factory=set)


def index_ukb(folder: Path) -> list[Entry]:
    """One entry an ECG, sorted by person; the CMR of the visit goes with the first ECG of it.

    Raises:
        SourceError: there is no ECG, or a table says something impossible.
    """
    ecgs, cmr = _bulk_files(folder)
    if not ecgs:
        raise SourceError(f"no {{eid}}_{ECG_FIELD}_{INSTANCE}_0.xml below {folder}")
    people, has_diagnoses, withdrawn = _read_tables(folder, set(ecgs))
    entries = []
    for eid in sorted(ecgs, key=int):
        person = people[eid]
        conditions = unknown(len(CONDITIONS))
        if has_diagnoses:
            conditions[:] = conditions_of(person.codes)
        for array, path in sorted(ecgs[eid].items()):
            entries.append(
                Entry(
                    ecg=path,
                    person=eid,
                    about=person.about,
                    conditions=conditions,
                    indices=person.indices,
                    cmr=cmr[eid] if array == min(ecgs[eid]) else {},
                    split="" if eid in withdrawn else None,
                )
            )
    return entries


def _bulk_files(folder: Path) -> tuple[dict[str, dict[int, Path]], dict[str, dict[View, Path]]]:
    ecgs: dict[str, dict[int, Path]] = defaultdict(dict)
    cmr: dict[str, dict[View, Path]] = defaultdict(dict)
    for path in folder.rglob("*"):
        match = _BULK.fullmatch(path.name)
        if match is None:
            continue
        eid, bulk, array = match.groups()
        if bulk == ECG_FIELD:
            ecgs[eid][int(array)] = path
        elif int(array) == 0:
            cmr[eid][CMR_FIELDS[bulk]] = path
    return ecgs, cmr


def _read_tables(folder: Path, wanted: set[str]) -> tuple[dict[str, Participant], bool, set[str]]:
    """Everything that the tables say of `wanted`, whether any has diagnoses, and who has withdrawn."""
    people: dict[str, Participant] = defaultdict(Participant)
    withdrawn: set[str] = set()
    has_diagnoses = False
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            if "eid" not in header:
                if path.name.lower().startswith("w"):
                    withdrawn.update(row[0].strip() for row in [header, *rows] if row and row[0].strip())
                continue
            has_diagnoses |= _read_table(path.name, header, rows, wanted, people)
    return people, has_diagnoses, withdrawn


def _read_table(
    name: str, header: list[str], rows: Iterator[list[str]], wanted: set[str], people: dict[str, Participant]
) -> bool:
    """Add a table's rows to `people`; true when it holds diagnoses."""
    eid = header.index("eid")
    indices = {
        column: place for column, title in enumerate(header) if (place := index_of_column(title, INSTANCE)) is not None
    }
    about = {column: place for column, title in enumerate(header) if (place := _about_column(title)) is not None}
    codes = [
        column
        for column, title in enumerate(header)
        if re.fullmatch(rf"{DIAGNOSES}-0\.\d+|p{DIAGNOSES}(_a\d+)?|diag_icd10", title)
    ]
    if not (indices or about or codes):
        return False
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise SourceError(f"{name}: line {line} has {len(row)} columns, not {len(header)}")
        if row[eid].strip() not in wanted:
            continue
        person = people[row[eid].strip()]
        for column, place in indices.items():
            person.indices[place] = _number(row[column], name, line, header[column], person.indices[place])
        for column, place in about.items():
            person.about[place] = _about(place, row[column], name, line, header[column], person.about[place])
        for column in codes:
            person.codes.update(_CODE.findall(row[column].upper()))
    return bool(codes)


def _about_column(title: str) -> int | None:
    """Position among PERSON_FIELDS of a column."""
    for place, (number, instance) in ABOUT.items():
        # Sex has no instance in the names of the Research Analysis Platform.
        if title in (f"{number}-{instance}.0", f"p{number}_i{instance}", *([f"p{number}"] if place == 0 else [])):
            return place
    return None


def _number(cell: str, name: str, line: int, column: str, kept: float) -> float:
    """The cell's number; what was known before where it is empty."""
    if cell.strip() in ("", "NA"):
        return kept
    try:
        return float(cell)
    except ValueError:
        raise SourceError(f"{name}: line {line}, column {column}") from None


def _about(place: int, cell: str, name: str, line: int, column: str, kept: float) -> float:
    """UK Biobank codes sex as 0 female, 1 male (coding 9), which is the other way round here."""
    words = {"female": "0", "male": "1"}
    value = _number(words.get(cell.strip().lower(), cell) if place == 0 else cell, name, line, column, kept)
    is_read = place == 0 and cell.strip() not in ("", "NA")
    return 1 - value if is_read else value
