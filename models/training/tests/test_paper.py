"""The paper's sizes, in full: `pytest -m paper` (minutes, and gigabytes)."""

import gc
import json
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data.cines import CROP, CineSet, draw_affine, sample_cines
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.models.denoiser import DENOISER_PAPER, Denoiser
from cardiacnets.models.diffusion import GUIDANCE_PAPER, SCHEDULE_PAPER, STEPS_PAPER, alpha_bar
from cardiacnets.models.ecg_vit import EcgMae, EcgVit, EcgVitConfig
from cardiacnets.models.greenmim import GreenMim, draw_visible
from cardiacnets.models.heads import FunctionHead, ScreeningHead
from cardiacnets.models.losses import masked_bce, masked_gaussian_nll
from cardiacnets.models.swin import SWIN_PAPER, Swin
from cardiacnets.models.vae import VAE_PAPER, Vae
from cardiacnets.stages import loop
from cardiacnets.stages.cmr_pretraining import paper
from cardiacnets.stages.contrastive import Alignment, ContrastiveConfig, cine_features, info_nce
from cardiacnets.stages.diffusion import noisy
from cardiacnets.stages.loop import OptimisationConfig, run
from cardiacnets.stages.vae import VaeTrainingConfig, vae_loss

pytestmark = pytest.mark.paper

SWIN_B = 87_768_224
"""Parameters of Swin-B for ImageNet, with 3 channels and a head of 1000 classes."""
SWIN_B_OF_CINES = SWIN_B - (1024 * 1000 + 1000) + (50 - 3) * 4 * 4 * 128
VIT_L_BLOCKS = 24 * (12 * 1024**2 + 13 * 1024)
ECG_VIT_L = 302_750_976
ONE_STEP = OptimisationConfig(steps=1, learning_rate=1e-4)


@pytest.fixture(autouse=True)
def within_memory(monkeypatch):
    """Nothing is written (gigabytes), and what a test leaves is freed before the next."""
    monkeypatch.setattr(loop, "save", lambda *_: None)
    monkeypatch.setattr(loop, "save_model", lambda *_: None)
    yield
    gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GiB; of all tests so far
    print(f"peak {peak:.1f} GiB")
    assert peak < 24


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def logged(out_dir):
    (line,) = [json.loads(line) for line in (out_dir / "log.jsonl").read_text().splitlines()]
    return line


@pytest.fixture
def ecgs():
    """Two people's 10 s at 500 Hz: a wave a second of another height and rate, and who they are."""
    time = torch.arange(5000) / 500
    rate = torch.tensor([1.0, 1.3]).view(2, 1, 1)
    height = torch.linspace(0.5, 1.5, 12).view(1, 12, 1) / rate
    millivolt = height * torch.exp(-0.5 * (((time * rate) % 1 - 0.5) / 0.03) ** 2)
    person = torch.tensor([[0.0, 60, 180, 80], [1, 50, 165, 60]])
    return millivolt, torch.ones(2, 12), person, torch.ones(2, 4)


@pytest.fixture
def cines():
    """Two people's discs that narrow and widen over 50 frames."""
    row, column = np.mgrid[:128, :128]
    radius = np.array([25, 32])[:, None] * (1 - 0.25 * np.sin(np.arange(50) * np.pi / 50))  # [2,50]
    frames = 200 * (np.hypot(row - 64, column - 64) < radius[..., None, None])
    return CineSet(frames.astype(np.uint8), np.array(["train", "train"]))


def test_two_swin_b_have_the_published_parameter_count_apart_from_frames_and_head():
    encoders = torch.nn.ModuleDict({"short_axis": Swin(SWIN_PAPER), "four_chamber": Swin(SWIN_PAPER)})

    assert parameters(encoders) == 2 * SWIN_B_OF_CINES == 2 * 86_839_480
    assert [SWIN_PAPER.unit, SWIN_PAPER.units, SWIN_PAPER.features] == [32, 49, 1024]
    with torch.no_grad():
        assert encoders["short_axis"](torch.randn(1, 50, 224, 224)).shape == (1, 49, 1024)


def test_ecg_encoder_is_a_vit_l_over_600_patches(ecgs):
    config, model = EcgVitConfig(), EcgVit().eval()

    patch, position, person, absent = 101 * 1024, (12 + 50) * 1024, 9 * 1024, 1024
    assert parameters(model.blocks) == VIT_L_BLOCKS == 302_309_376
    assert parameters(model) == VIT_L_BLOCKS + patch + position + person + absent + 2048 + 1025 * 256 == ECG_VIT_L
    assert config.tokens == 600
    with torch.no_grad():
        tokens, embedding = model(*ecgs)
    assert [tokens.shape, embedding.shape] == [(2, 600, 1024), (2, 256)]


@pytest.mark.parametrize("view", CROP)
def test_a_step_of_cmr_masked_modelling_lowers_the_loss(cines, tmp_path, view):
    config, generator = paper(view), torch.Generator().manual_seed(1)
    model = GreenMim(config.mim)
    assert parameters(model) == 116_808_888
    frames, centre = cines.take(np.arange(2))
    image = sample_cines(frames, centre, draw_affine(2, config.augment, generator), config.crop, SWIN_PAPER.image)
    visible = draw_visible(config.mim, generator)
    assert len(visible) == 12  # of 49

    def loss(_step=0, _generator=None):
        return model.loss(image, visible)

    run("cmr", ONE_STEP, {}, model, loss, lambda: {"again": loss().item()}, tmp_path)

    assert logged(tmp_path)["validation"]["again"] < logged(tmp_path)["loss"]


