import numpy as np

from cardiacnets.evaluation.cmr_probe import ridge_r


def test_ridge_regression_finds_only_targets_that_depend_on_the_features():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(900, 12))
    known, unknown = features @ rng.normal(size=12) + 0.5 * rng.normal(size=900), rng.normal(size=900)
    values = np.stack([1e3 + 50 * known, unknown], axis=1)

    r = ridge_r((features[:600], values[:600]), (features[600:], values[600:]))

    assert r[0] > 0.95
    assert abs(r[1]) < 0.2
