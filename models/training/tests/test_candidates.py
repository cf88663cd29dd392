from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data.real import NORMAL, RealSet
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluation.candidates import Figures, figures, gain, table, verdict
from cardiacnets.models.screen import Screen

from .conftest import TINY, bumps

SHIPPED = Figures(
    cad=0.9436,
    hfTeacherR=0.933,
    coverage=0.9,
    rbbbAsPh=0.29,
    lbbbAsCm=0.21,
    tachycardiaAsHf=0.0,
    proxies={"cm": 0.692, "ph": 0.728},
    areas={"cm": 0.936, "pericarditis": 0.786, "ph": 0.848},
    meanR=0.516,
    anything=0.098,
    found={"cm": 0.82, "pericarditis": 0.37, "ph": 0.673},
)
GAIN = (0.01, 0.002, 0.02)


def test_a_candidate_that_equals_the_shipped_network_in_all_but_the_gain_passes():
    assert all(verdict(SHIPPED, SHIPPED, GAIN).values())


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"cad": 0.9415}, "1"),
        ({"hfTeacherR": 0.929}, "1"),
        ({"coverage": 0.87}, "1"),
        ({"rbbbAsPh": 6 / 17}, "2"),
        ({"lbbbAsCm": 0.31}, "2"),
        ({"tachycardiaAsHf": 0.11}, "2"),
        ({"proxies": {"cm": 0.70, "ph": 0.71}}, "3"),
        ({"meanR": 0.515}, "4"),
        ({"anything": 0.101}, "5"),
        ({"found": {"cm": 0.9, "pericarditis": 0.5, "ph": 0.672}}, "5"),
    ],
)
def test_each_part_of_the_rule_fails_by_itself(change, part):
    says = verdict(replace(SHIPPED, **change), SHIPPED, GAIN)
    assert [name for name, holds in says.items() if not holds] == [part]


def test_a_gain_whose_interval_holds_zero_is_none():
    assert not verdict(SHIPPED, SHIPPED, (0.01, -0.001, 0.02))["4"]


def test_gain_is_paired():
    rng = np.random.default_rng(0)
    truth = rng.random((400, 5)) < 0.3
    weak = truth + rng.normal(0, 2, truth.shape)
    better = weak + 0.2 * truth

    value, low, high = gain(truth, better, weak, rounds=100)

    assert 0 < low < value < high
    assert gain(truth, weak, weak, rounds=20) == (0.0, 0.0, 0.0)


def test_figures_of_a_network_are_shares_and_areas():
    rng = np.random.default_rng(2)
    n = 400
    cad = rng.random(n) < 0.4
    unknown = np.full(n, np.nan, dtype=np.float32)
    person = np.stack([rng.integers(0, 2, n), rng.uniform(30, 90, n), unknown, unknown], axis=1).astype(np.float32)
    kind = np.where(cad, "", rng.choice([NORMAL, NORMAL, NORMAL, NORMAL, "RBBB", "LBBB", "tachycardia"], n))
    real = RealSet(
        millivolt=bumps(rng, n, cad),
        conditions=np.stack([cad, *[np.full(n, np.nan)] * 4], axis=1).astype(np.float32),
        statements=np.zeros((n, 1), dtype=bool),
        person=person,
        fold=np.full(n, 8),
        teacher=rng.normal(-2, 1, n).astype(np.float32),
        kind=kind,
        blocks=np.stack([kind == "RBBB", kind == "LBBB"], axis=1),
        proxies={"cm": rng.random(n) < 0.2, "ph": rng.random(n) < 0.2},
    )
    many = 2000
    sick = rng.random((many, len(CONDITIONS))) < 0.3
    virtual = VirtualSet(
        np.repeat(bumps(rng, 50, rng.random(50) < 0.5), many // 50, axis=0),
        rng.normal(size=(many, len(INDICES))).astype(np.float32),
        sick,
        np.repeat(person, many // n, axis=0),
        np.full(many, "val"),
    )
    torch.manual_seed(0)

    found, answers = figures(
        Screen(TINY), real, virtual, dict.fromkeys(CONDITIONS, 0.02), replace(real, fold=np.full(n, 1))
    )

    assert answers.logits.shape == (many, len(CONDITIONS))
    assert 0.85 < found.coverage < 0.95
    assert 0 <= found.anything <= 0.2
    assert found.rbbbAsPh <= 0.2
    assert found.lbbbAsCm <= 0.35
    assert list(found.areas) == list(found.found) == ["cm", "pericarditis", "ph"]
    assert "| CAD AUROC; HF's R |" in table({"shipped": found, "trained": found})
