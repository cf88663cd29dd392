"""A person's 12-lead ECG: ten seconds at 500 Hz, from the electric heart through the lead field, with real noise."""

from dataclasses import dataclass

import numpy as np

from .anatomy import Floats
from .electrics import SOURCE_COUNT, Electrics, draw_electrics
from .leads import lead_field, twelve_leads
from .noise import RATE_HZ, SAMPLES, electrode_noise
from .person import ECG_STREAM, Person, generator
from .rhythm import VENTRICULAR, Rhythm, draw_rhythm

_T_GROUPS = np.array([-0.012, 0.0, 0.014])  # repolarisation times that stand for all, s
ATRIA_CM = np.array([[-8.0, -3.5, 2.0], [-4.0, -3.5, 6.5]])  # right and left atrium from the centre of the ventricles
FULL_SCALE_UV = 32767


@dataclass(frozen=True)
class Ecg:
    """One recording with what made it."""

    clean_uv: Floats  # [12, 5000], without noise
    recorded_uv: np.ndarray  # [12, 5000] int16
    rhythm: Rhythm
    electrics: Electrics


@dataclass(frozen=True)
class _Coefficients:
    """Electrode potentials in µV of each source's unit waveform, [9, ...]."""

    qrs: Floats  # [9, 22]
    t: Floats  # [9, 3], by group of repolarisation time
    secondary_t: Floats  # [9]
    st: Floats  # [9]
    p: Floats  # [9, 2]
    pr: Floats  # [9]
    centre: Floats  # [9, 3]


def render_ecg(person: Person, seed: int) -> Ecg:
    """The recording of that person in the cohort `seed`."""
    rng = generator(seed, person.index, ECG_STREAM)
    electrics, rhythm, electrodes = _draw(person, rng)
    clean = twelve_leads(electrodes)
    electrodes += electrode_noise(rng)
    recorded = np.clip(np.rint(twelve_leads(electrodes)), -FULL_SCALE_UV, FULL_SCALE_UV).astype(np.int16)
    return Ecg(clean, recorded, rhythm, electrics)


def render_clean(person: Person, seed: int) -> Ecg:
    """As `render_ecg`, but nothing was recorded: it takes half as long."""
    electrics, rhythm, electrodes = _draw(person, generator(seed, person.index, ECG_STREAM))
    return Ecg(twelve_leads(electrodes), np.zeros((12, 0), np.int16), rhythm, electrics)


def _draw(person: Person, rng: np.random.Generator) -> tuple[Electrics, Rhythm, Floats]:
    electrics = draw_electrics(person, rng)
    rhythm = draw_rhythm(person, rng)
    return electrics, rhythm, _heart_potentials(electrics, rhythm, rng)


def _coefficients(electrics: Electrics) -> _Coefficients:
    heart = electrics.heart_cm[None]
    field = (
        lead_field(electrics.electrodes_cm, np.concatenate([electrics.position_cm, heart]), electrics.transfer) * 1000
    )
    ventricles, centre = field[:, :SOURCE_COUNT], field[:, -1]
    # The atria lie deeper than the ventricles, where more of the distance to an electrode is left.
    atria = lead_field(electrics.electrodes_cm, heart + ATRIA_CM, electrics.transfer, nearness=0.8) * 1000
    t = np.einsum("eki,ki->ek", ventricles, electrics.t)
    group = np.abs(electrics.t_lag_s[:, None] - _T_GROUPS).argmin(axis=1)
    return _Coefficients(
        qrs=np.einsum("eki,ki->ek", ventricles, electrics.qrs),
        t=np.stack([t[:, group == g].sum(axis=1) for g in range(_T_GROUPS.size)], axis=1),
        secondary_t=centre @ electrics.secondary_t,
        st=np.einsum("eki,ki->e", ventricles, electrics.st),
        p=np.einsum("eki,ki->ek", atria, electrics.p),
        pr=centre @ electrics.pr_shift,
        centre=centre,
    )


def _heart_potentials(electrics: Electrics, rhythm: Rhythm, rng: np.random.Generator) -> Floats:
    """[9, 5000] µV at the electrodes."""
    coefficients = _coefficients(electrics)
    potentials = np.zeros((9, SAMPLES))
    # Breathing moves the heart: amplitudes of all electrodes follow, each a little differently.
    breath = electrics.respiration * (1 + 0.5 * rng.normal(size=9))
    mean_rr = float(np.mean(rhythm.rr_s))
    ectopic = _ectopic(electrics, rng)
    for number, (onset, rr, kind) in enumerate(zip(rhythm.time_s, rhythm.rr_s, rhythm.kind, strict=True)):
        phase = 2 * np.pi * rhythm.respiration_hz * onset + rhythm.respiration_phase
        gain = (1 + breath * np.sin(phase)) * (1 + electrics.alternans * (-1) ** number)
        qt = electrics.qt_s * np.clip(rr / mean_rr, 0.6, 1.5) ** 0.20
        if kind == VENTRICULAR:
            _add_ventricular(potentials, coefficients.centre, ectopic, onset, gain)
            continue
        _add_ventricles(potentials, coefficients, electrics, onset, qt, gain)
        if not rhythm.fibrillation:
            _add_atria(potentials, coefficients, electrics, onset, kind, gain)
    if rhythm.fibrillation:
        potentials += coefficients.centre @ _fibrillation(rng)
    return potentials


