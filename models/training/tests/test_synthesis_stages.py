import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.cli.synthesis_fixture import shake
from cardiacnets.data.cines import CineSet
from cardiacnets.data.latents import Conditions, LatentSet
from cardiacnets.metrics import auroc
from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, alpha_bar, both_of, sample, signal_and_noise
from cardiacnets.models.vae import CineDecoder, Vae, VaeConfig
from cardiacnets.stages.diffusion import DiffusionConfig, load_denoiser, train_diffusion
from cardiacnets.stages.distillation import METHODS, DistillationConfig, leading_there, train_distillation
from cardiacnets.stages.loop import OptimisationConfig
from cardiacnets.stages.short_cines import short_cines, shorten
from cardiacnets.stages.vae import ShortCineSet, VaeTrainingConfig, encode_cines, load_vae, train_vae
from cardiacnets.synthesis.draw import Sampler, draw
from cardiacnets.synthesis.metrics import faithful_auroc, frechet, nearest, psnr, ssim
from cardiacnets.synthesis.readout import FEATURES, fit_readout, label_areas

SPLIT = np.repeat(["train", "val", "test"], [40, 12, 8])
DENOISER = DenoiserConfig(
    frames=2, fold=1, widths=(16,), attends=(True,), head_width=8, groups=4, token_width=6, embedding=5, context=8
)


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def brightness():
    return np.random.default_rng(1).uniform(-1, 1, len(SPLIT))


@pytest.fixture
def latents(brightness):
    """All of a cine is as bright as the person's number; both views alike."""
    values = np.broadcast_to(brightness[:, None, None, None, None], (60, 4, 2, 2, 2)).astype(np.float16)
    return LatentSet({"short_axis": values, "four_chamber": values}, SPLIT)


@pytest.fixture
def conditions(brightness):
    """The ECG tells the number."""
    tokens = np.broadcast_to((brightness[:, None, None, None] * [1, -1, 0, 2, -2, 0]), (60, 3, 3, 6))
    embedding = np.broadcast_to(brightness[:, None, None] * [1, -1, 2, -2, 0], (60, 3, 5))
    return Conditions(tokens.astype(np.float16), embedding.astype(np.float16))


def diffusion_config(**changes):
    optimisation = OptimisationConfig(steps=20, learning_rate=5e-3, save_every=10, weight_decay=0.0)
    config = DiffusionConfig(batch=16, average=0.9, denoiser=DENOISER, optimisation=optimisation)
    return replace(config, **changes)


def test_cine_of_fewer_frames_has_half_the_noise_and_keeps_its_motion():
    rng, phase = np.random.default_rng(2), np.arange(50) / 50
    clean = 120 + 60 * np.cos(2 * np.pi * phase)[:, None, None] * np.ones((1, 20, 20))
    noisy = np.clip(clean + rng.normal(0, 10, clean.shape), 0, 255).astype(np.uint8)

    short = shorten(noisy)

    error = short - (120 + 60 * np.cos(2 * np.pi * np.arange(16) / 16))[:, None, None]
    assert short.shape == (16, 20, 20)
    assert error.std() == pytest.approx(10 * (16 / 50) ** 0.5, rel=0.1)
    assert abs(error.mean()) < 0.7


def test_short_cines_are_centred_on_the_heart_and_computed_once(tmp_path):
    frames = np.zeros((2, 50, 128, 128), dtype=np.uint8)
    frames[0, :, 60, 70], frames[1, :, 5, 8] = 200, 100
    cines = CineSet(frames, np.array(["train", "test"]), np.array([[60, 70], [5, 8]]))

    made = short_cines(cines, 80, tmp_path / "short.npy")
    again = short_cines(CineSet(frames * 0, cines.split, cines.centre), 80, tmp_path / "short.npy")

    assert made.shape == (2, 16, 80, 80)
    assert made[:, :, 40, 40].tolist() == [[200] * 16, [100] * 16]
    assert np.array_equal(made, again)


