"""The part of a bundle that draws cines: ONNX files beside the encoder, and the manifest's `synthesis`."""

import copy
import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from cardiacnets.bundle.write import OPSET, PARITY, describe_tensors, file_entry, inference_session
from cardiacnets.data.cines import CROP
from cardiacnets.domain import View
from cardiacnets.evaluation.markdown import put_section
from cardiacnets.models.denoiser import Denoiser
from cardiacnets.models.diffusion import ScheduleConfig
from cardiacnets.models.unet import UNet
from cardiacnets.models.vae import CineDecoder, Vae

if TYPE_CHECKING:
    from cardiacnets.programme import Programme

Network = TypeVar("Network", bound=nn.Module)
VIEW_NAMES: Mapping[View, str] = {"short_axis": "sax", "four_chamber": "4ch"}
"""In the order of the networks' view numbers."""
SPACING_MM = 1.8
FRAMES_OUT = 50
MINIMUM_LEADS = 8
DENOISER_INPUTS = ("latent", "timestep", "tokens", "embedding", "conditioned", "view")
FULL, DISTILLED, DECODER = "denoiser.onnx", "denoiser-distilled.onnx", "decoder.onnx"


@dataclass(frozen=True)
class Networks:
    """The networks that draw, all in evaluation mode."""

    vae: Vae
    denoiser: Denoiser
    segmenters: Mapping[View, UNet]
    student: Denoiser | None = None
    """The distilled denoiser, if the bundle has one."""

    def denoisers(self) -> dict[str, Denoiser]:
        """The file of each in the bundle."""
        return {FULL: self.denoiser} | ({DISTILLED: self.student} if self.student is not None else {})


def in_half(networks: Networks) -> Networks:
    """The same with weights that float16 holds exactly, as a bundle keeps them (`quantise.store_in_half`)."""

    def rounded(network: Network) -> Network:
        return copy.deepcopy(network).half().float()

    segmenters = {view: rounded(unet) for view, unet in networks.segmenters.items()}
    student = None if networks.student is None else rounded(networks.student)
    return Networks(rounded(networks.vae), rounded(networks.denoiser), segmenters, student)


@dataclass(frozen=True)
class SamplerEntry:
    """The denoiser's file, and steps and guidance, as they measured best."""

    file: str
    steps: int
    guidance: float


def sampler_entries(programme: "Programme", *, with_student: bool) -> dict[str, SamplerEntry]:
    """Samplers of a programme: `full` and `quick` with the same denoiser, `distilled` with its student."""
    p = programme
    entries = {
        "full": SamplerEntry(FULL, p.draw_steps, p.draw_guidance),
        "quick": SamplerEntry(FULL, p.quick_steps, p.draw_guidance),
    }
    return entries | ({"distilled": SamplerEntry(DISTILLED, p.distillation.steps, 1.0)} if with_student else {})


def segmenter_file(view: View) -> str:
    """Name of a view's U-Net in the bundle."""
    return f"segmenter-{VIEW_NAMES[view]}.onnx"


def example_of(denoiser: Denoiser, rows: int, side: int, seed: int = 0) -> dict[str, Tensor]:
    """Inputs of the right shapes: every second row without an ECG, views by turns."""
    config, generator = denoiser.config, torch.Generator().manual_seed(seed)
    return {
        "latent": torch.randn(rows, config.channels, config.frames, side, side, generator=generator),
        "timestep": torch.linspace(999, 20, rows).round(),
        "tokens": torch.randn(rows, 32, config.token_width, generator=generator),
        "embedding": torch.randn(rows, config.embedding, generator=generator),
        "conditioned": (torch.arange(rows) % 2 == 0).float(),
        "view": torch.arange(rows) % len(VIEW_NAMES),
    }


