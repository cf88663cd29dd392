"""A file of a real cohort → ten seconds of twelve leads without a gap, whatever the format."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.data.cardiosoft import read_cardiosoft
from cardiacnets.data.errors import RecordError
from cardiacnets.data.wfdb import Record, read_record
from cardiacnets.data.windows import WINDOW_S, to_window
from cardiacnets.models.frontend import RATE_HZ, FrontEnd

MAX_BRIDGED_S = 0.2
"""As in serving (`maxBridgedGapMs` of the signal profile)."""


def read_ecg(path: Path) -> Record:
    """WFDB (`.hea`, or the record's name without extension) or CardioSoft XML (`.xml`).

    Raises:
        RecordError: `ecg-missing`, `ecg-unreadable`, `ecg-leads`.
    """
    if path.suffix.lower() == ".xml":
        return read_cardiosoft(path)
    header = path if path.suffix == ".hea" else path.with_name(path.name + ".hea")
    try:
        return read_record(header)
    except FileNotFoundError:
        raise RecordError("ecg-missing") from None
    except ValueError as error:
        raise RecordError("ecg-leads" if "no lead" in str(error) else "ecg-unreadable") from None
    except (OSError, IndexError):
        raise RecordError("ecg-unreadable") from None


def first_window(record: Record) -> NDArray[np.float64]:
    """mV [12][10 s]; missing samples are bridged by a line where they last no longer than `MAX_BRIDGED_S`.

    Raises:
        RecordError: `ecg-too-short`, `ecg-gap`.
    """
    samples = round(WINDOW_S * record.rate_hz)
    if record.millivolt.shape[1] < samples:
        raise RecordError("ecg-too-short")
    window = record.millivolt[:, :samples].copy()
    for lead in window:
        missing = np.isnan(lead)
        if not missing.any():
            continue
        if missing.all() or longest_run(missing) > MAX_BRIDGED_S * record.rate_hz:
            raise RecordError("ecg-gap")
        lead[missing] = np.interp(np.flatnonzero(missing), np.flatnonzero(~missing), lead[~missing])
    return window


def longest_run(flags: NDArray[np.bool_]) -> int:
    """Length of the longest stretch of true ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def trunk_input(path: Path, rate_hz: int = RATE_HZ) -> dict[str, NDArray[Any]]:
    """What a trunk that reads `rate_hz` sees of a file: `millivolt` float16 [12][10 s].

    Raises:
        RecordError: see `read_ecg` and `first_window`.
    """
    record = read_ecg(path)
    window = to_window(first_window(record), record.rate_hz)
    tensors = torch.from_numpy(window.ecg)[None], torch.from_numpy(window.amplitude)[None]
    with torch.no_grad():
        return {"millivolt": _front_end(rate_hz)(*tensors, torch.ones(1, 12))[0].numpy().astype(np.float16)}


@cache
def _front_end(rate_hz: int) -> FrontEnd:
    return FrontEnd(rate_hz)
