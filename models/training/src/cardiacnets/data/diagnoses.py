"""Diagnosis codes → the five conditions, by `diagnosis_codes.csv` beside this file; its codes stand for all below them.

The notes on the paper (shared/reference) name the five conditions but no codes, so the table is ours: the categories of
ICD-10 (WHO, chapter IX) and of ICD-9-CM that carry the condition's name. Edit it for another definition.
"""

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiacnets.domain import CONDITIONS

TABLE = Path(__file__).with_name("diagnosis_codes.csv")


@cache
def prefixes(version: int = 10, table: Path = TABLE) -> tuple[tuple[str, ...], ...]:
    """Beginnings of the codes of each condition, in the order of `CONDITIONS`."""
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["version"]) == version]
    return tuple(tuple(row["code"] for row in rows if row["condition"] == condition) for condition in CONDITIONS)


def conditions_of(codes: Iterable[str], version: int = 10) -> NDArray[np.bool_]:
    """[5]: which conditions the codes say. Dots and case do not matter: `I25.5` is `I255`."""
    plain = [code.strip().replace(".", "").upper() for code in codes]
    return np.array([any(code.startswith(own) for code in plain) for own in prefixes(version)])
