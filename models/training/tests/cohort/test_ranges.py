"""Where healthy virtual people's indices lie, and that the shipped file can be made again."""

import json
from pathlib import Path

import numpy as np
import pytest

from cardiacnets.cohort.cache import COHORT_VERSION
from cardiacnets.cohort.ranges import Healthy, describe_ranges, draw_healthy
from cardiacnets.domain import INDICES

SHIPPED = Path(__file__).parents[4] / "shared/domain/virtual-ranges.json"


def test_a_group_has_the_percentiles_of_its_own_people():
    ages = np.repeat([45.0, 65.0], 101)
    indices = np.tile(np.arange(101.0), 2)[:, None] + np.where(ages == 65.0, 1000, 0)[:, None]
    others = [Healthy(np.zeros((1, 1)), np.array([1]), np.array([age])) for age in (20, 35, 45, 55, 65, 75, 85)]
    others += [Healthy(np.zeros((1, 1)), np.array([0]), np.array([age])) for age in (20, 35, 55, 75, 85)]
    men = Healthy(indices, np.zeros(202), ages)
    everyone = Healthy(
        np.concatenate([men.indices, *(each.indices for each in others)]),
        np.concatenate([men.sex, *(each.sex for each in others)]),
        np.concatenate([men.age, *(each.age for each in others)]),
    )

    document = describe_ranges(everyone, 300, 1)

    groups = {(group["sex"], group["fromYears"]): group for group in document["groups"]}
    assert groups["male", 40] == {
        "sex": "male", "fromYears": 40, "toYears": 49, "people": 101, "low": [5], "high": [95],
    }  # fmt: skip
    assert groups["male", 60]["low"] == [1000]
    assert groups["female", 80]["toYears"] == 85
    assert document["everybody"]["people"] == len(everyone.age)
    assert document["source"] == "virtual"


@pytest.fixture(scope="module")
def shipped():
    return json.loads(SHIPPED.read_text())


def test_the_shipped_file_is_of_this_cohort(shipped):
    assert shipped["cohort"]["version"] == COHORT_VERSION
    for group in (shipped["everybody"], *shipped["groups"]):
        assert len(group["low"]) == len(group["high"]) == len(INDICES)
        assert all(low < high for low, high in zip(group["low"], group["high"], strict=True))
        assert group["people"] >= 200


def test_nine_in_ten_people_drawn_anew_lie_within_the_shipped_ranges(shipped):
    others = draw_healthy(3000, seed=7)

    for index, _ in enumerate(INDICES):
        inside = []
        for group in shipped["groups"]:
            is_member = (others.sex == ("male", "female").index(group["sex"])) & (others.age >= group["fromYears"])
            is_member &= others.age < group["toYears"] + 1
            values = others.indices[is_member, index]
            inside.append((values >= group["low"][index]) & (values <= group["high"][index]))
        share = np.concatenate(inside).mean()
        assert 0.87 <= share <= 0.93, (INDICES[index], share)
