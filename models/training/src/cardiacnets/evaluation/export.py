"""Stage `export`: trained weights → calibrated, evaluated bundle. Stage `evaluate`: a bundle → its report and page."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import cohort
from ..bundle.quantise import milliseconds, quantise
from ..bundle.write import (
    INT8_FILE,
    Auroc,
    BundleFacts,
    Calibration,
    ConditionEntry,
    IndexEntry,
    OodEntry,
    export_onnx,
    parity,
    write_bundle,
)
from ..data.real import load_real
from ..data.virtual import load_virtual
from ..data.windows import to_window
from ..domain import CONDITIONS, INDICES
from ..metrics import auroc
from ..models.screen import ShippedScreen
from ..signal.profile import REPOSITORY
from ..stages.ablation import report_ablation
from ..stages.contrastive import retrieval
from ..stages.screening import TRAIN_FOLDS, VALIDATION_FOLD, load_trained
from .calibrate import fit_interval_scale, fit_platt, fit_thresholds, probability
from .card import model_card
from .fit_ood import FALSE_ALARMS, OodConfig, fit_ood
from .judge import CAD, TEST_FOLD, EcgSet, Judge, model_inputs, real_set, virtual_set
from .page import evaluation_page
from .plots import draw_all
from .report import Adjustment, Report, held_out_data, measure, rounded

PARITY_RECORDINGS = 100
QUANTISATION_RECORDINGS = 128
CALIBRATION_PEOPLE = 1600
"""Virtual validation people that probabilities and intervals are fitted on."""
INT8_LOSS = 0.005
INT8_GAIN = 0.9
"""Kept only if a window takes at most this share of float32's time."""
PTBXL = {"name": "PTB-XL 1.0.3 folds 1–7", "licence": "CC BY 4.0", "doi": "10.13026/kfzx-aw45"}


def calibrate(judge: Judge, real: EcgSet, virtual: EcgSet, ood_threshold: float = 0.0) -> Adjustment:
    """Fit on PTB-XL fold 8 (CAD) and virtual validation people (all else)."""
    (on_real,), (on_virtual,) = judge(real), judge(virtual)
    calibrations, thresholds, prevalence = {}, {}, {}
    for index, name in enumerate(CONDITIONS):
        data, answers = (real, on_real) if index == CAD else (virtual, on_virtual)
        truth, logit = data.conditions[:, index], answers.logits[:, index]
        calibrations[name] = fit_platt(logit, truth)
        thresholds[name] = fit_thresholds(probability(logit, calibrations[name]), truth)
        prevalence[name] = float(truth.mean())
    scale = fit_interval_scale(virtual.indices, on_virtual.mean, on_virtual.logvar)
    return Adjustment(calibrations, thresholds, prevalence, scale, ood_threshold)


def read_adjustment(bundle_dir: Path) -> Adjustment:
    """The calibration that a bundle's manifest holds."""
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    conditions = manifest["conditions"]
    return Adjustment(
        {entry["id"]: Calibration(**entry["calibration"]) for entry in conditions},
        {entry["id"]: entry["thresholds"] for entry in conditions},
        {entry["id"]: entry["prevalence"] for entry in conditions},
        np.array([entry["intervalScale"] for entry in manifest["indices"]]),
        manifest["ood"]["threshold"],
    )


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()


def _memory(run_dir: Path) -> Path:
    return run_dir / "evaluation"


def export_bundle(run_dir: Path, bundle_dir: Path, version: str) -> Report:
    """Calibrate, evaluate and write the bundle of `run_dir/screening/model.pt`; returns the report of its card.

    What only this stage can measure (parity, int8, unseen outliers) is kept in `run_dir/evaluation/export.json`.
    """
    model, config = load_trained(run_dir / "screening" / "model.pt")
    people = load_virtual(run_dir / "cohort")
    trained_on = load_real((*TRAIN_FOLDS, VALIDATION_FOLD))
    ood, unseen = fit_ood(OodConfig(), model.encoder.trunk, trained_on, people, run_dir / "ood")
    shipped = ShippedScreen(model, ood).eval()
    real, virtual = real_set(VALIDATION_FOLD), virtual_set(run_dir / "cohort", "val").thinned(CALIBRATION_PEOPLE)
    memory = _memory(run_dir)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        export_onnx(shipped, made)
        difference = parity(shipped, made, _tensors(real, PARITY_RECORDINGS))
        judge = Judge(made / "screen.onnx", memory)
        adjustment = calibrate(judge, real, virtual)
        report = measure(judge, held_out_data(run_dir / "cohort"), adjustment, unseen)
        int8 = _try_int8(judge, made, real, virtual, memory)
        extra = {"parity": difference, "int8": int8, "modelSha256": judge.sha256, "unseen": unseen}
        (memory / "export.json").write_text(json.dumps(extra, indent=1) + "\n")
        report |= extra | _shared_space(run_dir)
        (on_real,) = judge(real)
        training = {
            "data": [
                PTBXL,
                {"name": "CardiacNets virtual cohort", "seed": int(cohort.load(run_dir / "cohort").seed)}
                | {"people": len(people.split)},
            ],
            "seeds": [config["optimisation"]["seed"]],
            "commit": _commit(),
            "config": dict(config),
        }
        facts = BundleFacts(
            name="cardiacnets-compact",
            version=version,
            conditions=[_condition(name, adjustment, report) for name in CONDITIONS],
            indices=[
                IndexEntry(name, "virtual", report["test"]["perIndexR"][name], float(scale))
                for name, scale in zip(INDICES, adjustment.interval_scale, strict=True)
            ],
            ood=OodEntry(
                adjustment.ood_threshold,
                float(np.mean(on_real.ood > adjustment.ood_threshold)),
                f"PTB-XL fold {VALIDATION_FOLD}, 12 leads, set at {FALSE_ALARMS:.0%}",
            ),
            training=training,
        )
        card = model_card(version, facts, report)
        write_bundle(made, difference, bundle_dir, facts, card, [INT8_FILE] if int8["kept"] else [])
    return report


