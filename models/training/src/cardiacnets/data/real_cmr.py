"""Real cine slices with contours of the left ventricle, to measure segmentation on. Never trained on.

Sunnybrook Cardiac MR Database (Radau et al. 2009, hdl.handle.net/10380/3070; CC0) and the pig heart of the Sunnybrook
Preclinical Simulated Cardiac EP Dataset (CC0). The archives lie in `<data>/cmr` and are unpacked once into the cache.
"""

import re
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from PIL import Image

from cardiacnets.data.ptbxl import data_dir
from cardiacnets.data.windows import cache_dir

# The JPEGs carry no spacing: 320 mm over 256 pixels is what Radau et al. give for the database.
SUNNYBROOK_JPEG_MM = 320 / 256
PIG_PHASES = 20
PIG_SLICES = 20

_JPEG_ARCHIVE = "sunnybrook_8patients_ED_ES_jpg_plus_contours.tar.xz"
_DICOM_ARCHIVE = "sunnybrook_SCD0003701_dicom_ED_ES_expert.tar.xz"
_PIG_ARCHIVE = "ep_sax_cine_20slices_x_20phases_plus_lv_contours.tar.xz"


class RealCmrMissingError(FileNotFoundError):
    """An archive of real CMR is not in the data folder."""

    code = "real-cmr-missing"


@dataclass(frozen=True)
class RealSlice:
    """One short-axis frame with what was drawn on it."""

    subject: str
    level: int
    """Number of the slice in its stack, 0 nearest to the base."""
    phase: str
    """`ED`, `ES`, or the number of the frame."""
    image: NDArray[np.float32]
    """[H, W] magnitude, any unit."""
    pixel_mm: float
    endo: NDArray[np.bool_]
    """[H, W] LV cavity, papillary muscles included."""
    epi: NDArray[np.bool_] | None
    """[H, W] LV cavity and wall; None where nobody drew it (Sunnybrook draws it at end-diastole)."""


def has_real_cmr() -> bool:
    """Whether all three archives are there."""
    return all((data_dir() / "cmr" / name).exists() for name in (_JPEG_ARCHIVE, _DICOM_ARCHIVE, _PIG_ARCHIVE))


def load_sunnybrook_jpeg() -> list[RealSlice]:
    """Eight patients, end-diastole and end-systole, contours by experts. Each frame that has an inner contour."""
    folder = _unpack(_JPEG_ARCHIVE)
    slices = []
    for patient in sorted((folder / "data").iterdir()):
        contours = folder / "manual_contour" / f"SC-{patient.name}" / "contours-manual" / "IRCCI-expert"
        for letter, phase in (("d", "ED"), ("s", "ES")):
            files = sorted(patient.glob(f"{letter}-*.jpg"), key=_last_number)
            for level, file in enumerate(files):
                image = np.asarray(Image.open(file).convert("L"), dtype=np.float32)
                endo, epi = _contours(contours, _last_number(file), "manual", image.shape)
                if endo is not None:
                    slices.append(RealSlice(patient.name, level, phase, image, SUNNYBROOK_JPEG_MM, endo, epi))
    return slices


def load_sunnybrook_dicom() -> list[RealSlice]:
    """One patient, five slices, end-diastole and end-systole, contours by an expert."""
    folder = _unpack(_DICOM_ARCHIVE)
    slices = []
    for place, file in enumerate(sorted((folder / "Images_og").glob("*.dcm"), key=_last_number)):
        image, pixel_mm = _read_dicom(file)
        number = _last_number(file)
        _, epi = _contours(folder / "Expert", number, "manual", image.shape)
        # One slice has its inner contour only as a filled mask, which all have.
        filled = np.asarray(Image.open(folder / "Expert" / f"IM-0001-{number:04d}-icontour-manual.pgm")) > 0
        # Files alternate: end-diastole and end-systole of one slice after the other.
        slices.append(RealSlice("SCD0003701", place // 2, ("ED", "ES")[place % 2], image, pixel_mm, filled, epi))
    return slices


def load_pig() -> list[RealSlice]:
    """A pig's cine, 20 slices × 20 phases from the great vessels to beyond the apex.

    Its contours are the data set's own automatic ones (`-auto`), drawn on every slice, ventricle or not.
    """
    folder = _unpack(_PIG_ARCHIVE)
    slices = []
    for number in range(1, PIG_SLICES * PIG_PHASES + 1):
        image, pixel_mm = _read_dicom(folder / "E774S5-shortAxis" / f"I{number:04d}.dcm")
        endo, epi = _contours(folder / "lvContours", number, "auto", image.shape)
        assert endo is not None, "the pig has a contour on every slice"
        level, phase = divmod(number - 1, PIG_PHASES)
        slices.append(RealSlice("pig", level, str(phase), image, pixel_mm, endo, epi))
    return slices


def fill_contour(points: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels [H, W] whose centre lies within the closed line through `points` [n, 2], (column, row) in pixels.

    Places are counted from the corner of the first pixel, whose centre is (0.5, 0.5): so the filled masks beside nine
    of Sunnybrook's contours are met with a Dice of .99; .97 with centres at whole numbers.
    """
    low = np.floor(points.min(axis=0)).astype(int).clip(0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 1, (shape[1], shape[0]))
    columns, rows = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    within = Outline(points).contains_points(np.column_stack([columns.ravel(), rows.ravel()]) + 0.5)
    mask = np.zeros(shape, dtype=bool)
    mask[low[1] : high[1], low[0] : high[0]] = within.reshape(rows.shape)
    return mask


def _contours(folder: Path, number: int, kind: str, shape: tuple[int, int]) -> Iterator[NDArray[np.bool_] | None]:
    """Inner and outer filled contour of that image, None where there is none."""
    for letter in "io":
        file = folder / f"IM-0001-{number:04d}-{letter}contour-{kind}.txt"
        yield fill_contour(np.loadtxt(file), shape) if file.exists() else None


def _read_dicom(file: Path) -> tuple[NDArray[np.float32], float]:
    dataset = pydicom.dcmread(file)
    return dataset.pixel_array.astype(np.float32), float(dataset.PixelSpacing[0])


def _last_number(file: Path) -> int:
    return int(re.findall(r"\d+", file.stem)[-1])


def _unpack(archive: str) -> Path:
    """The unpacked folder of an archive; moved into place whole, so that a kill leaves nothing half done.

    Raises:
        RealCmrMissingError: the archive is not in the data folder.
    """
    source = data_dir() / "cmr" / archive
    folder = cache_dir() / "cmr" / archive.removesuffix(".tar.xz")
    if folder.exists():
        return folder
    if not source.exists():
        raise RealCmrMissingError(f"{source} is absent: see the README of the shared data")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(source) as tar:
        tar.extractall(part, filter="data")
    part.rename(folder)
    return folder
