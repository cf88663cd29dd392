"""From sources in the chest to electrodes on it.

A source is a current dipole at a place in the heart. The lead vectors of a heart at its usual place are Dower's (Dower,
Machado & Osborne 1980, Clin Cardiol 3:87); how they change when the heart, the source within it or an electrode moves
follows from the field of a dipole in a conductor, r/|r|³. Torso axes, in cm: x left, y to the feet, z to the back.
"""

import numpy as np

from .anatomy import Floats

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# RA, LA, LL, V1 … V6.
ELECTRODE_CM: Floats = np.array(
    [
        [-17, -20, 0], [17, -20, 0], [9, 42, 0],
        [-2.7, 0, -11.5], [2.7, 0, -11.8], [5.8, 2.2, -11.4], [9.0, 4.6, -10.2], [13.0, 4.6, -6.5], [15.5, 4.6, 0.5],
    ]
)  # fmt: skip
HEART_CM: Floats = np.array([2.2, 2.0, -3.2])

# Lead vectors of Dower 1980 on (x, y, z). RA and LA are chosen so that I = LA − RA and II = LL − RA.
_LEAD_I, _LEAD_II = np.array([0.632, -0.235, 0.059]), np.array([0.235, 1.066, -0.132])
_RA = -(_LEAD_I + _LEAD_II) / 3
ELECTRODE_VECTORS: Floats = np.array(
    [
        _RA, _RA + _LEAD_I, _RA + _LEAD_II,
        [-0.515, 0.157, -0.917], [0.044, 0.164, -1.387], [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601], [1.125, 0.127, -0.086], [0.831, 0.076, 0.230],
    ]
)  # fmt: skip


def _field(electrodes: Floats, sources: Floats) -> Floats:
    """[E, 3], [K, 3] → [E, K, 3]: potential of a unit dipole; nearer than 4 cm the field is softened."""
    offset = electrodes[:, None, :] - sources[None, :, :]
    distance = np.maximum(np.sqrt(np.einsum("eki,eki->ek", offset, offset)), 4.0)
    return offset / distance[:, :, None] ** 3


_REFERENCE_FIELD = _field(ELECTRODE_CM, HEART_CM[None, :])[:, 0]
_FIELD_SCALE = np.linalg.norm(ELECTRODE_VECTORS, axis=1) / np.linalg.norm(_REFERENCE_FIELD, axis=1)


def draw_transfer(rng: np.random.Generator) -> Floats:
    """[9, 3] lead vectors of one torso: lungs, fat and skin make each electrode a little deaf or keen, and askew."""
    length = np.linalg.norm(ELECTRODE_VECTORS, axis=1)[:, None]
    keen = np.exp(0.08 * rng.normal(size=(9, 1)))
    return ELECTRODE_VECTORS * keen + 0.07 * length * rng.normal(size=(9, 3))


def lead_field(electrodes: Floats, sources: Floats, transfer: Floats, nearness: float = 0.45) -> Floats:
    """[9, 3] cm, [K, 3] cm, lead vectors [9, 3] → [9, K, 3]: potentials against Wilson's terminal a unit of dipole."""
    change = (_field(electrodes, sources) - _REFERENCE_FIELD[:, None]) * _FIELD_SCALE[:, None, None]
    # A bounded chest evens out what an open conductor would show of a near source: `nearness` of it is left.
    vectors = transfer[:, None] + nearness * change
    return vectors - vectors[:3].mean(axis=0)


def twelve_leads(electrodes: Floats) -> Floats:
    """[9, n] electrode potentials → [12, n] in the order of `LEADS`."""
    ra, la, ll = electrodes[0], electrodes[1], electrodes[2]
    lead_i, lead_ii = la - ra, ll - ra
    limb = [lead_i, lead_ii, lead_ii - lead_i, -(lead_i + lead_ii) / 2, lead_i - lead_ii / 2, lead_ii - lead_i / 2]
    return np.concatenate([limb, electrodes[3:] - (ra + la + ll) / 3])
