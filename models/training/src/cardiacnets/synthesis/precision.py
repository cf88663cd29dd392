"""Whether fewer bits would do: what draws, made smaller, beside float32 in the runtime that ships."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiacnets.bundle.quantise import Feed, compute_in_half, milliseconds, quantise, store_in_half
from cardiacnets.bundle.write import inference_session
from cardiacnets.data.latents import Conditions
from cardiacnets.synthesis.bundle import DECODER, FULL, Networks, export_synthesis, in_half
from cardiacnets.synthesis.draw import Cines, Sampler, draw
from cardiacnets.synthesis.metrics import psnr

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
    networks: Networks,
    sampler: Sampler,
    float32: Cines,
    conditions: Conditions,
    rows: NDArray[np.intp],
    calibration: NDArray[np.intp],
) -> Iterator[tuple[str, dict[str, float], Cines]]:
    """Make smaller what `sampler` draws with, the denoiser and decoder of `networks`, by each variant.

    `float32`: the cines of `rows` as `sampler` draws them with seed 0.
    `calibration`: rows of people who give the ranges of int8.

    Yields the name of the variant, figures (PSNR in dB to what float32 draws from the same noise, of each view; times
    quicker, and bytes saved, of denoiser and decoder) and the cines of `rows`, drawn so.
    """
    with tempfile.TemporaryDirectory() as made:
        wide, rounded, int8, half, stored = (
            Path(made) / name for name in ("float32", "rounded", "int8", "half", "stored")
        )
        for folder in (wide, rounded, int8, half, stored):
            folder.mkdir()
        export_synthesis(networks, wide)
        export_synthesis(in_half(networks), rounded)
        fed: dict[str, list[Feed]] = {FULL: [], DECODER: []}
        plain = {name: _as_network(wide / name, kept) for name, kept in fed.items()}
        draw(replace(sampler, denoiser=plain[FULL], decoder=plain[DECODER]), conditions, calibration, 1, batch=4)
        for name, kept in fed.items():
            quantise(wide / name, int8 / name, kept)
            compute_in_half(wide / name, half / name)
            store_in_half(rounded / name, stored / name)
        for variant, folder in (("int8", int8), ("half", half), ("halfStored", stored)):
            sessions = {name: _as_network(folder / name) for name in fed}
            cines = draw(replace(sampler, denoiser=sessions[FULL], decoder=sessions[DECODER]), conditions, rows, 0)
            figures = {f"{view}.psnr": float(psnr(frames, float32[view]).mean()) for view, frames in cines.items()}
            for name, label in ((FULL, "denoiser"), (DECODER, "decoder")):
                before, after = milliseconds([wide / name, folder / name], fed[name][-1])
                figures[f"{label}.timesQuicker"] = before / after
                figures[f"{label}.bytesSaved"] = 1 - (folder / name).stat().st_size / (wide / name).stat().st_size
            yield variant, figures, cines
