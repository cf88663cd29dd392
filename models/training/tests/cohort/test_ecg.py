"""ECGs: the same for the same seed, twelve leads that obey Einthoven, amplitudes as in people."""

import numpy as np
import pytest

from cardiacnets.cohort import draw_person, render_ecg
from cardiacnets.cohort.ecg import Ecg, render_clean
from cardiacnets.cohort.electrics import Electrics
from cardiacnets.cohort.features import feature_names, measure_features, median_beat
from cardiacnets.cohort.person import Person
from cardiacnets.cohort.rhythm import DURATION_S, SINUS

SEED = 3


@pytest.fixture(scope="module")
def recordings() -> list[tuple[Person, Ecg]]:
    people = [draw_person(SEED, index) for index in range(160)]
    return [(person, render_ecg(person, SEED)) for person in people]


def test_recording_depends_only_on_seed_and_person():
    person = draw_person(SEED, 5)

    first = render_ecg(person, SEED).recorded_uv
    render_ecg(draw_person(SEED, 6), SEED)
    second = render_ecg(person, SEED).recorded_uv

    np.testing.assert_array_equal(first, second)
    assert first.shape == (12, 5000)
    assert first.dtype == np.int16


def test_the_clean_ecg_is_the_recordings_without_its_noise():
    person = draw_person(SEED, 7)

    whole, clean = render_ecg(person, SEED), render_clean(person, SEED)

    np.testing.assert_array_equal(clean.clean_uv, whole.clean_uv)
    np.testing.assert_array_equal(clean.rhythm.time_s, whole.rhythm.time_s)


def test_limb_leads_follow_einthovens_law(recordings: list[tuple[Person, Ecg]]):
    for _, ecg in recordings[:20]:
        i, ii, iii, avr, avl, avf = ecg.recorded_uv[:6].astype(int)

        assert np.abs(iii - (ii - i)).max() <= 2  # each rounded to a microvolt
        assert np.abs(avr + (i + ii) / 2).max() <= 2
        assert np.abs(avl + avf + avr).max() <= 2


def test_amplitudes_are_in_the_range_of_real_ecgs(recordings: list[tuple[Person, Ecg]]):
    peak_to_peak = np.array([np.ptp(ecg.clean_uv, axis=1) for _, ecg in recordings])

    # Medians over PTB-XL at 500 Hz are 1.1–1.3 mV in limb leads I and II and 1.4–2.6 mV in the chest leads, with noise.
    medians = np.median(peak_to_peak, axis=0)
    assert 0.5e3 < medians[0] < 1.4e3
    assert ((medians[6:] > 0.7e3) & (medians[6:] < 3.2e3)).all()
    assert peak_to_peak.max() < 15e3


def test_beats_follow_the_persons_heart_rate(recordings: list[tuple[Person, Ecg]]):
    for person, ecg in recordings:
        if not person.atrial_fibrillation and (ecg.rhythm.kind == SINUS).all():
            seen = np.sum((ecg.rhythm.time_s >= 0) & (ecg.rhythm.time_s < DURATION_S))

            assert abs(seen - person.heart_rate_bpm * DURATION_S / 60) <= 1.5


def test_higher_lv_mass_gives_higher_voltage(recordings: list[tuple[Person, Ecg]]):
    healthy = [(person, ecg) for person, ecg in recordings if not person.conditions().any()]
    mass = [person.lv_mass_g for person, _ in healthy]
    voltage = [np.ptp(median_beat(ecg)[6:], axis=1).sum() for _, ecg in healthy]

    assert np.corrcoef(mass, voltage)[0, 1] > 0.25


@pytest.fixture(scope="module")
def with_ph() -> list[tuple[Person, Ecg]]:
    people = [person for person in (draw_person(SEED, index) for index in range(1500)) if person.ph]
    return [(person, render_ecg(person, SEED)) for person in people if not (person.cad or person.cm)]


def _medians(some: list[Ecg]) -> dict[str, float]:
    beats = np.stack([median_beat(ecg) for ecg in some]) / 1000
    return {
        "R V1": float(np.median(beats[:, 6].max(axis=1))),
        "S V1": float(np.median(-beats[:, 6].min(axis=1))),
        "S V6": float(np.median(-beats[:, 11].min(axis=1))),
    }


def _is_narrow(electrics: Electrics) -> bool:
    return electrics.conduction in {"normal", "irbbb", "lafb"}


def test_right_ventricular_load_resembles_ecgs_labelled_rvh(with_ph: list[tuple[Person, Ecg]]):
    loaded = [ecg for _, ecg in with_ph if ecg.electrics.right_load > 0.4 and _is_narrow(ecg.electrics)]

    found = _medians(loaded)

    # PTB-XL, folds 1–7, RVH without a complete block: 0.64, 0.21 and 0.32 mV. Normal ECGs: 0.15, 0.77 and 0.09.
    assert len(loaded) > 20
    assert 0.45 < found["R V1"] < 0.85
    assert found["S V1"] < 0.55
    assert 0.20 < found["S V6"] < 0.45


def test_mild_ph_is_hardly_visible(with_ph: list[tuple[Person, Ecg]]):
    mild = [ecg for _, ecg in with_ph if ecg.electrics.right_load < 0.25 and _is_narrow(ecg.electrics)]

    found = _medians(mild)

    assert len(mild) > 10
    assert found["R V1"] < 0.40
    assert found["S V6"] < 0.20


def test_features_are_finite(recordings: list[tuple[Person, Ecg]]):
    features = np.stack([measure_features(ecg) for _, ecg in recordings])

    assert np.isfinite(features).all()
    assert features.shape[1] > len(feature_names())
