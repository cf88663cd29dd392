import json
from dataclasses import replace

import numpy as np
import pytest

from cardiacnets.evaluation.limits import (
    LEAST,
    Band,
    InBlock,
    Limits,
    age_bands,
    conformal_limit,
    fit_in_block,
    fit_limits,
    limits_of,
    read_limits,
)


def people(rng, n):
    sex = rng.integers(0, 2, n)
    return np.stack([sex, rng.uniform(18, 95, n), np.full(n, np.nan), np.full(n, np.nan)], axis=1)


def scores(rng, person):
    """Older women score higher: one common limit would flag hardly anybody else."""
    centre = 0.2 + 0.004 * person[:, 1] + 0.1 * person[:, 0]
    return np.clip(centre + 0.1 * rng.normal(size=len(person)), 0.001, 0.999)


def test_limits_flag_at_most_the_stated_share_of_new_people_in_every_group():
    rng = np.random.default_rng(1)
    person, fresh = people(rng, 3000), people(rng, 40_000)
    limits = fit_limits(scores(rng, person), scores(rng, person), person, 0.025, "made up")

    flagged = scores(rng, fresh) >= limits_of(limits, fresh)

    for band in limits.bands:
        inside = (fresh[:, 1] >= band.fromAge) & (fresh[:, 1] < band.belowAge)
        inside &= fresh[:, 0] == ("male", "female").index(band.sex)
        assert 0.01 < flagged[inside].mean() < 0.04
    assert flagged.mean() == pytest.approx(0.025, abs=0.006)


def test_the_stated_share_is_met_although_each_group_is_small():
    rng, shares = np.random.default_rng(5), []

    for _ in range(60):
        person, fresh = people(rng, 900), people(rng, 5000)
        limits = fit_limits(scores(rng, person), scores(rng, person), person, 0.01, "made up")
        shares.append(np.mean(scores(rng, fresh) >= limits_of(limits, fresh)))

    assert np.mean(shares) == pytest.approx(0.01, abs=0.0015)  # a limit of each group alone: .005


def test_bands_of_few_people_are_pooled():
    age = np.concatenate([np.full(150, 30), np.full(40, 55), np.full(200, 70), np.full(20, 85)])

    assert age_bands(age) == [(0, 65), (65, 200)]
    person = np.stack([np.arange(len(age)) % 2, age, age, age], axis=1).astype(float)
    limits = fit_limits(np.linspace(0.1, 0.9, len(age)), np.linspace(0.1, 0.9, len(age)), person, 0.025, "made up")
    assert [band.sex for band in limits.bands] == [None, "male", "female"]
    assert all(band.n >= LEAST for band in limits.bands)


def test_unknown_people_get_the_common_limit_and_limits_survive_the_manifest():
    rng = np.random.default_rng(2)
    person = people(rng, 2000)
    limits = fit_limits(scores(rng, person), np.full(2000, 0.3), person, 0.025, "made up")
    limits = replace(limits, inBlocks=(fit_in_block("rbbb", np.linspace(0.1, 0.9, 50), 0.1),))
    read = read_limits(json.loads(json.dumps(limits.described())))

    nobody = np.array([[np.nan, 60, 0, 0], [1, np.nan, 0, 0]])

    assert read == limits
    assert np.all(limits_of(read, nobody) == limits.otherwise)
    assert limits.otherwise > 0.3


def test_a_block_raises_the_limit_of_those_who_show_it_and_never_lowers_one():
    person = np.array([[0, 40, 0, 0], [1, 40, 0, 0], [np.nan, 40, 0, 0]], dtype=float)
    bands = (Band("male", 0, 200, 100, 0.2), Band("female", 0, 200, 100, 0.7))
    limits = Limits("made up", 0.02, bands, 0.3, (InBlock("rbbb", 120, 0.1, 0.5),))
    right, left = np.array([[True, False]] * 3), np.array([[False, True]] * 3)

    assert limits_of(limits, person, right).tolist() == [0.5, 0.7, 0.5]
    assert limits_of(limits, person, left).tolist() == limits_of(limits, person).tolist() == [0.2, 0.7, 0.3]


def test_the_limit_in_a_block_is_reached_by_the_stated_share_of_those_with_nothing_else():
    chance = np.linspace(0.01, 0.6, 200)
    limit = fit_in_block("lbbb", chance, 0.25)

    assert (limit.n, limit.block) == (200, "lbbb")
    assert np.mean(chance >= limit.threshold) == pytest.approx(0.25, abs=0.01)


def test_forty_people_are_enough_for_a_limit_and_thirty_are_not():
    assert conformal_limit(np.linspace(0.1, 0.5, 40), 0.025) > 0.5
    with pytest.raises(ValueError, match="cannot tell"):
        conformal_limit(np.linspace(0.1, 0.5, 30), 0.025)


def test_no_limit_is_below_the_minimum():
    rng = np.random.default_rng(3)
    person = people(rng, 1000)
    low = scores(rng, person) / 10

    limits = fit_limits(low, low, person, 0.025, "made up", lowest=0.5)

    assert {band.threshold for band in limits.bands} | {limits.otherwise} == {0.5}


def test_one_limit_for_all_flags_its_share_at_any_age():
    rng = np.random.default_rng(4)
    person = people(rng, 2000)
    chance = scores(rng, person)

    limits = fit_limits(chance, chance, person, 0.035, "made up", one_for_all=True)

    assert len(limits.bands) == 1
    assert (limits.bands[0].sex, limits.bands[0].n) == (None, 2000)
    assert np.mean(chance >= limits_of(limits, person)) == pytest.approx(0.035, abs=0.002)