def test_vae_learns_both_views_and_standardises_its_latents(tmp_path):
    rng = np.random.default_rng(3)
    slope = rng.uniform(-1, 1, (60, 4, 2, 1, 1)) * np.stack(np.mgrid[-1:1:16j, -1:1:16j])
    frames = (127 + 60 * slope.sum(axis=2)).astype(np.uint8)
    cines = ShortCineSet({"short_axis": frames, "four_chamber": 255 - frames // 2}, SPLIT)
    config = VaeTrainingConfig(
        batch=16,
        vae=VaeConfig(stem=8, widths=(32,), groups=4),
        optimisation=OptimisationConfig(steps=160, learning_rate=5e-3, save_every=40),
    )

    vae = load_vae(train_vae(config, cines, tmp_path))

    first, *_, last = (line["validation"] for line in log_of(tmp_path))
    assert all(last[f"{view}.psnr"] > first[f"{view}.psnr"] + 2 for view in cines.frames)
    made = encode_cines(vae, cines, "four_chamber", tmp_path)
    assert made.shape == (60, 4, 4, 2, 2)
    assert np.concatenate([made, encode_cines(vae, cines, "short_axis", tmp_path)]).std() == pytest.approx(1, abs=0.25)


def test_denoiser_learns_from_the_ecg(tmp_path, latents, conditions, brightness):
    path = train_diffusion(
        diffusion_config(
            optimisation=replace(diffusion_config().optimisation, steps=320, learning_rate=1e-2, save_every=160)
        ),
        latents,
        conditions,
        tmp_path,
    )

    last = log_of(tmp_path)[-1]["validation"]
    assert last["short_axis.withEcg"] < 0.7 * last["short_axis.withoutEcg"]
    denoiser, schedule = load_denoiser(path)
    rows = np.flatnonzero(latents.split == "test")
    start = torch.randn(len(rows), 4, 2, 2, 2, generator=torch.Generator().manual_seed(1))
    ones, view = torch.ones(len(rows)), torch.zeros(len(rows), dtype=torch.long)
    drawn = sample(lambda x, step: denoiser(x, step, *conditions.take(rows), ones, view), start, schedule, 10)
    assert np.corrcoef(drawn.mean(dim=(1, 2, 3, 4)), brightness[rows])[0, 1] > 0.9


def test_killed_diffusion_training_resumes_to_the_same_result(tmp_path, latents, conditions):
    config = diffusion_config()
    unbroken = train_diffusion(config, latents, conditions, tmp_path / "unbroken")

    class Killed(Exception):
        pass

    class Dying(Conditions):
        def take(self, rows, copies=0):
            if (tmp_path / "killed" / "checkpoint.pt").exists():
                raise Killed
            return super().take(rows, copies)

    with pytest.raises(Killed):
        train_diffusion(config, latents, Dying(conditions.tokens, conditions.embedding), tmp_path / "killed")
    resumed = train_diffusion(config, latents, conditions, tmp_path / "killed")
    reseeded = replace(config, optimisation=replace(config.optimisation, seed=2))
    another = train_diffusion(reseeded, latents, conditions, tmp_path / "another")

    one, other, different = (torch.load(path, weights_only=True)["model"] for path in (resumed, unbroken, another))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], different[name]) for name in one)


