"""Stage `export`: trained weights → calibrated, evaluated bundle. Stage `evaluate`: a bundle → its report and page."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from scipy.special import expit

from cardiacnets import cohort
from cardiacnets.bundle.quantise import milliseconds, quantise
from cardiacnets.bundle.write import (
    INT8_FILE,
    Auroc,
    BlockEntry,
    BundleFacts,
    Calibration,
    ConditionEntry,
    IndexEntry,
    OodEntry,
    export_onnx,
    parity,
    state_figures,
    write_bundle,
)
from cardiacnets.cohort.cache import COHORT_VERSION
from cardiacnets.data.real import isolated_kinds, load_real, stated_blocks
from cardiacnets.data.virtual import load_virtual
from cardiacnets.data.windows import to_window
from cardiacnets.domain import BLOCKS, CONDITIONS, INDICES
from cardiacnets.evaluation.calibrate import fit_interval_scale, fit_platt, fit_thresholds, probability
from cardiacnets.evaluation.card import model_card, pending_card
from cardiacnets.evaluation.figures import (
    Area,
    Choices,
    CohortReport,
    Drawn,
    EvaluationReport,
    Exported,
    ExportReport,
    Found,
    Int8Figures,
    Measured,
    Operating,
    Pretraining,
    RetrievalFigures,
    Validation,
    ValidationReport,
)
from cardiacnets.evaluation.fit_blocks import block_threshold, fit_blocks
from cardiacnets.evaluation.fit_ood import FALSE_ALARMS, OodConfig, fit_ood
from cardiacnets.evaluation.inference import (
    CAD,
    NO_PERSON,
    TEST_FOLD,
    WHOLE,
    CachedScreener,
    EcgSet,
    Predictions,
    half_twice,
    model_inputs,
    real_set,
    virtual_set,
)
from cardiacnets.evaluation.limits import LEAST, InBlock, fit_in_block, fit_limits, read_limits
from cardiacnets.evaluation.page import evaluation_page
from cardiacnets.evaluation.plots import draw_all
from cardiacnets.evaluation.report import (
    SECOND_LOOKS,
    Adjustment,
    area,
    held_out_data,
    measure,
    measure_people,
    measure_teacher,
    measure_virtual,
    rounded,
    validation_data,
)
from cardiacnets.evaluation.widen import volumes_follow, widening
from cardiacnets.metrics import auroc
from cardiacnets.models.screen import ShippedScreen
from cardiacnets.signal.profile import REPOSITORY
from cardiacnets.stages.contrastive import QUERIES, retrieval
from cardiacnets.stages.screening import TRAIN_FOLDS, VALIDATION_FOLD, load_trained

if TYPE_CHECKING:
    from cardiacnets.programme import Run

PARITY_RECORDINGS = 100
QUANTISATION_RECORDINGS = 128
CALIBRATION_PEOPLE = 1600
"""Virtual validation people that probabilities and intervals are fitted on."""
INT8_LOSS = 0.005
INT8_GAIN = 0.9
"""Kept only if a window takes at most this share of float32's time."""
FALSE_ALARMS_OF = {"cad": 0.0375, "cm": 0.005, "pericarditis": 0.035, "hf": 0.015, "ph": 0.025}
"""Share of normal people that each limit may flag, chosen on fold 8 and virtual validation people.

By 5-fold cross-validation with 1.3.0's network, these rates flag 9.9% of fold 8's normal ECGs for anything. They find
82% of fold 8's infarctions and ischaemias, and 81% of virtual CM, 38% of pericarditis, 67% of PH (version 5). PH at
3.5% finds 70%, and then more than 10% are flagged."""
ONE_FOR_ALL = frozenset({"cad"})
"""One limit for all ages: limits by age at the same rate of false alarms find 76% of CAD, one limit 81%."""
LOWEST = {"teacher": 0.5}
"""A finding that repeats a teacher is flagged where the teacher would say "more likely than not", and not for less:
tachycardia alone lies above what 2.5% of normal ECGs reach in 17% by the teacher itself (fold 8), and above .5 in
none."""
BLOCK_ALARMS: Mapping[str, Mapping[str, float]] = {"ph": {"rbbb": 0.10}, "cm": {"lbbb": 0.25}}
"""Condition → block → share of the ECGs with nothing but the block that may be flagged: half of issue 15's bar."""
ISOLATED = {"rbbb": "RBBB", "lbbb": "LBBB"}
"""Block → name of an ECG with nothing else (`isolated_kinds`)."""
MOST_LOOKS = 2
"""At fold 9, of one version of a bundle."""
TEACHER = {
    "name": "Ahus AIM heart-failure ensemble, logits on PTB-XL folds 1–7",
    "licence": "Apache-2.0",
    "doi": "10.1038/s41746-026-02774-4",
}
PTBXL = {"name": "PTB-XL 1.0.3 folds 1–7", "licence": "CC BY 4.0", "doi": "10.13026/kfzx-aw45"}


