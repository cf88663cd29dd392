"""Weights of finished stages, kept in the repository (`models/training/weights`) so that a new machine need not train.

Cohort and cines are drawn anew from their seed; what learned from them is loaded from here. Weights are kept in half
precision, without what only training needs (decoders of masked modelling, optimisers), and without what the bundle's
ONNX files hold: of such a tensor the file keeps a digest, by which it is found there.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from cardiacnets.signal.profile import REPOSITORY

WEIGHTS = REPOSITORY / "models" / "training" / "weights"
BUNDLE = REPOSITORY / "models" / "cardiacnets-compact"
KEPT: Mapping[str, tuple[str, ...]] = {
    "segmentation/short_axis": ("",),
    "segmentation/four_chamber": ("",),
    "cmr/short_axis": ("encoder.",),
    "cmr/four_chamber": ("encoder.",),
    "ecg": ("trunk.",),
    "align": ("",),
    "vae": ("",),
    "diffusion": ("ema.",),
}
"""Stage → prefixes of the weights that later stages read."""
LEAST = 256
"""Smaller tensors are always kept."""


def kept_path(stage: str, weights: Path = WEIGHTS) -> Path:
    """Where the weights of a stage are kept."""
    return weights / f"{stage.replace('/', '-')}.pt"


def _digest(values: NDArray[Any]) -> str:
    """Of the values in half precision, in memory's order, whatever their shape."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.float16).tobytes()).hexdigest()[:24]


def tensors_of(bundle: Path) -> dict[str, NDArray[np.float32]]:
    """Digest → values of every larger tensor in a bundle's ONNX files.

    A matrix is listed as it is and transposed, because the exporter transposes some.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for path in sorted(bundle.glob("*.onnx")):
        for tensor in onnx.load(path).graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.size < LEAST or values.dtype not in (np.float16, np.float32):
                continue
            for some in (values, values.T) if values.ndim == 2 else (values,):
                with np.errstate(over="ignore"):
                    found.setdefault(_digest(some), np.ascontiguousarray(some, dtype=np.float32))
    return found


def keep(run_dir: Path, weights: Path = WEIGHTS, bundle: Path = BUNDLE) -> list[Path]:
    """Write the weights of every finished stage of `run_dir`; returns their files.

    Weights that the bundle holds are not written again: export first. Files of stages that are no longer kept go.
    """
    written, held = [], tensors_of(bundle)
    for stage, prefixes in KEPT.items():
        finished = run_dir / stage / "model.pt"
        if not finished.exists():
            continue
        state = torch.load(finished, weights_only=True)
        model, elsewhere = {}, {}
        for name, value in state["model"].items():
            if not name.startswith(prefixes):
                continue
            half = value.half() if value.is_floating_point() else value
            digest = _digest(half.numpy()) if half.is_floating_point() and half.numel() >= LEAST else ""
            if digest in held:
                elsewhere[name] = {"digest": digest, "shape": list(value.shape)}
            else:
                model[name] = half
        path = kept_path(stage, weights)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"config": state["config"], "model": model, "elsewhere": elsewhere}, path)
        written.append(path)
    for path in set(weights.glob("*.pt")) - {kept_path(stage, weights) for stage in KEPT}:
        path.unlink()
    return written


def adopt(stage: str, run_dir: Path, weights: Path = WEIGHTS, bundle: Path = BUNDLE) -> bool:
    """Put kept weights where the stage would leave its own; False where none are kept.

    Raises:
        ValueError: the bundle no longer holds what was left to it.
    """
    path = kept_path(stage, weights)
    if stage not in KEPT or not path.exists():
        return False
    state = torch.load(path, weights_only=True)
    model = {name: value.float() if value.is_floating_point() else value for name, value in state["model"].items()}
    elsewhere = state.get("elsewhere", {})
    held = tensors_of(bundle) if elsewhere else {}
    for name, place in elsewhere.items():
        if place["digest"] not in held:
            raise ValueError(f"{path} leaves {name} to {bundle}, which does not hold it: train the stage (--afresh)")
        model[name] = torch.from_numpy(held[place["digest"]].reshape(place["shape"]).copy())
    finished = run_dir / stage / "model.pt"
    finished.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"config": state["config"], "model": model}, finished)
    return True
