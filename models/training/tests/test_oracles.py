"""Our own networks, sampler, schedule, average and similarity beside the libraries that are known for them.

Why ours stay: docs/decisions/0011-python-libraries.md.
"""

import copy

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from skimage.metrics import structural_similarity
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import Block as TimmBlock
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel

from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, alpha_bar, sample, timesteps
from cardiacnets.models.ecg_vit import _blocks
from cardiacnets.models.swin import SWIN_COMPACT, Swin, SwinConfig
from cardiacnets.stages.diffusion import Averaged, noisy
from cardiacnets.stages.loop import OptimisationConfig, learning_rate
from cardiacnets.synthesis.metrics import ssim


def swin_of_timm(ours: Swin, config: SwinConfig) -> SwinTransformer:
    """timm's network with our weights."""
    theirs = SwinTransformer(
        img_size=config.image,
        patch_size=config.patch,
        in_chans=config.frames,
        num_classes=0,
        global_pool="",
        embed_dim=config.dim,
        depths=config.depths,
        num_heads=config.heads,
        window_size=config.window,
        drop_path_rate=0.0,
    )
    theirs.patch_embed.proj.load_state_dict(ours.embed.state_dict())
    theirs.patch_embed.norm.load_state_dict(ours.embed_norm.state_dict())
    theirs.norm.load_state_dict(ours.norm.state_dict())
    for number, (stage, blocks) in enumerate(zip(theirs.layers, ours.stages, strict=True)):
        for block, own in zip(stage.blocks, blocks, strict=True):
            block.norm1.load_state_dict(own.attention_norm.state_dict())
            block.attn.qkv.load_state_dict(own.attention.qkv.state_dict())
            block.attn.proj.load_state_dict(own.attention.project.state_dict())
            block.attn.relative_position_bias_table.data.copy_(own.attention.position)
            for part, layer in zip((block.norm2, block.mlp.fc1, block.mlp.fc2), (0, 1, 3), strict=True):
                part.load_state_dict(own.mlp[layer].state_dict())
        if number > 0:
            # Swin's authors join the four neighbours column by column, we row by row.
            merge = {
                name: value.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :].flatten(-2)
                for name, value in ours.merges[number - 1].state_dict().items()
            }
            stage.downsample.norm.load_state_dict({"weight": merge["norm.weight"], "bias": merge["norm.bias"]})
            stage.downsample.reduction.load_state_dict({"weight": merge["reduce.weight"]})
    return theirs.eval()


@pytest.mark.parametrize("config", [*SWIN_COMPACT.values(), SwinConfig(frames=3, dim=12, pooled="last")])
@torch.no_grad()
def test_swin_equals_timm(config):
    torch.manual_seed(1)
    ours = Swin(config).eval()
    for parameter in ours.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    cine = torch.randn(2, config.frames, config.image, config.image)

    found = ours(cine)

    wanted = swin_of_timm(ours, config)(cine).flatten(1, 2)  # [N,h,w,C], row by row as our mask units are numbered
    assert wanted.abs().max() > 1
    assert (found - wanted).abs().max() < 1e-4


@torch.no_grad()
def test_ecg_encoder_block_equals_timm():
    torch.manual_seed(1)
    (ours,) = _blocks(32, 4, 1).eval()
    theirs = TimmBlock(32, 4, qkv_bias=True).eval()
    theirs.attn.qkv.load_state_dict({"weight": ours.qkv.weight, "bias": ours.qkv.bias})
    for part, own in (
        (theirs.attn.proj, ours.out),
        (theirs.norm1, ours.attention_norm),
        (theirs.norm2, ours.mlp[0]),
        (theirs.mlp.fc1, ours.mlp[1]),
        (theirs.mlp.fc2, ours.mlp[3]),
    ):
        part.load_state_dict(own.state_dict())
    theirs.norm1.eps = theirs.norm2.eps = ours.attention_norm.eps
    tokens = torch.randn(2, 9, 32)

    assert (ours(tokens) - theirs(tokens)).abs().max() < 1e-5


