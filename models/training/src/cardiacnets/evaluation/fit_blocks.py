"""Complete bundle branch blocks, read off the encoder's embedding: where a limit of their own applies (`limits.py`)."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from cardiacnets.data.real import RealSet
from cardiacnets.domain import BLOCKS
from cardiacnets.models.screen import Screen
from cardiacnets.stages.screening import TRAIN_FOLDS

Array = NDArray[np.floating]

INVERSE_PENALTY = 0.02
FOUND = 0.9
"""Share of the ECGs with a stated block in which it is to be found, on ECGs that nothing was fitted on."""


@torch.no_grad()
def _embeddings(screen: Screen, millivolt: Array, person: Array, batch: int = 128) -> NDArray[np.float32]:
    """[n,256] of mV [n,12,1000] with all leads; fields of the person that are NaN are unknown."""
    screen.eval()
    parts = []
    for start in range(0, len(millivolt), batch):
        someone = torch.from_numpy(person[start : start + batch].astype(np.float32))
        ecg = torch.from_numpy(millivolt[start : start + batch].astype(np.float32))
        present = torch.ones(ecg.shape[:2])
        parts.append(screen.encoder.trunk(ecg, present, someone, (~someone.isnan()).float())[1])
    return torch.cat(parts).numpy()


def fit_blocks(screen: Screen, real: RealSet) -> nn.Linear | None:
    """Logistic regression of each block of `BLOCKS` on the embedding's positive part, on the training folds.

    None where no reader stated blocks.
    """
    if real.blocks is None:
        return None
    rows = np.isin(real.fold, TRAIN_FOLDS)
    return read_blocks(_embeddings(screen, real.millivolt[rows], real.person[rows]), real.blocks[rows])


def read_blocks(embedding: Array, stated: NDArray[np.bool_]) -> nn.Linear:
    """The same, from embeddings [n,256] and what a reader stated [n,2]."""
    positive = np.maximum(embedding, 0)
    middle, spread = positive.mean(axis=0), positive.std(axis=0) + 1e-3
    layer = nn.Linear(embedding.shape[1], len(BLOCKS))
    for index in range(len(BLOCKS)):
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=500).fit((positive - middle) / spread, stated[:, index])
        weight = fitted.coef_[0] / spread
        with torch.no_grad():
            layer.weight[index] = torch.from_numpy(weight)
            layer.bias[index] = float(fitted.intercept_[0] - weight @ middle)
    return layer.requires_grad_(False)


def block_threshold(logit: Array, stated: NDArray[np.bool_]) -> float:
    """The highest logit at which `FOUND` of the ECGs with the block are found."""
    falling = np.sort(logit[stated])[::-1]
    return float(falling[math.ceil(round(FOUND * len(falling), 6)) - 1])