def _export(
    module: nn.Module, example: dict[str, Tensor], output: str, axes: dict[str, dict[int, str]], path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see `bundle.export_onnx`
        torch.onnx.export(
            module,
            tuple(example.values()),
            path,
            input_names=list(example),
            output_names=[output],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    # Folded by the runtime itself: half of what the exporter writes works out shapes.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(path)
    del graph.opset_import[1:]  # the runtime lists all that it knows
    # The exporter names what it cannot follow after its own nodes: give every free size the name that it has.
    for described in graph.graph.output:
        for axis, dimension in enumerate(described.type.tensor_type.shape.dim):
            if axis in axes[output]:
                dimension.dim_param = axes[output][axis]
            elif not dimension.dim_value:
                with torch.no_grad():
                    dimension.dim_value = module(*example.values()).shape[axis]
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def export_synthesis(networks: Networks, out_dir: Path) -> float:
    """Write the ONNX files; returns the largest difference to PyTorch, relative to max(1, |value|).

    The difference is measured over batches and sizes that were not traced.
    """
    cases: list[tuple[str, nn.Module, dict[str, Tensor], dict[str, Tensor]]] = []
    for file, denoiser in networks.denoisers().items():
        cases.append((file, denoiser, example_of(denoiser, 2, 10), example_of(denoiser, 3, 12, seed=1)))
        free = {name: {0: "N"} for name in DENOISER_INPUTS}
        free["latent"] = free["prediction"] = {0: "N", 3: "h", 4: "w"}
        _export(denoiser, cases[-1][2], "prediction", free, out_dir / file)
    decoder = CineDecoder(networks.vae).eval()
    examples = [{name: case[name] for name in ("latent", "view")} for case in cases[0][2:]]
    cases.append((DECODER, decoder, examples[0], examples[1]))
    free = {"latent": {0: "N", 3: "h", 4: "w"}, "view": {0: "N"}, "frames": {0: "N", 2: "H", 3: "W"}}
    _export(decoder, examples[0], "frames", free, out_dir / DECODER)
    for view, unet in networks.segmenters.items():
        examples = [{"image": torch.randn(rows, 1, side, side)} for rows, side in ((2, 80), (3, 96))]
        cases.append((segmenter_file(view), unet, examples[0], examples[1]))
        free = {name: {0: "N", 2: "H", 3: "W"} for name in ("image", "logits")}
        _export(unet, examples[0], "logits", free, out_dir / cases[-1][0])
    worst = 0.0
    for file, module, _, other in cases:
        (actual,) = inference_session(out_dir / file).run(None, {name: value.numpy() for name, value in other.items()})
        with torch.no_grad():
            reference = module(*other.values()).numpy()
        worst = max(worst, float((np.abs(actual - reference) / np.maximum(1, np.abs(reference))).max()))
    return worst


def synthesis_entry(
    networks: Networks,
    schedule: ScheduleConfig,
    samplers: Mapping[str, SamplerEntry],
    default: str,
    encoder: str,
    readout: dict[str, Any],
) -> dict[str, Any]:
    """The manifest's `synthesis`.

    `default` is one of `samplers`. `encoder` is the file of the ECG encoder that the denoisers were trained with.
    """
    config = networks.denoiser.config
    return {
        "evidence": "virtual",
        "encoder": encoder,
        "latent": {"channels": config.channels, "frames": config.frames, "scale": 1.0},
        "views": {
            name: {
                "index": index,
                "size": CROP[view],
                "latentSize": CROP[view] // 8,
                "spacingMm": SPACING_MM,
            }
            for index, (view, name) in enumerate(VIEW_NAMES.items())
        },
        "schedule": {
            "steps": schedule.steps,
            "kind": "linear_sd",
            "betaStart": schedule.beta_start,
            "betaEnd": schedule.beta_end,
            "zeroTerminalSnr": schedule.zero_terminal_snr,
        },
        "samplers": [
            {
                "name": name,
                "file": entry.file,
                "prediction": schedule.prediction,
                "steps": entry.steps,
                "guidance": entry.guidance,
            }
            for name, entry in samplers.items()
        ],
        "default": default,
        "framesOut": FRAMES_OUT,
        "minimumLeads": MINIMUM_LEADS,
        "readout": readout,
    }


CARD = "MODEL_CARD.md"


def files_of(entry: dict[str, Any]) -> list[str]:
    """The ONNX files that are loaded for a manifest's `synthesis`."""
    denoisers = dict.fromkeys(sampler["file"] for sampler in entry["samplers"])
    return [*denoisers, DECODER, *(segmenter_file(view) for view in VIEW_NAMES), entry["encoder"]]


def add_synthesis(
    made: Path,
    difference: float,
    bundle_dir: Path,
    entry: dict[str, Any],
    *,
    version: str | None = None,
    section: str | None = None,
) -> None:
    """Put what `export_synthesis` wrote to `made`, and the encoder if it is there, into a bundle.

    They replace what the bundle drew with before. No ONNX file stays in the folder that the manifest does not list.
    `version` is the bundle's new one, `section` what its card says of drawn cines.

    Raises:
        ValueError: PyTorch and ONNX differ by more than `PARITY`.
    """
    if difference > PARITY:
        raise ValueError(f"PyTorch and ONNX differ by {difference:.1e}")
    path = bundle_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    names = files_of(entry)
    replaced = set(files_of(manifest["synthesis"])) - set(names) if "synthesis" in manifest else set()
    if not (made / entry["encoder"]).exists():
        names.remove(entry["encoder"])
    for name in names:
        shutil.copyfile(made / name, bundle_dir / name)
    card = bundle_dir / CARD
    if section is not None:
        put_section(card, section)
    if version is not None:
        title = f"# {manifest['name']} "
        card.write_text(card.read_text().replace(title + manifest["version"], title + version, 1))
        manifest["version"] = version
    if card.exists():
        names.append(CARD)
    kept = [file for file in manifest["files"] if file["path"] not in {*names, *replaced}]
    manifest["files"] = kept + [file_entry(bundle_dir / name) for name in names]
    networks = [name for name in names if name.endswith(".onnx")]
    tensors = {name: those for name, those in manifest["tensors"].items() if name not in replaced}
    described = {name: describe_tensors(inference_session(bundle_dir / name)) for name in networks}
    manifest["tensors"] = tensors | described
    manifest["synthesis"] = entry
    path.write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    listed = {file["path"] for file in manifest["files"]}
    for network in bundle_dir.glob("*.onnx"):
        if network.name not in listed:
            network.unlink()
