"""The heart as an electric source: nineteen patches of wall that depolarise in turn, and the atria.

The heart vector is the sum of the patches' dipoles, each a Gaussian pulse at its own place and time, so that the vector
moves through the heart as activation does. Order of activation after Durrer et al. 1970 (Circulation 41:899).
Repolarisation keeps Wilson's ventricular gradient: what a conduction block adds to the area of QRS it takes from the
area of T (Wilson 1934).

Disease reaches the ECG only as far as a person *expresses* it, and people carry mimics, healthy and ill alike: a fifth
of patients have a normal ECG, a third of healthy people an odd one.

How T and ST vectors scatter between people is that of real ones: `PERSONAL_T` and `PERSONAL_ST` are what
reader-normals of PTB-XL (folds 1–3) vary in beyond what the patches give, by least squares on the leads of a single
dipole.

What a block does to the vectors is that of isolated blocks of the same folds: their median R, S, T and areas of eight
leads and their spreads, by a random search. With textbook vectors alone S in V1 of a virtual
right bundle branch block was 1.0 mV deep (real: 0.15), and T in V1 upright.

So is what pressure does to the right ventricle's: virtual people with a load above .4 have the median R, S, T and ST of
statements of RVH (folds 1–7, without a complete block). Before, R in V1 was 0.21 mV high (real: 0.64), S in V6 0.11 mV
deep (0.32). 42% of virtual people with PH have that load. ECG criteria find 55% of patients (Ahearn et al. 2002, Chest
122:524), and in idiopathic PAH 87% have RVH. `statements.py` compares.
"""

from dataclasses import dataclass, field

import numpy as np

from .anatomy import APICAL_SEGMENTS, SEGMENT_ANGLE_DEG, SEGMENT_AREA_SHARE, SEGMENT_LEVEL, SEPTAL_SEGMENTS, Floats
from .leads import ELECTRODE_CM, HEART_CM, draw_transfer
from .person import CONDITIONS, Person

LV, RV = slice(0, 16), slice(16, 19)
SOURCE_COUNT = 22  # with three notches
SEPTUM, APEX = list(SEPTAL_SEGMENTS), list(APICAL_SEGMENTS)
ANTERIOR, LATERAL, INFERIOR = [0, 1, 6, 7, 12], [4, 5, 10, 11, 15], [2, 3, 8, 9, 14]

MIMICS = ("early-repolarisation", "flat-t", "voltage", "poor-r", "right", "wide", "")  # the last is too slight to see
MIMIC_SHARE = (0.20, 0.22, 0.16, 0.14, 0.12, 0.08, 0.08)
MIMIC_SHARE_OF_PEOPLE, NORMAL_ECG_IN_DISEASE = 0.30, 0.25

