"""A virtual person: body, circulation, heart and disease, drawn from published reference ranges.

Means and spreads are those of healthy people; disease then moves them. Sources:

- **P17** Petersen et al. 2017, JCMR 19:18: chambers of 804 healthy UK Biobank participants, by sex and age.
- **B20** Bai et al. 2020, Nature Medicine 26:1654: wall thickness, strain and aorta of 26,893 UK Biobank participants.
- **F17** Fry et al. 2017, Am J Epidemiol 186:1026: body size of UK Biobank participants.
- **R10** Redheuil et al. 2010, Hypertension 55:319: aortic size and distensibility against age.

**Confounders.** A rate, a rhythm or a body shape that a disease makes likelier in life is drawn here from population
rates for healthy and ill people alike. So a network cannot take sinus tachycardia for heart failure, or a bundle
branch block for pulmonary hypertension: only the disease itself separates the two groups. Rates are given where they
are drawn.

Checked against abstracts and open tables (November 2026): P17's LV EF and mass by sex and the direction of its age
trends, that LA EF does not differ by sex (Hudsmith et al. 2005), ascending distensibility and the EF of HCM (both cited
below). **Not confirmed**: P17's tables of RV and atria and by age, and every figure of B20 (walls, strain, aorta) and
R10, which were written down from memory. Other cohorts' feature tracking gives less strain than we take from B20
(566 healthy Chinese, JCMR 24:54: circumferential -18.8 % and -20.7 %, radial 32 % and 38 %, longitudinal -15.6 % and
-17.8 %, men and women); methods differ by as much.

Where a paper gives a figure by age band, a straight line through the bands stands for it. How far disease moves it is
our choice within what the literature describes. The cohort is *enriched*: about half of its people have a condition, so
that a model can learn and a test split can measure. It is no estimate of prevalence.
"""

from dataclasses import dataclass, field

import numpy as np

from .anatomy import APICAL_SEGMENTS, LAD, LCX, RCA, SEPTAL_SEGMENTS, TERRITORY_SEGMENTS, Floats, lv_mass_g

CONDITIONS = ("cad", "cm", "pericarditis", "hf", "ph")
CARDIOMYOPATHIES = ("dcm", "hcm", "rcm")

# Enriched prevalences at the mean age; HF and part of PH follow from the others.
PREVALENCE = {"cad": 0.22, "cm": 0.14, "pericarditis": 0.09, "ph": 0.09}
CARDIOMYOPATHY_SHARE = (0.45, 0.37, 0.18)  # DCM, HCM, RCM

PERSON_STREAM, ECG_STREAM, CMR_STREAM, SPLIT_STREAM = range(4)


def generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """The random numbers of one stream of one person: the same whatever is drawn before, after or beside it."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, index, stream))))


@dataclass
class Person:
    """Primary parameters of one person; everything that follows from them is in `indices.py`, `ecg.py` and `cmr.py`."""

    index: int
    female: bool
    age_y: float
    height_cm: float
    weight_kg: float
    heart_rate_bpm: float
    systolic_mmhg: float
    pulse_pressure_mmhg: float
    cad: float = 0.0  # severities in [0, 1], 0 absent
    cm: float = 0.0
    cm_kind: str = ""  # dcm, hcm, rcm
    pericarditis: float = 0.0
    hf: float = 0.0
    ph: float = 0.0
    effusion_mm: float = 0.0
    hypertrophy: float = 0.0  # pressure overload, [0, 1]
    stiffness: float = 0.0  # diastolic, [0, 1]
    atrial_fibrillation: bool = False
    paced: bool = False  # right ventricular pacing
    lv_edv_ml: float = 0.0
    lv_ef: float = 0.0  # fraction
    lowest_ef: float = 0.0  # before treatment
    lv_length_cm: float = 0.0
    rv_edv_ml: float = 0.0
    rv_sv_ml: float = 0.0
    la_max_ml: float = 0.0
    la_ef: float = 0.0
    ra_max_ml: float = 0.0
    ra_ef: float = 0.0
    ascending_max_mm2: float = 0.0
    ascending_distensibility: float = 0.0  # 10-3/mmHg
    descending_max_mm2: float = 0.0
    descending_distensibility: float = 0.0
    longitudinal_share: float = 1.0  # of the contraction, relative to a healthy heart
    thickness_mm: Floats = field(default_factory=lambda: np.zeros(16))  # [16], end-diastolic
    viability: Floats = field(default_factory=lambda: np.ones(16))  # [16], 0 scar
    ischaemia: Floats = field(default_factory=lambda: np.zeros(16))  # [16], 0 none
    contraction: Floats = field(default_factory=lambda: np.ones(16))  # [16], relative motion of a segment
    longitudinal_contraction: Floats = field(default_factory=lambda: np.ones(6))  # [6]

    @property
    def bsa_m2(self) -> float:
        """Body surface area (Mosteller 1987)."""
        return float(np.sqrt(self.height_cm * self.weight_kg / 3600))

    @property
    def bmi(self) -> float:
        """Body mass index, kg/m²."""
        return self.weight_kg / (self.height_cm / 100) ** 2

    @property
    def lv_mass_g(self) -> float:
        """Mass of the left ventricle's wall, g."""
        return lv_mass_g(self.lv_edv_ml, self.lv_length_cm, self.thickness_mm)

    def conditions(self) -> np.ndarray:
        """[5] bool in the order of `CONDITIONS`."""
        return np.array([self.cad > 0, self.cm > 0, self.pericarditis > 0, self.hf > 0, self.ph > 0])

    def row(self) -> np.ndarray:
        """[4] float32: sex (0 male, 1 female), age y, height cm, weight kg."""
        return np.array([self.female, self.age_y, self.height_cm, self.weight_kg], dtype=np.float32)


def draw_person(seed: int, index: int) -> Person:
    """The person `index` of the cohort `seed`; the same on every call."""
    rng = generator(seed, index, PERSON_STREAM)
    person = _draw_body(rng, index)
    _draw_conditions(person, rng)
    _draw_left_ventricle(person, rng)
    _draw_heart_failure(person, rng)
    _draw_right_ventricle(person, rng)
    _draw_atria(person, rng)
    _draw_aorta(person, rng)
    return person


def _draw_body(rng: np.random.Generator, index: int) -> Person:
    female = bool(rng.random() < 0.5)
    age = float(np.clip(rng.normal(62, 10), 40, 85))  # wider than UK Biobank's imaging visit (64 ± 8)
    anyone = float(rng.uniform(18, 92))  # a hospital's ECGs are of all adults (PTB-XL: 18 to over 89)
    if rng.random() < 0.3:
        age = anyone
    height = rng.normal(162.6, 6.3) if female else rng.normal(176.0, 6.8)  # F17
    height -= 0.1 * (age - 57)
    bmi = np.exp(rng.normal(np.log(26.4 if female else 27.2), 0.165 if female else 0.14))  # F17
    if (
        rng.random() < 0.06
    ):  # obesity of class II and above: 5 to 7 % of British adults (Health Survey for England 2021)
        bmi *= rng.uniform(1.25, 1.6)
    systolic = np.clip(rng.normal(137 + 0.55 * (age - 62), 17), 95, 205)  # UK Biobank imaging visit
    pulse_pressure = np.clip(0.42 * (systolic - 20) + 0.25 * (age - 62) + rng.normal(0, 5), 24, 100)
    rate = rng.normal(69.5 if female else 67, 12)
    # Sinus tachycardia (fever, anaemia, pain, fear) and bradycardia (training, drugs) of people who come to have an
    # ECG. PTB-XL's readers state them in 3.8 % and 2.9 % of ECGs; here they are twice as frequent, in healthy and ill
    # alike.
    other, quick, slow = rng.random(), rng.normal(38, 10), rng.normal(16, 4)
    rate += quick if other < 0.076 else (-slow if other < 0.134 else 0)
    rate = np.clip(rate, 38, 150)
    return Person(
        index=index, female=female, age_y=age, height_cm=float(height), weight_kg=float(bmi * (height / 100) ** 2),
        heart_rate_bpm=float(rate), systolic_mmhg=float(systolic), pulse_pressure_mmhg=float(pulse_pressure),
    )  # fmt: skip