def calibrate(
    screener: CachedScreener, real: EcgSet, virtual: EcgSet, ood_threshold: float = 0.0
) -> tuple[Adjustment, Choices]:
    """Fit the adjustment of logits, intervals and limits; returns it and a report of how each choice was made.

    CAD is fitted on the labels of PTB-XL fold 8, HF on its teacher there, all else on virtual validation people. Limits
    by sex and age are fitted on fold 8's normal ECGs.
    """
    (on_real, unknown), (on_virtual,) = screener(real, WHOLE, NO_PERSON), screener(virtual)
    calibrations, thresholds, prevalence = {}, {}, {}
    for index, name in enumerate(CONDITIONS):
        is_real = evidence_of(name, real) != "virtual"
        data, answers = (real, on_real) if is_real else (virtual, on_virtual)
        truth, logit = data.conditions[:, index].astype(float), answers.logits[:, index]
        if evidence_of(name, real) == "teacher":
            assert real.teacher is not None, "that is why the evidence is a teacher"
            known = ~np.isnan(real.teacher)
            truth, logit = expit(real.teacher[known]), logit[known]
        calibrations[name] = fit_platt(logit, truth)
        thresholds[name] = fit_thresholds(probability(logit, calibrations[name]), truth >= 0.5)
        prevalence[name] = float(truth.mean())
    scale = fit_interval_scale(virtual.true_indices, on_virtual.mean, on_virtual.logvar)
    normal = real.normal
    wider, widened = widening(on_real.mean[normal], scale * np.exp(on_real.logvar[normal] / 2), real.person[normal])
    adjustment = Adjustment(
        calibrations,
        thresholds,
        prevalence,
        scale * volumes_follow(wider),
        ood_threshold,
        {},
        _second_look(screener, real, calibrations),
        _block_thresholds(on_real, real),
    )
    dataset = f"{int(normal.sum())} ECGs of PTB-XL fold {VALIDATION_FOLD} that readers called normal"
    known, withheld = adjustment.chances(on_real)[normal], adjustment.chances(unknown)[normal]
    if normal.sum() < LEAST:
        return adjustment, {"widened": widened}
    limits = {
        name: fit_limits(
            known[:, index],
            withheld[:, index],
            real.person[normal],
            FALSE_ALARMS_OF[name],
            dataset,
            LOWEST.get(evidence_of(name, real), 0.0),
            one_for_all=name in ONE_FOR_ALL,
        )
        for index, name in enumerate(CONDITIONS)
    }
    for name, alone in _limits_in_blocks(screener, adjustment).items():
        limits[name] = replace(limits[name], inBlocks=alone)
    adjustment = replace(adjustment, limits=limits)
    flagged = adjustment.flags(on_real, real.person)[normal].any(axis=1)
    return adjustment, {"widened": widened, "anyFlaggedOfFold8Normals": rounded(np.mean(flagged))}


