"""Stage `export`: trained weights → calibrated, evaluated bundle. Stage `evaluate`: a bundle → its report and plots."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cardiacnets import cohort
from cardiacnets.bundle import (
    Auroc,
    BundleFacts,
    Calibration,
    ConditionEntry,
    IndexEntry,
    export_onnx,
    inference_session,
    write_bundle,
)
from cardiacnets.calibrate import fit_interval_scale, fit_platt, fit_thresholds, probability
from cardiacnets.card import model_card
from cardiacnets.data import ptbxl
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluate import (
    CAD,
    TEST_FOLD,
    EvaluationSet,
    compare_rates,
    evaluate_real,
    evaluate_virtual,
    model_inputs,
    predict,
    real_set,
    virtual_heads_on_real,
    virtual_set,
)
from cardiacnets.plots import plot_calibration, plot_indices, plot_roc
from cardiacnets.profile import REPOSITORY
from cardiacnets.stages.screening import VALIDATION_FOLD, load_trained

PARITY_RECORDINGS = 100
PTBXL = {"name": "PTB-XL 1.0.3 folds 1–7", "licence": "CC BY 4.0", "doi": "10.13026/kfzx-aw45"}


@dataclass(frozen=True)
class Adjustment:
    """What calibration adds to the network: a condition's mapping and thresholds, an index's interval scale."""

    calibrations: dict[str, Calibration]
    thresholds: dict[str, dict[str, float]]
    interval_scale: np.ndarray


def calibrate(screen: Path, real: EvaluationSet, virtual: EvaluationSet) -> Adjustment:
    """Fit on PTB-XL fold 8 (CAD) and virtual validation people (all else); `screen` is `screen.onnx`."""
    session = inference_session(screen)
    on_real, on_virtual = predict(session, real), predict(session, virtual)
    calibrations, thresholds = {}, {}
    for index, name in enumerate(CONDITIONS):
        data, predictions = (real, on_real) if index == CAD else (virtual, on_virtual)
        truth, logit = data.conditions[:, index], predictions.logits[:, index]
        calibrations[name] = fit_platt(logit, truth)
        thresholds[name] = fit_thresholds(probability(logit, calibrations[name]), truth)
    scale = fit_interval_scale(virtual.indices, on_virtual.mean, on_virtual.logvar)
    return Adjustment(calibrations, thresholds, scale)


def read_adjustment(bundle_dir: Path) -> Adjustment:
    """The calibration that a bundle's manifest holds."""
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    return Adjustment(
        {entry["id"]: Calibration(**entry["calibration"]) for entry in manifest["conditions"]},
        {entry["id"]: entry["thresholds"] for entry in manifest["conditions"]},
        np.array([entry["intervalScale"] for entry in manifest["indices"]]),
    )


def evaluate_files(screen: Path, adjustment: Adjustment, cohort_dir: Path, plots_dir: Path | None) -> dict[str, Any]:
    """Report on PTB-XL fold 9 and virtual test people; real and virtual stand apart. Plots go to `plots_dir`."""
    session = inference_session(screen)
    real, virtual = real_set(TEST_FOLD), virtual_set(cohort_dir, "test")
    labels = ptbxl.read_labels()
    normal = labels.superclasses[labels.fold == TEST_FOLD, ptbxl.SUPERCLASSES.index("NORM")]
    if not (labels.cad[labels.fold == TEST_FOLD] == real.conditions[:, CAD]).all():
        raise ValueError("the labels of fold 9 are not in the order of its pack")
    flags = {name: (adjustment.calibrations[name], adjustment.thresholds[name]["youden"]) for name in CONDITIONS}
    cad = CONDITIONS[CAD]
    headers = {name: sorted((ptbxl.data_dir() / name).glob("*.hea")) for name in ("ptbxl500", "cinc2021")}
    report = {
        "test": evaluate_virtual(session, virtual, adjustment.interval_scale),
        "real": {cad: evaluate_real(session, real, adjustment.calibrations[cad], adjustment.thresholds[cad])},
        "virtualFindingsOnRealNormals": virtual_heads_on_real(session, real, normal & ~real.conditions[:, CAD], flags),
        "rates": {name: compare_rates(session, files, adjustment.calibrations[cad]) for name, files in headers.items()},
    }
    if plots_dir:
        plots_dir.mkdir(parents=True, exist_ok=True)
        on_real, on_virtual = predict(session, real), predict(session, virtual)
        plot_roc(plots_dir / "first-roc.png", real, on_real, virtual, on_virtual)
        plot_calibration(
            plots_dir / "first-calibration.png", real, on_real, virtual, on_virtual, adjustment.calibrations
        )
        plot_indices(plots_dir / "first-indices.png", virtual, on_virtual)
    return report


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()


def evaluate_bundle(bundle_dir: Path, cohort_dir: Path, report_path: Path) -> dict[str, Any]:
    """Evaluate the ONNX files of a bundle; writes `report_path` and the plots beside it."""
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    adjustment = read_adjustment(bundle_dir)
    report = evaluate_files(bundle_dir / "screen.onnx", adjustment, cohort_dir, report_path.parent)
    report |= {
        "config": manifest["training"]["config"],
        "commit": manifest["training"]["commit"],
        "seeds": manifest["training"]["seeds"],
        "modelSha256": next(file["sha256"] for file in manifest["files"] if file["path"] == "screen.onnx"),
    }
    report_path.write_text(json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    return report


def export_bundle(run_dir: Path, cohort_dir: Path, bundle_dir: Path, version: str) -> dict[str, Any]:
    """Calibrate, evaluate and write the bundle of `run_dir/model.pt`; returns the report that the card quotes."""
    model, config = load_trained(run_dir / "model.pt")
    real, virtual = real_set(VALIDATION_FOLD), virtual_set(cohort_dir, "val")
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(model, Path(folder))
        adjustment = calibrate(Path(folder) / "screen.onnx", real, virtual)
        report = evaluate_files(Path(folder) / "screen.onnx", adjustment, cohort_dir, None)

    people = cohort.load(cohort_dir)
    training = {
        "data": [PTBXL, {"name": "CardiacNets virtual cohort", "seed": int(people.seed), "people": len(people.ecg)}],
        "seeds": [config["seed"]],
        "commit": _commit(),
        "config": config,
    }
    facts = BundleFacts(
        name="cardiacnets-compact",
        version=version,
        conditions=[_condition(name, adjustment, report) for name in CONDITIONS],
        indices=[
            IndexEntry(name, "virtual", report["test"]["perIndexR"][name], float(scale))
            for name, scale in zip(INDICES, adjustment.interval_scale, strict=True)
        ],
        training=training,
    )
    check = model_inputs(real.windows[:PARITY_RECORDINGS], real.person[:PARITY_RECORDINGS])
    tensors = {name: torch.from_numpy(array) for name, array in check.items()}
    report["parity"] = write_bundle(model, bundle_dir, facts, model_card(version, facts, report), tensors)
    return report


def _condition(name: str, adjustment: Adjustment, report: dict[str, Any]) -> ConditionEntry:
    evidence = "real" if name == CONDITIONS[CAD] else "virtual"
    measured = report["real"][name] if evidence == "real" else report["test"]["conditions"][name]
    dataset = f"PTB-XL fold {TEST_FOLD}" if evidence == "real" else "virtual cohort, test split"
    return ConditionEntry(
        id=name,
        evidence=evidence,
        calibration=adjustment.calibrations[name],
        thresholds=adjustment.thresholds[name],
        auroc=Auroc(measured["auroc"], tuple(measured["ci"]), dataset),
    )
