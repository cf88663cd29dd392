import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from cardiacnets.evaluation.calibrate import fit_interval_scale, fit_platt, fit_thresholds, probability
from cardiacnets.metrics import auroc, auroc_with_ci, pearson


def test_platt_scaling_recovers_the_true_mapping():
    rng = np.random.default_rng(1)
    logit = rng.normal(0, 3, 40_000)
    truth = rng.random(40_000) < expit(0.5 * logit - 1)

    found = fit_platt(logit, truth)

    assert found.scale == pytest.approx(0.5, abs=0.02)
    assert found.offset == pytest.approx(-1, abs=0.05)
    assert probability(logit, found).mean() == pytest.approx(truth.mean(), abs=0.005)


def test_thresholds_are_youdens_best_and_the_highest_with_90_percent_sensitivity():
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99])
    truth = np.array([0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1]).astype(bool)

    thresholds = fit_thresholds(score, truth)

    assert thresholds["sensitivity90"] == 0.3
    assert thresholds["youden"] == 0.5


def test_conformal_intervals_cover_90_percent_of_new_people_for_an_overconfident_network():
    rng = np.random.default_rng(2)
    spread = np.array([1.0, 4.0])
    fitted, fresh = rng.normal(0, spread, (4000, 2)), rng.normal(0, spread, (4000, 2))
    claimed = np.full((4000, 2), 2 * np.log(0.3))

    scale = fit_interval_scale(fitted, np.zeros((4000, 2)), claimed)

    covered = (np.abs(fresh) <= scale * np.exp(claimed / 2)).mean(axis=0)
    assert covered == pytest.approx([0.9, 0.9], abs=0.02)


def test_auroc_agrees_with_scikit_learn_including_ties():
    rng = np.random.default_rng(3)
    score, truth = rng.integers(0, 9, 500).astype(float), rng.random(500) < 0.3

    value, (low, high) = auroc_with_ci(truth, score)

    assert value == pytest.approx(roc_auc_score(truth, score))
    assert low < value < high
    assert np.isnan(auroc(np.ones(5, dtype=bool), score[:5]))


def test_constant_column_has_no_correlation():
    truth = np.array([[1.0, 2], [2, 2], [3, 2]])

    assert pearson(truth, truth * 2 + 1) == pytest.approx([1, 0])
