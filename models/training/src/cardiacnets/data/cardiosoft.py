"""Resting ECGs in GE CardioSoft's XML, as UK Biobank gives them out (field 20205).

`StripData` has `SampleRate` (Hz), `Resolution` (µV a step) and twelve `WaveformData lead="…"` of comma-separated steps.
`RestingECGMeasurements/MedianSamples` has elements of the same name, the averaged beat, which are not read.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from cardiacnets.data.errors import RecordError
from cardiacnets.data.wfdb import Record
from cardiacnets.domain import LEADS


def read_cardiosoft(path: Path) -> Record:
    """Twelve leads in the project's order, mV.

    Raises:
        RecordError: `ecg-missing`, `ecg-unreadable`, `ecg-leads`.
    """
    try:
        strip = ElementTree.parse(path).getroot().find("StripData")
    except FileNotFoundError:
        raise RecordError("ecg-missing") from None
    except (ElementTree.ParseError, OSError, LookupError):  # LookupError: an encoding that is not known
        raise RecordError("ecg-unreadable") from None
    if strip is None:
        raise RecordError("ecg-unreadable")
    resolution = strip.find("Resolution")
    if resolution is None or resolution.get("units") not in (None, "uVperLsb"):
        raise RecordError("ecg-unreadable")
    waves = {str(wave.get("lead")).strip().upper(): wave.text or "" for wave in strip.findall("WaveformData")}
    if any(lead.upper() not in waves for lead in LEADS):
        raise RecordError("ecg-leads")
    try:
        rate_hz, microvolt = float(strip.findtext("SampleRate", "")), float(resolution.text or "")
        steps = [np.array(waves[lead.upper()].split(","), dtype=np.float64) for lead in LEADS]
    except ValueError:
        raise RecordError("ecg-unreadable") from None
    if len({len(wave) for wave in steps}) != 1 or not (rate_hz > 0 and microvolt > 0):
        raise RecordError("ecg-unreadable")
    return Record(path.stem, rate_hz, np.stack(steps) * microvolt / 1000)
