"""Boundaries of the virtual cohort's waves: known exactly, where the drawing says."""

from itertools import islice

import numpy as np
import pytest

from cardiacnets.cohort.boundaries import WAVES, beat_boundaries
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
