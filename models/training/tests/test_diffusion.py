import pytest
import torch

from cardiacnets.models.diffusion import ScheduleConfig, alpha_bar, both_of, guided, sample, signal_and_noise, timesteps


def test_zero_terminal_snr_makes_the_last_step_pure_noise_and_keeps_the_first():
    plain, rescaled = (alpha_bar(ScheduleConfig(zero_terminal_snr=zero)) for zero in (False, True))

    assert rescaled[-1] == 0
    assert rescaled[0] == pytest.approx(float(plain[0]))
    assert plain[-1] == pytest.approx(0.0047, abs=1e-4)  # Stable Diffusion's
    assert (rescaled.diff() < 0).all()


def test_trailing_steps_start_at_the_last_step_and_end_before_zero():
    assert timesteps(1000, 8) == [999, 874, 749, 624, 499, 374, 249, 124]
    assert timesteps(1000, 3) == [999, 666, 332]


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_either_prediction_recovers_latent_and_noise(prediction):
    clean, epsilon = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1)).unbind(0)
    config = ScheduleConfig(zero_terminal_snr=False, prediction=prediction)
    signal, noise = signal_and_noise(alpha_bar(config)[torch.tensor([10, 500, 900])], clean)
    noisy = signal * clean + noise * epsilon
    target = signal * epsilon - noise * clean if prediction == "v" else epsilon

    found = both_of(target, noisy, signal, noise, prediction)

    assert torch.allclose(found[0], clean, atol=1e-4)
    assert torch.allclose(found[1], epsilon, atol=1e-4)


def test_ddim_with_the_optimal_denoiser_reaches_the_gaussian():
    config, mean, spread = ScheduleConfig(), 3.0, 0.5
    bar = alpha_bar(config)

    def best(latent, step):
        """v where data are N(mean, spread²): E[x0 | xt] in closed form."""
        signal, noise = signal_and_noise(bar[step.long()], latent)
        clean = mean + spread**2 * signal / (signal**2 * spread**2 + noise**2) * (latent - signal * mean)
        return (signal * latent - clean) / noise

    start = torch.randn(4000, 1, generator=torch.Generator().manual_seed(1))

    drawn = sample(best, start, config, 1000)

    # The flow is linear: every point keeps its place in the distribution.
    assert torch.allclose(drawn, mean + spread * start, atol=0.02)


def test_guidance_1_runs_the_network_once_and_other_guidance_moves_away_from_the_unconditional_result():
    calls = []

    def denoiser(latent, step, tokens, embedding, conditioned, view):
        calls.append(len(latent))
        return conditioned[:, None] + torch.zeros_like(latent)

    tokens, embedding, view = torch.zeros(2, 3, 4), torch.zeros(2, 5), torch.zeros(2, dtype=torch.long)

    plain, strong = (
        guided(denoiser, tokens, embedding, view, strength)(torch.zeros(2, 6), torch.zeros(2))
        for strength in (1.0, 1.75)
    )

    assert calls == [2, 4]
    assert (plain == 1).all()
    assert (strong == 1.75).all()
