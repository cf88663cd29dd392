import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cardiacnets.bundle.quantise import store_in_half
from cardiacnets.bundle.write import inference_session
from cardiacnets.cli.synthesis_fixture import OUT, make_fixture, shake
from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.unet import UNet, UNetConfig
from cardiacnets.models.vae import CineDecoder, Vae, VaeConfig
from cardiacnets.stages.diffusion import fitted_to
from cardiacnets.synthesis.bundle import DISTILLED, FULL, VIEW_NAMES, Networks, example_of, export_synthesis, in_half

TINY = DenoiserConfig(frames=4, fold=2, widths=(8, 16), head_width=8, groups=4, token_width=6, embedding=10, context=8)


@pytest.fixture
def denoiser():
    return shake(Denoiser(TINY), 1)


def test_masked_ecg_has_no_effect(denoiser):
    inputs = example_of(denoiser, 2, 4)
    others = inputs | {"tokens": inputs["tokens"] + 1, "embedding": inputs["embedding"].flip(1)}

    with_ecg, without = (denoiser(*inputs.values()) - denoiser(*others.values())).abs().amax(dim=(1, 2, 3, 4))

    assert inputs["conditioned"].tolist() == [1, 0]
    assert with_ecg > 1e-3
    assert without == 0


@pytest.mark.parametrize("name", ["timestep", "view", "latent"])
def test_noise_level_view_and_every_frame_matter(denoiser, name):
    inputs = example_of(denoiser, 2, 4)
    others = dict(inputs)
    others[name] = 1 - inputs[name] if name == "view" else inputs[name] + 1.0
    if name == "latent":
        others[name] = inputs[name].clone()
        others[name][:, :, -1] += 1  # the last frame reaches the first

    change = (denoiser(*inputs.values()) - denoiser(*others.values()))[:, :, 0].abs().amax()

    assert change > 1e-4


def test_network_accepts_both_sizes_and_keeps_rows_separate(denoiser):
    for side in (4, 6):
        inputs = example_of(denoiser, 3, side)
        alone = {name: value[1:2] for name, value in inputs.items()}

        out = denoiser(*inputs.values())

        assert out.shape == inputs["latent"].shape
        assert torch.allclose(out[1:2], denoiser(*alone.values()), atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [VaeConfig(widths=(4, 4, 8), groups=4), VaeConfig(stem=1, widths=(4, 4, 4, 8), groups=4, middle_attention=True)],
)
def test_latent_has_an_eighth_of_the_width_and_is_standardised(config):
    vae, frames, view = shake(Vae(config), 1), torch.rand(6, 24, 32) * 2 - 1, torch.tensor([0, 1] * 3)
    latents, _ = vae.encode(frames, view)
    vae.fit_scale(latents)

    standard = vae.to_standard(latents)

    assert latents.shape == (6, 4, 3, 4)
    assert standard.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    cine = CineDecoder(vae)(standard.reshape(3, 2, 4, 3, 4).transpose(1, 2), view[:3] * 0)
    assert cine.shape == (3, 2, 24, 32)
    assert torch.allclose(cine[1, 0], vae.decode_raw(latents[2:3], view[:1])[0].clamp(-1, 1), atol=1e-4)


def test_fixture_of_the_typescript_tests_is_current(tmp_path):
    make_fixture(tmp_path)

    made, kept = (json.loads((folder / "reference.json").read_text()) for folder in (tmp_path, OUT))
    assert len(made["cases"]) == len(kept["cases"]) == 8
    for ours, theirs in zip(made["cases"], kept["cases"], strict=True):
        assert ours["latent"] == pytest.approx(theirs["latent"], abs=1e-3)
    synthesis = [json.loads((folder / "manifest.json").read_text())["synthesis"] for folder in (tmp_path, OUT)]
    assert synthesis[0]["readout"]["features"] == synthesis[1]["readout"]["features"]


def test_rounded_weights_take_half_the_bytes_and_change_nothing_else(tmp_path):
    unet = UNetConfig(widths=(8, 8), groups=4)
    networks = Networks(
        shake(Vae(VaeConfig(widths=(16, 16, 32), groups=4)), 1),
        shake(Denoiser(replace(TINY, widths=(16, 32))), 2),
        {view: shake(UNet(unet), 4) for view in VIEW_NAMES},
        shake(Denoiser(replace(TINY, widths=(16, 32))), 3),
    )
    halved = in_half(networks)
    export_synthesis(halved, tmp_path)

    for name, example in ((DISTILLED, example_of(halved.student, 2, 4)), (FULL, example_of(halved.denoiser, 1, 6))):
        wide, narrow = tmp_path / name, tmp_path / f"narrow-{name}"
        store_in_half(wide, narrow)
        feed = {key: value.numpy() for key, value in example.items()}
        one, other = (inference_session(path).run(None, feed)[0] for path in (wide, narrow))

        assert np.allclose(one, other, atol=1e-5)
        assert narrow.stat().st_size < 0.75 * wide.stat().st_size
    error = (networks.denoiser.head[2].weight - halved.denoiser.head[2].weight).abs().max()
    assert 0 < error < 1e-3, "the network that was given is left as it was"


def test_denoiser_is_fitted_to_another_encoder(denoiser):
    """The other encoder says the same with its axes mixed, so what the network makes of an ECG stays."""
    generator = torch.Generator().manual_seed(3)
    tokens, embedding = torch.randn(400, 32, 6, generator=generator), torch.randn(400, 10, generator=generator)
    tokens, embedding = (F.layer_norm(part, part.shape[-1:]) for part in (tokens, embedding))
    mixed = tuple(
        part @ torch.linalg.qr(torch.randn(part.shape[-1], part.shape[-1], generator=generator))[0]
        for part in (tokens, embedding)
    )

    fitted, explained = fitted_to(denoiser, (tokens, embedding), mixed)

    assert set(explained) == {"whole", "whole_token", "token"}
    assert all(0.7 < share <= 1 for share in explained.values()), explained
    inputs = example_of(denoiser, 4, 8)
    rows = {"tokens": (tokens[:4], mixed[0][:4]), "embedding": (embedding[:4], mixed[1][:4])}
    ones = {"conditioned": torch.ones(4)}
    known = inputs | ones | {name: pair[0] for name, pair in rows.items()}
    other = inputs | ones | {name: pair[1] for name, pair in rows.items()}
    with torch.no_grad():
        before, after, unfitted = denoiser(*known.values()), fitted(*other.values()), denoiser(*other.values())
    assert F.mse_loss(after, before) < 0.2 * F.mse_loss(unfitted, before)
