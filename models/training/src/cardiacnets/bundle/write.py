"""Write a model bundle: ONNX files, `manifest.json` and `MODEL_CARD.md`, checked against PyTorch."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from cardiacnets.domain import CONDITIONS, INDICES, LEADS, PERSON_FIELDS
from cardiacnets.models.screen import ShippedScreen
from cardiacnets.signal.profile import load_profile

OPSET = 17
PARITY = 1e-4
NOTICE = "Investigational. Not a medical device."

SCREEN_INPUTS = ("ecg", "amplitude", "lead_mask", "person", "person_mask")
SCREEN_OUTPUTS = ("condition_logits", "index_mean", "index_logvar", "embedding", "ood")
BLOCK_OUTPUT = "block_logits"
"""Last of the outputs, where a bundle knows bundle branch blocks."""
INT8_FILE = "screen-int8.onnx"
CARD = "MODEL_CARD.md"
ENCODER_OUTPUTS = ("tokens", "embedding")
SCREEN = "screen.onnx"
"""Encoder, both heads and the score of what is no ECG, fused: one file, as nobody loads the parts of it."""
ENCODER = "encoder-drawing.onnx"
"""The encoder that the denoiser knows; that of `SCREEN` may have learned on since."""
PARTS = ("encoder.onnx", "screening_head.onnx", "function_head.onnx")
"""What bundles up to 1.0.0 held beside it."""


@dataclass(frozen=True)
class Auroc:
    """An area under the ROC curve with its 95% bootstrap interval and the data it was measured on."""

    value: float
    ci: tuple[float, float]
    dataset: str


@dataclass(frozen=True)
class Calibration:
    """probability = sigmoid(scale · logit + offset) (Platt 1999)."""

    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class ConditionEntry:
    """One condition of the manifest; `thresholds` are probabilities after calibration."""

    id: str
    evidence: str
    calibration: Calibration
    thresholds: dict[str, float]
    auroc: Auroc
    prevalence: float
    """Share with the condition where `calibration` was fitted."""
    operatingPoint: str = "youden"
    limits: dict[str, Any] | None = None
    """Operating points by sex and age (`evaluation.limits`)."""
    borderlineLogOdds: float | None = None
    operating: Mapping[str, object] | None = None
    """At what is in use: sensitivity, specificity and the people they were measured on; of a teacher's finding nobody
    knows them."""

    def described(self) -> dict[str, Any]:
        """As the manifest has it: nothing that is not there."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class IndexEntry:
    """One index of the manifest: mean ± intervalScale · exp(logvar / 2) covers 90%."""

    id: str
    evidence: str
    correlation: float | None
    intervalScale: float


@dataclass(frozen=True)
class OodEntry:
    """The limit of the output `ood`, and the share of the ECGs of `dataset` that lie above it."""

    threshold: float
    falseAlarms: float
    dataset: str


@dataclass(frozen=True)
class BlockEntry:
    """A bundle branch block: the limit of its logit, and what lies above it in the ECGs of `dataset`."""

    id: str
    threshold: float
    sensitivity: float
    """Share of the ECGs in which a reader stated the block."""
    falseAlarms: float
    """Share of all others."""
    dataset: str


@dataclass(frozen=True)
class BundleFacts:
    """What the manifest says beside the files."""

    name: str
    version: str
    conditions: list[ConditionEntry]
    indices: list[IndexEntry]
    ood: OodEntry
    training: dict[str, Any] = field(default_factory=dict)
    blocks: list[BlockEntry] = field(default_factory=list)


