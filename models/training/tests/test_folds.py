import numpy as np
import pytest

from cardiacnets.evaluation.folds import FoldSlope, between_folds, report


def drawn(noise_of_fold):
    """ECGs of eight folds; in some of them the label follows the features less closely."""
    rng = np.random.default_rng(3)
    features, fold = rng.normal(size=(8000, 6)), np.repeat(np.arange(1, 9), 1000)
    noise = np.array([noise_of_fold(one) for one in range(9)])[fold]
    return features, 2 * features[:, 0] + noise * rng.logistic(size=8000) > 0.5, fold


def test_folds_that_are_alike_differ_by_chance_only():
    found = report(*drawn(lambda _: 1.0))

    assert found["betweenFolds"] < 0.05
    assert found["expected"][0] < 1 < found["expected"][1]


def test_folds_whose_labels_are_noisier_have_lower_slopes():
    found = report(*drawn(lambda fold: 1.0 if fold % 2 else 1.8))

    slopes = {each["fold"]: each["slope"] for each in found["folds"]}
    assert min(slopes[fold] for fold in (1, 3, 5, 7)) > max(slopes[fold] for fold in (2, 4, 6, 8))
    assert found["betweenFolds"] > 0.15


def test_deviation_between_folds_is_what_exceeds_that_of_people():
    alike = [FoldSlope(1, 100, 0.9, 1.0, 0.1), FoldSlope(2, 100, 0.9, 1.05, 0.1)]
    apart = [FoldSlope(1, 100, 0.9, 0.8, 0.01), FoldSlope(2, 100, 0.9, 1.25, 0.01)]

    assert between_folds(alike) == 0
    assert between_folds(apart) == pytest.approx(np.std(np.log([0.8, 1.25]), ddof=1), rel=0.05)