# Activation after QRS onset in ms, for a QRS of 90 ms: LV segments 1–16, RV free wall, inferior wall, outflow tract.
ACTIVATION_MS: Floats = np.array(
    [50, 34, 32, 56, 64, 58, 34, 16, 14, 40, 48, 42, 30, 18, 31, 34, 36, 42, 64], dtype=float
)  # fmt: skip
LBBB_MS: Floats = np.array(
    [88, 56, 56, 92, 124, 118, 76, 44, 42, 80, 108, 102, 72, 48, 76, 92, 14, 18, 30], dtype=float
)  # fmt: skip
PULSE_MS = 7.5
QRS_GAIN_MV = 9.0  # of the whole left ventricle at reference mass, so that amplitudes are those of PTB-XL
# Activation ends at the base, to the right and the back; the T vector lies in front of the QRS vector (Frank 1956).
LATE_BASAL, T_ANTERIOR = np.array([-0.20, 0.28, 0.14]), np.array([0.05, -0.06, -0.10])
T_AXIS = np.array([0.80, 0.52, -0.26])  # repolarisation turns less with the heart than activation
# Mean [3] and lower triangular spread [3, 3], mV.
PERSONAL_T = np.array([-0.015, 0.008, 0.100]), np.array([[0.05, 0, 0], [0.035, 0.02, 0], [0, 0.03, 0.07]])
PERSONAL_ST = np.array([-0.012, -0.006, -0.010]), np.array([[0.012, 0, 0], [0.008, 0.008, 0], [0.004, 0.008, 0.012]])
# A left bundle branch block turns the ventricle's vector to the back. Of what it adds to QRS's area T gives back half.
LBBB_SEPTUM, LBBB_BACK, LBBB_SLOWER, LBBB_T = 0.51, np.array([0.05, -0.01, 0.68]), 1.09, 0.54
# A right one: the septum is uncovered, the right ventricle comes late, up and to the right.
RBBB_SEPTUM, RBBB_SEPTUM_TURN, RBBB_SEPTUM_DELAY_MS = 0.146, np.array([0.10, -0.06, -1.14]), 27
RBBB_RIGHT, RBBB_RIGHT_GAIN, RBBB_RIGHT_DELAY_MS = np.array([-0.81, -0.88, -0.36]), 1.5, 50
RBBB_LEFT_GAIN, RBBB_T = 0.76, 0.73
# A left anterior hemiblock: the lower wall's vector is covered, the upper one turns up and to the back.
LAFB_LOWER, LAFB_TURN, LAFB_DELAY_MS, LAFB_T = 0.21, np.array([-0.28, 0.14, 0.23]), 11, 0.5
# A right ventricle under full pressure. A steep heart is a mimic with a share of it.
RVH_GAIN, RVH_RIGHT, RVH_DELAY_MS, RVH_WIDTH = 3.05, np.array([-0.84, -0.02, -0.02]), 12, 0.37
RVH_SEPTUM, RVH_SEPTUM_TURN, RVH_SEPTUM_DELAY_MS = 0.045, np.array([-1.54, -0.47, 0.03]), 8.5
RVH_LEFT, RVH_STEEP_DEG, RVH_TURN_DEG, RVH_IN_RBBB, RVH_MIMIC = 0.11, -23, 16, 0.1, 0.35
RVH_T, RVH_T_SEPTUM, RVH_STRAIN = 0.086, 0.24, np.array([-0.055, 0.003, 0.052])
MOST_MV = 13.0  # in very heavy hearts voltage no longer grows with mass (HCM: Am J Cardiol 2015, PubMed 25670640)
HCM_VOLTAGE = 0.85  # 36 % of patients meet Sokolow-Lyon (773, Eur Heart J Digit Health 2024, doi 10.1093/ehjdh/ztae029)
SEPTAL_SHARE = 0.19  # of the septum, the rest is cancelled by its right side


@dataclass
class Electrics:
    """Everything that turns a rhythm into a heart vector. Vectors are in mV along torso axes, times in seconds."""

    position_cm: Floats  # [22, 3]
    qrs: Floats  # [22, 3]
    qrs_time_s: Floats  # [22], from QRS onset
    qrs_width_s: Floats  # [22], standard deviation of the pulse
    t: Floats  # [22, 3]
    t_lag_s: Floats  # [22], repolarisation after the mean
    secondary_t: Floats  # [3], at the heart's centre
    st: Floats  # [22, 3]
    p: Floats  # [2, 3], right and left atrium
    p_time_s: Floats  # [2], from P onset
    p_width_s: Floats  # [2]
    pr_shift: Floats  # [3], level of the PR segment (atrial repolarisation, pericarditis)
    pr_s: float
    qt_s: float  # at the person's heart rate
    qrs_duration_s: float
    t_shape_s: tuple[float, float]  # standard deviation before and after the peak
    u_share: float
    alternans: float
    respiration: float  # share of the amplitude
    conduction: str
    electrodes_cm: Floats  # [9, 3]
    transfer: Floats  # [9, 3], lead vectors of the electrodes
    mimic: str = ""
    right_load: float = 0.0
    """How far pressure in the right ventricle shows, in [0, 1]."""
    heart_cm: Floats = field(default_factory=HEART_CM.copy)


@dataclass(frozen=True)
class _Case:
    """A person as their ECG shows them."""

    person: Person
    shown: dict[str, float]  # share of each condition that reaches the ECG
    mimic: str
    strength: float  # of the mimic


