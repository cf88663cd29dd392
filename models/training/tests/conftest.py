"""Small made-up data sets in the shapes of the real ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data.real import RealSet
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.models.denoiser import DenoiserConfig
from cardiacnets.models.ecg_mim import EcgMimConfig
from cardiacnets.models.encoder import EncoderConfig
from cardiacnets.models.vae import VaeConfig
from cardiacnets.programme import Programme
from cardiacnets.stages.ablation import AblationConfig
from cardiacnets.stages.loop import OptimisationConfig
from cardiacnets.stages.screening import ScreeningConfig, TrainingData


@pytest.fixture(autouse=True)
def one_thread(request):
    """Sums of floats depend on how many threads share them, and matrices this small take longer on two than on one."""
    threads = torch.get_num_threads()
    if request.node.get_closest_marker("paper") is None:
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


TINY = EncoderConfig(widths=(8, 16), blocks=1, embedding=32, dropout=0.1)


def tiny_config(**changes):
    """A configuration that trains in seconds."""
    optimisation = OptimisationConfig(steps=30, save_every=10, learning_rate=2e-3, warm_up=0.1)
    config = ScreeningConfig(real_batch=8, virtual_batch=8, encoder=TINY, optimisation=optimisation)
    steps = {name: changes.pop(name) for name in ("steps", "save_every") if name in changes}
    return replace(config, optimisation=replace(optimisation, **steps), **changes)


TWO_STEPS = OptimisationConfig(steps=2, save_every=1)


def tiny_programme():
    """All stages in half a minute, on the fewest people of whom some are in each split."""
    default = Programme(people=60, cine_people=20, segmentation_people=12)
    return replace(
        default,
        segmentation={v: replace(c, batch=2, optimisation=TWO_STEPS) for v, c in default.segmentation.items()},
        cmr=replace(default.cmr, batch=4, masked=2, validation_cines=4, optimisation=TWO_STEPS),
        ecg=replace(default.ecg, batch=4, mim=EcgMimConfig(encoder=TINY, decoder=8), optimisation=TWO_STEPS),
        align=replace(default.align, batch=4, cine_copies=1, encoder=TINY, optimisation=TWO_STEPS),
        screening=replace(default.screening, real_batch=4, virtual_batch=4, encoder=TINY, optimisation=TWO_STEPS),
        vae=replace(
            default.vae, batch=4, validation_frames=4, vae=VaeConfig(widths=(4, 4, 8), groups=4), optimisation=TWO_STEPS
        ),
        diffusion=replace(
            default.diffusion,
            batch=4,
            condition_copies=1,
            validation_cines=4,
            denoiser=DenoiserConfig(widths=(8, 8), head_width=8, groups=4, token_width=16, embedding=32, context=8),
            optimisation=TWO_STEPS,
        ),
        distillation=replace(default.distillation, batch=4, validation_cines=2, optimisation=TWO_STEPS),
        draw_steps=2,
        ablation=AblationConfig(fractions=(1.0,), steps=(1,), seeds=(1,), longer=2, checks=1, batch=4),
    )


def bumps(rng, count, sign):
    """mV float16 [count][12][1000]: a wave a second, upright where `sign` is true, and noise."""
    time = np.arange(1000) / 100
    wave = np.exp(-0.5 * (((time % 1) - 0.5) / 0.03) ** 2)
    height = np.where(sign, 1.0, -1.0)[:, None, None]
    return (height * wave + rng.normal(0, 0.05, (count, 12, 1000))).astype(np.float16)


@pytest.fixture
def training_data():
    """ECGs whose R waves point up in the sick; one index follows the same sign, the others are noise."""
    rng = np.random.default_rng(3)
    n = 90
    cad, sick = rng.random(n) < 0.5, rng.random(n) < 0.5
    indices = rng.normal(100, 10, (n, len(INDICES))).astype(np.float32)
    indices[:, 0] += 40 * sick
    unknown = np.full(n, np.nan, dtype=np.float32)
    age = rng.uniform(30, 90, n).astype(np.float32)
    return TrainingData(
        real=RealSet(
            millivolt=bumps(rng, n, cad),
            conditions=np.stack([cad, *[np.full(n, np.nan)] * 4], axis=1).astype(np.float32),
            statements=np.stack([~cad, cad, cad], axis=1),
            person=np.stack([np.zeros(n, np.float32), age, unknown, unknown], axis=1),
            fold=np.repeat(np.arange(1, 10), 10),
        ),
        virtual=VirtualSet(
            millivolt=bumps(rng, n, sick),
            indices=indices,
            conditions=np.repeat(sick[:, None], len(CONDITIONS), axis=1),
            person=np.stack([np.ones(n), age, np.full(n, 170), np.full(n, 70)], axis=1).astype(np.float32),
            split=np.repeat(["train", "val", "test"], [63, 9, 18]),
        ),
    )