def _block_thresholds(answers: Predictions, real: EcgSet) -> tuple[float, ...]:
    """On fold 8; none of a network that does not read blocks."""
    stated = stated_blocks(real.codes)
    return tuple(block_threshold(answers.blocks[:, i], stated[:, i]) for i in range(answers.blocks.shape[1]))


def _limits_in_blocks(screener: CachedScreener, adjustment: Adjustment) -> dict[str, tuple[InBlock, ...]]:
    """From the training folds' ECGs that show a block and nothing else.

    No label of these conditions is known there, and fold 8 has too few such ECGs.
    """
    if not adjustment.block_thresholds:
        return {}
    chances: dict[str, list[np.ndarray]] = {block: [] for block in BLOCKS}
    for fold in TRAIN_FOLDS:
        everybody = real_set(fold)
        kinds = isolated_kinds(everybody.codes)
        for index, block in enumerate(BLOCKS):
            some = everybody.rows(np.flatnonzero(kinds == ISOLATED[block]), f"{everybody.name}-only-{block}")
            (answers,) = screener(some)
            chances[block].append(adjustment.chances(answers)[adjustment.blocks(answers)[:, index]])
    return {
        name: tuple(
            fit_in_block(block, np.concatenate(chances[block])[:, CONDITIONS.index(name)], rate)
            for block, rate in rates.items()
        )
        for name, rates in BLOCK_ALARMS.items()
    }


def _blocks(adjustment: Adjustment, real: EcgSet, answers: Predictions) -> list[BlockEntry]:
    """As the manifest lists them, with what they find in `real`."""
    shown, stated = adjustment.blocks(answers), stated_blocks(real.codes)
    return [
        BlockEntry(
            block,
            adjustment.block_thresholds[i],
            round(float(shown[stated[:, i], i].mean()), 4),
            round(float(shown[~stated[:, i], i].mean()), 4),
            f"PTB-XL fold {VALIDATION_FOLD}",
        )
        for i, block in enumerate(BLOCKS if adjustment.block_thresholds else ())
    ]


def evidence_of(name: str, real: EcgSet) -> str:
    """What a finding learned from."""
    if name == CONDITIONS[CAD]:
        return "real"
    return "teacher" if name == "hf" and real.teacher is not None else "virtual"


def _second_look(screener: CachedScreener, real: EcgSet, calibrations: Mapping[str, Calibration]) -> dict[str, float]:
    """Log-odds that the median person moves by from one half of a recording to the other."""
    some = real.thinned(SECOND_LOOKS)
    first, second = (screener(half_twice(some, which))[0] for which in (0, 1))
    return {
        name: float(np.median(calibrations[name].scale * np.abs(first.logits[:, i] - second.logits[:, i])))
        for i, name in enumerate(CONDITIONS)
    }


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
        {entry["id"]: read_limits(entry["limits"]) for entry in conditions if "limits" in entry},
        {entry["id"]: entry["borderlineLogOdds"] for entry in conditions if "borderlineLogOdds" in entry},
        tuple(entry["threshold"] for entry in manifest.get("blocks", [])),
    )


def trained_at(run_dir: Path) -> dict[str, str]:
    """Commit and date that the run of `screening` wrote down; of this export where it wrote none."""
    path = run_dir / "screening" / "provenance.json"
    return json.loads(path.read_text()) if path.exists() else {"commit": _commit()}


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()


def _memory(run_dir: Path) -> Path:
    return run_dir / "evaluation"