def _severity(rng: np.random.Generator) -> float:
    return float(0.15 + 0.85 * rng.beta(1.7, 1.7))


def _draw_conditions(person: Person, rng: np.random.Generator) -> None:
    decades = (person.age_y - 62) / 10
    odds = {
        "cad": np.exp(0.40 * decades - (0.35 if person.female else -0.35)),
        "cm": np.exp(-0.05 * decades - (0.15 if person.female else -0.15)),
        "pericarditis": np.exp(-0.15 * decades - (0.2 if person.female else -0.2)),
        "ph": np.exp(0.25 * decades + (0.2 if person.female else -0.2)),
    }
    for name, prevalence in PREVALENCE.items():
        chance = prevalence / (1 - prevalence) * odds[name]
        present = rng.random() < chance / (1 + chance)
        severity = _severity(rng)
        if present:
            setattr(person, name, severity)
    person.cm **= 0.7  # diagnosed late
    kind = str(rng.choice(CARDIOMYOPATHIES, p=CARDIOMYOPATHY_SHARE))
    if person.cm:
        person.cm_kind = kind
    hypertension = (person.systolic_mmhg - 140) / 30
    person.hypertrophy = float(np.clip(hypertension * rng.beta(2, 2) + 0.1 * rng.normal(), 0, 1))
    effused, depth = rng.random() < 0.5, rng.gamma(2.0, 5.0)
    if person.pericarditis and effused:
        person.effusion_mm = float(min(4 + depth * person.pericarditis * 1.5, 32))
    _draw_coronaries(person, rng)


def _draw_coronaries(person: Person, rng: np.random.Generator) -> None:
    """Scar and ischaemia by territory. About half of coronary disease leaves no scar."""
    weights = rng.dirichlet((1.1, 0.8, 1.0))  # LAD and RCA are culprits more often than LCX
    infarcted = rng.random() < 0.35 + 0.4 * person.cad
    extent = rng.beta(1.5, 1.5, size=16)
    if not person.cad:
        return
    share = np.minimum(weights / weights.max(), 1.0)
    for territory in (LAD, LCX, RCA):
        severity = person.cad * share[territory] ** 2
        for segment in TERRITORY_SEGMENTS[territory]:
            if infarcted:
                person.viability[segment] = 1 - min(severity * (0.45 + 0.75 * extent[segment]), 1.0)
            person.ischaemia[segment] = severity * (0.3 + 0.7 * extent[segment])