def inference_session(model: Path) -> onnxruntime.InferenceSession:
    """ONNX Runtime on one CPU thread, as the screening function runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def example_inputs(batch: int = 2) -> dict[str, Tensor]:
    """Inputs of the right shapes for tracing."""
    return {
        "ecg": torch.rand(batch, len(LEADS), load_profile().samples) * 2 - 1,
        "amplitude": torch.tensor([-0.5, 1.0]).repeat(batch, len(LEADS), 1),
        "lead_mask": torch.ones(batch, len(LEADS)),
        "person": torch.tensor([[0.0, 60.0, 170.0, 80.0]]).repeat(batch, 1),
        "person_mask": torch.ones(batch, len(PERSON_FIELDS)),
    }


def export_onnx(model: ShippedScreen, out_dir: Path) -> None:
    """Write `SCREEN` to `out_dir`."""
    _export_part(model.eval(), example_inputs(), SCREEN_INPUTS, outputs_of(model), out_dir / SCREEN)


def outputs_of(model: ShippedScreen) -> tuple[str, ...]:
    """Names of its outputs, in order."""
    return SCREEN_OUTPUTS if model.blocks is None else (*SCREEN_OUTPUTS, BLOCK_OUTPUT)


def _export_part(
    module: nn.Module, example: dict[str, Tensor], names_in: Sequence[str], names_out: Sequence[str], path: Path
) -> None:
    with warnings.catch_warnings():
        # The TorchScript exporter gives plain opset 17 without onnxscript; it warns that another is the default.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(example[name] for name in names_in),
            path,
            input_names=list(names_in),
            output_names=list(names_out),
            dynamic_axes={name: {0: "N"} for name in (*names_in, *names_out)},
            opset_version=OPSET,
            dynamo=False,
        )
    with torch.no_grad():
        outputs = module(*(example[name] for name in names_in))
    _fix_output_shapes(path, [outputs] if isinstance(outputs, Tensor) else list(outputs))


def export_encoder(encoder: nn.Module, path: Path) -> float:
    """Write the encoder that conditions the drawing of cines; returns the largest difference to PyTorch.

    The difference is relative to max(1, |value|).
    """
    encoder.eval()
    inputs = example_inputs(3)
    _export_part(encoder, example_inputs(), SCREEN_INPUTS, ENCODER_OUTPUTS, path)
    with torch.no_grad():
        expected = [value.numpy() for value in encoder(*inputs.values())]
    actual = inference_session(path).run(None, {name: value.numpy() for name, value in inputs.items()})
    return max(float((np.abs(a - e) / np.maximum(1, np.abs(e))).max()) for a, e in zip(actual, expected, strict=True))


def _fix_output_shapes(path: Path, outputs: list[Tensor]) -> None:
    """Only the batch varies: the exporter leaves some other dimensions open that never change."""
    graph = onnx.load(path)
    for described, output in zip(graph.graph.output, outputs, strict=True):
        for axis, size in list(enumerate(output.shape))[1:]:
            described.type.tensor_type.shape.dim[axis].dim_value = size
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def parity(model: ShippedScreen, out_dir: Path, inputs: dict[str, Tensor]) -> float:
    """Largest difference between PyTorch and ONNX over all outputs, relative to max(1, |value|)."""
    model.eval()
    with torch.no_grad():
        expected = [value.numpy() for value in model(*inputs.values())]
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    actual = inference_session(out_dir / SCREEN).run(outputs_of(model), feed)
    return max(float((np.abs(a - e) / np.maximum(1, np.abs(e))).max()) for a, e in zip(actual, expected, strict=True))


def describe_tensors(session: onnxruntime.InferenceSession) -> dict[str, list[dict[str, Any]]]:
    """Inputs and outputs as the manifest lists them."""
    kinds = {"tensor(float)": "float32", "tensor(int64)": "int64"}

    def describe(arg: onnxruntime.NodeArg) -> dict[str, Any]:
        if arg.type not in kinds:
            raise ValueError(f"{arg.name} is {arg.type}, not one of {', '.join(kinds.values())}")
        return {"name": arg.name, "type": kinds[arg.type], "shape": arg.shape}

    return {
        "inputs": [describe(arg) for arg in session.get_inputs()],
        "outputs": [describe(arg) for arg in session.get_outputs()],
    }


def file_entry(path: Path) -> dict[str, Any]:
    """A file as the manifest lists it."""
    content = path.read_bytes()
    return {"path": path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def kept_synthesis(folder: Path) -> dict[str, Any]:
    """The `synthesis` entry of the bundle in `folder`, if all its files match its manifest; else an empty entry.

    Drawing has an encoder of its own, so another screening network leaves it valid.
    """
    path = folder / "manifest.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    mine = {SCREEN, *PARTS, CARD, INT8_FILE}
    files = [file for file in before.get("files", []) if file["path"] not in mine]
    whole = all((folder / file["path"]).exists() and file_entry(folder / file["path"]) == file for file in files)
    if "synthesis" not in before or not whole:
        return {"files": [], "tensors": {}}
    tensors = {name: entry for name, entry in before["tensors"].items() if name not in mine}
    return {"files": files, "tensors": tensors, "synthesis": before["synthesis"]}


def state_figures(folder: Path, facts: BundleFacts, card: str) -> None:
    """Put what `facts` says of conditions and indices, and another card, into a written bundle; its networks stay."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    (folder / CARD).write_text(card)
    manifest["version"] = facts.version
    manifest["conditions"] = [entry.described() for entry in facts.conditions]
    manifest["indices"] = [asdict(entry) for entry in facts.indices]
    if facts.blocks:
        manifest["blocks"] = [asdict(entry) for entry in facts.blocks]
    manifest["files"] = [file_entry(folder / CARD) if file["path"] == CARD else file for file in manifest["files"]]
    path.write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")


def write_bundle(
    made: Path, difference: float, out_dir: Path, facts: BundleFacts, card: str, extra: Sequence[str] = ()
) -> None:
    """Write the whole bundle from the ONNX file in `made` (`export_onnx`), and `extra` ones there.

    `difference` is what `parity` found between them and PyTorch; ValueError if it is above `PARITY`.
    """
    ids = [entry.id for entry in facts.conditions], [entry.id for entry in facts.indices]
    if ids != (list(CONDITIONS), list(INDICES)):
        raise ValueError("conditions or indices are not those of shared/domain, in that order")
    if difference > PARITY:
        raise ValueError(f"PyTorch and ONNX differ by {difference:.1e}")
    out_dir.mkdir(parents=True, exist_ok=True)
    for file in (INT8_FILE, *PARTS):
        (out_dir / file).unlink(missing_ok=True)
    files = (SCREEN, *extra)
    for file in files:
        shutil.copyfile(made / file, out_dir / file)
    (out_dir / CARD).write_text(card)
    drawing = kept_synthesis(out_dir)
    screening = [file_entry(out_dir / file) for file in (*files, CARD)]
    manifest = {
        "schema": 1,
        "name": facts.name,
        "version": facts.version,
        "profile": load_profile().name,
        "licence": "Apache-2.0",
        "files": screening + drawing["files"],
        "tensors": {file: describe_tensors(inference_session(out_dir / file)) for file in files} | drawing["tensors"],
        "conditions": [entry.described() for entry in facts.conditions],
        "indices": [asdict(entry) for entry in facts.indices],
        "ood": asdict(facts.ood),
        **({"blocks": [asdict(entry) for entry in facts.blocks]} if facts.blocks else {}),
        **({"synthesis": drawing["synthesis"]} if "synthesis" in drawing else {}),
        "training": facts.training,
        "notice": NOTICE,
    }
    (out_dir / "manifest.json").write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")