def export_bundle(run_dir: Path, bundle_dir: Path, version: str, *, with_int8: bool = False) -> ExportReport:
    """Calibrate and write the bundle of `run_dir/screening/model.pt` with figures of validation data; returns them.

    Fold 9 is left alone: `evaluate --final` measures there, and writes the card.

    `with_int8`: the quantised variant beside it, which the service does not load.

    What only this stage can measure (parity, int8, unseen outliers) is kept in `run_dir/evaluation/export.json`.
    """
    model, config = load_trained(run_dir / "screening" / "model.pt")
    people = load_virtual(run_dir / "cohort")
    trained_on = load_real((*TRAIN_FOLDS, VALIDATION_FOLD))
    ood, unseen = fit_ood(OodConfig(), model.encoder.trunk, trained_on, people, run_dir / "ood")
    shipped = ShippedScreen(model, ood, fit_blocks(model, trained_on)).eval()
    real, virtual = real_set(VALIDATION_FOLD), virtual_set(run_dir / "cohort", "val").thinned(CALIBRATION_PEOPLE)
    memory = _memory(run_dir)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        export_onnx(shipped, made)
        difference = parity(shipped, made, _tensors(real, PARITY_RECORDINGS))
        screener = CachedScreener(made / "screen.onnx", memory)
        adjustment, choices = calibrate(screener, real, virtual)
        report = _validation_figures(screener, real, virtual)
        extra: Exported = {"parity": difference, "modelSha256": screener.sha256, "unseen": unseen, "choices": choices}
        if with_int8:
            extra["int8"] = _try_int8(screener, made, real, virtual, memory)
        (memory / "export.json").write_text(json.dumps(extra, indent=1) + "\n")
        (on_real,) = screener(real)
        training = {
            "data": [
                PTBXL,
                *([TEACHER] if real.teacher is not None else []),
                {"name": "CardiacNets virtual cohort", "seed": int(cohort.load(run_dir / "cohort").seed)}
                | {"people": len(people.split)},
            ],
            "seeds": [config["optimisation"]["seed"]],
            **trained_at(run_dir),
            "config": dict(config),
        }
        facts = BundleFacts(
            name="cardiacnets-compact",
            version=version,
            conditions=_conditions(
                adjustment, report, {name: evidence_of(name, real) for name in CONDITIONS}, VALIDATION
            ),
            indices=_indices(adjustment, report),
            ood=OodEntry(
                adjustment.ood_threshold,
                float(np.mean(on_real.ood > adjustment.ood_threshold)),
                f"PTB-XL fold {VALIDATION_FOLD}, 12 leads, set at {FALSE_ALARMS:.1%}",
            ),
            training=training,
            blocks=_blocks(adjustment, real, on_real),
        )
        card = pending_card(version, facts)
        write_bundle(
            made, difference, bundle_dir, facts, card, [INT8_FILE] if "int8" in extra and extra["int8"]["kept"] else []
        )
    return {**report, **extra}


def recalibrate_bundle(run_dir: Path, bundle_dir: Path, version: str) -> Choices:
    """Fit probabilities, intervals and limits of a bundle again, as another version of it; its networks stay.

    Returns how the limits were chosen.

    Raises:
        ValueError: the bundle is not what `run_dir` exported.
    """
    memory, path = _memory(run_dir), bundle_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    screener = CachedScreener(bundle_dir / "screen.onnx", memory)
    exported = json.loads((memory / "export.json").read_text())
    if exported["modelSha256"] != screener.sha256:
        raise ValueError(f"{bundle_dir} is not what was last exported from {run_dir}")
    real, virtual = real_set(VALIDATION_FOLD), virtual_set(run_dir / "cohort", "val").thinned(CALIBRATION_PEOPLE)
    adjustment, choices = calibrate(screener, real, virtual, manifest["ood"]["threshold"])
    report = _validation_figures(screener, real, virtual)
    evidence = {entry["id"]: entry["evidence"] for entry in manifest["conditions"]}
    facts = BundleFacts(
        manifest["name"],
        version,
        _conditions(adjustment, report, evidence, VALIDATION),
        _indices(adjustment, report),
        OodEntry(**manifest["ood"]),
        manifest["training"],
        _blocks(adjustment, real, screener(real)[0]),
    )
    state_figures(bundle_dir, facts, pending_card(version, facts))
    (memory / "export.json").write_text(json.dumps(exported | {"choices": choices}, indent=1) + "\n")
    return choices


