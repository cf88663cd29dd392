"""Tiny random networks in the real bundle's shape, and what PyTorch draws with them.

`python -m cardiacnets.cli.synthesis_fixture [OUT]` writes them for the tests of `shared/inference`.
`reference.json` has, for each sampler and guidance: the start noise, tokens and embedding, the sampled latent and
the decoded frames, of both views.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cardiacnets.bundle.write import (
    NOTICE,
    SCREEN_INPUTS,
    describe_tensors,
    example_inputs,
    export_encoder,
    file_entry,
    inference_session,
)
from cardiacnets.data.cines import CROP
from cardiacnets.domain import CONDITIONS, INDICES, View
from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.diffusion import ScheduleConfig, guided, sample
from cardiacnets.models.encoder import EncoderConfig
from cardiacnets.models.trunks import Encoder
from cardiacnets.models.unet import UNet, UNetConfig
from cardiacnets.models.vae import CineDecoder, Vae, VaeConfig
from cardiacnets.signal.profile import REPOSITORY, load_profile
from cardiacnets.synthesis.bundle import (
    DISTILLED,
    FULL,
    VIEW_NAMES,
    Network,
    Networks,
    SamplerEntry,
    add_synthesis,
    export_synthesis,
    synthesis_entry,
)
from cardiacnets.synthesis.readout import FEATURES, READ_INDICES, Readout, describe_readout

OUT = REPOSITORY / "test" / "fixtures" / "synthesis"
SEED = 7
SAMPLERS = {"full": SamplerEntry(FULL, 50, 1.75), "distilled": SamplerEntry(DISTILLED, 8, 1.0)}
TOKEN_COPIES = 24
"""The tiny encoder's eight features a token are repeated to the real width, 192."""


class TinyEncoder(nn.Module):
    """The encoder's tensors at a hundredth of its size."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(EncoderConfig(widths=(8, 8, 8, 8), blocks=1, kernel=3))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """As `Encoder`."""
        tokens, embedding = self.encoder(*inputs)
        return tokens.repeat(1, 1, TOKEN_COPIES), embedding


def shake(module: Network, seed: int) -> Network:
    """Random weights everywhere, also where training starts from zero, so that every path shows in the output."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            spread = 0.7 / max(1, parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.3
            noise = spread * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise if parameter.dim() > 1 else parameter + noise)
    return module.eval().requires_grad_(False)


def tiny_networks() -> Networks:
    """All networks at the least size that has every part."""
    denoiser = DenoiserConfig(fold=4, widths=(8,), middle=True, attends=(True,), head_width=8, groups=4, context=8)
    vae = Vae(VaeConfig(widths=(4, 4, 8), groups=4))
    vae.latent_mean.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    vae.latent_std.copy_(torch.tensor([0.8, 1.2, 1.0, 0.9]))
    classes: Mapping[View, int] = {"short_axis": 4, "four_chamber": 6}
    teacher, student = (shake(Denoiser(denoiser), seed) for seed in (2, 3))
    segmenters = {view: shake(UNet(UNetConfig(n, widths=(8, 8), groups=4)), 4) for view, n in classes.items()}
    return Networks(shake(vae, 1), teacher, segmenters, student)


def _write_encoder(out_dir: Path) -> TinyEncoder:
    model = shake(TinyEncoder(), 5)
    export_encoder(model, out_dir / "encoder.onnx")
    return model


