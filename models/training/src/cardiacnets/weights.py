"""Weights of finished stages, kept in the repository (`models/training/weights`), so that a new machine need not train
them again: cohort and cines are drawn anew from their seed, what learned from them is taken from here.

Kept in half precision, without what only training needs (decoders of masked modelling, optimisers).
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from cardiacnets.signal.profile import REPOSITORY

WEIGHTS = REPOSITORY / "models" / "training" / "weights"
KEPT: Mapping[str, tuple[str, ...]] = {
    "segmentation/short_axis": ("",),
    "segmentation/four_chamber": ("",),
    "cmr/short_axis": ("encoder.",),
    "cmr/four_chamber": ("encoder.",),
    "ecg": ("trunk.",),
    "align": ("",),
    "vae": ("",),
    "diffusion": ("ema.",),
    "distillation": ("ema.",),
}
"""Stage → prefixes of the weights that later stages read."""


def kept_path(stage: str, weights: Path = WEIGHTS) -> Path:
    """Where the weights of a stage are kept."""
    return weights / f"{stage.replace('/', '-')}.pt"


def keep(run_dir: Path, weights: Path = WEIGHTS) -> list[Path]:
    """Write the weights of every stage of `run_dir` that is finished, and return their files."""
    written = []
    for stage, prefixes in KEPT.items():
        finished = run_dir / stage / "model.pt"
        if not finished.exists():
            continue
        state = torch.load(finished, weights_only=True)
        model = {
            name: value.half() if value.is_floating_point() else value
            for name, value in state["model"].items()
            if name.startswith(prefixes)
        }
        path = kept_path(stage, weights)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"config": state["config"], "model": model}, path)
        written.append(path)
    return written


def adopt(stage: str, run_dir: Path, weights: Path = WEIGHTS) -> bool:
    """Put kept weights where the stage would leave its own; False where none are kept."""
    path = kept_path(stage, weights)
    if not path.exists():
        return False
    state = torch.load(path, weights_only=True)
    model = {name: value.float() if value.is_floating_point() else value for name, value in state["model"].items()}
    finished = run_dir / stage / "model.pt"
    finished.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"config": state["config"], "model": model}, finished)
    return True
