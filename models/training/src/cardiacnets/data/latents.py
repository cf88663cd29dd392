"""What the frozen networks make of people: latents of their cines, tokens and embeddings of their ECGs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiacnets.domain import View


@dataclass(frozen=True)
class LatentSet:
    """Standardised latents of the same n people in each view, in the order of the view numbers."""

    latents: Mapping[View, NDArray[np.float16]]
    """[n,C,F,h,w]."""
    split: NDArray[np.str_]


@dataclass(frozen=True)
class Conditions:
    """What the frozen encoder makes of each person's ECG as it is (copy 0) and of its augmented copies."""

    tokens: NDArray[np.float16]
    """[n,copies,32,D]."""
    embedding: NDArray[np.float16]
    """[n,copies,E]."""

    def take(self, rows: NDArray[np.intp], copies: NDArray[np.integer] | int = 0) -> tuple[Tensor, Tensor]:
        """Tokens [N,32,D] and embeddings [N,E] of some people."""
        tokens, embedding = self.tokens[rows, copies], self.embedding[rows, copies]
        return torch.from_numpy(tokens).float(), torch.from_numpy(embedding).float()
