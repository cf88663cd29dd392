import numpy as np
import pytest
import pywt

from cardiacnets.reference.lattice import rotations


@pytest.mark.parametrize("wavelet", ["db2", "db6"])
def test_lattice_rotations_equal_the_filter_pair(wavelet):
    matrix = np.eye(2)[None]

    for index, rotation in enumerate(reversed(rotations(wavelet))):
        if index > 0:  # the lower branch is held back by one pair
            held = np.zeros((len(matrix) + 1, 2, 2))
            held[:-1, 0], held[1:, 1] = matrix[:, 0], matrix[:, 1]
            matrix = held
        matrix = np.einsum("ab,ibc->iac", rotation, matrix)

    low, high = matrix.transpose(1, 0, 2).reshape(2, -1)
    np.testing.assert_allclose(low, pywt.Wavelet(wavelet).dec_lo, atol=1e-12)
    np.testing.assert_allclose(high, pywt.Wavelet(wavelet).dec_hi, atol=1e-12)
