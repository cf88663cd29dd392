"""The encoder's first layer, fixed: back to mV, and for the compact encoder band-limited and decimated to 100 Hz."""

import torch
from scipy.signal import firwin
from torch import Tensor, nn
from torch.nn import functional as F

DECIMATION = 5
RATE_HZ = 100
"""What the compact encoder reads."""
TAPS = 121
CUTOFF_HZ = 40.0
RANGE_MV = 5.0


class FrontEnd(nn.Module):
    """Profile output → mV at 100 Hz, below 50 Hz, so that a 100 Hz recording and a 500 Hz one look alike.

    The low-pass is a linear-phase FIR (Hamming, 121 taps): half amplitude at 40 Hz, −50 dB from 47 Hz on. The labelled
    ECGs that the default weights learn from stop at 50 Hz. An encoder that reads 500 Hz (`rate_hz`, the paper's) gets
    every sample, in mV.
    """

    kernel: Tensor

    def __init__(self, rate_hz: int = RATE_HZ) -> None:
        super().__init__()
        if rate_hz not in (RATE_HZ, RATE_HZ * DECIMATION):
            raise ValueError(f"an encoder reads {RATE_HZ} or {RATE_HZ * DECIMATION} Hz, not {rate_hz}")
        self.rate_hz = rate_hz
        kernel = torch.tensor(firwin(TAPS, CUTOFF_HZ, fs=500), dtype=torch.float32)
        self.register_buffer("kernel", kernel.view(1, 1, TAPS), persistent=False)

    def forward(self, ecg: Tensor, amplitude: Tensor, lead_mask: Tensor) -> Tensor:
        """ecg [N,12,5000] in [−1,1], amplitude [N,12,2] mV, lead_mask [N,12] → mV [N,12,10 s]; absent leads are 0."""
        low, high = amplitude[..., :1], amplitude[..., 1:]
        millivolt = low + (ecg + 1) * 0.5 * (high - low)
        # `where`, not a product: an absent lead may hold NaN.
        millivolt = torch.where(lead_mask.unsqueeze(-1) > 0, millivolt, 0.0).clamp(-RANGE_MV, RANGE_MV)
        if self.rate_hz != RATE_HZ:
            return millivolt
        samples = millivolt.shape[-1]
        flat = millivolt.reshape(-1, 1, samples)  # [N·12,1,5000]
        slow = F.conv1d(flat, self.kernel, stride=DECIMATION, padding=TAPS // 2)  # [N·12,1,1000]
        return slow.reshape(-1, ecg.shape[1], samples // DECIMATION)
