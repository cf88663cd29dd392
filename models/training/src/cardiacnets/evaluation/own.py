"""A cohort of one's own: a bundle of what a run learned from it, and a report on its test people.

Everything is fitted on validation people: probabilities, thresholds, intervals, and what counts as an ECG. Figures are
of test people. Their intervals draw people, not ECGs, since a person may have several.
"""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.bundle.write import (
    Auroc,
    BundleFacts,
    Calibration,
    ConditionEntry,
    IndexEntry,
    OodEntry,
    example_inputs,
    export_onnx,
    parity,
    write_bundle,
)
from cardiacnets.data.errors import SourceError
from cardiacnets.data.source import CohortSource
from cardiacnets.device import device
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluation.calibrate import fit_interval_scale, fit_platt, fit_thresholds, probability
from cardiacnets.evaluation.export import trained_at
from cardiacnets.evaluation.fit_ood import FALSE_ALARMS, OodConfig, fit_ood
from cardiacnets.evaluation.honesty import calibration, share
from cardiacnets.evaluation.own_page import own_card, own_page
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.screen import Screen, ShippedScreen
from cardiacnets.stages.screening import load_trained

Array = NDArray[np.floating]

LEAST = 5
"""People with a condition, and as many without, that it is calibrated on; and people whose index is known."""
ROUNDS = 400
SEXES = ("men", "women")
AGES = ((0, 50), (50, 65), (65, 80), (80, 200))
COVERAGE = 0.9


class UncalibratedError(SourceError):
    """A bundle needs all five conditions, and validation people have too few of one."""

    code = "uncalibrated"


@dataclass(frozen=True)
class Answers:
    """Outputs of the network for people of one split, with what is known of them."""

    logits: Array
    mean: Array
    logvar: Array
    conditions: Array
    """[n,5], NaN unknown."""
    indices: Array
    """[n,82], NaN unknown."""
    person: Array
    who: NDArray[np.int64]

    def known(self, index: int) -> NDArray[np.bool_]:
        """[n] whether somebody said who has this condition."""
        return ~np.isnan(self.conditions[:, index])


@dataclass(frozen=True)
class Fitted:
    """What validation people give: of conditions that enough of them have, and indices that are known."""

    calibrations: dict[str, Calibration] = field(default_factory=dict)
    thresholds: dict[str, dict[str, float]] = field(default_factory=dict)
    aurocs: dict[str, Auroc] = field(default_factory=dict)
    prevalence: dict[str, float] = field(default_factory=dict)
    correlations: dict[str, float] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)


@torch.no_grad()
def answers_of(model: Screen, source: CohortSource, split: str, batch: int = 64) -> Answers:
    """Ask the network about the people of a split, with all leads and known fields."""
    rows, where = np.flatnonzero(source.split == split), device()
    model.eval().to(where)
    parts: list[tuple[Array, ...]] = []
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        person = torch.from_numpy(np.array(source.person[some]))
        millivolt = torch.from_numpy(source.millivolt[some].astype(np.float32))
        inputs = (x.to(where) for x in (millivolt, torch.ones(len(some), 12), person, (~person.isnan()).float()))
        embedding = model.encoder.trunk(*inputs)[1].float()
        mean, logvar = model.function_head(embedding)
        parts.append(tuple(x.cpu().numpy() for x in (model.screening_head(embedding), mean, logvar)))
    model.cpu()
    empty = (np.zeros((0, len(CONDITIONS))), np.zeros((0, len(INDICES))), np.zeros((0, len(INDICES))))
    logits, mean, logvar = (np.concatenate([empty[item], *(part[item] for part in parts)]) for item in range(3))
    known = (source.conditions[rows].astype(float), source.indices[rows].astype(float), source.person[rows])
    return Answers(logits, mean, logvar, *known, source.who[rows])


def fit(answers: Answers, dataset: str) -> Fitted:
    """Probabilities and thresholds of each condition that enough people have and have not, intervals of each index."""
    fitted = Fitted()
    for index, name in enumerate(CONDITIONS):
        rows = answers.known(index)
        truth, logit = answers.conditions[rows, index] > 0, answers.logits[rows, index]
        if min(_people(answers.who[rows][truth]), _people(answers.who[rows][~truth])) < LEAST:
            continue
        fitted.calibrations[name] = fit_platt(logit, truth)
        fitted.thresholds[name] = fit_thresholds(probability(logit, fitted.calibrations[name]), truth)
        fitted.prevalence[name] = float(truth.mean())
        fitted.aurocs[name] = Auroc(auroc(truth, logit), _auroc_interval(truth, logit, answers.who[rows]), dataset)
    for index, name in enumerate(INDICES):
        rows = ~np.isnan(answers.indices[:, index])
        truth, mean, logvar = (
            values[rows, index : index + 1] for values in (answers.indices, answers.mean, answers.logvar)
        )
        if _people(answers.who[rows]) < LEAST:
            continue
        fitted.scale[name] = float(fit_interval_scale(truth, mean, logvar, COVERAGE)[0])
        fitted.correlations[name] = float(pearson(truth, mean)[0])
    return fitted


def _people(who: NDArray[np.int64]) -> int:
    return len(np.unique(who))