def _tensors(data: EcgSet, count: int) -> dict[str, torch.Tensor]:
    feed = _feed(data.thinned(count))
    return {name: torch.from_numpy(array) for name, array in feed.items()}


def _feed(data: EcgSet) -> dict[str, np.ndarray]:
    return model_inputs([to_window(data.recording(row), data.rate_hz) for row in range(len(data))], data.person)


def _try_int8(screener: CachedScreener, made: Path, real: EcgSet, virtual: EcgSet, memory: Path) -> Int8Figures:
    """Make the int8 variant, and say what it costs and gains on validation data."""
    out = made / INT8_FILE
    samples = [_feed(data.thinned(QUANTISATION_RECORDINGS)) for data in (real, virtual)]
    feeds = [
        {name: values[start : start + 16] for name, values in sample.items()}
        for sample in samples
        for start in range(0, QUANTISATION_RECORDINGS, 16)
    ]
    quantise(screener.screen, out, feeds)
    small = CachedScreener(out, memory)
    lost: dict[str, float] = {}
    figures = {}
    for index, name in enumerate(CONDITIONS):
        data = real if index == CAD else virtual
        figures[name] = [auroc(data.conditions[:, index], each(data)[0].logits[:, index]) for each in (screener, small)]
        lost[name] = round(figures[name][0] - figures[name][1], 4)
    times = dict(zip(("float32", "int8"), milliseconds([screener.screen, out], feeds[0]), strict=True))
    return {
        "aurocLost": lost,
        "milliseconds": {name: round(value, 3) for name, value in times.items()},
        "megabytes": {
            "float32": round(screener.screen.stat().st_size / 1e6, 2),
            "int8": round(out.stat().st_size / 1e6, 2),
        },
        "kept": max(lost.values()) < INT8_LOSS and times["int8"] <= INT8_GAIN * times["float32"],
    }


VALIDATION = {
    "real": f"PTB-XL fold {VALIDATION_FOLD}, which its threshold was set on",
    "teacher": f"PTB-XL fold {VALIDATION_FOLD}, agreement with the teacher above .5",
    "virtual": "virtual cohort, validation split",
}
FINAL = {
    "real": f"PTB-XL fold {TEST_FOLD}",
    "teacher": f"PTB-XL fold {TEST_FOLD}, agreement with the teacher above .5",
    "virtual": "virtual cohort, test split",
}
"""Evidence → what a figure was measured on."""


def _validation_figures(screener: CachedScreener, real: EcgSet, virtual: EcgSet) -> Validation:
    """What the manifest holds until `evaluate --final` has run."""
    return {
        "real": {
            "cad": area(real.conditions[:, CAD], screener(real)[0].logits[:, CAD]),
            "teacher": measure_teacher(screener, real),
        },
        "test": measure_virtual(screener, virtual),
    }


def _conditions(
    adjustment: Adjustment,
    report: Measured | Validation,
    evidence: Mapping[str, str],
    datasets: Mapping[str, str],
    operating: Mapping[str, Operating | None] | None = None,
) -> list[ConditionEntry]:
    """Every condition of the manifest, with figures of `report`."""
    entries = []
    for name in CONDITIONS:
        measured = _area_of(name, evidence[name], report)
        if measured["auroc"] is None or measured["ci"] is None:
            raise ValueError(f"{name} cannot be measured: nobody has it, or everybody")
        low, high = measured["ci"]
        limits = adjustment.limits.get(name)
        entries.append(
            ConditionEntry(
                id=name,
                evidence=evidence[name],
                calibration=adjustment.calibrations[name],
                thresholds=dict(adjustment.thresholds[name]),
                auroc=Auroc(measured["auroc"], (low, high), datasets[evidence[name]]),
                prevalence=adjustment.prevalence[name],
                operatingPoint="youden" if limits is None else "limits",
                limits=None if limits is None else limits.described(),
                borderlineLogOdds=round(adjustment.borderline[name], 4) if name in adjustment.borderline else None,
                operating=None if operating is None else operating[name],
            )
        )
    return entries


