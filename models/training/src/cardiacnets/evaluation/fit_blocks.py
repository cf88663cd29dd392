"""Complete bundle branch blocks, read off what the encoder pools: where a limit of their own applies (`limits.py`)."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from cardiacnets.data.real import RealSet
from cardiacnets.domain import BLOCKS
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.stages.screening import TRAIN_FOLDS

Array = NDArray[np.floating]

INVERSE_PENALTY = 0.02
FOUND = 0.9
"""Share of the ECGs with a stated block in which it is to be found, on ECGs that nothing was fitted on."""


@torch.no_grad()
def pooled_tokens(trunk: Trunk, millivolt: NDArray[np.floating], batch: int = 128) -> NDArray[np.float32]:
    """[n,576] of mV [n,12,1000] with all leads."""
    trunk.eval()
    parts = []
    for start in range(0, len(millivolt), batch):
        ecg = torch.from_numpy(millivolt[start : start + batch].astype(np.float32))
        parts.append(trunk.pool(ecg, torch.ones(ecg.shape[:2]))[1])
    return torch.cat(parts).numpy()


def fit_blocks(screen: Screen, real: RealSet) -> nn.Linear | None:
    """Logistic regression of each block of `BLOCKS` on the pooled tokens, on the training folds.

    None where no reader stated blocks, or where the encoder pools no tokens.
    """
    trunk = screen.encoder.trunk
    if real.blocks is None or not isinstance(trunk, Trunk):
        return None
    rows = np.isin(real.fold, TRAIN_FOLDS)
    return read_blocks(pooled_tokens(trunk, real.millivolt[rows]), real.blocks[rows])


def read_blocks(pooled: Array, stated: NDArray[np.bool_]) -> nn.Linear:
    """The same, from pooled tokens [n,576] and what a reader stated [n,2]."""
    middle, spread = pooled.mean(axis=0), pooled.std(axis=0) + 1e-3
    layer = nn.Linear(pooled.shape[1], len(BLOCKS))
    for index in range(len(BLOCKS)):
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=500).fit((pooled - middle) / spread, stated[:, index])
        weight = fitted.coef_[0] / spread
        with torch.no_grad():
            layer.weight[index] = torch.from_numpy(weight)
            layer.bias[index] = float(fitted.intercept_[0] - weight @ middle)
    return layer.requires_grad_(False)


def block_threshold(logit: Array, stated: NDArray[np.bool_]) -> float:
    """The highest logit at which `FOUND` of the ECGs with the block are found."""
    falling = np.sort(logit[stated])[::-1]
    return float(falling[math.ceil(round(FOUND * len(falling), 6)) - 1])