def scheduler_of(config: ScheduleConfig) -> DDIMScheduler:
    """The same schedule, as diffusers has it."""
    return DDIMScheduler(
        num_train_timesteps=config.steps,
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        beta_schedule="scaled_linear",
        clip_sample=False,
        prediction_type="v_prediction" if config.prediction == "v" else "epsilon",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=config.zero_terminal_snr,
    )


SCHEDULES = [ScheduleConfig(), ScheduleConfig(zero_terminal_snr=False, prediction="epsilon")]


@pytest.mark.parametrize("config", SCHEDULES)
def test_noise_schedule_and_training_target_equal_diffusers(config):
    scheduler, generator = scheduler_of(config), torch.Generator().manual_seed(1)
    latent, noise = torch.randn(2, 4, 3, 5, generator=generator).unbind(0)
    when = torch.tensor([0, 300, 700, 999])
    bar = alpha_bar(config)

    mixed, target = noisy(latent, bar[when], config, noise)

    assert torch.allclose(bar.float(), scheduler.alphas_cumprod, atol=1e-6)
    assert torch.allclose(mixed, scheduler.add_noise(latent, noise, when), atol=1e-4)
    wanted = scheduler.get_velocity(latent, noise, when) if config.prediction == "v" else noise
    assert torch.allclose(target, wanted, atol=1e-4)


@pytest.mark.parametrize("config", SCHEDULES)
@pytest.mark.parametrize("steps", [8, 25, 50])
def test_sampling_takes_the_same_steps_as_diffusers(config, steps):
    scheduler = scheduler_of(config)
    scheduler.set_timesteps(steps)
    start = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(2))

    def predict(latent: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """What a network could say: it depends on the latent and on the step."""
        return torch.tanh(latent.roll(1, dims=-1)) * (0.5 + step[:, None, None] / 1000)

    drawn = sample(predict, start, config, steps)

    latent = start
    for step in scheduler.timesteps:
        latent = scheduler.step(predict(latent, step.float().expand(3)), step, latent).prev_sample
    assert timesteps(config.steps, steps) == scheduler.timesteps.tolist()
    assert torch.allclose(drawn, latent, atol=1e-3)


def test_learning_rate_equals_torch_warmup_and_cosine():
    config = OptimisationConfig(steps=40, learning_rate=3e-3, warm_up=0.2)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    rise, fall = LinearLR(optimiser, 1 / 8, 1.0, total_iters=7), CosineAnnealingLR(optimiser, T_max=32)
    schedule = SequentialLR(optimiser, [rise, fall], milestones=[8])

    for step in range(config.steps):
        assert learning_rate(step, config) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-9)
        optimiser.step()
        schedule.step()


def test_weight_average_equals_torch():
    config = DenoiserConfig(
        frames=2, fold=1, widths=(8,), attends=(False,), head_width=8, groups=4, token_width=4, embedding=4, context=4
    )
    ours = Averaged(Denoiser(config), decay=0.3)
    network = copy.deepcopy(ours.network)

    def mean(slow: torch.Tensor, fast: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return slow.lerp(fast, 1 - min(0.3, float((1 + step) / (10 + step))))

    theirs = AveragedModel(network, avg_fn=mean)
    theirs.n_averaged += 1  # or its first update would take the weights whole
    for step in range(1, 6):
        for own, other in zip(ours.network.parameters(), network.parameters(), strict=True):
            other.data.copy_(own.data.add_(0.1 * step))
        ours.update(step)
        theirs.update_parameters(network)

    for own, other in zip(ours.ema.parameters(), theirs.module.parameters(), strict=True):
        assert torch.allclose(own, other, atol=1e-6)


def test_structural_similarity_equals_scikit_image():
    rng = np.random.default_rng(1)
    true = rng.integers(0, 255, (2, 3, 24, 20)).astype(np.uint8)
    drawn = np.clip(true + rng.normal(0, 40, true.shape), 0, 255).astype(np.uint8)

    found = ssim(drawn, true)

    wanted = [
        np.mean(
            [structural_similarity(*pair, data_range=255, use_sample_covariance=False, full=True)[1] for pair in pairs]
        )
        for pairs in (zip(*cines, strict=True) for cines in zip(drawn, true, strict=True))
    ]
    assert found == pytest.approx(wanted, abs=1e-4)
