"""The rotations of `shared/signal/db6.ts`: `python -m cardiacnets.reference.lattice` prints its literals.

An orthogonal filter pair is a cascade of plane rotations with a one-pair delay of the lower branch between each two
(Vaidyanathan and Hoang 1988). A rotation is taken off at a time: the one that frees the upper row of its longest delay.
"""

import numpy as np
import pywt
from numpy.typing import NDArray


def rotations(wavelet: str) -> list[NDArray[np.float64]]:
    """[2][2] each, from the last that a pair of samples (odd, even) goes through to the first."""
    low, high = pywt.Wavelet(wavelet).filter_bank[:2]
    # Polyphase matrix: [delay in pairs][low, high][odd, even sample].
    matrix = np.array([low, high]).reshape(2, -1, 2).transpose(1, 0, 2)
    taken = []
    while len(matrix) > 1:
        left = np.linalg.svd(matrix[-1])[0]
        rotation = np.stack([left[:, 1], left[:, 0]], axis=1)
        rest = np.einsum("ab,iac->ibc", rotation, matrix)
        matrix = np.stack([rest[:-1, 0], rest[1:, 1]], axis=1)
        taken.append(rotation)
    return [*taken, matrix[0]]


def main() -> None:
    """Print each rotation as t of [1 -t; t 1] or u of [u -1; 1 u], and the product of their lengths."""
    scale = 1.0
    for index, rotation in enumerate(rotations("db6")):
        cosine, sine = float(rotation[0, 0]), float(rotation[1, 0])
        name, value, length = ("t", sine / cosine, cosine) if abs(cosine) >= abs(sine) else ("u", cosine / sine, sine)
        scale *= length
        print(f"{name}{index} = {value!r}")
    print(f"scale = {scale!r}")


if __name__ == "__main__":
    main()
