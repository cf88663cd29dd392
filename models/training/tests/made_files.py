"""Small files in the formats of real cohorts, made up: UK Biobank's ECG XML and CMR zips, MIMIC's WFDB."""

import zipfile
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from cardiacnets.domain import LEADS
from cardiacnets.reference.synthetic import synthetic_ecg

RATE_HZ = 500
UV_PER_STEP = 5


def made_ecg(seed, seconds=10):
    """mV [12][seconds · 500]."""
    whole = synthetic_ecg(np.random.default_rng(seed), leads=12, heart_rate_bpm=60 + seed % 40, noise_mv=0.01)
    return np.tile(whole, 2)[:, : seconds * RATE_HZ]


def write_cardiosoft(path, millivolt, leads=LEADS, resolution=UV_PER_STEP, units="uVperLsb"):
    """A resting ECG as UK Biobank field 20205 has it, tabs and line breaks included, an averaged beat beside it."""
    steps = np.rint(millivolt * 1000 / resolution).astype(int)

    def wave(lead, samples):
        lines = [",".join(map(str, samples[start : start + 20])) for start in range(0, len(samples), 20)]
        return f'<WaveformData lead="{lead}">\n\t\t' + ",\n\t\t".join(lines) + "</WaveformData>"

    strip = "\n".join(wave(lead, steps[k]) for k, lead in enumerate(leads))
    median = "\n".join(wave(lead, steps[k, :600] * 0) for k, lead in enumerate(leads))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<CardiologyXML><ObservationType>RestECG</ObservationType>
<RestingECGMeasurements><MedianSamples><NumberOfLeads>12</NumberOfLeads>{median}</MedianSamples></RestingECGMeasurements>
<StripData><NumberOfLeads>{len(leads)}</NumberOfLeads><SampleRate units="Hz">{RATE_HZ}</SampleRate>
<ChannelSampleCountTotal>{steps.shape[1]}</ChannelSampleCountTotal>
<Resolution units="{units}">{resolution}</Resolution>
{strip}
</StripData></CardiologyXML>""",
        encoding="latin-1",
    )
    return path


def write_wfdb(header, millivolt, leads=LEADS, gain=200):
    """Format 16, as MIMIC-IV-ECG; NaN becomes the invalid sample."""
    header.parent.mkdir(parents=True, exist_ok=True)
    steps = np.where(np.isnan(millivolt), -0x8000, np.rint(np.nan_to_num(millivolt) * gain)).astype("<i2")
    dat = header.with_suffix(".dat")
    dat.write_bytes(np.ascontiguousarray(steps.T).tobytes())
    lines = [f"{header.stem} {len(leads)} {RATE_HZ} {steps.shape[1]} 00:00:00 01/01/2150"]
    lines += [f"{dat.name} 16 {gain}.0(0)/mV 16 0 0 0 0 {lead}" for lead in leads]
    header.write_text("\n".join([*lines, "# made up"]) + "\n")
    return header


def dicom_frame(pixels, description, series, time_ms, place_mm=0.0, spacing=(1.8, 1.8)):
    """Bytes of one MR image; `series` is (number, UID)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    frame = Dataset()
    frame.file_meta = meta
    frame.SOPClassUID, frame.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    frame.Modality, frame.SeriesDescription = "MR", description
    frame.SeriesNumber, frame.SeriesInstanceUID = series
    frame.InstanceNumber, frame.TriggerTime = int(time_ms), float(time_ms)
    frame.ImagePositionPatient, frame.ImageOrientationPatient = [0.0, 0.0, float(place_mm)], [1.0, 0, 0, 0, 1, 0]
    frame.Rows, frame.Columns = pixels.shape
    frame.PixelSpacing = list(spacing)
    frame.SamplesPerPixel, frame.PhotometricInterpretation = 1, "MONOCHROME2"
    frame.BitsAllocated, frame.BitsStored, frame.HighBit, frame.PixelRepresentation = 16, 12, 11, 0
    frame.PixelData = pixels.astype("<u2").tobytes()
    buffer = BytesIO()
    frame.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def write_zip(path, frames):
    """A study of DICOM frames in a shuffled order, with the list that UK Biobank puts beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(len(frames)).permutation(len(frames))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.csv", "filename,patientid\n")
        for place in order:
            archive.writestr(f"1.3.12.{place}.dcm", frames[place])
    return path


def disc(size, radius, level=900):
    """A bright disc in the middle of [size, size]."""
    row, column = np.mgrid[:size, :size] - size // 2
    return np.where(np.hypot(row, column) < radius, level, 40).astype(np.uint16)


def short_axis_frames(radius=24, slices=5, phases=4, size=64, numbered=True):
    """A stack whose discs shrink from base to apex; each slice is a series, or all are one."""
    frames = []
    for level in range(slices):
        name = f"CINE_segmented_SAX_b{level + 1}" if numbered else "CINE_segmented_SAX"
        series = (10 + level if numbered else 10, f"1.2.{level if numbered else 0}")
        for phase in range(phases):
            pixels = disc(size, radius - level - phase / 2)
            frames.append(dicom_frame(pixels, name, series, 20 * phase, place_mm=10 * level))
    inline = dicom_frame(disc(size, 3), "CINE_segmented_SAX_InlineVF", (99, "1.2.99"), 0, place_mm=20)
    return [*frames, inline]


def four_chamber_frames(radius=24, phases=4, size=64):
    """The four-chamber series beside the two-chamber one."""
    views = [("CINE_segmented_LAX_2Ch", 15), ("CINE_segmented_LAX_4Ch", radius)]
    return [
        dicom_frame(disc(size, r - phase / 2), name, (1 + k, f"1.3.{k}"), 20 * phase)
        for k, (name, r) in enumerate(views)
        for phase in range(phases)
    ]
