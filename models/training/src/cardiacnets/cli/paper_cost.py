"""What the paper's sizes cost: parameters, FLOPs and activations, and from them GPU memory and hours.

They are counted on the networks. Nothing is trained, and no GPU is needed: FLOPs are counted on tensors without data.

`python -m cardiacnets.cli.paper_cost [--json] [--gpus 8]`
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cardiacnets.models.ecg_mim import EcgMim
from cardiacnets.models.ecg_vit import EcgMae
from cardiacnets.models.greenmim import GreenMim, draw_visible
from cardiacnets.models.heads import FunctionHead, ScreeningHead
from cardiacnets.models.swin import Swin
from cardiacnets.models.trunks import make_masked, make_trunk
from cardiacnets.programme import read_programme
from cardiacnets.stages.loop import OptimisationConfig

PEAK_FLOPS = 312e12
"""A100, bfloat16, dense (NVIDIA's data sheet)."""
UTILISATION = 0.4
"""Of the peak; assumed. Small windows (Swin) reach less than plain transformers."""
PEOPLE = 29_063
"""Who have both ECG and CMR, to train on: the paper's, for whom the configuration's steps are written."""
STATE_BYTES = 22
"""A parameter: weight, gradient, DistributedDataParallel's copy of it and Adam's two moments in float32, and autocast's
copy in bfloat16."""


@dataclass(frozen=True)
class Stage:
    """A stage's network, how one batch's loss is made of it, and how long it is assumed to train."""

    name: str
    build: Callable[[], nn.Module]
    loss: Callable[[Any, int, torch.device], Tensor]  # each stage has a network of its own
    epochs: int
    batch: int
    """ECGs or cines on one GPU."""
    runs: int = 1


@dataclass(frozen=True)
class Cost:
    """Counted, but for the last two, which follow from the assumptions above."""

    stage: str
    parameters: int
    tflops: float
    """Forward and backward of one ECG or cine."""
    activation_mb: float
    """Kept for the backward of one ECG or cine under bfloat16 autocast."""
    batch: int
    memory_gb: float
    """On each GPU; the CUDA context and workspaces (1 to 2 GB) not counted."""
    epochs: int
    gpu_hours: float


def paper_stages() -> tuple[Stage, ...]:
    """The stages as `configurations/paper.toml` starts them: networks, masks, batches and epochs are its own."""
    programme = read_programme("paper")
    cmr, ecg, heads = programme.cmr, programme.ecg, programme.screening
    mim = cmr.views["short_axis"].mim

    def epochs(optimisation: OptimisationConfig, batch: int) -> int:
        return round(optimisation.steps * batch / PEOPLE)

    def green_mim(model: GreenMim, batch: int, where: torch.device) -> Tensor:
        visible = draw_visible(mim, torch.Generator().manual_seed(1))
        return model.loss(torch.zeros(batch, mim.swin.frames, mim.swin.image, mim.swin.image, device=where), visible)

    def masked_ecg(model: EcgMim | EcgMae, batch: int, where: torch.device) -> Tensor:
        millivolt = torch.zeros(batch, 12, 5000, device=where)
        return model.loss(millivolt, ecg.lead_dropout, torch.Generator().manual_seed(1))

    return (
        Stage(
            "CMR masked modelling, both views",
            lambda: GreenMim(mim),
            green_mim,
            epochs(cmr.optimisation, cmr.batch),
            cmr.batch,
            runs=len(cmr.views),
        ),
        Stage(
            "ECG masked modelling",
            lambda: make_masked(ecg.mim),
            masked_ecg,
            epochs(ecg.optimisation, ecg.batch),
            ecg.batch,
        ),
        Stage(
            "contrast, then heads: the whole ECG encoder",
            lambda: nn.ModuleList([make_trunk(heads.encoder), ScreeningHead(), FunctionHead()]),
            _with_heads,
            epochs(programme.align.optimisation, programme.align.batch) + epochs(heads.optimisation, heads.real_batch),
            programme.align.batch,
        ),
    )


def _with_heads(model: nn.ModuleList, batch: int, where: torch.device) -> Tensor:
    trunk, screening_head = model[0], model[1]
    function_head = cast(FunctionHead, model[2])
    ecg, leads = torch.zeros(batch, 12, 5000, device=where), torch.ones(batch, 12, device=where)
    person = torch.ones(batch, 4, device=where)
    embedding = trunk(ecg, leads, person, person)[1]
    mean, logvar = function_head.standardised(embedding)
    return screening_head(embedding).sum() + mean.sum() + logvar.sum()


def count_flops(stage: Stage, model: nn.Module, batch: int = 2) -> float:
    """Of forward and backward, an ECG or cine; `model` has no data."""
    with FlopCounterMode(display=False) as counter:
        stage.loss(model, batch, torch.device("meta")).backward()
    return counter.get_total_flops() / batch


def count_activations(stage: Stage, model: nn.Module) -> float:
    """Bytes that each further ECG or cine of a batch keeps for the backward pass, under bfloat16 autocast on the CPU.

    Each storage counts once. What every batch keeps (weights and their copies) does not count.
    """

    def kept(batch: int) -> int:
        storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is used again

        def pack(tensor: Tensor) -> None:  # no backward follows; the tensor itself would hold its graph for ever
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()

        def unpack(_: None) -> Tensor:
            raise AssertionError("no backward follows")

        with (
            torch.autograd.graph.saved_tensors_hooks(pack, unpack),
            torch.autocast("cpu", torch.bfloat16),
        ):
            stage.loss(model, batch, torch.device("cpu"))
        return sum(storage.nbytes() for storage in storages.values())

    return kept(2) - kept(1)


def cost(stage: Stage) -> Cost:
    """Count, and work out the rest."""
    model = stage.build()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    activations = count_activations(stage, model)
    flops = count_flops(stage, model.to("meta"))
    seconds = stage.runs * stage.epochs * PEOPLE * flops / (PEAK_FLOPS * UTILISATION)
    return Cost(
        stage.name,
        parameters,
        round(flops / 1e12, 4),
        round(activations / 1e6, 1),
        stage.batch,
        round((STATE_BYTES * parameters + stage.batch * activations) / 1e9, 1),
        stage.epochs,
        round(seconds / 3600, 1),
    )


def frozen_swin_tflops() -> float:
    """Forward of one cine through a frozen CMR encoder: contrast needs it once for each copy that is drawn from."""
    swin = read_programme("paper").cmr.views["short_axis"].mim.swin
    model = Swin(swin).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, swin.frames, swin.image, swin.image, device="meta"))
    return round(counter.get_total_flops() / 1e12, 4)


def main() -> None:
    """Print a table in Markdown, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gpus", type=int, default=8)
    options = parser.parse_args()
    rows = [cost(stage) for stage in paper_stages()]
    if options.json:
        print(json.dumps({"stages": [asdict(row) for row in rows], "frozenSwinTflops": frozen_swin_tflops()}, indent=1))
        return
    print("| stage | parameters | TFLOP | activations | batch | memory | epochs | GPU hours | on", options.gpus, "|")
    print("| --- " * 9 + "|")
    for row in rows:
        counted = f"{row.parameters:,} | {row.tflops} | {row.activation_mb} MB"
        hours = f"{row.gpu_hours} | {row.gpu_hours / options.gpus:.1f}"
        print(f"| {row.stage} | {counted} | {row.batch} | {row.memory_gb} GB | {row.epochs} | {hours} |")
    print(f"\nA cine through a frozen CMR encoder: {frozen_swin_tflops()} TFLOP.")


if __name__ == "__main__":
    main()
