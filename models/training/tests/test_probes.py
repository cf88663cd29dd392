import numpy as np
import pytest
import torch

from cardiacnets.data.virtual import VirtualSet
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluation import probes, probes_page
from cardiacnets.models.encoder import EncoderConfig, Trunk


@pytest.fixture
def drawn(monkeypatch):
    """Features [400,30] of which the first five set every value, and others that are noise."""
    monkeypatch.setattr(probes, "DRAWS", {0.2: 4, 1.0: 1})
    rng = np.random.default_rng(1)
    cause = rng.normal(size=(400, 5))
    values = cause @ rng.normal(size=(5, len(INDICES))) + 0.3 * rng.normal(size=(400, len(INDICES)))
    people = VirtualSet(
        np.zeros((400, 12, 1), dtype=np.float16),
        values.astype(np.float32),
        cause @ rng.normal(size=(5, len(CONDITIONS))) > 0,
        np.zeros((400, 4), dtype=np.float32),
        np.repeat(["train", "test"], 200),
    )
    return people, np.concatenate([cause, rng.normal(size=(400, 25))], axis=1), rng.normal(size=(400, 30))


def answers(features, people, share):
    return probes.answers_of([features], people, np.flatnonzero(people.split == "test"), share)


def truth(people):
    return np.concatenate([people.conditions, people.indices], axis=1)[people.split == "test"].astype(float)


def test_reads_what_the_features_hold(drawn):
    people, good, noise = drawn

    (((of_good,),), ((of_noise,),)) = (answers(each, people, 1.0) for each in (good, noise))

    assert probes.probe(truth(people), of_good).meanR > 0.9
    assert probes.probe(truth(people), of_noise).meanR < 0.2


def test_interval_holds_zero_for_alike_features_only(drawn):
    people, good, noise = drawn
    shuffled = good[:, np.random.default_rng(2).permutation(30)]

    same = probes.compare(truth(people), *(answers(each, people, 0.2) for each in (good, shuffled)), rounds=40)
    other = probes.compare(truth(people), *(answers(each, people, 0.2) for each in (good, noise)), rounds=40)

    assert same["meanR"]["ci"][0] <= 0 <= same["meanR"]["ci"][1]
    assert other["meanR"]["ci"][0] > 0.3
    assert other["macroAuroc"]["ci"][0] > 0


def test_few_people_and_many_features_give_the_same_regression(drawn):
    people, good, _ = drawn
    rows = slice(0, 20)

    few = probes.read(good[rows], people.indices[rows].astype(float), good[200:], (10.0,))
    x = (good[rows] - good[rows].mean(axis=0)) / (good[rows].std(axis=0) + 1e-6)
    y = (people.indices[rows] - people.indices[rows].mean(axis=0)) / people.indices[rows].std(axis=0)
    plain = (
        (good[200:] - good[rows].mean(axis=0))
        / good[rows].std(axis=0)
        @ np.linalg.solve(x.T @ x + 10 * np.eye(30), x.T @ y)
    )

    np.testing.assert_allclose(few, plain, atol=1e-3)


def test_report_has_a_row_for_each_start_and_a_pair_for_each_two(drawn, monkeypatch):
    people, *_ = drawn
    ecg = np.random.default_rng(3).normal(size=(400, 12, 200)).astype(np.float16)
    people = VirtualSet(ecg, people.indices, people.conditions, people.person, people.split)
    config = EncoderConfig(widths=(8, 16), blocks=1, embedding=32)
    trunks = [Trunk(config) for _ in range(3)]

    report = probes.measure_probes({"random weights": trunks[:2], probes.ALIGNED: trunks[2:]}, people, rounds=3)

    assert [(row["labels"], row["start"], row["runs"]) for row in report["alone"]["rows"]] == [
        (0.2, "random weights", 8), (0.2, probes.ALIGNED, 4), (1.0, "random weights", 2), (1.0, probes.ALIGNED, 1),
    ]  # fmt: skip
    assert [(pair["better"], pair["than"]) for pair in report["alone"]["pairs"]] == [
        (probes.ALIGNED, "random weights")
    ] * 2
    assert {pair["than"] for pair in report["withPerson"]["pairs"] if pair["better"] == probes.ALIGNED} == {
        "random weights",
        probes.PERSON_ALONE,
    }
    assert torch.isfinite(torch.tensor([row["meanR"] for row in report["withPerson"]["rows"]])).all()
    page = probes_page.section(report | {"cohortVersion": 5})
    assert "| 20% (40) | the person alone | – | – | " in page
    assert page.count("| the person alone |") == 4


def test_the_person_is_read_beside_many_features(drawn):
    people, good, noise = drawn
    known = VirtualSet(
        people.millivolt, people.indices, people.conditions, good[:, :4].astype(np.float32), people.split
    )
    test = np.flatnonzero(known.split == "test")

    without, beside = (
        probes.probe(truth(known), probes.answers_of([noise], known, test, 1.0, with_person=given)[0, 0])
        for given in (False, True)
    )

    assert without.meanR < 0.2
    assert beside.meanR > 0.7