def _window(start_s: float, stop_s: float) -> tuple[slice, Floats]:
    """Samples of the recording between two times, and their times."""
    first, last = max(int(np.ceil(start_s * RATE_HZ)), 0), min(int(stop_s * RATE_HZ), SAMPLES)
    return slice(first, max(first, last)), np.arange(first, max(first, last)) / RATE_HZ


def _bell(time: Floats, centre: Floats | float, width: Floats | float) -> Floats:
    return np.exp(-0.5 * ((time - centre) / width) ** 2)


def _peak(time: Floats, centre: float, rise: float, fall: float) -> Floats:
    """A bell with its own width on either side."""
    return _bell(time, centre, np.where(time < centre, rise, fall))


def _add_ventricles(
    potentials: Floats, coefficients: _Coefficients, electrics: Electrics, onset: float, qt: float, gain: Floats
) -> None:
    rise, fall = electrics.t_shape_s
    last = float(electrics.qrs_time_s.max())
    samples, time = _window(onset - 0.045, onset + last + 0.065)
    pulses = _bell(time, onset + electrics.qrs_time_s[:, None], electrics.qrs_width_s[:, None])
    potentials[:, samples] += gain[:, None] * (coefficients.qrs @ pulses)

    peak = onset + qt - 2.3 * fall
    samples, time = _window(onset, peak + 0.42)
    shapes = np.stack([_peak(time, peak + lag, rise, fall) for lag in _T_GROUPS])
    start = onset + electrics.qrs_duration_s + 0.004
    plateau = 1 / ((1 + np.exp(-(time - start) / 0.006)) * (1 + np.exp((time - peak) / 0.020)))
    wave = _peak(time, peak + 0.165, 0.040, 0.055)  # U, in the direction of T
    repolarisation = coefficients.t @ shapes + np.outer(coefficients.st, plateau)
    repolarisation += np.outer(coefficients.secondary_t, shapes[1])
    repolarisation += np.outer(electrics.u_share * coefficients.t.sum(axis=1), wave)
    potentials[:, samples] += gain[:, None] * repolarisation


def _add_atria(
    potentials: Floats, coefficients: _Coefficients, electrics: Electrics, onset: float, kind: int, gain: Floats
) -> None:
    begin = onset - electrics.pr_s
    samples, time = _window(begin - 0.03, onset + 0.12)
    waves = _bell(time, begin + electrics.p_time_s[:, None], electrics.p_width_s[:, None])
    if kind:  # an atrial ectopic beat starts elsewhere
        waves = np.stack([-0.3 * waves[1], 0.9 * waves[0]])
    level = 1 / ((1 + np.exp(-(time - begin - 0.09) / 0.012)) * (1 + np.exp((time - onset - 0.04) / 0.015)))
    potentials[:, samples] += gain[:, None] * (coefficients.p @ waves + np.outer(coefficients.pr, level))


@dataclass(frozen=True)
class _Ectopic:
    vectors: Floats  # [3, 3] mV, three phases of a slow activation
    time_s: Floats
    width_s: Floats
    t: Floats  # [3]
    qt_s: float


def _ectopic(electrics: Electrics, rng: np.random.Generator) -> _Ectopic:
    """A ventricular focus, right outflow tract more often than elsewhere: slow, wide, with T opposite to QRS."""
    outflow = np.array([0.3, 0.85, 0.35]) if rng.random() < 0.5 else rng.normal(size=3)
    direction = outflow / np.linalg.norm(outflow)
    vectors = rng.uniform(0.9, 1.7) * (direction + 0.35 * rng.normal(size=(3, 3))) * np.array([[0.45], [1.0], [0.55]])
    width = np.array([0.016, 0.019, 0.017]) * rng.uniform(0.9, 1.2)
    time = np.array([0.035, 0.070, 0.105]) * rng.uniform(0.95, 1.25)
    area = (vectors * width[:, None]).sum(axis=0) * np.sqrt(2 * np.pi)
    t = -0.9 * area / (np.sqrt(np.pi / 2) * sum(electrics.t_shape_s))
    return _Ectopic(vectors, time, width, t, electrics.qt_s + 0.04)


def _add_ventricular(potentials: Floats, centre: Floats, ectopic: _Ectopic, onset: float, gain: Floats) -> None:
    samples, time = _window(onset - 0.04, onset + ectopic.qt_s + 0.15)
    pulses = _bell(time, onset + ectopic.time_s[:, None], ectopic.width_s[:, None])
    wave = _peak(time, onset + ectopic.qt_s - 0.09, 0.065, 0.045)
    potentials[:, samples] += gain[:, None] * (centre @ (ectopic.vectors.T @ pulses + np.outer(ectopic.t, wave)))


def _fibrillation(rng: np.random.Generator) -> Floats:
    """[3, 5000] mV: f-waves of 5–8 Hz whose rate and size wander, along the right atrium."""
    time = np.arange(SAMPLES) / RATE_HZ
    wander = np.cumsum(rng.normal(size=SAMPLES)) * np.sqrt(1 / RATE_HZ)
    angle = 2 * np.pi * (rng.uniform(5, 8) * time + 0.35 * wander)
    size = rng.uniform(0.015, 0.06) * (1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.9) * time + rng.uniform(0, 6)))
    wave = size * (np.sin(angle) + 0.35 * np.sin(2 * angle + 0.6))
    direction = np.array([-0.35, 0.45, -0.75]) + 0.2 * rng.normal(size=3)
    return np.outer(direction, wave)
