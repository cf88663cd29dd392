"""Losses over batches where each row knows only some of the targets."""

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_bce(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean binary cross-entropy over the entries where `mask` is 1; zero when there are none. All [N,K]."""
    # `where` first: an unknown target may be NaN, and NaN times a zero mask is NaN.
    loss = F.binary_cross_entropy_with_logits(logits, torch.where(mask > 0, target, 0.0), reduction="none")
    return (loss * mask).sum() / mask.sum().clamp_min(1)


def masked_gaussian_nll(mean: Tensor, logvar: Tensor, target: Tensor, mask: Tensor, beta: float = 0.5) -> Tensor:
    """Heteroscedastic Gaussian negative log-likelihood where `mask` ([N,1] or [N,K]) is 1. The others [N,K].

    Weighted by variance^β: plain NLL (β = 0) lets hard targets go, squared error (β = 1) ignores how hard they are
    (Seitzer et al. 2022, arXiv 2203.09168).
    """
    residual = torch.where(mask > 0, target, mean) - mean
    loss = 0.5 * (logvar + residual**2 * torch.exp(-logvar))
    weighted = loss * torch.exp(beta * logvar).detach() * mask
    return weighted.sum() / mask.expand_as(mean).sum().clamp_min(1)