def _write_manifest(out_dir: Path) -> None:
    unknown = {"value": 0.5, "ci": [0.0, 1.0], "dataset": "none: random weights"}
    middle = {"youden": 0.5, "sensitivity90": 0.5}
    (out_dir / "MODEL_CARD.md").write_text("Random weights in the shape of a bundle, for tests. Draws nothing.\n")
    files = ("encoder.onnx", "MODEL_CARD.md")
    manifest = {
        "schema": 1,
        "name": "cardiacnets-tiny",
        "version": "0.0.0",
        "profile": load_profile().name,
        "licence": "Apache-2.0",
        "files": [file_entry(out_dir / file) for file in files],
        "tensors": {"encoder.onnx": describe_tensors(inference_session(out_dir / "encoder.onnx"))},
        "conditions": [
            {"id": name, "evidence": "virtual", "calibration": {"scale": 1.0, "offset": 0.0}}
            | {"thresholds": middle, "operatingPoint": "youden", "auroc": unknown, "prevalence": 0.5}
            for name in CONDITIONS
        ],
        "indices": [
            {"id": name, "evidence": "virtual", "correlation": 0.0, "intervalScale": 1.645} for name in INDICES
        ],
        "training": {"seed": SEED},
        "notice": NOTICE,
    }
    (out_dir / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _numbers(values: Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.flatten().tolist()]


def waves(*shape: int) -> Tensor:
    """√2 · sin(0.37·k²) for k = 0, 1, … in row-major order: noise that a test in any language can make."""
    k = np.arange(np.prod(shape), dtype=np.float64)
    return torch.from_numpy((2**0.5 * np.sin(0.37 * k**2)).astype(np.float32)).reshape(shape)


def _reference(networks: Networks, encoder: TinyEncoder) -> dict[str, Any]:
    """Draw both views with both samplers; what is long is given in part."""
    inputs = example_inputs(1)
    time = torch.arange(5000, dtype=torch.float64) / 500
    inputs["ecg"] = torch.sin(2 * torch.pi * time * (1 + 2 * torch.arange(12)[:, None] / 11)).float().unsqueeze(0)
    with torch.no_grad():
        tokens, embedding = encoder(*(inputs[name] for name in SCREEN_INPUTS))
    config = networks.denoiser.config
    cases: list[dict[str, Any]] = []
    for index, (view, name) in enumerate(VIEW_NAMES.items()):
        side = CROP[view] // 8
        start = waves(1, config.channels, config.frames, side, side)
        for sampler, denoiser in zip(SAMPLERS, networks.denoisers().values(), strict=True):
            for guidance in (1.0, 1.75):
                number = torch.tensor([index])
                predict = guided(denoiser, tokens, embedding, number, guidance)
                latent = sample(predict, start, ScheduleConfig(), SAMPLERS[sampler].steps)
                with torch.no_grad():
                    frames = CineDecoder(networks.vae)(latent, number)
                cases.append(
                    {"view": name, "sampler": sampler, "guidance": guidance}
                    | {"latent": _numbers(latent[0, :, ::5, ::2, ::2]), "frame": _numbers(frames[0, 3, ::8, ::8])}
                )
    image = waves(1, 1, 32, 32)
    with torch.no_grad():
        logits = {VIEW_NAMES[view]: _numbers(unet(image)[..., ::4, ::4]) for view, unet in networks.segmenters.items()}
    return {
        "about": {
            "ecg": "lead l is sin(2π·(1 + 2l/11)·k/500); amplitude (−0.5, 1), all leads, person (0, 60, 170, 80)",
            "tokens": "[32][8]: the first eight of 192",
            "start": "[C][F][h][w], √2·sin(0.37·k²) for k = 0, 1, …",
            "latent": "[C][frames 0, 5, 10, 15][every second row][every second column]",
            "frame": "number 3, every eighth row and column",
            "segmenter": "of an image 32×32 made like `start`, logits [K][every fourth row][every fourth column]",
        },
        "tokens": _numbers(tokens[0, :, :8]),
        "embedding": _numbers(embedding),
        "cases": cases,
        "segmenter": logits,
    }


def make_fixture(out_dir: Path = OUT) -> None:
    """Write the bundle and `reference.json`."""
    out_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    networks, encoder = tiny_networks(), _write_encoder(out_dir)
    _write_manifest(out_dir)
    rng = np.random.default_rng(SEED)
    count = len(READ_INDICES)
    readout = Readout(READ_INDICES, rng.normal(50, 10, count), rng.normal(0, 1, (len(FEATURES), count)))
    described = describe_readout(readout, dict.fromkeys(READ_INDICES, 0.0), VIEW_NAMES)
    entry = synthesis_entry(networks, ScheduleConfig(), SAMPLERS, "distilled", "encoder.onnx", described)
    with tempfile.TemporaryDirectory() as made:
        add_synthesis(Path(made), export_synthesis(networks, Path(made)), out_dir, entry)
    (out_dir / "reference.json").write_text(json.dumps(_reference(networks, encoder)) + "\n")


if __name__ == "__main__":
    make_fixture(*map(Path, sys.argv[1:]))
