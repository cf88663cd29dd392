"""The 82 cardiac function indices of a virtual person, consistent with each other by construction.

Order, ids and units are those of `shared/domain/indices.json` (UK Biobank fields 24100 to 24181).
"""

import numpy as np

from cardiacnets.domain import INDICES

from .anatomy import FOUR_CHAMBER_SEGMENTS, Floats
from .person import Person

INDEX_COUNT = 82

# Feature tracking follows a line inside the wall: its circumferential strain is this share of the endocardium's, so
# that an EF of 60 % goes with the -22 % of Bai et al. 2020; the thicker the wall, the smaller the share.
MIDWALL_SHARE, REFERENCE_WALL_MM = 0.75, 5.7
# Global longitudinal strain of Bai et al. 2020 at the cohort's mean EF.
LONGITUDINAL_STRAIN, REFERENCE_EF = -0.185, 0.595
# Measured radial strain (45 % in Bai et al. 2020) is less than incompressibility asks for (58 %).
RADIAL_SHARE = 0.78


def index_ids() -> tuple[str, ...]:
    """Ids in the order of the domain's table."""
    return INDICES


def strains(person: Person) -> tuple[Floats, Floats, Floats]:
    """Peak circumferential [16], radial [16] and longitudinal [6] strain, as fractions; shortening is negative.

    EF = 1 − (1 + Ell)(1 + Ecc,endo)² for an ellipsoid that shortens by Ell along and by Ecc around its axis.
    """
    ef = person.lv_ef
    longitudinal = np.clip(LONGITUDINAL_STRAIN * (ef / REFERENCE_EF) * person.longitudinal_share, -0.30, -0.02)
    endocardial = np.sqrt((1 - ef) / (1 + longitudinal)) - 1
    share = MIDWALL_SHARE * (REFERENCE_WALL_MM / person.thickness_mm.mean()) ** 0.35
    motion = person.contraction / person.contraction.mean()
    circumferential = np.clip(endocardial * share * motion, -0.45, 0)
    radial = RADIAL_SHARE * (1 / ((1 + circumferential) * (1 + longitudinal)) - 1)
    segments = person.contraction[list(FOUR_CHAMBER_SEGMENTS)] ** 0.6 * person.longitudinal_contraction
    return circumferential, radial, longitudinal * segments / segments.mean()


def measure_indices(person: Person) -> np.ndarray:
    """[82] float32 in the units of the domain's table."""
    edv, sv = person.lv_edv_ml, person.lv_edv_ml * person.lv_ef
    left = [edv, edv - sv, sv, 100 * person.lv_ef, sv * person.heart_rate_bpm / 1000, person.lv_mass_g]
    right = [person.rv_edv_ml, person.rv_edv_ml - person.rv_sv_ml, person.rv_sv_ml]
    right.append(100 * person.rv_sv_ml / person.rv_edv_ml)
    atria = _atrium(person.la_max_ml, person.la_ef) + _atrium(person.ra_max_ml, person.ra_ef)
    aorta = _aorta(person.ascending_max_mm2, person.ascending_distensibility, person.pulse_pressure_mmhg)
    aorta += _aorta(person.descending_max_mm2, person.descending_distensibility, person.pulse_pressure_mmhg)
    circumferential, radial, longitudinal = strains(person)
    walls = [
        np.append(values, values.mean())
        for values in (person.thickness_mm, 100 * circumferential, 100 * radial, 100 * longitudinal)
    ]
    return np.concatenate([left, right, atria, aorta, *walls]).astype(np.float32)


def _atrium(maximum_ml: float, ef: float) -> list[float]:
    return [maximum_ml, maximum_ml * (1 - ef), maximum_ml * ef, 100 * ef]


def _aorta(maximum_mm2: float, distensibility: float, pulse_pressure_mmhg: float) -> list[float]:
    """Distensibility = (Amax − Amin) / (Amin · pulse pressure), in 10⁻³/mmHg."""
    minimum = maximum_mm2 / (1 + distensibility * 1e-3 * pulse_pressure_mmhg)
    return [maximum_mm2, minimum, distensibility]