def test_a_step_of_ecg_masked_modelling_lowers_the_loss(ecgs, tmp_path):
    model = EcgMae()
    assert parameters(model) == 309_665_124

    def loss(_step=0, _generator=None):
        return model.loss(ecgs[0], 0.5, torch.Generator().manual_seed(1))

    run("ecg", ONE_STEP, {}, model, loss, lambda: {"again": loss().item()}, tmp_path)

    assert logged(tmp_path)["validation"]["again"] < logged(tmp_path)["loss"]


def test_a_step_of_contrast_with_both_views_lowers_the_loss(ecgs, cines, tmp_path):
    config = ContrastiveConfig(batch=2, cine_copies=1)
    features = {view: torch.from_numpy(cine_features(Swin(SWIN_PAPER), cines, CROP[view], config)) for view in CROP}
    model = Alignment(config, {view: values.shape[2] for view, values in features.items()})
    for view, values in features.items():
        model.views[view][0].fit(values[:, 0])
    model.trunk = EcgVit()
    assert {parameters(part) for part in (model.ecg, *model.views.values())} == {
        257 * 256 * 2,  # ECG: 256 → 256 → 256
        65 * 64 + 65 * 256,  # a view: 1024, whitened to 64 → 64 → 256
    }
    assert config.temperature == 0.1

    def loss(_step=0, _generator=None):
        points = model.project_ecg(*ecgs)
        assert points.shape == (2, 256)
        pairs = [
            info_nce(points, model.views[view](values[:, 1]), config.temperature) for view, values in features.items()
        ]
        return torch.stack(pairs).mean()

    run("contrastive", ONE_STEP, {}, model, loss, lambda: {"again": loss().item()}, tmp_path)

    assert logged(tmp_path)["validation"]["again"] < logged(tmp_path)["loss"]


def test_a_step_of_both_heads_with_the_encoder_lowers_the_loss(ecgs, tmp_path):
    model = torch.nn.ModuleDict({"trunk": EcgVit(), "screening": ScreeningHead(), "function": FunctionHead()})
    sick = torch.tensor([[0.0] * len(CONDITIONS), [1.0] * len(CONDITIONS)])
    indices = torch.tensor([[-1.0] * len(INDICES), [1.0] * len(INDICES)])
    known = torch.ones(2, 1)

    def loss(_step=0, _generator=None):
        embedding = model["trunk"](*ecgs)[1].float()
        logits, (mean, logvar) = model["screening"](embedding), model["function"].standardised(embedding)
        assert [logits.shape, mean.shape, logvar.shape] == [(2, 5), (2, 82), (2, 82)]
        return masked_bce(logits, sick, torch.ones_like(sick)) + masked_gaussian_nll(mean, logvar, indices, known)

    run("heads", ONE_STEP, {}, model, loss, lambda: {"again": loss().item()}, tmp_path)

    assert logged(tmp_path)["validation"]["again"] < logged(tmp_path)["loss"]


def test_a_step_of_the_vae_at_256_pixels_lowers_the_loss(tmp_path):
    config, model = VaeTrainingConfig(vae=VAE_PAPER), Vae(VAE_PAPER)
    assert parameters(model) == 83_650_441  # Stable Diffusion's has 83.7 million
    frames = torch.linspace(-1, 1, 256).expand(1, 256, 256) * torch.linspace(-1, 1, 256)[:, None]
    view = torch.zeros(1, dtype=torch.long)
    assert model.encode(frames, view)[0].shape == (1, 4, 32, 32)

    def loss(_step=0, _generator=None):
        return vae_loss(model, frames, view, config, torch.Generator().manual_seed(1))

    gently = replace(ONE_STEP, learning_rate=4.5e-6)  # Stable Diffusion's for its autoencoder
    run("vae", gently, {}, model, loss, lambda: {"again": loss().item()}, tmp_path)

    assert logged(tmp_path)["validation"]["again"] < logged(tmp_path)["loss"]


def test_a_step_of_diffusion_over_50_frames_with_the_vit_s_tokens_lowers_the_loss(tmp_path):
    model, generator = Denoiser(DENOISER_PAPER), torch.Generator().manual_seed(1)
    latent = torch.zeros(1, 4, 50, 32, 32)
    ecg = torch.randn(1, 600, 1024, generator=generator), torch.randn(1, 256, generator=generator), torch.ones(1)
    noise = torch.randn(latent.shape, generator=generator)
    step, view = torch.tensor([500]), torch.zeros(1, dtype=torch.long)
    mixed, target = noisy(latent, alpha_bar(SCHEDULE_PAPER)[step], SCHEDULE_PAPER, noise)
    assert torch.equal(target, noise)  # ε
    assert (SCHEDULE_PAPER.steps, STEPS_PAPER, GUIDANCE_PAPER) == (1000, 50, 9)

    def loss(_step=0, _generator=None):
        return (model(mixed, step.float(), *ecg, view) - target).square().mean()

    run("diffusion", ONE_STEP, {}, model, loss, lambda: {"again": loss().item()}, tmp_path)

    assert logged(tmp_path)["validation"]["again"] < logged(tmp_path)["loss"]