def _auroc_interval(truth: NDArray[np.bool_], score: Array, who: NDArray[np.int64]) -> tuple[float, float]:
    """95% interval over draws of people, with all of their ECGs."""
    people, number = np.unique(who, return_inverse=True)
    rows_of = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    rng, values = np.random.default_rng(9), []
    for _ in range(ROUNDS):
        rows = np.concatenate([rows_of[each] for each in rng.integers(len(people), size=len(people))])
        values.append(auroc(truth[rows], score[rows]))
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def report_of(answers: Answers, fitted: Fitted, name: str) -> dict[str, Any]:
    """Figures on test people, plain JSON: AUROC, calibration and operating point of each condition, R of each index."""
    conditions = {}
    for index, condition in enumerate(CONDITIONS):
        rows = answers.known(index)
        truth, logit, who = answers.conditions[rows, index] > 0, answers.logits[rows, index], answers.who[rows]
        found: dict[str, Any] = {"n": len(truth), "people": _people(who), "positive": int(truth.sum())}
        if min(truth.sum(), (~truth).sum()) >= LEAST:
            low, high = _auroc_interval(truth, logit, who)
            found |= {"auroc": _rounded(auroc(truth, logit)), "ci": [_rounded(low), _rounded(high)]}
            found["byGroup"] = {
                group: {
                    "n": int(inside.sum()),
                    "positive": int(truth[inside].sum()),
                    "auroc": _rounded(auroc(truth[inside], logit[inside])),
                }
                for group, inside in _groups(answers.person[rows]).items()
            }
            if condition in fitted.calibrations:
                chance = probability(logit, fitted.calibrations[condition])
                flagged = chance >= fitted.thresholds[condition]["youden"]
                found["calibration"] = calibration(chance, truth)
                found |= {"sensitivity": share(flagged[truth]), "specificity": share(~flagged[~truth])}
        conditions[condition] = found
    indices: dict[str, dict[str, float | None]] = {}
    inside = []
    for index, measure in enumerate(INDICES):
        rows = ~np.isnan(answers.indices[:, index])
        if _people(answers.who[rows]) < LEAST:
            continue
        truth, mean = answers.indices[rows, index], answers.mean[rows, index]
        indices[measure] = {"n": int(rows.sum()), "r": _rounded(pearson(truth[:, None], mean[:, None])[0])}
        if measure in fitted.scale:
            inside.append(np.abs(truth - mean) <= fitted.scale[measure] * np.exp(answers.logvar[rows, index] / 2))
    rs = [entry["r"] for entry in indices.values() if entry["r"] is not None]
    return {
        "data": name,
        "ecgs": len(answers.who),
        "people": _people(answers.who),
        "conditions": conditions,
        "indices": indices,
        "meanR": _rounded(float(np.mean(rs))) if rs else None,
        "coverage90": _rounded(float(np.mean(np.concatenate(inside)))) if inside else None,
    }


def _groups(person: Array) -> dict[str, NDArray[np.bool_]]:
    sex, age = person[:, 0], person[:, 1]
    groups = {name: sex == number for number, name in enumerate(SEXES)}
    for low, high in AGES:
        name = f"under {high}" if low == 0 else (f"{low}–{high - 1}" if high < 200 else f"{low} and over")
        groups[name] = (age >= low) & (age < high)
    return {name: inside for name, inside in groups.items() if inside.any()}


def evaluate_own(run_dir: Path, source: CohortSource) -> dict[str, Any]:
    """Write `own.json` and `own.md` of the test people to `run_dir/evaluation`; returns the report."""
    model, _ = load_trained(run_dir / "screening" / "model.pt")
    fitted = fit(answers_of(model, source, "val"), f"{source.name}, validation people")
    report = report_of(answers_of(model, source, "test"), fitted, source.name)
    folder = run_dir / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    (folder / "own.md").write_text(own_page(report))
    return report


def export_own(
    run_dir: Path, source: CohortSource, slow: CohortSource, out: Path, version: str, ood: OodConfig | None = None
) -> float:
    """Write the bundle of a run to `out`; returns the largest difference between PyTorch and ONNX.

    `source`: its people as its trunk reads them; `slow`: the same at 100 Hz, on which the score of what is no ECG is
    fitted.

    Raises:
        UncalibratedError: too few validation people have a condition, or have it not.
    """
    model, config = load_trained(run_dir / "screening" / "model.pt")
    dataset = f"{source.name}, validation people, whom its threshold was set on"
    fitted = fit(answers_of(model, source, "val"), dataset)
    missing = [name for name in CONDITIONS if name not in fitted.calibrations]
    if missing:
        raise UncalibratedError(
            f"{', '.join(missing)}: fewer than {LEAST} validation people of {source.name} have it, or have it not. A "
            "bundle states all five conditions. Add people whose label is known; `evaluate --data` reports the others"
        )
    score, _ = fit_ood(ood or OodConfig(), model.encoder.trunk, slow.real_set(), None, run_dir / "ood")
    shipped = ShippedScreen(model, score).eval()
    facts = BundleFacts(
        name="cardiacnets-own",
        version=version,
        conditions=[
            ConditionEntry(
                name,
                "real",
                fitted.calibrations[name],
                fitted.thresholds[name],
                fitted.aurocs[name],
                fitted.prevalence[name],
            )
            for name in CONDITIONS
        ],
        indices=[
            IndexEntry(name, "real", fitted.correlations.get(name), fitted.scale.get(name, 1.0)) for name in INDICES
        ],
        ood=OodEntry(0.0, FALSE_ALARMS, f"{source.name}, validation people"),
        training={
            "data": [{"name": source.name, "ecgs": int((source.split == "train").sum())}],
            "seeds": [config["optimisation"]["seed"]],
            **trained_at(run_dir),
            "config": dict(config),
        },
    )
    with tempfile.TemporaryDirectory() as name:
        export_onnx(shipped, Path(name))
        difference = parity(shipped, Path(name), example_inputs(4))
        write_bundle(Path(name), difference, out, facts, own_card(facts, source.name))
    return difference
