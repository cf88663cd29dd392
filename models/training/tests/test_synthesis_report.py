import json
import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cardiacnets.cli.synthesis_fixture import OUT
from cardiacnets.data.cines import CROP
from cardiacnets.data.latents import Conditions, LatentSet
from cardiacnets.domain import CONDITIONS, INDICES, VIEWS
from cardiacnets.evaluation.markdown import put_section
from cardiacnets.models.denoiser import Denoiser, DenoiserConfig
from cardiacnets.models.encoder import EncoderConfig
from cardiacnets.models.greenmim import GreenMim, GreenMimConfig
from cardiacnets.models.swin import SwinConfig
from cardiacnets.models.unet import UNet, UNetConfig
from cardiacnets.models.vae import Vae, VaeConfig
from cardiacnets.programme import SEGMENTATION_CLASSES, Programme
from cardiacnets.stages.cmr_pretraining import CmrPretrainingConfig
from cardiacnets.stages.contrastive import Alignment, ContrastiveConfig, load_aligned_trunk
from cardiacnets.stages.diffusion import Averaged, DiffusionConfig
from cardiacnets.stages.distillation import METHODS
from cardiacnets.stages.segmentation import SegmentationConfig
from cardiacnets.stages.vae import ShortCineSet, VaeTrainingConfig
from cardiacnets.synthesis.bundle import DISTILLED, FULL
from cardiacnets.synthesis.export import ENCODER, export_drawing
from cardiacnets.synthesis.page import CARD_TITLE, NAMES, TITLE, choices_section, section, summary
from cardiacnets.synthesis.report import Evaluation, SynthesisReportConfig, compare_choices, evaluate_synthesis
from cardiacnets.synthesis.signs import SIGNS

PEOPLE = 40
DENOISER = DenoiserConfig(widths=(8,), attends=(True,), head_width=8, groups=4, token_width=8, embedding=16, context=8)
ENCODER_CONFIG = EncoderConfig(widths=(8, 8), blocks=1, embedding=16)
REPORT = SynthesisReportConfig(
    readout_people=12,
    classifier_people=20,
    people=6,
    seeds=2,
    diversity_people=2,
    components=3,
    ecg_components=2,
    classifier_components=4,
)


