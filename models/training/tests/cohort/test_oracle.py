"""The oracle: trees and a linear model, and the mean of both that does best on validation people."""

import numpy as np

from cardiacnets.cohort.cache import COHORT_VERSION
from cardiacnets.cohort.oracle import SHARES, _best_mean, _r, describe_people, measure_oracle


def test_the_better_model_gets_the_weight():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=400)
    noise = rng.normal(size=(2, 400))
    validation = np.arange(400) < 200

    good, share = _best_mean(noise[0], truth + 0.1 * noise[1], truth, validation, _r)
    both, mixed = _best_mean(truth + noise[0], truth + noise[1], truth, validation, _r)

    assert share == 0
    assert _r(truth[200:], good[200:]) > 0.98
    assert mixed == 0.5
    assert _r(truth[200:], both[200:]) > _r(truth[200:], truth[200:] + noise[0, 200:])


def test_the_oracle_is_measured_on_test_people_with_and_without_the_person():
    described = describe_people(260, 20241120)

    alone, known = (measure_oracle(described, with_person, ["lvMass"]) for with_person in (False, True))

    assert alone["version"] == COHORT_VERSION
    assert alone["testPeople"] == known["testPeople"] > 30
    assert alone["conditions"]["cm"]["trees"] in SHARES
    assert known["perIndexR"]["lvMass"] > 0.4
