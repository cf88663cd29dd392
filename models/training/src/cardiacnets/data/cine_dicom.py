"""A study's zip of DICOM files → the cine of one view as the cohort's are: 50 frames, 128 × 128 pixels of 1.8 mm, grey.

UK Biobank (fields 20208, long axis, and 20209, short axis) names its series `CINE_segmented_SAX_b1`, `_b2`, … (a slice
each; some studies have one mixed series without a number) and `CINE_segmented_LAX_4Ch`. A slice that was taken twice is
in two series; the one with more frames counts, of equals the later. Only the frames that are used are decoded.
"""

import io
import re
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from cardiacnets.cohort.cmr import FIELD
from cardiacnets.cohort.motion import FRAMES
from cardiacnets.data.cmr_preparation import crop, middle_slice, resample_phases, resample_pixels, to_grey
from cardiacnets.data.errors import RecordError
from cardiacnets.domain import View

SERIES: dict[View, re.Pattern[str]] = {
    "short_axis": re.compile(r"CINE_segmented_SAX(?:_b(\d+))?", re.IGNORECASE),
    "four_chamber": re.compile(r"CINE_segmented_LAX_4Ch()", re.IGNORECASE),
}
LEAST_SLICES = 3
"""Of a short-axis stack. More than the paper's ten are taken as well: UK Biobank's stacks have up to thirteen."""
_TAGS = [
    "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber", "TriggerTime",
    "ImagePositionPatient", "ImageOrientationPatient",
]  # fmt: skip


@dataclass(frozen=True)
class _Frame:
    member: str
    slice: tuple[int, float]
    """Number `b` of the slice, else its place along the stack, mm."""
    series: tuple[int, str]
    time: tuple[float, int]


def read_view(path: Path, view: View) -> dict[str, NDArray[Any]]:
    """`frames` uint8 [50,128,128] around the middle of the picture: for the short axis of the middle slice.

    Raises:
        RecordError: `cmr-unreadable`, `cmr-view` (no such series), `cmr-slices` (fewer than three).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            cine, spacing_mm = _read_cine(archive, view)
    except RecordError:
        raise
    except Exception:  # pydicom and zlib raise nearly anything on a damaged file, and a thousand others wait
        raise RecordError("cmr-unreadable") from None
    return {"frames": to_field(cine, spacing_mm)}


def to_field(cine: NDArray[Any], spacing_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """[T,H,W] of any spacing → [50,128,128] of the cohort's, around the middle of the picture.

    Where in it the heart lies is for the stage `hearts` to find, as in virtual people.
    """
    frames = resample_phases(resample_pixels(cine, spacing_mm), FRAMES)
    middle = frames.shape[1] // 2, frames.shape[2] // 2
    return crop(to_grey(frames, middle), middle, FIELD)


def _read_cine(archive: zipfile.ZipFile, view: View) -> tuple[NDArray[np.float32], tuple[float, float]]:
    slices: dict[tuple[int, float], list[_Frame]] = defaultdict(list)
    for frame in _frames_of(archive, view):
        slices[frame.slice].append(frame)
    if not slices:
        raise RecordError("cmr-view")
    if view == "short_axis" and len(slices) < LEAST_SLICES:
        raise RecordError("cmr-slices")
    places = sorted(slices)
    chosen = _best_series(slices[places[middle_slice(len(places))]])
    if len(chosen) < 2:
        raise RecordError("cmr-unreadable")
    datasets = [pydicom.dcmread(io.BytesIO(archive.read(frame.member))) for frame in chosen]
    cine = np.stack([dataset.pixel_array.astype(np.float32) for dataset in datasets])
    row_mm, column_mm = datasets[0].PixelSpacing
    return cine, (float(row_mm), float(column_mm))


def _best_series(frames: list[_Frame]) -> list[_Frame]:
    """The series with most frames, of equals the later, in order of time."""
    series: dict[tuple[int, str], list[_Frame]] = defaultdict(list)
    for frame in frames:
        series[frame.series].append(frame)
    best = max(series, key=lambda name: (len(series[name]), name))
    return sorted(series[best], key=lambda frame: frame.time)


def _frames_of(archive: zipfile.ZipFile, view: View) -> list[_Frame]:
    frames = []
    for member in archive.namelist():
        if not member.lower().endswith(".dcm"):
            continue
        with archive.open(member) as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        match = SERIES[view].fullmatch(str(header.get("SeriesDescription", "")).strip())
        if match is None:
            continue
        number = match.group(1)
        frames.append(
            _Frame(
                member,
                (int(number), 0.0) if number else (0, _along_stack(header) if view == "short_axis" else 0.0),
                (int(header.get("SeriesNumber") or 0), str(header.get("SeriesInstanceUID", ""))),
                (float(header.get("TriggerTime") or 0), int(header.get("InstanceNumber") or 0)),
            )
        )
    return frames


def _along_stack(header: pydicom.Dataset) -> float:
    """Place of a slice along the normal of its plane, rounded to a tenth of a millimetre."""
    across, down = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
    return round(float(np.cross(across, down) @ np.array(header.ImagePositionPatient, dtype=float)), 1)
