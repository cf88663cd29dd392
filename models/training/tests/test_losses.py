import math

import torch

from cardiacnets.models.losses import masked_bce, masked_gaussian_nll


def test_unknown_targets_change_neither_the_loss_nor_its_gradient():
    logits = torch.tensor([[0.5, -2.0], [1.0, 3.0]], requires_grad=True)
    target = torch.tensor([[1.0, float("nan")], [0.0, 1.0]])
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]])

    loss = masked_bce(logits, target, mask)
    loss.backward()

    by_hand = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(1.0)) + math.log1p(math.exp(-3.0))) / 3
    assert math.isclose(loss.item(), by_hand, rel_tol=1e-6)
    assert logits.grad[0, 1] == 0
    assert logits.grad.isfinite().all()


def test_batch_without_known_targets_has_zero_loss():
    logits = torch.zeros(2, 3, requires_grad=True)
    nothing = torch.full((2, 3), float("nan"))

    assert masked_bce(logits, nothing, torch.zeros(2, 3)) == 0
    assert masked_gaussian_nll(logits, logits, nothing, torch.zeros(2, 1)) == 0


def test_unweighted_gaussian_likelihood_matches_the_textbook():
    mean, logvar = torch.tensor([[1.0], [5.0]]), torch.tensor([[0.6], [0.0]])
    target = torch.tensor([[2.0], [float("nan")]])

    loss = masked_gaussian_nll(mean, logvar, target, torch.tensor([[1.0], [0.0]]), beta=0)

    textbook = -torch.distributions.Normal(1.0, math.exp(0.3)).log_prob(torch.tensor(2.0)) - 0.5 * math.log(2 * math.pi)
    assert math.isclose(loss.item(), textbook.item(), rel_tol=1e-6)


def test_negative_log_likelihood_is_minimal_at_the_true_spread():
    generator = torch.Generator().manual_seed(1)
    target = 2.0 * torch.randn(4000, 1, generator=generator)
    logvar = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.Adam([logvar], lr=0.1)

    for _ in range(200):
        optimiser.zero_grad()
        known = torch.ones(4000, 1)
        masked_gaussian_nll(torch.zeros(4000, 1), logvar.expand(4000, 1), target, known, beta=0.5).backward()
        optimiser.step()

    assert math.isclose(math.exp(logvar.item() / 2), 2.0, rel_tol=0.05)
