"""The paper's sizes, in full: `pytest -m paper` (minutes, and gigabytes)."""

import resource

import pytest
import torch

from cardiacnets.models.greenmim import GREENMIM_PAPER, GreenMim, draw_visible
from cardiacnets.models.swin import SWIN_PAPER, Swin
from cardiacnets.stages.cines import CineAugmentConfig, draw_affine, sample_cines
from cardiacnets.stages.cmr_pretraining import paper

pytestmark = pytest.mark.paper

SWIN_B = 87_768_224
"""Parameters of Swin-B for ImageNet, with 3 channels and a head of 1000 classes."""


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_two_swin_b_have_the_published_number_of_parameters_but_for_frames_and_head():
    encoders = torch.nn.ModuleDict({"short_axis": Swin(SWIN_PAPER), "four_chamber": Swin(SWIN_PAPER)})

    head = 1024 * 1000 + 1000
    more_frames = (50 - 3) * 4 * 4 * 128
    assert parameters(encoders) == 2 * (SWIN_B - head + more_frames)
    assert [SWIN_PAPER.unit, SWIN_PAPER.units, SWIN_PAPER.features] == [32, 49, 1024]


def test_each_encoder_makes_1024_features_of_a_cine():
    for _ in range(2):
        encoder = Swin(SWIN_PAPER)

        with torch.no_grad():
            tokens = encoder(torch.randn(1, 50, 224, 224))

        assert tokens.shape == (1, 49, 1024)


@pytest.mark.parametrize("view", ["short_axis", "four_chamber"])
def test_one_step_of_masked_modelling_lowers_the_loss_within_memory(view):
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    model = GreenMim(GREENMIM_PAPER)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    frames = torch.randint(0, 256, (2, 50, 128, 128), dtype=torch.uint8, generator=generator)
    affine = draw_affine(2, CineAugmentConfig(), generator)
    image = sample_cines(frames, torch.full((2, 2), 64), affine, paper(view).crop, SWIN_PAPER.image)
    visible = draw_visible(GREENMIM_PAPER, generator)

    before = model.loss(image, visible)
    before.backward()
    optimiser.step()

    with torch.no_grad():
        assert model.loss(image, visible) < before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 24 * 2**20  # KiB
