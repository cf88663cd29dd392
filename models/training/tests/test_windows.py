import numpy as np
import pytest
import torch

from cardiacnets.data import windows
from cardiacnets.data.windows import cached_millivolt, to_window
from cardiacnets.models.frontend import FrontEnd
from cardiacnets.reference.synthetic import synthetic_ecg
from cardiacnets.signal.heart_rate import heart_rate
from cardiacnets.signal.resample import resample


def to_millivolt(window):
    tensors = torch.from_numpy(window.ecg)[None], torch.from_numpy(window.amplitude)[None]
    return FrontEnd()(*tensors, torch.ones(1, 12))[0]


@pytest.mark.parametrize("bpm", [45, 75, 140])
def test_heart_rate_of_a_synthetic_ecg_is_found(bpm):
    ecg = synthetic_ecg(np.random.default_rng(bpm), leads=12, heart_rate_bpm=bpm, noise_mv=0.03)

    assert heart_rate(ecg, 500) == pytest.approx(bpm, rel=0.03)


def test_a_flat_window_has_no_heart_rate():
    assert np.isnan(heart_rate(np.zeros((12, 5000)), 500))


def test_ecg_at_100_hz_gives_nearly_the_network_input_of_500_hz():
    ecg = synthetic_ecg(np.random.default_rng(8), leads=12, heart_rate_bpm=72)

    fine = to_millivolt(to_window(ecg, 500))
    coarse = to_millivolt(to_window(resample(ecg, 500, 100), 100))

    error = (fine - coarse)[:, 20:-20].square().mean().sqrt()
    assert error < 0.05 * fine.square().mean().sqrt()


def test_front_end_recovers_millivolts_and_ignores_absent_leads():
    time = np.arange(5000) / 500
    wave = 0.4 + 1.2 * np.sin(2 * np.pi * 5 * time)
    ecg = torch.tensor(np.sin(2 * np.pi * 5 * time), dtype=torch.float32).repeat(1, 12, 1)
    ecg[0, 3] = float("nan")
    amplitude = torch.tensor([-0.8, 1.6]).repeat(1, 12, 1)
    mask = torch.ones(1, 12)
    mask[0, 3] = 0

    millivolt = FrontEnd()(ecg, amplitude, mask)

    np.testing.assert_allclose(millivolt[0, 0, 20:-20], wave[::5][20:-20], atol=0.01)
    assert (millivolt[0, 3] == 0).all()


def test_frequencies_above_50_hz_do_not_reach_the_network():
    time = np.arange(5000) / 500
    ecg = torch.tensor(np.sin(2 * np.pi * 60 * time), dtype=torch.float32).repeat(1, 12, 1)

    millivolt = FrontEnd()(ecg, torch.tensor([-1.0, 1.0]).repeat(1, 12, 1), torch.ones(1, 12))

    assert millivolt[..., 20:-20].abs().max() < 0.01


def test_windows_are_computed_once_and_then_read(tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path))
    ecg = synthetic_ecg(np.random.default_rng(1), leads=12, heart_rate_bpm=72)

    made = cached_millivolt("made-up", [ecg, -ecg], 2, 500)
    monkeypatch.setattr(windows, "to_window", None)
    read = cached_millivolt("made-up", [], 2, 500)

    assert made.shape == (2, 12, 1000)
    np.testing.assert_array_equal(made, read)