def _area_of(name: str, evidence: str, report: Measured | Validation) -> Area:
    """Where the AUROC of a finding stands."""
    if evidence == "real":
        return report["real"]["cad"]
    return report["real"]["teacher"][name]["above"] if evidence == "teacher" else report["test"]["conditions"][name]


def _operating(name: str, evidence: str, report: Measured, datasets: Mapping[str, str]) -> Operating | None:
    """Sensitivity and specificity at what is in use; nobody knows them of a teacher's finding."""
    if evidence == "real":
        point = report["real"]["cad"]["operatingPoints"].get("in use")
        return point and {
            "sensitivity": point["sensitivity"],
            "specificity": point["specificity"],
            "dataset": datasets[evidence],
        }
    if evidence == "virtual":
        found = report["operating"][name]
        return {
            "sensitivity": found["sensitivity"]["share"],
            "specificity": found["specificity"]["share"],
            "dataset": datasets[evidence],
        }
    return None


def _indices(adjustment: Adjustment, report: Measured | Validation) -> list[IndexEntry]:
    return [
        IndexEntry(name, "virtual", report["test"]["perIndexR"][name], float(scale))
        for name, scale in zip(INDICES, adjustment.interval_scale, strict=True)
    ]


def note_final(ledger: Path, manifest: Mapping[str, str], model_sha256: str) -> None:
    """Append a look at fold 9 to the ledger: date, commit and bundle.

    Raises:
        ValueError: this version of the bundle has been looked at twice.
    """
    bundle = f"{manifest['name']}@{manifest['version']}"
    lines = [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []
    if sum(line["bundle"] == bundle for line in lines) >= MOST_LOOKS:
        raise ValueError(f"{bundle} has been evaluated on fold {TEST_FOLD} {MOST_LOOKS} times: see {ledger}")
    line = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), "commit": _commit(), "bundle": bundle}
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a") as file:
        file.write(json.dumps(line | {"modelSha256": model_sha256}) + "\n")


def _run(run_dir: Path) -> "Run":
    # The programme imports every stage; only what needs it pays.
    from cardiacnets.programme import Programme, Run

    return Run(Programme(), run_dir)


def _shared_space(run_dir: Path) -> Pretraining:
    """Retrieval of held-out people's cines by their ECGs, if contrast was trained; the points are kept for plots."""
    if not (run_dir / "align" / "model.pt").exists():
        return {}
    points, _ = _points(run_dir)
    views = [name for name in points if name not in QUERIES]
    return {"retrieval": {view: _found_by(points, view) for view in views}}


def _found_by(points: Mapping[str, np.ndarray], view: str) -> RetrievalFigures:
    """Figures of the ECG with the person's fields, and of each query under `by`."""
    by = {query: _found(points[query], points[view]) for query in QUERIES}
    own = by["ecg"]
    return RetrievalFigures(**own, by=by)


def _found(query: np.ndarray, key: np.ndarray) -> Found:
    found = retrieval(query, key)
    return Found(
        among=found["among"],
        medianRank=rounded(found["medianRank"]),
        ci=[rounded(limit) for limit in found["ci"]],
        recall1=rounded(found["recall1"]),
        recall10=rounded(found["recall10"]),
    )


