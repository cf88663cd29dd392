import numpy as np

from cardiacnets.cohort.person import draw_person
from cardiacnets.domain import INDICES
from cardiacnets.synthesis.signs import SIGNS, STRAINS, signs_of

SEED = 20241120


def test_signs_are_those_of_the_virtual_people():
    rows = np.arange(60)
    indices = np.full((60, len(INDICES)), -20.0)
    indices[3, STRAINS[4:6]] = -9.0  # two segments contract less than half as much as usual
    indices[4, STRAINS[4:5]] = -9.0
    indices[5, STRAINS] = -40.0  # of people with a disease nothing is usual

    found = signs_of(rows, indices, np.arange(60) != 5, SEED)

    people = [draw_person(SEED, row) for row in rows]
    assert found.shape == (60, len(SIGNS))
    assert found[:, 0].tolist() == [person.effusion_mm > 0 for person in people]
    assert found[:, 1].tolist() == [person.ph >= 0.5 for person in people]
    assert np.flatnonzero(found[:, 2]).tolist() == [3]
    assert found[:, :2].any(axis=0).all(), "some of these people have each sign"