def _draw_left_ventricle(person: Person, rng: np.random.Generator) -> None:  # noqa: PLR0915 - one draw per line, in order
    size, wall, force = rng.normal(size=3)
    wall = 0.45 * size + np.sqrt(1 - 0.45**2) * wall  # mass and volume go together
    since = max(person.age_y, 35) - 60  # P17's trends begin at 45; before 35 they are not continued
    # P17: LVEDVi 74 ± 12 mL/m2, LVMi 42 ± 7 g/m2, EF 61 ± 5 % in women; 85 ± 15, 53 ± 9 and 58 ± 5 % in men. The means
    # below are moved by 2 to 4 % so that volumes and mass, not indexed, are P17's (EDV 124 and 166 mL, mass 70 and 103
    # g).
    if person.female:
        edv_index, mass_index, ef = 72 - 0.35 * since + 11.5 * size, 40 + 6.5 * wall, 0.61 + 0.048 * force
    else:
        edv_index, mass_index = 85.5 - 0.45 * since + 13.5 * size, 51 - 0.12 * since + 8 * wall
        ef = 0.58 + 0.048 * force
    # Fat counts less than lean tissue: body surface above a BMI of 26 has half its weight.
    effective_bsa = person.bsa_m2 * (1 - 0.25 * max(person.bmi - 26, 0) / 26)
    edv = max(edv_index, 42) * effective_bsa
    mass = max(mass_index, 24) * effective_bsa * (1 + 0.45 * person.hypertrophy)
    ef -= 0.02 * person.hypertrophy * rng.random()
    thickness = _wall_pattern(person, rng)
    stiffness = 0.25 * person.hypertrophy + 0.012 * (person.age_y - 62) + 0.01 * (person.bmi - 26) + 0.10 * rng.normal()
    longitudinal = 1 + 0.10 * rng.normal() - 0.12 * person.hypertrophy
    jitter = rng.normal(size=3)
    loss = growth = 0.0  # of EF and of volume, by disease
    if person.cm_kind == "dcm":
        growth += 0.62 * person.cm * np.exp(0.15 * jitter[0])
        loss += (0.07 + 0.20 * person.cm) * np.exp(0.25 * jitter[1])
        mass *= 1 + 0.32 * person.cm
        stiffness += 0.3 * person.cm
    elif person.cm_kind == "hcm":
        edv *= 1 - 0.10 * person.cm
        ef += 0.10 * person.cm  # over 65 % in the classic stage (Soler et al. 2018, Insights Imaging 9:1007, table 1)
        mass *= 1 + (0.12 + 0.62 * person.cm) * np.exp(0.15 * jitter[2])
        stiffness += 0.5 * person.cm
        longitudinal -= 0.35 * person.cm
    elif person.cm_kind == "rcm":
        edv *= 1 - 0.14 * person.cm
        loss += 0.10 * person.cm
        mass *= 1 + 0.42 * person.cm
        stiffness += 0.9 * person.cm
        longitudinal -= 0.40 * person.cm
    lost = 1 - float(person.viability.mean())
    growth += 0.75 * lost * np.exp(0.2 * jitter[0])  # remodelling after infarction
    loss += 0.42 * lost * np.exp(0.25 * jitter[1]) + 0.03 * float(person.ischaemia.mean())
    if person.effusion_mm:
        edv *= 1 - 0.006 * person.effusion_mm
    if person.ph:
        edv *= 1 - 0.14 * person.ph

    # Under treatment about half of weak ventricles recover some or most of their EF, while the diagnosis and the ECG
    # stay (reverse remodelling: Aimo et al. 2019, JACC Heart Fail 7:782).
    recovery = rng.beta(2.5, 1.0) if rng.random() < 0.55 else 0.0
    person.lv_edv_ml = float(np.clip(edv * (1 + growth * (1 - 0.5 * recovery)), 50, 420))
    person.lv_ef = float(np.clip(ef - loss * (1 - recovery), 0.12, 0.80))
    person.lowest_ef = float(np.clip(ef - loss, 0.12, 0.80))
    person.stiffness = float(np.clip(stiffness, 0, 1))
    person.longitudinal_share = float(np.clip(longitudinal, 0.45, 1.25))
    # A dilated ventricle is rounder: length grows less than the radius.
    person.lv_length_cm = float(9.0 * (person.lv_edv_ml / 145) ** 0.28 * np.exp(0.03 * rng.normal()))
    thickness *= 1 - 0.35 * (1 - person.viability)
    person.thickness_mm = thickness * _thickness_scale(person, thickness, mass)
    person.contraction = _motion_pattern(person, rng)
    person.longitudinal_contraction = np.clip(1 + 0.20 * rng.normal(size=6), 0.3, 1.8)


def _wall_pattern(person: Person, rng: np.random.Generator) -> Floats:
    """[16] relative thickness: B20 finds the basal septum thickest and the apex thinnest."""
    pattern = np.array(
        [1.08, 1.18, 1.20, 1.06, 0.98, 1.00, 0.96, 1.06, 1.12, 1.00, 0.92, 0.94, 0.86, 0.92, 0.84, 0.86]
    )  # fmt: skip
    pattern *= np.exp(0.13 * rng.normal(size=16))
    morphology = rng.random()
    if person.cm_kind == "hcm":
        thick = 0.35 + 0.75 * person.cm
        if morphology < 0.68:  # asymmetric septal
            pattern[list(SEPTAL_SEGMENTS)] *= 1 + thick
            pattern[[0, 6]] *= 1 + 0.5 * thick
        elif morphology < 0.84:  # apical
            pattern[list(APICAL_SEGMENTS)] *= 1 + 1.4 * thick
        else:  # concentric
            pattern *= 1 + 0.5 * thick
    return pattern