def _points(run_dir: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Held-out people's points, and their LV mass, g."""
    weights = run_dir / "align" / "model.pt"
    path = _memory(run_dir) / "points.npz"
    if not path.exists() or path.stat().st_mtime < weights.stat().st_mtime:
        path.parent.mkdir(parents=True, exist_ok=True)
        run = _run(run_dir)
        people = run.virtual.rows(slice(0, run.programme.cine_people))
        mass = people.indices[people.split == "test", INDICES.index("lvMass")]
        np.savez(path, allow_pickle=False, **run.held_out_points(), mass=mass)
    points = dict(np.load(path))
    return points, points.pop("mass")


def evaluate_bundle(
    bundle_dir: Path, run_dir: Path, report_path: Path, page: Path, cmr: object, *, final: bool = False
) -> Measured:
    """Evaluate the ONNX files of a bundle on validation data, or, `final`, on PTB-XL fold 9 and virtual test people.

    The final one is noted in the ledger beside `report_path`; it writes the report, the plots beside it, the page that
    quotes it, and the bundle's figures and card. The other writes `validation.json` beside `report_path` alone.
    `cmr`: what was measured of drawn cines. Retrieval that this run has not measured is taken from the report that is
    there, as it belongs to a stage before `screening`.
    """
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    adjustment = read_adjustment(bundle_dir)
    memory = _memory(run_dir)
    screener = CachedScreener(bundle_dir / "screen.onnx", memory)
    exported: Exported = json.loads((memory / "export.json").read_text())
    if exported["modelSha256"] != screener.sha256:
        raise ValueError(f"{bundle_dir} is not what was last exported from {run_dir}")
    bundle = f"{manifest['name']}@{manifest['version']}"
    if not final:
        validation = measure(screener, validation_data(run_dir / "cohort"), adjustment, exported["unseen"])
        found: ValidationReport = {**validation, **exported, "bundle": bundle}
        _write_json(report_path.with_name("validation.json"), found)
        return validation
    note_final(report_path.with_name("final.jsonl"), manifest, screener.sha256)
    data = held_out_data(run_dir / "cohort")
    before = json.loads(report_path.read_text()) if report_path.exists() else {}
    earlier = cast("Pretraining", {name: before[name] for name in Pretraining.__annotations__ if name in before})
    drawn: Drawn = {"cmr": cmr} if cmr else {}
    report: EvaluationReport = {
        **measure(screener, data, adjustment, exported["unseen"]),
        **exported,
        **earlier,
        **_shared_space(run_dir),
        **drawn,
        "bundle": bundle,
        "config": manifest["training"]["config"],
        "commit": manifest["training"]["commit"],
        "seeds": manifest["training"]["seeds"],
        "cohortVersion": COHORT_VERSION,
    }
    _write_json(report_path, report)
    space = _points(run_dir) if (run_dir / "align" / "model.pt").exists() else None
    if space:
        others = set(QUERIES) - {"ecg"}
        space = {name: some for name, some in space[0].items() if name not in others}, space[1]
    draw_all(report_path.with_suffix(""), report, data, screener, adjustment, space)
    page.write_text(evaluation_page(report))
    evidence = {entry["id"]: entry["evidence"] for entry in manifest["conditions"]}
    facts = BundleFacts(
        manifest["name"],
        manifest["version"],
        _conditions(
            adjustment,
            report,
            evidence,
            FINAL,
            {name: _operating(name, evidence[name], report, FINAL) for name in CONDITIONS},
        ),
        _indices(adjustment, report),
        OodEntry(**manifest["ood"]),
        manifest["training"],
    )
    state_figures(bundle_dir, facts, model_card(manifest["version"], facts, report))
    return report


def measure_on(bundle_dir: Path, run_dir: Path, cohort_dir: Path, out: Path) -> CohortReport:
    """Write to `out` what the bundle finds in the test people of `cohort_dir`, of any version of the cohort's code."""
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    screener = CachedScreener(bundle_dir / "screen.onnx", _memory(run_dir))
    drawn_by = json.loads((cohort_dir / "meta.json").read_text())["version"]
    report: CohortReport = {
        "bundle": f"{manifest['name']}@{manifest['version']}",
        "cohortVersion": drawn_by,
        **measure_people(screener, read_adjustment(bundle_dir), cohort_dir),
    }
    _write_json(out, report)
    return report


def _write_json(path: Path, report: ValidationReport | EvaluationReport | CohortReport) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
