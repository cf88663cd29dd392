"""Recording → the model's inputs: the Python twin of the serving chain, and a cache of it for training."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from cardiacnets.models import frontend
from cardiacnets.reference.vectorised import preprocess
from cardiacnets.signal.heart_rate import heart_rate
from cardiacnets.signal.profile import load_profile
from cardiacnets.signal.resample import resample

WINDOW_S = 10


@dataclass(frozen=True)
class Window:
    """Model inputs of one 10-s recording with all twelve leads."""

    ecg: NDArray[np.float32]
    """[12][5000] in [−1, 1]."""
    amplitude: NDArray[np.float32]
    """[12][2]: minimum and maximum, mV."""


def to_window(millivolt: NDArray[np.floating], rate_hz: float) -> Window:
    """`millivolt`: [12][10 s] at `rate_hz`, no missing sample."""
    profile = load_profile()
    signal = resample(np.asarray(millivolt, dtype=np.float64), rate_hz, profile.rate_hz)[:, : profile.samples].astype(
        np.float64, copy=False
    )
    stages = preprocess(signal, heart_rate(signal, profile.rate_hz), profile)
    return Window(stages.scaled.astype(np.float32), stages.amplitude.astype(np.float32))


def cache_dir() -> Path:
    """Where preprocessed windows and checkpoints lie: `CARDIACNETS_CACHE`, else ~/.cache/cardiacnets."""
    return Path(os.environ.get("CARDIACNETS_CACHE", Path.home() / ".cache" / "cardiacnets"))


def chain_key(trunk_hz: int = frontend.RATE_HZ) -> str:
    """Short digest of everything that decides what the cache holds: the profile and the front end's constants."""
    constants = [asdict(load_profile()), frontend.TAPS, frontend.CUTOFF_HZ, frontend.DECIMATION]
    digest = hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()[:12]
    return digest if trunk_hz == frontend.RATE_HZ else f"{digest}-{trunk_hz}hz"


def cached_millivolt(
    name: str,
    recordings: Iterable[NDArray[np.floating]],
    count: int,
    rate_hz: float,
    trunk_hz: int = frontend.RATE_HZ,
) -> NDArray[np.float16]:
    """What the trunk sees of each recording (the front end is fixed), memory-mapped: mV float16 [count][12][T].

    T is 10 s at `trunk_hz`. Made once and kept as `<cache>/windows/<name>-<chain_key>.npy`; `recordings` yields mV
    [12][10 s] at `rate_hz`.
    """
    path = cache_dir() / "windows" / f"{name}-{chain_key(trunk_hz)}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        out = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=(count, 12, WINDOW_S * trunk_hz))
        front = frontend.FrontEnd(trunk_hz)
        present = torch.ones(1, 12)
        for row, millivolt in enumerate(tqdm(recordings, total=count, desc=f"windows {name}", disable=None)):
            window = to_window(millivolt, rate_hz)
            tensors = torch.from_numpy(window.ecg)[None], torch.from_numpy(window.amplitude)[None]
            out[row] = front(*tensors, present)[0].numpy()
        out.flush()
        part.rename(path)
    return np.load(path, mmap_mode="r")
