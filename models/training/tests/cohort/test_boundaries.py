"""Boundaries of the virtual cohort's waves: known exactly, where the drawing says."""

from itertools import islice

import numpy as np
import pytest

from cardiacnets.cohort.boundaries import WAVES, beat_boundaries, visible_span
from cardiacnets.cohort.electrics import draw_electrics
from cardiacnets.cohort.person import ECG_STREAM, Person, draw_person, generator
from cardiacnets.cohort.rhythm import draw_rhythm

SEED = 7


def people(count: int, fibrillation: bool) -> list[Person]:
    drawn = (draw_person(SEED, index) for index in range(2_000))
    return list(islice((person for person in drawn if person.atrial_fibrillation == fibrillation), count))


@pytest.mark.parametrize("person", people(4, fibrillation=False), ids=lambda person: str(person.index))
def test_waves_are_in_order_and_match_their_parameters(person: Person) -> None:
    beats = beat_boundaries(person, SEED)

    rng = generator(SEED, person.index, ECG_STREAM)
    electrics = draw_electrics(person, rng)
    rhythm = draw_rhythm(person, rng)
    assert 3 <= len(beats) <= len(rhythm.time_s)
    p, qrs, t = range(len(WAVES))
    for beat in beats:
        assert np.all((beat.end_s > beat.onset_s) | np.isnan(beat.end_s))
        onset = np.nanmin(beat.onset_s[:, qrs])
        assert np.abs(rhythm.time_s - onset).min() < 0.02
        assert abs(onset - np.nanmin(beat.onset_s[:, p]) - electrics.pr_s) < 0.04
        assert np.nanmedian(beat.onset_s[:, p]) < onset < np.nanmedian(beat.end_s[:, t])
        qt = electrics.qt_s * np.array([0.6, 1.5]) ** 0.20
        assert qt[0] - 0.06 < np.nanmedian(beat.end_s[:, t]) - onset < qt[1] + 0.06


def test_atrial_fibrillation_has_no_p_wave() -> None:
    [person] = people(1, fibrillation=True)

    beats = beat_boundaries(person, SEED)

    assert beats
    assert all(np.isnan(beat.onset_s[:, 0]).all() for beat in beats)


def test_a_lead_shows_a_wave_from_30_uv_that_last_6_ms() -> None:
    size = np.zeros((2, 500))
    size[0, 100:140] = 31.0
    size[1, 60:62] = 500.0  # 4 ms: too short
    size[1, 135:160] = 30.0
    size[0, 200:300] = 29.9

    assert visible_span(size) == (0.200, 0.318)
    assert all(np.isnan(visible_span(np.zeros((2, 500)))))


@pytest.mark.parametrize("person", people(4, fibrillation=False), ids=lambda person: str(person.index))
def test_the_standard_and_the_share_of_the_peak_give_nearly_the_same_qrs(person: Person) -> None:
    for beat in beat_boundaries(person, SEED):
        first, last = beat.visible_s
        assert abs(first - np.nanmin(beat.onset_s[:, 1])) < 0.012
        assert abs(last - np.nanmax(beat.end_s[:, 1])) < 0.030