@pytest.fixture
def run(tmp_path):
    """A finished run of untrained networks: what there is to measure, at the least size."""
    rng = np.random.default_rng(1)
    torch.manual_seed(1)
    split = np.repeat(["train", "val", "test"], [24, 4, 12])
    vae, unet = VaeConfig(widths=(4, 4, 8), groups=4), UNetConfig(widths=(8, 8), groups=4)
    swin = {
        view: SwinConfig(image=side, patch=4, window=5 if side == 80 else 6, dim=8, heads=(1, 1, 2))
        for view, side in CROP.items()
    }

    def saved(stage, config, model):
        path = tmp_path / "run" / stage / "model.pt"
        path.parent.mkdir(parents=True)
        torch.save({"config": json.loads(json.dumps(asdict(config))), "model": model.state_dict()}, path)
        return path

    diffusion = DiffusionConfig(denoiser=DENOISER)
    contrastive = ContrastiveConfig(encoder=ENCODER_CONFIG, projection=8, whitened=4)
    paths = {
        "vae": saved("vae", VaeTrainingConfig(vae=vae), Vae(vae)),
        "diffusion": saved("diffusion", diffusion, Averaged(Denoiser(DENOISER), 0.9)),
        "distillation": saved("distillation", diffusion, Averaged(Denoiser(DENOISER), 0.9)),
        "align": saved("align", contrastive, Alignment(contrastive, dict.fromkeys(VIEWS, 8))),
    }
    for view in VIEWS:
        labels = replace(unet, classes=SEGMENTATION_CLASSES[view])
        paths[f"segmentation/{view}"] = saved(f"segmentation/{view}", SegmentationConfig(unet=labels), UNet(labels))
        mim = GreenMimConfig(swin=swin[view])
        paths[f"cmr/{view}"] = saved(f"cmr/{view}", CmrPretrainingConfig(mim=mim), GreenMim(mim))
    frames = {view: rng.integers(0, 255, (PEOPLE, 16, side, side)).astype(np.uint8) for view, side in CROP.items()}
    latents = {
        view: rng.normal(size=(PEOPLE, 4, 16, side // 8, side // 8)).astype(np.float16) for view, side in CROP.items()
    }
    programme = Programme()
    return SimpleNamespace(
        folder=tmp_path / "run",
        is_virtual=True,
        has_student=False,
        programme=replace(
            programme,
            align=contrastive,
            diffusion=diffusion,
            draw_steps=2,
            quick_steps=3,
            distillation=replace(programme.distillation, steps=3),
        ),
        people=SimpleNamespace(
            indices=rng.normal(100, 20, (PEOPLE, len(INDICES))),
            conditions=(rng.random((PEOPLE, len(CONDITIONS))) < 0.5).astype(np.float32),
        ),
        short_cines=ShortCineSet(frames, split),
        latents=LatentSet(latents, split),
        conditions=Conditions(
            rng.normal(size=(PEOPLE, 3, 32, 8)).astype(np.float16), rng.normal(size=(PEOPLE, 3, 16)).astype(np.float16)
        ),
        **{name: lambda name=name: paths[name] for name in ("vae", "diffusion", "distillation", "align")},
        drawing_trunk=lambda: load_aligned_trunk(paths["align"]),
        segmentation=lambda view: paths[f"segmentation/{view}"],
        cmr=lambda view: paths[f"cmr/{view}"],
        diffusion_by=lambda _: paths["diffusion"],
        distillation_by=lambda _: paths["distillation"],
    )


def test_report_and_its_section_describe_the_synthetic_cines(run, tmp_path, monkeypatch):
    monkeypatch.setattr("cardiacnets.synthesis.report.CALIBRATION_PEOPLE", 4)
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{TITLE}\n\nan older section\n\n## After\n\nkept\n")

    report = evaluate_synthesis(run, REPORT, tmp_path / "reports" / "synthesis.json")
    put_section(page, section(report))

    assert json.loads((tmp_path / "reports" / "synthesis.json").read_text()) == report
    assert (tmp_path / "reports" / "synthesis.png").stat().st_size > 10_000
    assert report["samplers"] == {"full": {"steps": 2, "guidance": 2.0}, "quick": {"steps": 3, "guidance": 2.0}}
    assert set(report["drawn"]) == {"full", "quick"}, "a run without a student is measured without one"
    assert report["default"] == "quick"
    full = report["drawn"]["full"]
    assert set(full) == {"likeness", "distance", "function", "functionCi", "bias", "conditions"}
    assert all(low <= full["function"][name] <= high for name, (low, high) in full["functionCi"].items())
    assert set(full["conditions"]) == {*CONDITIONS, *SIGNS}
    stored, half = (report["precision"][sampler] for sampler in ("halfStored", "half"))
    assert stored["short_axis.psnr"] > 45  # weights are rounded, sums are not
    assert 0 < half["short_axis.psnr"] <= stored["short_axis.psnr"]
    text = page.read_text()
    assert text.startswith("# Page\n")
    assert text.endswith("## After\n\nkept\n")
    assert text.count(TITLE) == 1
    assert "an older section" not in text
    assert summary(report)["functionR"] == report["drawn"]["quick"]["function"]


def test_student_is_measured_where_the_run_has_one(run):
    run.has_student = True

    samplers = Evaluation(run, REPORT).samplers()

    assert [(name, sampler.steps, sampler.guidance) for name, sampler in samplers.items()] == [
        ("full", 2, 2.0),
        ("quick", 3, 2.0),
        ("distilled", 3, 1.0),
    ]


def test_prediction_targets_and_distillation_methods_are_compared_on_validation_people(run, tmp_path):
    run.short_cines.split[:] = np.repeat(["train", "test", "val"], [24, 4, 12])

    made = list(compare_choices(run, replace(REPORT, people=4)))

    report = {kind: [figures for choice, figures in made if choice == kind] for kind in ("prediction", "distillation")}
    assert [figures["name"] for figures in report["prediction"]] == ["v", "epsilon"]
    methods = report["distillation"]
    assert [figures["name"] for figures in methods] == ["full", "quick", *METHODS]
    assert [figures["calls"] for figures in methods] == [4, 6, 3, 3, 3]
    progressive, consistency = (figures["toFull"]["short_axis"] for figures in methods[2:4])
    assert progressive != consistency, "a consistency model draws with fresh noise in each step"
    text = choices_section(report | {"trainingSteps": {"diffusion": 11, "distillation": 12}})
    assert "| consistency | 3 |" in text


@pytest.fixture
def bundle(tmp_path):
    """One that draws with other networks and a student."""
    folder = tmp_path / "bundle"
    shutil.copytree(OUT, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "MODEL_CARD.md").write_text(f"# {manifest['name']} {manifest['version']}\n\ntext\n")
    return folder


def report_of(default):
    figures, likeness = dict.fromkeys(NAMES, 0.5), {view: {"ssim": 0.5} for view in VIEWS}
    drawn, sizes = {"function": figures, "bias": figures, "likeness": likeness}, {"steps": 3, "guidance": 2.0}
    return {
        "people": 3,
        "samplers": {"full": sizes, default: sizes},
        "default": default,
        "readout": {"onTrueCines": figures},
        "drawn": {"full": drawn, default: drawn},
        "otherPerson": {"likeness": likeness},
    }


def networks_in(folder):
    return {path.name for path in folder.glob("*.onnx")}


def test_export_adds_the_synthesis_networks_to_a_bundle(run, bundle):
    before = json.loads((bundle / "manifest.json").read_text())
    report = report_of("quick")
    (bundle / "decoder-of-long-ago.onnx").write_bytes(b"not listed, never loaded")

    difference = export_drawing(run, bundle, REPORT, version="9.0.0", report=report)

    manifest = json.loads((bundle / "manifest.json").read_text())
    assert difference < 1e-4
    assert manifest["synthesis"]["encoder"] == ENCODER
    assert manifest["synthesis"]["readout"].keys() == before["synthesis"]["readout"].keys()
    assert manifest["synthesis"]["default"] == "quick"
    assert [(each["name"], each["file"], each["steps"]) for each in manifest["synthesis"]["samplers"]] == [
        ("full", FULL, 2),
        ("quick", FULL, 3),
    ]
    listed = {file["path"]: file["bytes"] for file in manifest["files"]}
    gone = {before["synthesis"]["encoder"], DISTILLED}
    assert set(listed) == {file["path"] for file in before["files"]} - gone | {ENCODER}
    assert set(manifest["tensors"]) == set(before["tensors"]) - gone | {ENCODER}
    assert networks_in(bundle) == {name for name in listed if name.endswith(".onnx")}, "no file that nobody loads"
    assert all((bundle / name).stat().st_size == size for name, size in listed.items())
    assert manifest["version"] == "9.0.0"
    assert manifest["synthesis"]["readout"]["indices"][0]["drawnCorrelation"] == {"full": 0.5, "quick": 0.5}
    card = (bundle / "MODEL_CARD.md").read_text()
    assert card.count(CARD_TITLE) == 1
    assert card.startswith(f"# {manifest['name']} 9.0.0\n")
    again = export_drawing(run, bundle, REPORT, report=report)
    assert (bundle / "MODEL_CARD.md").read_text() == card
    assert again == difference
    assert len(json.loads((bundle / "manifest.json").read_text())["files"]) == len(listed)


def test_export_ships_a_student_if_the_programme_says_so(run, bundle):
    run.programme = replace(run.programme, default_sampler="distilled")

    export_drawing(run, bundle, REPORT)

    synthesis = json.loads((bundle / "manifest.json").read_text())["synthesis"]
    assert synthesis["default"] == "distilled"
    assert [(each["name"], each["file"], each["guidance"]) for each in synthesis["samplers"]] == [
        ("full", FULL, 2.0),
        ("quick", FULL, 2.0),
        ("distilled", DISTILLED, 1.0),
    ]
    assert DISTILLED in networks_in(bundle)


def test_export_refuses_figures_of_cines_that_the_bundle_would_not_draw(run, bundle):
    before = (bundle / "manifest.json").read_bytes()

    with pytest.raises(ValueError, match=r"drawn with distilled, but the bundle draws with quick: run .* evaluate"):
        export_drawing(run, bundle, REPORT, report=report_of("distilled"))

    assert (bundle / "manifest.json").read_bytes() == before
