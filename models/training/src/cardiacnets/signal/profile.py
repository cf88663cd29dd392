"""The signal profile `cardiacnets-v1`, of which the TypeScript chain reads the same file."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cardiacnets.tables import table


def _repository() -> Path:
    root = Path(__file__).resolve().parents[5]
    return root if (root / "models" / "training" / "pyproject.toml").is_file() else Path.cwd()


REPOSITORY = _repository()
"""The checkout; for the wheel, the folder that it is run in."""

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
    noise_level: int
    """Detail whose median absolute value gives the noise sigma: the finest that a 100 Hz recording still fills."""
    threshold_scale: float
    """Part of the universal threshold that is applied."""
    savgol_window: int
    savgol_order: int
    savgol_edges: Literal["interp", "nearest", "mirror", "constant", "wrap"]

    def period(self, heart_rate_bpm: float) -> int:
        """Mean RR interval in samples, rounded half up; a heart rate that is not believed gives the fallback's."""
        believed = self.min_heart_rate_bpm <= heart_rate_bpm <= self.max_heart_rate_bpm
        bpm = heart_rate_bpm if believed else self.fallback_heart_rate_bpm
        return math.floor(60 * self.rate_hz / bpm + 0.5)


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
        noise_level=wavelet["noiseLevel"],
        threshold_scale=wavelet["thresholdScale"],
        savgol_window=savgol["window"],
        savgol_order=savgol["order"],
        savgol_edges=savgol["edges"],
    )


@cache
def load_profile() -> Profile:
    """The profile `cardiacnets-v1`."""
    return parse_profile(table("cardiacnets-v1.json"))
