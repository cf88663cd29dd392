"""Where training runs and what it draws from: processes of `torchrun`, the device, bfloat16, seeded generators."""

import os
from pathlib import Path

import numpy as np
import torch


def process() -> tuple[int, int]:
    """Number of this process and how many there are, as `torchrun` says; (0, 1) without it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively (AVX-512 BF16), where autocast pays."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def device() -> torch.device:
    """Where `run` trains: this process's GPU, or the CPU where there is none.

    Batches are drawn and augmented on the CPU, and stages move them here.
    """
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def generator_of(*key: int) -> torch.Generator:
    """A generator that depends on nothing but `key`, so that a resumed run draws what an unbroken one would."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))
