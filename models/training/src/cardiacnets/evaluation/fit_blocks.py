"""Complete bundle branch blocks, read off what the encoder pools: where a limit of their own applies (`limits.py`)."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from cardiacnets.data.real import RealSet
from cardiacnets.domain import BLOCKS
from cardiacnets.evaluation.probes import pooled
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.stages.screening import TRAIN_FOLDS

Array = NDArray[np.floating]

INVERSE_PENALTY = 0.02
FOUND = 0.9
"""Share of the ECGs with a stated block in which it is to be found, on ECGs that nothing was fitted on."""


def fit_blocks(screen: Screen, real: RealSet) -> nn.Linear | None:
    """Logistic regression of each block of `BLOCKS` on the pooled tokens, on the training folds.

    None where no reader stated blocks, or where the encoder pools no tokens.
    """
    trunk = screen.encoder.trunk
    if real.blocks is None or not isinstance(trunk, Trunk):
        return None
    rows = np.isin(real.fold, TRAIN_FOLDS)
    return read_blocks(pooled(trunk, real.millivolt[rows]), real.blocks[rows])


def read_blocks(tokens: Array, stated: NDArray[np.bool_]) -> nn.Linear:
    """The same, from pooled tokens [n,576] and what a reader stated [n,2]."""
    middle, spread = tokens.mean(axis=0), tokens.std(axis=0) + 1e-3
    layer = nn.Linear(tokens.shape[1], len(BLOCKS))
    for index in range(len(BLOCKS)):
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=500).fit((tokens - middle) / spread, stated[:, index])
        weight = fitted.coef_[0] / spread
        with torch.no_grad():
            layer.weight[index] = torch.from_numpy(weight)
            layer.bias[index] = float(fitted.intercept_[0] - weight @ middle)
    return layer.requires_grad_(False)


def block_threshold(logit: Array, stated: NDArray[np.bool_], found: float = FOUND) -> float:
    """The highest logit at which this share of the ECGs with the block are found."""
    falling = np.sort(logit[stated])[::-1]
    return float(falling[math.ceil(round(found * len(falling), 6)) - 1])
