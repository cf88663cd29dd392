"""Put what draws cines into a bundle: denoisers, decoder, segmenters, their encoder, and the read-out."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cardiacnets.bundle.quantise import store_in_half
from cardiacnets.bundle.write import ENCODER, export_encoder
from cardiacnets.models.trunks import Encoder
from cardiacnets.stages.diffusion import load_denoiser
from cardiacnets.stages.segmentation import load_unet
from cardiacnets.stages.vae import load_vae
from cardiacnets.synthesis.bundle import (
    VIEW_NAMES,
    Networks,
    add_synthesis,
    export_synthesis,
    in_half,
    sampler_entries,
    synthesis_entry,
)
from cardiacnets.synthesis.figures import SynthesisReport
from cardiacnets.synthesis.page import card_section
from cardiacnets.synthesis.readout import describe_readout
from cardiacnets.synthesis.report import Evaluation, SynthesisReportConfig

if TYPE_CHECKING:
    from cardiacnets.programme import Run


def export_drawing(
    run: "Run",
    bundle_dir: Path,
    config: SynthesisReportConfig,
    *,
    version: str | None = None,
    report: SynthesisReport | None = None,
) -> float:
    """Add `synthesis` to the bundle, and to its card what `report` says.

    Returns the largest difference between PyTorch and ONNX.

    Raises:
        ValueError: `report` is about a bundle with another default sampler.
    """
    p = run.programme
    if report is not None and report["default"] != p.default_sampler:
        raise ValueError(
            f"the report is about cines drawn with {report['default']}, but the bundle draws with {p.default_sampler}: "
            "run `cardiacnets-train synthesis evaluate` first"
        )
    ships_student = p.default_sampler == "distilled"
    denoiser, schedule = load_denoiser(run.diffusion())
    student = load_denoiser(run.distillation())[0] if ships_student else None
    segmenters = {view: load_unet(run.segmentation(view)) for view in VIEW_NAMES}
    networks = in_half(Networks(load_vae(run.vae()), denoiser, segmenters, student))
    evaluation = Evaluation(run, config)
    samplers = sampler_entries(p, with_student=ships_student)
    drawn = {name: report["drawn"][name]["function"] for name in samplers} if report else None
    entry = synthesis_entry(
        networks,
        schedule,
        samplers,
        p.default_sampler,
        ENCODER,
        describe_readout(evaluation.readout, evaluation.ceiling, VIEW_NAMES, drawn),
    )
    encoder = Encoder(p.align.encoder)
    encoder.trunk = run.drawing_trunk()
    with tempfile.TemporaryDirectory() as made:
        difference = max(export_encoder(encoder, Path(made) / ENCODER), export_synthesis(networks, Path(made)))
        for path in Path(made).iterdir():
            store_in_half(path, path)
        section = card_section(report) if report else None
        add_synthesis(Path(made), difference, bundle_dir, entry, version=version, section=section)
    return difference
