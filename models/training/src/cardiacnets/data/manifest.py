"""A cohort as a list of ECG files and what is known of each. Every loader makes one; any hospital can write one.

As CSV (`csv:FILE`): a header row with `file` (WFDB header or CardioSoft XML, relative to the CSV) and, as known,
`person`, `sex` (male, female), `age` (years), `height` (cm), `weight` (kg), the five conditions (1, 0 or empty),
indices by id or UK Biobank field (`lvEf`, `24103` or `24103-2.0`), `short_axis` and `four_chamber` (zips of DICOM) and
`split` (train, val, test). It is the file of `cli evaluate` with more columns.
"""

import csv
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiacnets.data.errors import SourceError
from cardiacnets.domain import CONDITIONS, INDICES, PERSON_FIELDS, VIEWS, View

SPLITS = ("train", "val", "test")
SHARES = (0.7, 0.8)
"""Where train ends, and where val ends: 7:1:2, as the paper."""
FIRST_FIELD = 24100
_FIELD = re.compile(r"p?(\d{5})(?:-\d+\.\d+|_i\d+)?")


def unknown(count: int) -> NDArray[np.float32]:
    """NaN, `count` times."""
    return np.full(count, np.nan, dtype=np.float32)


_NO_INDICES = unknown(len(INDICES))
"""One for all: 800,000 ECGs without indices would else hold 300 MB of NaN."""


@dataclass(frozen=True)
class Entry:
    """One ECG. NaN where nothing is known."""

    ecg: Path
    person: str
    about: NDArray[np.float32] = field(default_factory=lambda: unknown(len(PERSON_FIELDS)))
    """[4] sex (0 male, 1 female), age, height, weight."""
    conditions: NDArray[np.float32] = field(default_factory=lambda: unknown(len(CONDITIONS)))
    indices: NDArray[np.float32] = field(default_factory=lambda: _NO_INDICES)
    cmr: Mapping[View, Path] = field(default_factory=dict)
    """Zips of the CMR of the same visit."""
    split: str | None = None
    """Where the cohort itself says so; else by `split_of`. Empty: not to be used."""

    @property
    def is_paired(self) -> bool:
        """Whether both views belong to this ECG."""
        return all(view in self.cmr for view in VIEWS)


def split_of(person: str) -> str:
    """A person's own split, 7:1:2 by a hash of who it is: the same in every run, however the cohort grows."""
    share = int.from_bytes(hashlib.sha256(person.encode()).digest()[:8]) / 2**64
    return SPLITS[int(np.searchsorted(SHARES, share, side="right"))]


def splits_of(entries: Sequence[Entry]) -> NDArray[np.str_]:
    """[n] split of each entry.

    Raises:
        SourceError: the cohort puts one person into two splits.
    """
    stated: dict[str, str] = {}
    for entry in entries:
        if entry.split and stated.setdefault(entry.person, entry.split) != entry.split:
            raise SourceError("a person stands in two splits")
    splits = [
        entry.split if entry.split == "" else stated.get(entry.person, split_of(entry.person)) for entry in entries
    ]
    return np.array(splits, dtype="U5")


def index_of_column(name: str, instance: str | None = None) -> int | None:
    """Position among the 82 of a column named by id or UK Biobank field; `instance` leaves other visits out."""
    if name in INDICES:
        return INDICES.index(name)
    match = _FIELD.fullmatch(name)
    if match is None or not 0 <= (position := int(match.group(1)) - FIRST_FIELD) < len(INDICES):
        return None
    is_other = instance is not None and name not in (f"{match.group(1)}-{instance}.0", f"p{match.group(1)}_i{instance}")
    return None if is_other else position


def read_manifest(path: Path) -> list[Entry]:
    """The entries of a CSV manifest, in its order.

    Raises:
        SourceError: names the line and the column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            if "file" not in columns:
                raise SourceError(f"{path.name}: no column `file`")
            indices = {name: place for name in columns if (place := index_of_column(name)) is not None}
            return [_entry(path, reader.line_num, row, indices) for row in reader]
    except FileNotFoundError:
        raise SourceError(f"{path} is not there") from None


def _entry(path: Path, line: int, row: Mapping[str, str | None], indices: Mapping[str, int]) -> Entry:
    def text(column: str) -> str:
        return (row.get(column) or "").strip()

    def number(column: str, allowed: tuple[float, ...] | None = None) -> float:
        try:
            value = float(text(column)) if text(column) else math.nan
        except ValueError:
            value = math.inf
        if math.isinf(value) or (allowed and not math.isnan(value) and value not in allowed):
            raise SourceError(f"{path.name}: line {line}, column {column}")
        return value

    sexes = {"": math.nan, "male": 0.0, "m": 0.0, "female": 1.0, "f": 1.0}
    if not text("file"):
        raise SourceError(f"{path.name}: line {line}, column file")
    if text("sex").lower() not in sexes:
        raise SourceError(f"{path.name}: line {line}, column sex")
    if text("split") not in ("", *SPLITS):
        raise SourceError(f"{path.name}: line {line}, column split")
    measured = unknown(len(INDICES))
    for column, place in indices.items():
        measured[place] = number(column)
    about = [sexes[text("sex").lower()], *(number(column) for column in ("age", "height", "weight"))]
    return Entry(
        ecg=path.parent / text("file"),
        person=text("person") or f"line {line}",
        about=np.array(about, dtype=np.float32),
        conditions=np.array([number(condition, (0, 1)) for condition in CONDITIONS], dtype=np.float32),
        indices=measured,
        cmr={view: path.parent / text(view) for view in VIEWS if text(view)},
        split=text("split") or None,
    )