def _thickness_scale(person: Person, pattern: Floats, mass_g: float) -> float:
    """Millimetres a unit of the pattern that give the mass (secant steps on a smooth, growing function)."""
    scale = 6.0
    for _ in range(5):
        scale *= (mass_g / lv_mass_g(person.lv_edv_ml, person.lv_length_cm, scale * pattern)) ** 0.85
    return scale


def _motion_pattern(person: Person, rng: np.random.Generator) -> Floats:
    """[16] relative motion of the segments: stronger to the apex, weaker in the septum (B20), lost in scar."""
    level = np.array([0.93] * 6 + [1.0] * 6 + [1.12] * 4)
    septal = np.ones(16)
    septal[list(SEPTAL_SEGMENTS)] = 0.90 - 0.25 * person.ph
    pattern = level * septal * np.exp(0.23 * rng.normal(size=16))
    if person.cm_kind == "rcm":  # apical sparing
        pattern *= 1 + 0.25 * person.cm * (np.array([-1.0] * 6 + [0.0] * 6 + [1.5] * 4))
    if person.cm_kind == "hcm":
        relative = person.thickness_mm / max(person.thickness_mm.mean(), 1e-6)
        pattern *= np.clip(relative, 0.6, 2.0) ** -0.45
    pattern *= (0.15 + 0.85 * person.viability) * (1 - 0.12 * person.ischaemia)
    return np.clip(pattern, 0.04, None)


def _draw_heart_failure(person: Person, rng: np.random.Generator) -> None:
    """HF follows from a ventricle that empties or fills badly.

    Its neurohormones quicken the heart (by 6 /min here; resting rates of treated HF and of controls differ by 5 to 8,
    Castagno et al. 2012, J Am Coll Cardiol 59:1785), but far less than what else quickens it.
    """
    reduced = (0.48 - person.lowest_ef) / 0.030
    stiff = (person.stiffness - 0.45) / 0.05
    score = np.logaddexp(reduced, stiff) - 1.0
    severity = float(np.clip(0.35 + 0.12 * score + 0.1 * rng.normal(), 0.1, 1))
    if rng.random() < 1 / (1 + np.exp(-score)):
        person.hf = severity
    rate = person.heart_rate_bpm + 6 * person.hf + 4 * person.pericarditis + 0.25 * person.effusion_mm
    # Prevalence of AF by age: 0.5 % at 50, 4.5 % at 65, 10 % over 80 (Berge et al. 2018, BMJ Open 8:e021704;
    # Lindberg et al. 2019, doi 10.1177/2333721419859687), in healthy and ill alike.
    logit = -3.0 + 0.08 * (person.age_y - 65) - (0.5 if person.female else 0)
    if rng.random() < 1 / (1 + np.exp(-logit)):
        person.atrial_fibrillation = True
        rate += rng.normal(16, 12)
    # About 1 % of people over 65 have a pacemaker (Mond & Proclemer 2011, Pacing Clin Electrophysiol 34:1013).
    if rng.random() < 0.012 * np.exp(0.05 * (person.age_y - 65)):
        person.paced = True
        rate = max(rate, rng.uniform(58, 72))
    person.heart_rate_bpm = float(np.clip(rate, 38, 160))
    secondary = rng.random() < 0.30 * person.hf
    severity = 0.6 * _severity(rng)
    if secondary and not person.ph:  # post-capillary pulmonary hypertension
        person.ph = severity


