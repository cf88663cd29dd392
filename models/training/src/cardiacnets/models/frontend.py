"""The encoder's first layer, fixed: back to mV, band-limit, decimate 500 → 100 Hz."""

import torch
from scipy.signal import firwin
from torch import Tensor, nn
from torch.nn import functional as F

DECIMATION = 5
TAPS = 121
CUTOFF_HZ = 40.0
RANGE_MV = 5.0


class FrontEnd(nn.Module):
    """Profile output → mV at 100 Hz, below 50 Hz, so that a 100 Hz recording and a 500 Hz one look alike.

    The low-pass is a linear-phase FIR (Hamming, 121 taps): half amplitude at 40 Hz, −50 dB from 47 Hz on. The labelled
    ECGs that the default weights learn from stop at 50 Hz.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.tensor(firwin(TAPS, CUTOFF_HZ, fs=500), dtype=torch.float32)
        self.register_buffer("kernel", kernel.view(1, 1, TAPS), persistent=False)

    def forward(self, ecg: Tensor, amplitude: Tensor, lead_mask: Tensor) -> Tensor:
        """ecg [N,12,5000] in [−1,1], amplitude [N,12,2] mV, lead_mask [N,12] → mV [N,12,1000]; absent leads are 0."""
        low, high = amplitude[..., :1], amplitude[..., 1:]
        millivolt = low + (ecg + 1) * 0.5 * (high - low)
        # `where`, not a product: an absent lead may hold NaN.
        millivolt = torch.where(lead_mask.unsqueeze(-1) > 0, millivolt, 0.0).clamp(-RANGE_MV, RANGE_MV)
        samples = millivolt.shape[-1]
        flat = millivolt.reshape(-1, 1, samples)  # [N·12,1,5000]
        slow = F.conv1d(flat, self.kernel, stride=DECIMATION, padding=TAPS // 2)  # [N·12,1,1000]
        return slow.reshape(-1, ecg.shape[1], samples // DECIMATION)