def draw_electrics(person: Person, rng: np.random.Generator) -> Electrics:
    """The electric heart of a person, with the individual variation that hides their anatomy."""
    case = _draw_case(person, rng)
    conduction = _conduction(case, rng)
    axis, septal, superior = _frame(case, rng)
    heart, electrodes = _torso(person, rng)
    position, outward = _layout(person, heart, axis, septal, superior)
    amplitude = _amplitudes(case, rng)
    duration = _qrs_duration_s(case, conduction, rng)
    qrs, time, width, area = _depolarisation(case, conduction, amplitude, duration, outward, axis, septal, rng)

    t_direction = outward.copy()
    t_direction[LV] += np.array([0.15, 0.5, 0.8])[SEGMENT_LEVEL][:, None] * (0.2 * axis + 0.8 * T_AXIS) + T_ANTERIOR
    t_direction[LV] += np.array([0.05, 0.03, 0.10]) * rng.normal(size=3)  # the T axis is a person's own
    t_weight, st_weight = _repolarisation(case, rng)
    t_shape = (0.052 * np.exp(0.12 * rng.normal()), 0.036 * np.exp(0.10 * rng.normal()))
    notch, notch_time = _notches(case, duration, rng)
    p, p_time, p_width, pr = _atria(case, rng)
    pericarditis = case.shown["pericarditis"] * person.pericarditis
    pr_shift = -0.06 * p.sum(axis=0) * np.exp(0.4 * rng.normal()) - (0.05 * pericarditis + 0.012 * rng.normal()) * axis
    none = np.zeros((3, 3))  # notches have no repolarisation of their own
    personal_t, personal_st = none.copy(), none.copy()  # at the heart's centre, where the notches are
    personal_t[0] = _personal(PERSONAL_T, rng) * (0.75 if person.female else 1.0)
    personal_st[0] = _personal(PERSONAL_ST, rng) + RVH_STRAIN * _right_load(case)
    return Electrics(
        position_cm=np.concatenate([position, np.repeat(heart[None], 3, axis=0)]),
        qrs=np.concatenate([qrs, notch]), qrs_time_s=np.concatenate([time, notch_time]),
        qt_s=_qt_s(case, duration, rng), qrs_duration_s=duration, t_shape_s=t_shape,
        qrs_width_s=np.concatenate([width, rng.uniform(0.0030, 0.0065, size=3)]),
        t=np.concatenate([t_weight[:, None] * t_direction, personal_t]),
        t_lag_s=np.concatenate([0.010 * rng.normal(size=19), np.zeros(3)]),
        secondary_t=-area / (np.sqrt(np.pi / 2) * sum(t_shape)),
        st=np.concatenate([st_weight[:, None] * t_direction, personal_st]),
        p=p, p_time_s=p_time, p_width_s=p_width, pr_shift=pr_shift, pr_s=pr,
        u_share=float(np.clip(0.04 + 0.03 * rng.normal(), 0, 0.12)),
        alternans=float(np.clip((person.effusion_mm - 18) / 30, 0, 0.3)),
        respiration=float(np.clip(0.04 * np.exp(0.5 * rng.normal()), 0.005, 0.15)),
        conduction=conduction, electrodes_cm=electrodes, transfer=draw_transfer(rng), mimic=case.mimic, heart_cm=heart,
        right_load=_right_load(case),
    )  # fmt: skip


def _personal(drawn: tuple[Floats, Floats], rng: np.random.Generator) -> Floats:
    """[3] mV: what a person's repolarisation adds of its own."""
    middle, spread = drawn
    return middle + spread @ rng.normal(size=3)


def _draw_case(person: Person, rng: np.random.Generator) -> _Case:
    shown = _expression(person, rng)
    mimic = ""
    if rng.random() < MIMIC_SHARE_OF_PEOPLE:
        # Early repolarisation is a young man's (Tikkanen et al. 2009, N Engl J Med 361:2529), low T an old person's.
        young_man = 3.0 if person.age_y < 50 and not person.female else 0.7
        share = np.array(MIMIC_SHARE) * np.array([young_man, 1, young_man**0.5, 1, 1, 1, 1])
        mimic = str(rng.choice(MIMICS, p=share / share.sum()))
    return _Case(person, shown, mimic, rng.beta(2, 2))