def _draw_right_ventricle(person: Person, rng: np.random.Generator) -> None:
    lv_sv = person.lv_edv_ml * person.lv_ef
    ef = (0.58 if person.female else 0.54) + 0.048 * rng.normal()  # P17: 58 ± 6 and 54 ± 6 %
    # Without shunt or regurgitation both ventricles eject the same; the spread is that of two contours.
    sv = lv_sv * np.exp(0.035 * rng.normal())
    ef -= 0.14 * person.ph * np.exp(0.2 * rng.normal())
    ef -= 0.5 * max(0.5 - person.lv_ef, 0) * rng.random()  # interdependence, and biventricular disease
    sv *= 1 + 0.22 * person.ph * rng.random()  # tricuspid regurgitation
    edv = sv / np.clip(ef, 0.15, 0.8)
    # A weak left ventricle would leave the right too small: hold it to three quarters of its own reference (P17).
    since = max(person.age_y, 35) - 60
    reference_index = 76 - 0.40 * since if person.female else 93 - 0.50 * since
    reference = reference_index * person.bsa_m2
    floor = (0.70 + 0.45 * person.ph) * reference
    person.rv_edv_ml = float(np.clip(max(edv, floor * np.exp(0.08 * rng.normal())), sv / 0.78, 420))
    person.rv_sv_ml = float(sv)


def _draw_atria(person: Person, rng: np.random.Generator) -> None:
    shared, left, right = rng.normal(size=3)
    left, right = 0.5 * shared + 0.87 * left, 0.5 * shared + 0.87 * right
    bsa = person.bsa_m2
    # P17: LA maximum 62 ± 17 mL (women), 71 ± 19 (men), EF 61 ± 7 and 60 ± 7 %; RA 69 ± 17 and 93 ± 27, 46 ± 9, 41 ± 9.
    la_index = (37 if person.female else 36.5) + 0.05 * (person.age_y - 60) + 9.0 * left
    ra_index = (41 if person.female else 47.5) + 10.0 * right
    strain = 0.45 * person.stiffness + 0.40 * person.hf + (0.40 if person.atrial_fibrillation else 0)
    la = max(la_index, 15) * bsa * (1 + strain) * (person.lv_edv_ml / (77 * bsa)) ** 0.35
    load = 0.75 * person.ph + 0.25 * person.hf + (0.35 if person.atrial_fibrillation else 0)
    ra = max(ra_index, 18) * bsa * (1 + load)
    person.la_max_ml = float(np.clip(la, 20, 260))
    person.ra_max_ml = float(np.clip(ra, 22, 300))
    silent = 0.16 if person.atrial_fibrillation else 0.0  # no atrial contraction
    left_ef = 0.60 + 0.065 * rng.normal() - 0.002 * (person.age_y - 60) - silent
    right_ef = (0.46 if person.female else 0.42) + 0.07 * rng.normal() - 0.6 * silent
    person.la_ef = float(np.clip(left_ef - 0.16 * person.stiffness - 0.13 * person.hf, 0.08, 0.80))
    person.ra_ef = float(np.clip(right_ef - 0.18 * person.ph, 0.06, 0.75))


def _draw_aorta(person: Person, rng: np.random.Generator) -> None:
    shared, ascending, descending, stiffer, jitter = rng.normal(size=5)
    since = person.age_y - 62
    # B20, R10: the aorta widens and loses distensibility with age; men's is wider.
    size = 0.10 * shared + 0.15 * (np.log(person.bsa_m2) - np.log(1.82))
    ascending_area = (760 if person.female else 930) * np.exp(0.0060 * since + size + 0.11 * ascending)
    descending_area = (440 if person.female else 580) * np.exp(0.0085 * since + size + 0.09 * descending)
    pressure = 0.006 * (person.systolic_mmhg - 137)
    # Ascending 1.77 ± 1.15 in men and 2.10 ± 1.45 in women (8,435 people, UK Biobank publication 10727): the medians of
    # such skewed values. The spread holds the error of the method, which we leave out.
    ascending_distensibility = (1.80 if person.female else 1.55) * np.exp(-0.030 * since - pressure + 0.30 * stiffer)
    person.ascending_distensibility = float(ascending_distensibility)
    person.descending_distensibility = float(2.35 * np.exp(-0.024 * since - pressure + 0.20 * stiffer + 0.13 * jitter))
    person.ascending_max_mm2 = float(ascending_area)
    person.descending_max_mm2 = float(descending_area)