def test_one_step_to_the_distillation_target_matches_the_teacher():
    schedule, generator = ScheduleConfig(), torch.Generator().manual_seed(1)
    bar = torch.cat([alpha_bar(schedule), torch.ones(1, dtype=torch.float64)])
    for ends in ((999, 874), (499, 374), (124, -1)):
        latent, reached = torch.randn(2, 3, 4, 5, generator=generator).unbind(0)

        v = leading_there(latent, reached, ends, schedule)

        clean, epsilon = both_of(v, latent, *signal_and_noise(bar[[ends[0]]], latent), "v")
        signal, noise = signal_and_noise(bar[[ends[1]]], latent)
        assert torch.allclose(signal * clean + noise * epsilon, reached, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_student_approaches_its_teacher(tmp_path, latents, conditions, method):
    teacher, schedule = shake(Denoiser(DENOISER), 1), ScheduleConfig()
    optimisation = OptimisationConfig(steps=40, learning_rate=5e-3, save_every=5, weight_decay=0.0)
    config = DistillationConfig(
        method=method,
        steps=2,
        guidance=3.0,
        batch=16,
        average=0.8,
        denoiser=DENOISER,
        schedule=schedule,
        optimisation=optimisation,
    )

    path = train_distillation(config, latents, conditions, teacher, tmp_path / "student")

    first, *_, last = (line["validation"]["relative"] for line in log_of(tmp_path / "student"))
    assert last < 0.7 * first
    student, _ = load_denoiser(path)
    assert student.config == teacher.config


def test_seed_gives_the_same_cine_in_any_batch(conditions):
    vae = shake(Vae(VaeConfig(widths=(4, 4, 8), groups=4)), 1)
    sampler = Sampler(CineDecoder(vae), shake(Denoiser(DENOISER), 2), DENOISER, ScheduleConfig(), 3, 1.5)

    both = draw(sampler, conditions, np.array([3, 7]), seed=1, batch=1)
    alone = draw(sampler, conditions, np.array([7]), seed=1)
    other = draw(sampler, conditions, np.array([7]), seed=2)

    assert both["short_axis"].shape == (2, 2, 80, 80)
    assert both["four_chamber"].shape == (2, 2, 96, 96)
    assert np.abs(both["short_axis"][1].astype(int) - alone["short_axis"][0]).max() <= 1
    assert np.abs(other["short_axis"][0].astype(int) - alone["short_axis"][0]).max() > 5


def test_readout_recovers_volumes_from_areas():
    rng = np.random.default_rng(4)
    features = rng.uniform(5, 30, (300, len(FEATURES)))
    truth = np.stack([4 * features[:, 1] + 7, features[:, 5] - features[:, 9]], axis=1)

    readout = fit_readout(features[:200], truth[:200], ("lvEdv", "lvMass"))

    assert np.allclose(readout(features[200:]), truth[200:], rtol=0.05, atol=1)
    labels = np.zeros((1, 10, 10), dtype=np.uint8)
    labels[0, :2, :5] = 2
    assert label_areas(labels, 3)[0] == pytest.approx([0, 10 * 0.18**2, 0])


def test_measures_of_likeness():
    rng = np.random.default_rng(5)
    cines = rng.integers(0, 255, (3, 2, 16, 16)).astype(np.uint8)
    points = rng.normal(size=(4000, 3))

    assert ssim(cines, cines) == pytest.approx([1, 1, 1])
    assert (ssim(cines, cines[::-1])[[0, 2]] < 0.2).all()
    assert psnr(cines // 2, cines // 2 + 10) == pytest.approx([20 * np.log10(25.5)] * 3)
    # Gaussians of spread 1 and 2, three dimensions, means 1 apart: 1 + 3·(2 − 1)².
    assert frechet(points, 2 * points + [1, 0, 0]) == pytest.approx(4, abs=0.2)
    distance, place = nearest(points[:5] + 0.001, points)
    assert place.tolist() == [0, 1, 2, 3, 4]
    assert distance == pytest.approx([0.001] * 5, rel=1e-3)


def test_faithful_auroc_is_that_of_signs_drawn_by_their_probability():
    rng = np.random.default_rng(6)
    p = rng.beta(0.5, 6, 200_000)
    has, drawn = rng.random(p.shape) < p, rng.random(p.shape) < p

    assert faithful_auroc(p) == pytest.approx(auroc(has, drawn.astype(float)), abs=0.005)
    assert faithful_auroc(np.full(9, 0.3)) == pytest.approx(0.5)