def _depolarisation(
    case: _Case, conduction: str, amplitude: Floats, duration: float, outward: Floats, axis: Floats, septal: Floats,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats, Floats]:  # fmt: skip
    """Vectors, times and widths of the patches, and the area [3] of QRS that a block has added (mV s)."""
    normal_time, normal_width = ACTIVATION_MS / 90 * duration, np.full(19, PULSE_MS / 90 * duration)
    direction = outward.copy()
    direction[LV] += np.array([-0.12, 0.45, 0.9])[SEGMENT_LEVEL][:, None] * axis
    direction[LV] += (SEGMENT_LEVEL == 0)[:, None] * LATE_BASAL
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    direction += 0.12 * rng.normal(size=(19, 3))
    normal = amplitude[:, None] * direction
    load = _right_load(case) * (RVH_IN_RBBB if conduction == "rbbb" else 1.0)
    _load_right(load * rng.uniform(0.6, 1.4), normal_time, normal_width, normal, septal)
    time, width, qrs = _block(conduction, duration, normal_time, normal_width, normal, axis, septal, rng)
    time = time + 0.002 * rng.normal(size=19)
    time[RV] += 0.00010 * (case.person.rv_edv_ml - 150)  # a large right ventricle is late
    area = np.sqrt(2 * np.pi) * ((qrs * width[:, None]).sum(axis=0) - (normal * normal_width[:, None]).sum(axis=0))
    area *= {"lbbb": LBBB_T, "rbbb": RBBB_T, "lafb": LAFB_T}.get(conduction, 1.0)
    return qrs, time, width, area


def _right_load(case: _Case) -> float:
    """How far pressure in the right ventricle shows on the ECG, in [0, 1]: little where it is mild."""
    return case.shown["ph"] * case.person.ph + (RVH_MIMIC * case.strength if case.mimic == "right" else 0)


def _load_right(load: float, time: Floats, width: Floats, qrs: Floats, septal: Floats) -> None:
    """Change times, widths and vectors of the patches, in place, to those of right ventricular hypertrophy."""
    strength = _length(qrs[SEPTUM]) / SEPTAL_SHARE
    qrs[LV] *= 1 - RVH_LEFT * load
    qrs[SEPTUM] += strength * (septal + RVH_SEPTUM_TURN) * RVH_SEPTUM * load
    time[SEPTUM] += RVH_SEPTUM_DELAY_MS * load / 1000
    qrs[RV] = qrs[RV] * (1 + RVH_GAIN * load) + _length(qrs[RV]) * RVH_RIGHT * load
    time[RV] += RVH_DELAY_MS * load / 1000
    width[RV] *= 1 + RVH_WIDTH * load


