import numpy as np
import pytest
from scipy.special import expit

from cardiacnets.domain import CONDITIONS
from cardiacnets.evaluation import honesty


def test_overconfident_network_has_a_calibration_slope_below_1():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, 6000)
    truth = rng.random(6000) < expit(0.5 * x + 0.3)

    found = honesty.calibration(expit(x), truth)

    assert found["slope"] == pytest.approx(0.5, abs=0.05)
    assert found["slopeCi"][0] < 0.5 < found["slopeCi"][1] < 1
    right = honesty.calibration(expit(0.5 * x + 0.3), truth)
    assert right["slopeCi"][0] < 1 < right["slopeCi"][1]
    assert abs(right["inTheLarge"]) < 0.1


def test_wilson_interval_contains_the_share_and_stays_within_0_and_1():
    low, high = honesty.wilson(5, 10)
    assert (low, high) == (pytest.approx(0.2366, abs=1e-3), pytest.approx(0.7634, abs=1e-3))
    assert honesty.wilson(0, 20)[0] == 0
    assert honesty.share(np.zeros(0, dtype=bool)) == {"share": None, "ci": None, "n": 0}


def test_isolated_means_no_other_statement_and_no_cad_label():
    codes = [frozenset({"CRBBB"}), frozenset({"CRBBB", "AFIB"}), frozenset({"CRBBB"}), frozenset({"NORM"})]
    cad = np.array([False, False, True, False])
    flags = np.zeros((4, len(CONDITIONS)), dtype=bool)
    flags[0, CONDITIONS.index("ph")] = True

    report = honesty.by_statement(flags, codes, cad)

    assert report["CRBBB"]["all"]["ph"]["n"] == 3
    assert report["CRBBB"]["isolated"]["ph"] == {"share": 1.0, "ci": honesty.wilson(1, 1), "n": 1}
    assert report["infarction or ischaemia"]["all"]["any"]["n"] == 1


def test_heart_rate_report_uses_ecgs_without_disease():
    codes = [frozenset({"STACH"}), frozenset({"AFIB"}), frozenset({"NORM"})]
    rate = np.array([105.0, 105.0, 65.0])
    flags = np.ones((3, len(CONDITIONS)), dtype=bool)

    report = honesty.by_heart_rate(flags, rate, codes, np.zeros(3, dtype=bool))

    assert report["100–109"]["hf"]["n"] == 1
    assert report["60–69"]["hf"]["n"] == 1


def test_sensitivity_by_age_counts_only_that_age():
    age, truth = np.array([40, 40, 70, 70.0]), np.array([True, True, True, False])

    report = honesty.by_age(np.array([True, False, True, True]), truth, age)

    assert report["under 50"]["sensitivity"]["share"] == 0.5
    assert report["65–79"]["sensitivity"]["share"] == 1.0
    assert report["65–79"]["specificity"]["share"] == 0.0
