"""The signal profile `cardiacnets-v1`, read from the file that the TypeScript chain reads too."""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[4]
PROFILE_PATH = REPOSITORY / "shared" / "signal" / "cardiacnets-v1.json"

FLAT_RANGE_MV = 1e-6
"""A lead that moves less than this (a nanovolt) is flat: what is left is rounding, not signal."""


@dataclass(frozen=True)
class Profile:
    """The constants of one signal profile; the names are those of the JSON file."""

    name: str
    rate_hz: int
    samples: int
    min_heart_rate_bpm: float
    max_heart_rate_bpm: float
    fallback_heart_rate_bpm: float
    wavelet: str
    wavelet_mode: str
    wavelet_level: int
    fixed_noise_level: int | None
    savgol_window: int
    savgol_order: int
    savgol_edges: str

    def period(self, heart_rate_bpm: float) -> int:
        """Mean RR interval in samples, rounded half up; a heart rate that is not believed gives the fallback's."""
        believed = self.min_heart_rate_bpm <= heart_rate_bpm <= self.max_heart_rate_bpm
        bpm = heart_rate_bpm if believed else self.fallback_heart_rate_bpm
        return math.floor(60 * self.rate_hz / bpm + 0.5)

    def noise_level(self, source_rate_hz: float) -> int:
        """The wavelet level whose detail gives the noise sigma: the finest one that the source could fill.

        Detail k spans rate/2^(k+1) to rate/2^k. Above the source's Nyquist frequency a recording brought up to 500 Hz
        is empty, and the last fifth below it is its anti-aliasing filter's roll-off: neither says anything on noise.
        """
        if self.fixed_noise_level is not None:
            return self.fixed_noise_level
        usable_hz = 0.8 * source_rate_hz / 2
        for level in range(1, self.wavelet_level):
            if self.rate_hz / 2 ** (level + 1) < usable_hz:
                return level
        return self.wavelet_level


def parse_profile(document: dict[str, Any]) -> Profile:
    """Profile from its JSON document; a missing key raises KeyError."""
    baseline, wavelet, savgol = document["baseline"], document["wavelet"], document["savitzkyGolay"]
    if wavelet["threshold"] != "soft-universal":
        raise ValueError(f"unknown threshold rule {wavelet['threshold']!r}")
    return Profile(
        name=document["name"],
        rate_hz=document["rateHz"],
        samples=document["samples"],
        min_heart_rate_bpm=baseline["minHeartRateBpm"],
        max_heart_rate_bpm=baseline["maxHeartRateBpm"],
        fallback_heart_rate_bpm=baseline["fallbackHeartRateBpm"],
        wavelet=wavelet["name"],
        wavelet_mode=wavelet["mode"],
        wavelet_level=wavelet["level"],
        fixed_noise_level=wavelet.get("noiseLevel"),
        savgol_window=savgol["window"],
        savgol_order=savgol["order"],
        savgol_edges=savgol["edges"],
    )


@cache
def load_profile(path: Path = PROFILE_PATH) -> Profile:
    """The profile at `path`."""
    return parse_profile(json.loads(path.read_text()))