def _tensors(data: EcgSet, count: int) -> dict[str, torch.Tensor]:
    feed = _feed(data.thinned(count))
    return {name: torch.from_numpy(array) for name, array in feed.items()}


def _feed(data: EcgSet) -> dict[str, np.ndarray]:
    return model_inputs([to_window(data.recording(row), data.rate_hz) for row in range(len(data))], data.person)


def _try_int8(judge: Judge, made: Path, real: EcgSet, virtual: EcgSet, memory: Path) -> Report:
    """Make the int8 variant, and say what it costs and gains on validation data."""
    out = made / INT8_FILE
    samples = [_feed(data.thinned(QUANTISATION_RECORDINGS)) for data in (real, virtual)]
    feeds = [
        {name: values[start : start + 16] for name, values in sample.items()}
        for sample in samples
        for start in range(0, QUANTISATION_RECORDINGS, 16)
    ]
    quantise(judge.screen, out, feeds)
    small = Judge(out, memory)
    lost, figures = {}, {}
    for index, name in enumerate(CONDITIONS):
        data = real if index == CAD else virtual
        figures[name] = [auroc(data.conditions[:, index], each(data)[0].logits[:, index]) for each in (judge, small)]
        lost[name] = rounded(figures[name][0] - figures[name][1])
    times = dict(zip(("float32", "int8"), milliseconds([judge.screen, out], feeds[0]), strict=True))
    return {
        "aurocLost": lost,
        "milliseconds": {name: round(value, 3) for name, value in times.items()},
        "megabytes": {
            "float32": round(judge.screen.stat().st_size / 1e6, 2),
            "int8": round(out.stat().st_size / 1e6, 2),
        },
        "kept": max(lost.values()) < INT8_LOSS and times["int8"] <= INT8_GAIN * times["float32"],
    }


def _condition(name: str, adjustment: Adjustment, report: Report) -> ConditionEntry:
    evidence = "real" if name == CONDITIONS[CAD] else "virtual"
    measured = report["real"][name] if evidence == "real" else report["test"]["conditions"][name]
    dataset = f"PTB-XL fold {TEST_FOLD}" if evidence == "real" else "virtual cohort, test split"
    return ConditionEntry(
        id=name,
        evidence=evidence,
        calibration=adjustment.calibrations[name],
        thresholds=dict(adjustment.thresholds[name]),
        auroc=Auroc(measured["auroc"], tuple(measured["ci"]), dataset),
        prevalence=adjustment.prevalence[name],
    )


def _run(run_dir: Path) -> Any:  # noqa: ANN401 (the programme imports every stage; only what needs it pays)
    from ..programme import Programme, Run

    return Run(Programme(), run_dir)


def _shared_space(run_dir: Path) -> Report:
    """Retrieval of held-out people's cines by their ECGs, if contrast was trained; the points are kept for plots."""
    if not (run_dir / "align" / "model.pt").exists():
        return {}
    points, _ = _points(run_dir)
    return {
        "retrieval": {
            name: {key: rounded(value) for key, value in retrieval(points["ecg"], points[name]).items()}
            for name in points
            if name != "ecg"
        }
    }


def _points(run_dir: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Held-out people's points, and their LV mass, g."""
    weights = run_dir / "align" / "model.pt"
    path = _memory(run_dir) / "points.npz"
    if not path.exists() or path.stat().st_mtime < weights.stat().st_mtime:
        path.parent.mkdir(parents=True, exist_ok=True)
        run = _run(run_dir)
        people = run.ablation_data.virtual  # those with cines
        mass = people.indices[people.split == "test", INDICES.index("lvMass")]
        np.savez(path, **run.held_out_points(), mass=mass)
    points = dict(np.load(path))
    return points, points.pop("mass")


def _ablation(run_dir: Path) -> Report:
    """The runs that are there."""
    folder = run_dir / "ablation"
    if not any(folder.glob("*.npz")):
        return {}
    found = report_ablation(_run(run_dir).ablation_data, folder)
    return {"ablation": found.pop("runs"), "ablationPaired": found}


def evaluate_bundle(bundle_dir: Path, run_dir: Path, report_path: Path, page: Path, cmr: Report | None) -> Report:
    """Evaluate the ONNX files of a bundle; writes `report_path`, the plots beside it, and the page that quotes it.

    `cmr`: what was measured of drawn cines.
    """
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    adjustment = read_adjustment(bundle_dir)
    memory = _memory(run_dir)
    judge = Judge(bundle_dir / "screen.onnx", memory)
    exported = json.loads((memory / "export.json").read_text())
    if exported["modelSha256"] != judge.sha256:
        raise ValueError(f"{bundle_dir} is not what was last exported from {run_dir}")
    data = held_out_data(run_dir / "cohort")
    report = measure(judge, data, adjustment, exported["unseen"])
    report |= exported | _shared_space(run_dir) | _ablation(run_dir)
    report |= {
        "bundle": f"{manifest['name']}@{manifest['version']}",
        "config": manifest["training"]["config"],
        "commit": manifest["training"]["commit"],
        "seeds": manifest["training"]["seeds"],
        **({"cmr": cmr} if cmr else {}),
    }
    report_path.parent.mkdir(parents=True, exist_ok=True)
    report_path.write_text(json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    space = _points(run_dir) if "retrieval" in report else None
    draw_all(report_path.with_suffix(""), report, data, judge, adjustment, space)
    page.write_text(evaluation_page(report))
    return report
