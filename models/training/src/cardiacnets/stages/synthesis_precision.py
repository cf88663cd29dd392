"""Whether eight bits would do: what draws, its convolutions quantised, beside float32 in the runtime that ships."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiacnets.bundle import inference_session
from cardiacnets.quantise import Feed, milliseconds, quantise
from cardiacnets.stages.diffusion import Conditions
from cardiacnets.synthesis import Brush, Cines, draw
from cardiacnets.synthesis_bundle import DECODER, DISTILLED, Painter, export_synthesis
from cardiacnets.synthesis_metrics import psnr

CALIBRATION_PEOPLE = 12


def _as_network(path: Path, kept: list[Feed] | None = None) -> Callable[..., Tensor]:
    """An ONNX file that is called as its PyTorch original; what it is given goes into `kept`."""
    session = inference_session(path)
    names = [node.name for node in session.get_inputs()]

    def call(*inputs: Tensor) -> Tensor:
        feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        if kept is not None:
            kept.append(feed)
        return torch.from_numpy(session.run(None, feed)[0])

    return call


def compare_precision(
    painter: Painter, brush: Brush, conditions: Conditions, rows: NDArray[np.intp], calibration: NDArray[np.intp]
) -> tuple[dict[str, float], Cines]:
    """Quantise what `brush`, the distilled one, draws with. `calibration`: rows of people who give the ranges.

    Returns figures (PSNR in dB to what float32 draws from the same noise, of each view; times quicker, and bytes saved,
    of denoiser and decoder) and the cines of `rows`, drawn in eight bits.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        export_synthesis(painter, folder)
        small = {name: folder / f"int8-{name}" for name in (DISTILLED, DECODER)}
        fed: dict[str, list[Feed]] = {name: [] for name in small}
        plain = {name: _as_network(folder / name, fed[name]) for name in small}
        draw(replace(brush, denoiser=plain[DISTILLED], decoder=plain[DECODER]), conditions, calibration, 1, batch=4)
        for name, path in small.items():
            quantise(folder / name, path, fed[name])
        int8 = {name: _as_network(path) for name, path in small.items()}
        cines = draw(replace(brush, denoiser=int8[DISTILLED], decoder=int8[DECODER]), conditions, rows, 0)
        float32 = draw(brush, conditions, rows, 0)
        times = {name: milliseconds([folder / name, path], fed[name][-1]) for name, path in small.items()}
        sizes = {name: 1 - path.stat().st_size / (folder / name).stat().st_size for name, path in small.items()}
    figures: dict[str, float] = {
        f"{view}.psnr": float(psnr(frames, float32[view]).mean()) for view, frames in cines.items()
    }
    for name, label in ((DISTILLED, "denoiser"), (DECODER, "decoder")):
        figures[f"{label}.timesQuicker"] = times[name][0] / times[name][1]
        figures[f"{label}.bytesSaved"] = sizes[name]
    return figures, cines
