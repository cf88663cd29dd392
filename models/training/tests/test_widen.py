import numpy as np

from cardiacnets.domain import INDICES
from cardiacnets.evaluation.widen import PUBLISHED, covered, volumes_follow, widening


def normal_people(half):
    person = np.array([[sex, 60, np.nan, np.nan] for sex in (0, 1) * 40], dtype=float)
    mean = np.zeros((80, len(INDICES)))
    for name, by_sex in PUBLISHED.items():
        for sex in (0, 1):
            mean[person[:, 0] == sex, INDICES.index(name)] = by_sex[sex][0]
    return mean, np.full_like(mean, half), person


def test_narrow_intervals_are_widened_to_cover_published_people():
    mean, half, person = normal_people(10.0)

    factors, report = widening(mean, half, person)

    edv = INDICES.index("lvEdv")
    assert factors[edv] > 4
    assert covered(166, 10 * factors[edv], (166, 32)) >= 0.9
    assert report["lvEdv"]["coveredBefore"] < 0.3
    assert factors[INDICES.index("ascendingAortaMaxArea")] == 1


def test_wide_intervals_are_unchanged():
    factors, _ = widening(*normal_people(100.0))

    assert (factors == 1).all()


def test_stroke_volume_is_not_more_certain_than_its_inputs():
    factors = np.ones(len(INDICES))
    factors[INDICES.index("lvEdv")] = 2.0

    wider = volumes_follow(factors)

    assert wider[INDICES.index("lvSv")] == wider[INDICES.index("lvEsv")] == 2
    assert wider[INDICES.index("rvSv")] == 1
