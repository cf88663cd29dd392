import math

import pytest
import torch

from cardiacnets.models.ecg_vit import EcgMae, EcgMaeConfig, EcgVit, EcgVitConfig, draw_visible

TINY = EcgVitConfig(samples=200, patch=20, dim=32, depth=2, heads=2, embedding=16)
ALONE = EcgMaeConfig(TINY, decoder_dim=32, decoder_depth=1, decoder_heads=2)


@pytest.fixture
def people():
    """Four ECGs of 2 s at 100 Hz, one wave a second, and who they are of."""
    generator = torch.Generator().manual_seed(2)
    time = torch.arange(200) / 100
    wave = torch.exp(-0.5 * (((time % 1) - 0.5) / 0.05) ** 2)
    millivolt = wave * (0.5 + torch.rand(4, 12, 1, generator=generator))
    person = torch.tensor([[0, 60, 180, 80], [1, 50, 165, 60], [0, 40, 175, 75], [1, 70, 160, 70]], dtype=torch.float32)
    return millivolt, torch.ones(4, 12), person, torch.ones(4, 4)


@pytest.fixture
def model():
    torch.manual_seed(3)
    return EcgVit(TINY).eval()


@torch.no_grad()
def test_encoder_gives_one_token_per_patch_and_one_embedding_per_ecg(model, people):
    tokens, embedding = model(*people)

    assert tokens.shape == (4, 12 * 10, 32)
    assert embedding.shape == (4, 16)


@torch.no_grad()
@pytest.mark.parametrize("held", [7.0, math.nan])
def test_values_of_absent_leads_are_ignored(model, people, held):
    millivolt, lead_mask, *person = people
    lead_mask[:, 3:] = 0
    other = torch.where(lead_mask.unsqueeze(-1) > 0, millivolt, held)

    before, after = model(millivolt, lead_mask, *person), model(other, lead_mask, *person)

    assert all(map(torch.equal, before, after))


def test_nan_in_an_absent_lead_leaves_the_gradient_finite(model, people):
    millivolt, lead_mask, *person = people
    lead_mask[:, 3:] = 0
    millivolt[:, 3:] = math.nan

    model.train()(millivolt, lead_mask, *person)[1].sum().backward()

    assert all(p.grad.isfinite().all() for p in model.parameters())


@torch.no_grad()
def test_present_leads_and_known_fields_matter_and_unknown_fields_do_not(model, people):
    millivolt, lead_mask, person, person_mask = people
    lead_mask[:, 6:], person_mask[:, 2:] = 0, 0
    before = model(*people)[1]

    for lead in range(6):
        other = millivolt.clone()
        other[:, lead] *= -1
        assert not torch.allclose(model(other, lead_mask, person, person_mask)[1], before, atol=1e-4), lead
    for field in range(4):
        other = person.clone()
        other[:, field] = math.nan if field > 1 else other[:, field] + 10
        same = torch.equal(model(millivolt, lead_mask, other, person_mask)[1], before)
        assert same == (field > 1), field


@torch.no_grad()
def test_lead_and_time_of_a_patch_matter(model, people):
    millivolt, lead_mask, *person = people
    millivolt[:, :, 100:] = 0  # the first second alone has a wave

    before = model(millivolt, lead_mask, *person)[1]

    for moved in (millivolt.roll(1, dims=1), millivolt.roll(100, dims=2)):
        assert not torch.allclose(model(moved, lead_mask, *person)[1], before, atol=1e-4)


@torch.no_grad()
def test_only_visible_patches_pass_the_encoder(people):
    torch.manual_seed(4)
    model, (millivolt, lead_mask, *_) = EcgMae(ALONE).eval(), people
    visible = draw_visible(4, ALONE, torch.Generator().manual_seed(5))
    lengths = []
    model.trunk.blocks[0].register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[1]))
    hidden = torch.ones(4, 120).scatter(1, visible, 0).view(4, 12, 10, 1).expand(-1, -1, -1, 20).flatten(2)

    before, after = model(millivolt, lead_mask, visible), model(millivolt + 9 * hidden, lead_mask, visible)

    assert visible.shape == (4, 30)
    assert lengths == [1 + 30] * 2
    assert before.shape == (4, 120, 20)
    assert torch.equal(before, after)


@torch.no_grad()
def test_visible_patch_is_reconstructed_at_its_position(people):
    torch.manual_seed(4)
    model, (millivolt, lead_mask, *_) = EcgMae(ALONE).eval(), people
    in_order = torch.arange(30).expand(4, -1)

    assert torch.allclose(
        model(millivolt, lead_mask, in_order), model(millivolt, lead_mask, in_order.flip(1)), atol=1e-5
    )


def test_short_training_improves_reconstruction_of_masked_patches(people):
    torch.manual_seed(6)
    model, millivolt = EcgMae(ALONE), people[0]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []

    for step in range(80):
        loss = model.loss(millivolt, 0.3, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())

    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_partial_patch_is_refused():
    with pytest.raises(ValueError, match="multiple of the patch"):
        EcgVitConfig(samples=5000, patch=300)
