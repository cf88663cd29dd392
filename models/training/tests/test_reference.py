import json

import numpy as np
import pytest

from cardiacnets.reference import obvious, vectorised
from cardiacnets.reference.make_vectors import ARRAYS, CASES, OUT_DIR, make_input, make_vectors
from cardiacnets.signal.profile import FLAT_RANGE_MV, load_profile
from cardiacnets.signal.resample import resample

PROFILE = load_profile()
STAGES = ("trend", "detrended", "denoised", "smoothed", "scaled", "amplitude")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_references_agree_after_each_stage(case):
    window = make_input(case, np.random.default_rng(7))

    slow = obvious.preprocess(window, case.heart_rate_bpm, PROFILE)
    fast = vectorised.preprocess(window, case.heart_rate_bpm, PROFILE)

    for stage in STAGES:
        np.testing.assert_allclose(getattr(fast, stage), getattr(slow, stage), rtol=0, atol=1e-10, err_msg=stage)


@pytest.mark.parametrize("preprocess", [obvious.preprocess, vectorised.preprocess])
def test_a_flat_lead_becomes_zeros(preprocess):
    window = np.full((2, 5000), 0.3)

    stages = preprocess(window, 75, PROFILE)

    assert (stages.scaled == 0).all()
    assert np.abs(stages.amplitude).max() < FLAT_RANGE_MV


@pytest.mark.parametrize(
    ("heart_rate_bpm", "period"),
    [(40, 750), (75, 400), (68, 441), (60 * 500 / 441.5, 442), (24, 400), (251, 400), (float("nan"), 400)],
)
def test_period_is_one_rr_interval_rounded_half_up_or_400_for_an_implausible_rate(heart_rate_bpm, period):
    assert PROFILE.period(heart_rate_bpm) == period


def test_noise_is_measured_in_a_band_available_at_100_hz():
    assert PROFILE.rate_hz / 2 ** (PROFILE.noise_level + 1) < 0.8 * 100 / 2


def test_resampling_preserves_a_sine_and_removes_frequencies_above_nyquist():
    time = np.arange(5000) / 500
    kept, lost = np.sin(2 * np.pi * 10 * time), np.sin(2 * np.pi * 180 * time)

    low = resample(np.stack([kept, lost]), 500, 100)

    assert low.shape == (2, 1000)
    np.testing.assert_allclose(low[0, 20:-20], kept[::5][20:-20], atol=0.01)
    assert np.abs(low[1, 20:-20]).max() < 0.02


def test_committed_vectors_equal_the_scripts_output(tmp_path):
    make_vectors(tmp_path)

    committed = json.loads((OUT_DIR / "index.json").read_text())
    assert committed == json.loads((tmp_path / "index.json").read_text())
    for case in committed["cases"]:
        made = np.fromfile(tmp_path / case["file"], "<f8")
        kept = np.fromfile(OUT_DIR / case["file"], "<f8")
        assert made.size == len(ARRAYS) * case["leads"] * case["samples"] + 2 * case["leads"]
        np.testing.assert_allclose(made, kept, rtol=0, atol=1e-9)
