"""A small WFDB reader for evaluation records: format 16 (.dat, .mat with an offset), all signals in one file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiacnets.domain import LEADS

INVALID = -0x8000
"""The sample that format 16 marks a missing one with."""


@dataclass(frozen=True)
class Record:
    """Twelve leads in the project's order, mV [12][samples]."""

    name: str
    rate_hz: float
    millivolt: NDArray[np.float64]
    """NaN where a sample is missing."""


def read_record(header: Path) -> Record:
    """Read `header` (.hea) and its signal file; ValueError names what is not understood."""
    lines = [line for line in header.read_text().splitlines() if line and not line.startswith("#")]
    fields = lines[0].split()
    signals, rate_hz = int(fields[1]), float(fields[2].split("/")[0])
    columns: dict[str, tuple[float, float]] = {}
    offset = 0
    for line in lines[1 : signals + 1]:
        file, fmt, gain, *rest = line.split()
        base_format, _, skipped = fmt.partition("+")
        if base_format not in ("16", "16x1"):
            raise ValueError(f"{header.name}: format {fmt} is not read here")
        offset = int(skipped or 0)
        gain, _, unit = gain.partition("/")
        value, _, baseline = gain.partition("(")
        zero = float(baseline.rstrip(")")) if baseline else float(rest[1])
        if unit.lower() not in ("", "mv"):
            raise ValueError(f"{header.name}: unit {unit} is not read here")
        columns[rest[-1].upper()] = (float(value), zero)
    raw = np.frombuffer((header.parent / file).read_bytes()[offset:], dtype="<i2").reshape(-1, signals).astype(float)
    raw[raw == INVALID] = np.nan
    missing = [lead for lead in LEADS if lead.upper() not in columns]
    if missing:
        raise ValueError(f"{header.name}: no lead {', '.join(missing)}")
    names = list(columns)
    picked = [(raw[:, names.index(lead.upper())], columns[lead.upper()]) for lead in LEADS]
    return Record(header.stem, rate_hz, np.stack([(column - zero) / gain for column, (gain, zero) in picked]))
