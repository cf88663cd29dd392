import numpy as np
import pytest

from cardiacnets.stages.loop import OptimisationConfig, learning_rate, rows_of_step


def test_each_epoch_has_every_row_once_in_another_order():
    rows = np.arange(100, 112)

    steps = [rows_of_step(rows, 4, step, seed=1) for step in range(6)]

    for epoch in (steps[:3], steps[3:]):
        assert sorted(np.concatenate(epoch)) == rows.tolist()
    assert [step.tolist() for step in steps[:3]] != [step.tolist() for step in steps[3:]]


def test_fewer_rows_than_a_batch_are_one_batch():
    assert rows_of_step(np.arange(3), 8, step=5, seed=1).tolist() == [0, 1, 2]


def test_the_learning_rate_rises_and_then_falls_to_nothing():
    config = OptimisationConfig(steps=100, learning_rate=1e-3, warm_up=0.1)

    rates = [learning_rate(step, config) for step in range(100)]

    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-6
