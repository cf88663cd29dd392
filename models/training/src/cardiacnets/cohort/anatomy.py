"""The left ventricle as sixteen AHA segments on a truncated ellipsoid: where each lies, its area, and the mass of all.

Segment names and order follow Cerqueira et al. 2002 (Circulation 105:539); territories are those of the same statement.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Angle of a segment's centre around the long axis, degrees: 0 lateral, 90 anterior, 180 septal, 270 inferior.
SEGMENT_ANGLE_DEG: Floats = np.array(
    [90, 150, 210, 270, 330, 30, 90, 150, 210, 270, 330, 30, 90, 180, 270, 0], dtype=float
)
# 0 basal, 1 mid, 2 apical.
SEGMENT_LEVEL = np.array([0] * 6 + [1] * 6 + [2] * 4)
# Share of the endocardial surface: basal and mid thirds 38 % each, apical 24 % (ellipsoid cut in three equal lengths).
SEGMENT_AREA_SHARE: Floats = np.array([0.38 / 6] * 12 + [0.24 / 4] * 4)
LAD, LCX, RCA = 0, 1, 2
TERRITORY_SEGMENTS: tuple[tuple[int, ...], ...] = (
    (0, 1, 6, 7, 12, 13),  # LAD: anterior, anteroseptal, apical septal
    (4, 5, 10, 11, 15),  # LCX: lateral
    (2, 3, 8, 9, 14),  # RCA: inferior, inferoseptal
)
SEPTAL_SEGMENTS = (1, 2, 7, 8, 13)
APICAL_SEGMENTS = (12, 13, 14, 15)
# The six segments of the four-chamber view, basal septal to apex to basal lateral, as AHA indices.
FOUR_CHAMBER_SEGMENTS = (2, 8, 13, 15, 11, 5)
MYOCARDIAL_DENSITY_G_PER_ML = 1.05  # Petersen et al. 2017, JCMR 19:18


def lv_radius_cm(edv_ml: float, length_cm: float) -> float:
    """Short-axis radius of a half ellipsoid of that volume and length."""
    return float(np.sqrt(edv_ml / (2 / 3 * np.pi * length_cm)))


def endocardial_area_cm2(edv_ml: float, length_cm: float) -> float:
    """Surface of the half prolate ellipsoid without its base."""
    radius = lv_radius_cm(edv_ml, length_cm)
    eccentricity = np.sqrt(max(1 - (radius / length_cm) ** 2, 1e-6))
    return float(np.pi * radius**2 * (1 + length_cm / (radius * eccentricity) * np.arcsin(eccentricity)))


def lv_mass_g(edv_ml: float, length_cm: float, thickness_mm: Floats) -> float:
    """Mass of the end-diastolic wall: each segment a thick shell on its share of the endocardium. [16] mm → g."""
    radius = lv_radius_cm(edv_ml, length_cm)
    wall = thickness_mm / 10
    shell = wall * (1 + wall / radius + wall**2 / (3 * radius**2))
    area = endocardial_area_cm2(edv_ml, length_cm)
    return float(MYOCARDIAL_DENSITY_G_PER_ML * area * np.sum(SEGMENT_AREA_SHARE * shell))