def _notches(case: _Case, duration: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Up to three small notches of QRS [3, 3] and their times [3], more of them where there is scar."""
    scarred = 1 - case.person.viability.mean() > 0.05
    present = rng.random(3) < 0.35 + 0.4 * case.shown["cad"] * scarred
    return 0.13 * rng.normal(size=(3, 3)) * present[:, None], duration * rng.uniform(0.15, 0.95, size=3)


def _qt_s(case: _Case, duration: float, rng: np.random.Generator) -> float:
    """QT at the person's rate; corrected QT is longer in women (Mason et al. 2007, J Electrocardiol 40:228)."""
    person, shown = case.person, case.shown
    qtc = (0.414 if person.female else 0.400) + 0.0003 * (person.age_y - 60) + 0.017 * rng.normal()
    qtc += 0.060 * shown["hf"] * person.hf**0.5 + 0.014 * shown["cm"] * person.cm + max(duration - 0.11, 0) * 0.55
    return float(qtc * (60 / person.heart_rate_bpm) ** 0.36)


def _expression(person: Person, rng: np.random.Generator) -> dict[str, float]:
    """How far each condition shows on the ECG, in [0, 1]; a fifth of patients, most with mild disease, show none."""
    severity = max(person.cad, person.cm, person.pericarditis, person.hf, person.ph)
    silent = rng.random() < NORMAL_ECG_IN_DISEASE * 2.2 * (1 - severity)
    drawn = 0.38 + 0.62 * rng.beta(2.2, 1.3, size=5)
    present = person.conditions() & (not silent)
    return {name: float(value * on) for name, value, on in zip(CONDITIONS, drawn, present, strict=True)}


def _conduction(case: _Case, rng: np.random.Generator) -> str:
    """Conduction of one person: population rates by age, times 2.5.

    Rates: Bussink et al. 2013, Eur Heart J 34:138 (complete RBBB in 1.4 % of men and 0.5 % of women, incomplete 4.7 and
    2.3 %); Eriksson et al. 1998, Circulation 98:2494 (LBBB 1 % at 60, 6 % at 80). They are two and a half times as
    frequent here so that a network meets enough of them, in healthy and ill alike. Dilated cardiomyopathy adds a little
    LBBB (a quarter of patients have it, Baldasseroni et al. 2002, Am Heart J 143:398, but among people with LBBB few
    have the disease), PH incomplete RBBB.
    """
    person, shown = case.person, case.shown
    if person.paced:
        return "paced"
    older = np.exp(0.05 * (np.clip(person.age_y, 30, 85) - 62))
    dilated = person.cm_kind == "dcm" and shown["cm"] > 0
    chance = {
        "lbbb": 2.5 * 0.012 * older + 0.06 * dilated,
        "rbbb": 2.5 * (0.009 if person.female else 0.018) * older,
        "irbbb": (0.035 if person.female else 0.06) + 0.05 * shown["ph"] * person.ph,
        "lafb": 0.04 * older,
    }
    if case.mimic == "wide":
        chance["lbbb"] += 0.2
    draw = rng.random()
    for name, share in chance.items():
        draw -= share
        if draw < 0:
            return name
    return "normal"


def _frame(case: _Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Long axis (base to apex), direction of the septum, and the third.

    Fat and age lay the heart flat, RV load turns it.
    """
    person, mimic, strength = case.person, case.mimic, case.strength
    load = _right_load(case)
    elevation = 31 - 1.1 * (person.bmi - 26) - 0.30 * (person.age_y - 60) + 11 * rng.normal()
    elevation += RVH_STEEP_DEG * load + (9 * strength if mimic == "right" else 0)
    azimuth = 11 + 15 * rng.normal() + RVH_TURN_DEG * load + (14 * strength if mimic == "poor-r" else 0)
    elevation, azimuth = np.radians(np.clip(elevation, -25, 80)), np.radians(azimuth)
    across = np.cos(elevation)
    axis = np.array([across * np.cos(azimuth), np.sin(elevation), -across * np.sin(azimuth)])
    roll = np.radians(14 * rng.normal())
    septal = np.array([-0.72, 0.12, -0.68])
    septal -= axis * (septal @ axis)
    septal /= np.linalg.norm(septal)
    superior = np.cross(axis, septal)
    superior *= -np.sign(superior[1]) or 1.0
    septal, superior = np.cos(roll) * septal + np.sin(roll) * superior, np.cos(roll) * superior - np.sin(roll) * septal
    return axis, septal, superior


def _torso(person: Person, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Heart and electrodes in a chest of the person's girth.

    Precordial electrodes are misplaced by 1–2 cm as in practice (Rajaganeshan et al. 2008, Int J Clin Pract 62:65).
    """
    girth = np.sqrt(person.weight_kg / person.height_cm / (78 / 170))
    electrodes = ELECTRODE_CM * np.array([girth**0.8, person.height_cm / 170, girth])
    electrodes[3:] += np.array([1.3, 1.7, 0.7]) * rng.normal(size=(6, 3))
    electrodes[3:] += np.array([0.0, 1.5, 0.0]) * rng.normal()  # all too high or too low
    heart = HEART_CM * np.array([1.0, 1.0, girth]) + np.array([1.3, 1.5, 1.2]) * rng.normal(size=3)
    heart[1] -= 0.10 * (person.bmi - 26)  # a high diaphragm
    return heart, electrodes


def _layout(person: Person, heart: Floats, axis: Floats, septal: Floats, superior: Floats) -> tuple[Floats, Floats]:
    """Places [19, 3] and outward directions [19, 3] of the patches."""
    angle = np.radians(SEGMENT_ANGLE_DEG)
    outward = np.empty((19, 3))
    outward[LV] = -np.cos(angle)[:, None] * septal + np.sin(angle)[:, None] * superior
    for row, (turn, lift) in enumerate(((0.25, 0.1), (-0.45, 0.1), (0.6, -0.3))):
        outward[16 + row] = np.cos(turn) * septal + np.sin(turn) * superior + lift * axis
    scale = (person.lv_edv_ml / 140) ** (1 / 3)
    radius = np.array([3.1, 3.0, 2.0])[SEGMENT_LEVEL] * scale
    height = np.array([-2.8, 0.0, 2.8])[SEGMENT_LEVEL] * scale
    position = np.empty((19, 3))
    position[LV] = heart + radius[:, None] * outward[LV] + height[:, None] * axis
    rv_scale = (person.rv_edv_ml / 155) ** (1 / 3)
    rv_reach, rv_lift = np.array([5.2, 4.8, 4.6]) * rv_scale, np.array([0.0, 0.8, -3.6])
    position[RV] = heart + rv_reach[:, None] * outward[RV] + rv_lift[:, None] * axis
    return position, outward


def _amplitudes(case: _Case, rng: np.random.Generator) -> Floats:
    """[19] mV: what a patch adds grows with its muscle and falls with scar, fat, fluid and infiltration."""
    person, shown, mimic, strength = case.person, case.shown, case.mimic, case.strength
    wall = (person.thickness_mm / 5.7) ** 0.95
    surface = (person.lv_edv_ml / 145) ** 0.55
    visible = 1 - (1 - person.viability) * (1.0 if shown["cad"] else 0.1)
    left = QRS_GAIN_MV * SEGMENT_AREA_SHARE * wall * surface * visible
    left *= np.exp(0.10 * rng.normal(size=16))
    left[SEPTUM] *= SEPTAL_SHARE  # cancelled by its right side
    if person.cm_kind == "hcm":
        silent = (5.7 / person.thickness_mm.mean()) ** 0.35
        left *= 1 + HCM_VOLTAGE * shown["cm"] * person.cm if shown["cm"] else silent
    left *= (1 + (left.sum() / MOST_MV) ** 6) ** (-1 / 6)
    right = QRS_GAIN_MV * np.array([0.015, 0.012, 0.014]) * np.exp(0.05 * rng.normal(size=3))
    right *= (person.rv_edv_ml / 155) ** 2.2
    gain = np.exp(0.12 * rng.normal() - 0.013 * (person.bmi - 26) - 0.003 * (person.age_y - 60))
    gain *= np.exp(-0.015 * person.effusion_mm * (shown["pericarditis"] > 0))
    if person.cm_kind == "rcm":
        gain *= 1 - 0.62 * shown["cm"] * (0.5 + 0.5 * person.cm)
        left[ANTERIOR] *= 1 - 0.7 * shown["cm"] * person.cm**0.5
    if mimic == "voltage":
        gain *= 1 + 0.55 * strength
    if mimic == "poor-r":
        left[ANTERIOR] *= 1 - 0.55 * strength
    return gain * np.concatenate([left, right])


def _qrs_duration_s(case: _Case, conduction: str, rng: np.random.Generator) -> float:
    """Duration of normal conduction: longer in men and large hearts (Mason et al. 2007, J Electrocardiol 40:228)."""
    person, shown = case.person, case.shown
    usual_edv_ml = 125 if person.female else 160
    duration = (79 if person.female else 86) + 3.2 * rng.normal() + 0.12 * (person.lv_edv_ml - usual_edv_ml)
    duration += 0.06 * (person.lv_mass_g - (73 if person.female else 105)) + 0.07 * (person.height_cm - 169)
    duration += 16 * shown["cm"] * person.cm * (person.cm_kind == "dcm") + 12 * shown["hf"] * person.hf
    if case.mimic == "wide" and conduction == "normal":
        duration += 22 * case.strength
    return float(np.clip(duration, 66, 135) / 1000)


def _block(
    conduction: str, duration: float, time: Floats, width: Floats, qrs: Floats, axis: Floats, septal: Floats,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Times, widths and vectors of the patches under a conduction disturbance."""
    time, width, qrs = time.copy(), width.copy(), qrs.copy()
    scale = duration / 0.090
    if conduction in ("lbbb", "paced"):
        stretch = (rng.uniform(0.92, 1.12) if conduction == "lbbb" else rng.uniform(1.05, 1.30)) * scale**0.5
        time, width = LBBB_MS / 1000 * stretch, width * 1.55
        # From right to left through the septum, uncancelled, and on to the lateral wall.
        strength = _length(qrs[SEPTUM]) / SEPTAL_SHARE
        # A lead in the right ventricle's apex turns the vector up and back (Barold et al. 2005, Europace 7:349).
        towards = 0.25 * axis if conduction == "lbbb" else -rng.uniform(0.4, 1.1) * axis
        qrs[SEPTUM] = strength * (-0.95 * septal + towards) * (LBBB_SEPTUM if conduction == "lbbb" else 0.62)
        qrs[LATERAL] *= 0.75
        qrs[ANTERIOR] = 0.8 * qrs[ANTERIOR]
        qrs[RV] *= 0.7
        if conduction == "lbbb":
            qrs[LV] += _length(qrs[LV]) * LBBB_BACK * rng.uniform(0.4, 1.6)
            time *= LBBB_SLOWER
    elif conduction == "rbbb":
        strength = _length(qrs[SEPTUM]) / SEPTAL_SHARE
        qrs[LV] *= RBBB_LEFT_GAIN
        qrs[SEPTUM] += strength * (septal + RBBB_SEPTUM_TURN) * RBBB_SEPTUM * rng.uniform(0.5, 1.5)
        time[SEPTUM] += RBBB_SEPTUM_DELAY_MS * rng.uniform(0.75, 1.25) * scale / 1000
        width[SEPTUM] *= 1.3
        time[RV] += RBBB_RIGHT_DELAY_MS * rng.uniform(0.7, 1.3) * scale / 1000
        width[RV] *= rng.uniform(1.4, 2.2)
        qrs[RV] = (qrs[RV] + _length(qrs[RV]) * RBBB_RIGHT) * RBBB_RIGHT_GAIN * rng.uniform(0.6, 1.4)
    elif conduction == "irbbb":
        time[RV] += rng.uniform(10, 20) * scale / 1000
        width[RV] *= 1.15
        qrs[RV] *= 1.35
        qrs[SEPTUM] += _length(qrs[SEPTUM]) / SEPTAL_SHARE * septal * rng.uniform(0, 0.12)
    elif conduction == "lafb":
        upper = [0, 5, 6, 11, 12]
        time[upper] += LAFB_DELAY_MS * rng.uniform(0.75, 1.25) * scale / 1000
        time[INFERIOR] -= 0.006
        qrs[INFERIOR] *= LAFB_LOWER
        qrs[upper] += _length(qrs[upper]) * LAFB_TURN
    return time, width, qrs


def _length(vectors: Floats) -> Floats:
    """[K, 3] → [K, 1]."""
    return np.linalg.norm(vectors, axis=1)[:, None]


def _repolarisation(case: _Case, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """T and ST weights [19] in mV. T is lower in women and with age (Rautaharju et al. 2009, Circulation 119:e241)."""
    person, shown, mimic, strength = case.person, case.shown, case.mimic, case.strength
    level = 0.070 * np.exp(0.10 * rng.normal() - 0.007 * (person.age_y - 60)) * (0.72 if person.female else 1.0)
    level *= np.exp(-0.006 * (person.bmi - 26)) * (60 / person.heart_rate_bpm) ** 0.3
    t = np.full(19, level)
    t[RV] = 0.35 * level * np.exp(0.5 * rng.normal())
    t[LV] *= np.array([0.9, 0.95, 0.6, 0.75, 0.7, 0.75, 1.1, 1.35, 0.7, 0.8, 0.75, 0.8, 1.3, 1.1, 1.0, 1.0])
    t *= np.exp(0.10 * rng.normal(size=19))
    # J points are higher in men, most so over the anterior septum (Surawicz & Parikh 2002, J Am Coll Cardiol 40:1870).
    st = t * np.clip((0.03 if person.female else 0.10) + 0.030 * rng.normal(), -0.15, 0.35)
    st += 0.0010 * rng.standard_t(4, size=19)
    st[[1, 7, 16, 18]] += (0.004 if person.female else 0.012) * np.exp(0.25 * rng.normal())

    scar = (1 - person.viability) * shown["cad"]
    ischaemia = person.ischaemia * shown["cad"]
    # Scar and ischaemic memory turn T over the territory; subendocardial ischaemia lowers ST; an aneurysm raises it.
    t[LV] *= 1 - 2.1 * np.clip(0.9 * scar + 2.1 * ischaemia * rng.uniform(0.7, 1.0), 0, 1)
    st[LV] += 0.05 * scar * (rng.random() < 0.25) - 0.090 * ischaemia * rng.uniform(0.3, 1.2)
    strain = 0.35 * person.hypertrophy * rng.beta(1.2, 2.5)
    if person.cm_kind == "hcm":
        thick = person.thickness_mm / 5.7
        t[LV] *= 1 - shown["cm"] * person.cm**0.5 * np.clip(1.3 * thick - 0.1, 0, 3.0) * rng.uniform(0.8, 1.2)
        strain += 0.7 * shown["cm"] * person.cm**0.5
    elif person.cm_kind:
        t *= 1 - shown["cm"] * (0.7 + 0.8 * person.cm) * rng.uniform(0.6, 1.15)
        strain += 0.25 * shown["cm"] * person.cm
    lateral = LATERAL + APEX
    t[lateral] *= 1 - 1.5 * strain
    st[lateral] -= 0.022 * strain
    t *= 1 - 1.1 * shown["hf"] * person.hf**0.5
    right = _right_load(case)
    t[RV] -= RVH_T * right
    t[[1, 7, 13]] *= 1 - RVH_T_SEPTUM * right
    stage = rng.random()
    inflamed = shown["pericarditis"] * (0.35 + 0.65 * person.pericarditis)
    if stage < 0.42:
        st[LV] += 0.027 * inflamed
        st[RV] += 0.008 * inflamed
    elif stage < 0.62:
        t *= 1 - 0.6 * inflamed
    elif stage < 0.80:  # later still the ECG is normal again
        t *= 1 - 1.2 * inflamed
    if mimic == "early-repolarisation":
        st[LV] += 0.018 * strength
        t *= 1 + 0.5 * strength
    elif mimic == "flat-t":
        t *= 1 - 1.35 * strength
        st[lateral] -= 0.008 * strength
    return t, st


def _atria(case: _Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, float]:
    """P of the right and the left atrium, and the PR interval: longer with age, height and a large left atrium."""
    person, shown = case.person, case.shown
    la_index, ra_index = person.la_max_ml / person.bsa_m2, person.ra_max_ml / person.bsa_m2
    right = (
        0.085
        * np.exp(0.15 * rng.normal())
        * (ra_index / 45) ** 0.35
        * (1 + 0.35 * shown["ph"] * person.ph * np.exp(0.6 * rng.normal()))
    )
    left = 0.075 * np.exp(0.15 * rng.normal()) * (la_index / 38) ** 0.30
    directions = np.array([[0.76, 0.72, -0.28], [0.98, 0.60, 0.66]]) + np.array([0.22, 0.22, 0.34]) * rng.normal(
        size=(2, 3)
    )
    spread = (0.020, 0.022)
    width = np.array(spread) * np.exp(0.08 * rng.normal(size=2))
    between = 0.030 + 0.0004 * (la_index - 38) + 0.0003 * (person.age_y - 60) + 0.004 * rng.normal()
    time = np.array([0.040, 0.040 + max(between, 0.012)])
    pr = 0.160 + 0.0006 * (person.age_y - 60) + 0.00035 * (person.height_cm - 169) + 0.021 * rng.normal()
    pr += 0.00035 * (la_index - 38) - 0.00035 * (person.heart_rate_bpm - 65)
    return directions * np.array([[right], [left]]), time, width, float(np.clip(pr, 0.105, 0.30))
