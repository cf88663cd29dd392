"""What can be measured on a noise-free ECG: amplitudes, intervals, axes and the shape of the beat.

The oracle reads these. They come from the rendered signal alone: of the simulation only the times and kinds of beats
are used, which any detector finds on a noise-free ECG.
"""

import numpy as np

from .anatomy import Floats
from .ecg import Ecg
from .noise import RATE_HZ, SAMPLES
from .rhythm import SINUS

BEFORE, AFTER = int(0.26 * RATE_HZ), int(0.56 * RATE_HZ)
QRS = slice(BEFORE - 20, BEFORE + 80)  # −40 to 160 ms around the onset
INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]
SHAPE_STEP = 5  # the beat itself at 100 Hz, for what no named measure catches
_PER_LEAD = ("r", "q", "s", "t_max", "t_min", "st20", "st60", "p_max", "p_min", "qrs_area", "t_area", "r_time")
_GLOBAL = (
    "heart_rate", "rr_variation", "rr_irregularity", "ectopic_share", "qrs_duration", "pr", "p_duration", "qt",
    "qrs_axis", "t_axis", "qrs_t_angle", "alternans", "notches", "voltage",
)  # fmt: skip


def feature_names() -> list[str]:
    """In the order of `measure_features`; the shape of the beat follows without names of its own."""
    return [f"{name}_{lead}" for name in _PER_LEAD for lead in INDEPENDENT] + list(_GLOBAL)


def median_beat(ecg: Ecg) -> Floats:
    """[12, 410] µV: the median of the ordinary beats, QRS onset at sample 130, PR segment at zero."""
    onset = np.rint(ecg.rhythm.time_s * RATE_HZ).astype(int)
    inside = (onset - BEFORE >= 0) & (onset + AFTER < SAMPLES)
    ordinary = inside & (ecg.rhythm.kind == SINUS)
    chosen = onset[ordinary if ordinary.any() else inside]
    beats = np.stack([ecg.clean_uv[:, at - BEFORE : at + AFTER] for at in chosen])
    beat = np.median(beats, axis=0)
    return beat - beat[:, BEFORE - 15 : BEFORE - 10].mean(axis=1)[:, None]


def measure_features(ecg: Ecg) -> np.ndarray:
    """[n] float32: named measures, then the median beat of eight leads at 100 Hz."""
    beat = median_beat(ecg)[INDEPENDENT]
    speed = np.sqrt(np.sum(np.diff(beat, axis=1) ** 2, axis=0))
    first, last = _extent(speed[QRS], 0.07)
    begin, end = QRS.start + first, QRS.start + last
    named = np.concatenate([_lead_measures(beat, begin, end), _global_measures(ecg, beat, speed, begin, end)])
    smooth = beat[:, : beat.shape[1] // SHAPE_STEP * SHAPE_STEP].reshape(8, -1, SHAPE_STEP).mean(axis=2)
    return np.concatenate([named, smooth.ravel()]).astype(np.float32)


def _extent(values: Floats, share: float) -> tuple[int, int]:
    """First and last sample above a share of the maximum."""
    above = np.flatnonzero(values > share * values.max())
    return int(above[0]), int(above[-1])


def _lead_measures(beat: Floats, begin: int, end: int) -> Floats:
    qrs = beat[:, begin : end + 1]
    top = qrs.argmax(axis=1)
    q = np.array([-lead[: at + 1].min() for lead, at in zip(qrs, top, strict=True)])
    s = np.array([-lead[at:].min() for lead, at in zip(qrs, top, strict=True)])
    wave, p = beat[:, end + 40 :], beat[:, : begin - 15]
    at60 = min(end + 30, beat.shape[1] - 1)
    rows = [
        qrs.max(axis=1), q, s, wave.max(axis=1), wave.min(axis=1), beat[:, end + 10], beat[:, at60],
        p.max(axis=1), p.min(axis=1), qrs.sum(axis=1), wave.sum(axis=1), top.astype(float),
    ]  # fmt: skip
    return np.concatenate(rows)


def _global_measures(ecg: Ecg, beat: Floats, speed: Floats, begin: int, end: int) -> Floats:
    rr = np.diff(ecg.rhythm.time_s)
    ordinary = (ecg.rhythm.kind[1:] == SINUS) & (ecg.rhythm.kind[:-1] == SINUS)
    normal = rr[ordinary] if ordinary.any() else rr
    qrs, wave = beat[:, begin : end + 1], beat[:, end + 40 :]
    energy = np.sqrt(np.sum(wave**2, axis=0))
    t_last = end + 40 + _extent(energy, 0.15)[1]
    atrial = np.sqrt(np.sum(beat[:, : begin - 12] ** 2, axis=0))
    p_first, p_last = _extent(atrial, 0.25)
    # Frank's axes from the leads that lie nearest to them: I and V6, aVF, V2.
    axes = np.array([[1, 0, 0, 0, 0, 0, 0, 1], [-0.5, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, -1, 0, 0, 0, 0]])
    qrs_vector, t_vector = axes @ qrs.sum(axis=1), axes @ wave.sum(axis=1)
    cosine = qrs_vector @ t_vector / (np.linalg.norm(qrs_vector) * np.linalg.norm(t_vector) + 1e-9)
    turns = np.sum(np.diff(np.sign(np.diff(qrs, axis=1)), axis=1) != 0)
    onset = np.rint(ecg.rhythm.time_s * RATE_HZ).astype(int)
    onset = onset[(onset > 20) & (onset + 80 < SAMPLES) & (ecg.rhythm.kind == SINUS)]
    heights = np.array([np.ptp(ecg.clean_uv[8, at - 20 : at + 80]) for at in onset])
    swing = abs(heights[::2].mean() - heights[1::2].mean()) / heights.mean() if heights.size > 1 else 0.0
    return np.array([
        60 / rr.mean(), normal.std() / normal.mean(), np.abs(np.diff(rr)).mean() / rr.mean() if rr.size > 1 else 0.0,
        np.mean(ecg.rhythm.kind != SINUS), end - begin, begin - p_first, p_last - p_first, t_last - begin,
        np.arctan2(qrs_vector[1], qrs_vector[0]), np.arctan2(t_vector[1], t_vector[0]), cosine, swing, turns,
        np.ptp(qrs, axis=1).sum(),
    ])  # fmt: skip
