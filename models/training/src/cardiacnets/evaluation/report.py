"""Everything that is measured of a bundle, as the evaluation report (DESIGN section 5)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from cardiacnets.bundle.write import Calibration
from cardiacnets.data import ptbxl
from cardiacnets.data.real import stated_blocks
from cardiacnets.domain import BLOCKS, CONDITIONS, INDICES
from cardiacnets.evaluation import gate, honesty
from cardiacnets.evaluation.calibrate import probability
from cardiacnets.evaluation.figures import (
    Accuracy,
    Area,
    BlockFigures,
    CadFigures,
    FalseAlarms,
    Flags,
    GroupFigures,
    Measured,
    NoiseFigures,
    OodFigures,
    OperatingPoint,
    OracleFigures,
    OutlierFigures,
    PeopleFigures,
    Proxy,
    RateFigures,
    SecondLook,
    TeacherFigures,
    TestFigures,
    VirtualFigures,
)
from cardiacnets.evaluation.inference import (
    CAD,
    LEAD_SETS,
    NO_PERSON,
    TEST_FOLD,
    VALIDATION_FOLD,
    WHOLE,
    CachedScreener,
    EcgSet,
    InputVariant,
    Predictions,
    half_twice,
    outlier_set,
    real_set,
    records_set,
    virtual_set,
    with_leads,
)
from cardiacnets.evaluation.limits import Limits, limits_of
from cardiacnets.metrics import auroc, auroc_with_ci, bootstrap_ci, pearson
from cardiacnets.signal.disturb import NOISE_KINDS, SNR_DB, Disturbance
from cardiacnets.signal.heart_rate import heart_rate
from cardiacnets.signal.outliers import KINDS
from cardiacnets.signal.profile import REPOSITORY
from cardiacnets.signal.resample import resample

Array = NDArray[np.floating]

VIRTUAL = [index for index in range(len(CONDITIONS)) if index != CAD]
HF = CONDITIONS.index("hf")
AGE_GROUPS = ((0, 50), (50, 65), (65, 80), (80, 200))
PROXIES = {
    "cm": ("LVH statements", frozenset({"LVH", "VCLVH", "SEHYP"})),
    "ph": ("RVH statements", frozenset({"RVH", "RAO/RAE"})),
}
PUBLISHED = {
    "cad": 0.772, "cm": 0.877, "pericarditis": 0.711, "hf": 0.868, "ph": 0.733,
    "meanR": 0.426, "lvMass": 0.744, "rvEdv": 0.698, "lvEf": 0.436,
}  # fmt: skip
"""arXiv 2411.13602, v1: UK Biobank, and MIMIC for PH. Another population: beside ours, never against it."""
ORACLE = REPOSITORY / "models" / "training" / "reports" / "cohort"
SEED = 9
VIRTUAL_PEOPLE = 1500
"""Of these sets, evenly spaced samples go through what takes many runs:"""
LEAD_SUBSET = 250
NOISE_SUBSET = 30
OUTLIERS = 100
SECOND_LOOKS = 400


@dataclass(frozen=True)
class Adjustment:
    """What calibration adds to the network, and the data that it was fitted on."""

    calibrations: Mapping[str, Calibration]
    thresholds: Mapping[str, Mapping[str, float]]
    prevalence: Mapping[str, float]
    interval_scale: Array
    ood_threshold: float
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """By sex and age; a condition without them is flagged at Youden's point."""
    borderline: Mapping[str, float] = field(default_factory=dict)
    """Log-odds around a threshold."""
    block_thresholds: tuple[float, ...] = ()
    """Of the logits of bundle branch blocks, in the order of `BLOCKS`."""

    def blocks(self, answers: Predictions) -> NDArray[np.bool_]:
        """[n,2] the blocks that each ECG shows; none with a bundle that does not know them."""
        shown = np.zeros((len(answers.logits), len(BLOCKS)), dtype=bool)
        if self.block_thresholds:
            shown[:] = answers.blocks >= np.array(self.block_thresholds)
        return shown

    def thresholds_of(self, name: str, person: Array, answers: Predictions) -> Array:
        """[n] what the service flags each person [n,4] at."""
        if name in self.limits:
            return limits_of(self.limits[name], person, self.blocks(answers))
        return np.full(len(person), self.thresholds[name]["youden"])

    def chances(self, answers: Predictions) -> Array:
        """Calibrated probabilities [n,5]."""
        columns = [probability(answers.logits[:, i], self.calibrations[name]) for i, name in enumerate(CONDITIONS)]
        return np.stack(columns, axis=1)

    def flags(self, answers: Predictions, person: Array) -> NDArray[np.bool_]:
        """[n,5] what the service would flag."""
        limits = np.stack([self.thresholds_of(name, person, answers) for name in CONDITIONS], axis=1)
        return self.chances(answers) >= limits


@dataclass(frozen=True)
class HeldOut:
    """What is reported on; nothing learned from it, and nothing was chosen on it."""

    real: EcgSet
    virtual: EcgSet


def held_out_data(cohort_dir: Path) -> HeldOut:
    """PTB-XL fold 9 and virtual test people."""
    return HeldOut(real_set(TEST_FOLD), virtual_set(cohort_dir, "test").thinned(VIRTUAL_PEOPLE))


def validation_data(cohort_dir: Path) -> HeldOut:
    """What choices are made on: PTB-XL fold 8 and virtual validation people."""
    return HeldOut(real_set(VALIDATION_FOLD), virtual_set(cohort_dir, "val").thinned(VIRTUAL_PEOPLE))


def rounded(value: float | np.floating) -> float | None:
    """As reports give it; what cannot be measured (an AUROC without a case) is null."""
    return None if np.isnan(value) else round(float(value), 4)


def number(value: float | None) -> float:
    """`rounded` undone: null is NaN again."""
    return np.nan if value is None else value


def area(truth: NDArray[np.bool_], score: Array) -> Area:
    """AUROC with its interval, n and positives; null where a class is missing."""
    n, positive = len(truth), int(truth.sum())
    if positive in (0, n):
        return {"auroc": None, "ci": None, "n": n, "positive": positive}
    value, (low, high) = auroc_with_ci(truth, score)
    return {"auroc": rounded(value), "ci": [round(low, 4), round(high, 4)], "n": n, "positive": positive}


def person_groups(person: Array) -> dict[str, NDArray[np.bool_]]:
    """Rows by sex and age."""
    sex, age = person[:, 0], person[:, 1]
    groups = {"male": sex == 0, "female": sex == 1}
    for low, high in AGE_GROUPS:
        name = f"age {low}–{high - 1}" if high < 200 else f"age {low} and over"
        groups[f"under {high}" if low == 0 else name] = (age >= low) & (age < high)
    return groups


def lead_variants() -> dict[str, InputVariant]:
    """An input for each set of leads."""
    return {name: with_leads(leads, name) for name, leads in LEAD_SETS.items()}


def macroarea(conditions: NDArray[np.bool_], logits: Array) -> float:
    """Mean over the four conditions that were learned from virtual people."""
    return float(np.mean([auroc(conditions[:, index], logits[:, index]) for index in VIRTUAL]))


def mean_r(data: EcgSet, answers: Predictions) -> float:
    """Mean correlation over the 82 indices."""
    assert data.indices is not None, "virtual people have indices"
    return float(pearson(data.indices, answers.mean).mean())


def measure_test(screener: CachedScreener, data: EcgSet, interval_scale: Array) -> TestFigures:
    """Conditions and indices on virtual test people."""
    whole, without = screener(data, WHOLE, NO_PERSON)
    indices = data.indices
    assert indices is not None, "virtual people have indices"
    covered = (np.abs(indices - whole.mean) <= interval_scale * np.exp(whole.logvar / 2)).mean(axis=0)
    per_index = pearson(indices, whole.mean)
    low, high = bootstrap_ci(lambda rows: float(pearson(indices[rows], whole.mean[rows]).mean()), len(data), rounds=200)
    macro_ci = bootstrap_ci(lambda rows: macroarea(data.conditions[rows], whole.logits[rows]), len(data), rounds=200)
    some = data.thinned(LEAD_SUBSET)
    variants = lead_variants()
    fewer = dict(zip(variants, screener(some, *variants.values()), strict=True))

    def both(of: EcgSet, answers: Predictions, rows: NDArray[np.bool_] | slice = slice(None)) -> GroupFigures:
        r = pearson(of.true_indices[rows], answers.mean[rows]).mean()
        macro = macroarea(of.conditions[rows], answers.logits[rows])
        return {"macroAuroc": rounded(macro), "meanR": rounded(r), "n": len(answers.mean[rows])}

    return {
        "conditions": {
            name: area(data.conditions[:, index], whole.logits[:, index]) for index, name in enumerate(CONDITIONS)
        },
        **both(data, whole),
        "macroAurocCi": [rounded(limit) for limit in macro_ci],
        "meanRCi": [rounded(low), rounded(high)],
        "perIndexR": {name: rounded(r) for name, r in zip(INDICES, per_index, strict=True)},
        "coverage90": rounded(covered.mean()),
        "coverage90Range": [rounded(covered.min()), rounded(covered.max())],
        "coverage90Outside": [name for name, c in zip(INDICES, covered, strict=True) if not 0.85 <= c <= 0.95],
        "subgroups": {name: both(data, whole, rows) for name, rows in person_groups(data.person).items()},
        "leadSets": {name: both(some, answers) for name, answers in fewer.items()},
        "withoutPerson": {
            **both(data, without),
            "conditions": {CONDITIONS[i]: rounded(auroc(data.conditions[:, i], without.logits[:, i])) for i in VIRTUAL},
        },
    }


def measure_virtual(screener: CachedScreener, data: EcgSet) -> VirtualFigures:
    """Conditions and indices on virtual people, no more."""
    (whole,), indices = screener(data), data.indices
    assert indices is not None, "virtual people have indices"
    found = zip(INDICES, pearson(indices, whole.mean), strict=True)
    return {
        "conditions": {name: area(data.conditions[:, i], whole.logits[:, i]) for i, name in enumerate(CONDITIONS)},
        "perIndexR": {name: rounded(r) for name, r in found},
    }


def compare_oracle(known: GroupFigures, alone: GroupFigures, folder: Path = ORACLE) -> dict[str, OracleFigures]:
    """How much of what the virtual ECG tells the network gets out: with the person's fields known, and without."""
    report: dict[str, OracleFigures] = {}
    pairs: tuple[tuple[str, str, GroupFigures], ...] = (
        ("withPerson", "oracle-with-person.json", known),
        ("withoutPerson", "oracle.json", alone),
    )
    for name, file, ours in pairs:
        oracle = json.loads((folder / file).read_text())
        macro = float(np.mean([oracle["conditions"][CONDITIONS[index]]["auroc"] for index in VIRTUAL]))
        report[name] = {
            "macroAuroc": rounded(macro),
            "meanR": oracle["meanR"],
            "macroAuroc5": oracle["macroAuroc"],
            "people": oracle["n"],
            "version": oracle.get("version", 2),
            "ours": {"macroAuroc": ours["macroAuroc"], "meanR": ours["meanR"]},
            "closeness": {
                "macroAuroc": rounded((number(ours["macroAuroc"]) - 0.5) / (macro - 0.5)),
                "meanR": rounded(number(ours["meanR"]) / oracle["meanR"]),
            },
        }
    return report


def measure_cad(screener: CachedScreener, data: EcgSet, adjustment: Adjustment) -> CadFigures:
    """CAD on one PTB-XL fold: AUROC with interval, at the thresholds, by sex, age and lead set."""
    truth = data.conditions[:, CAD]
    variants = {**lead_variants(), "withoutPerson": NO_PERSON}
    (whole,), some = screener(data), data.thinned(LEAD_SUBSET)
    answers = dict(zip(variants, screener(some, *variants.values()), strict=True))
    score, fewer = whole.logits[:, CAD], some.conditions[:, CAD]
    chance = probability(score, adjustment.calibrations["cad"])
    flagged = chance >= adjustment.thresholds_of("cad", data.person, whole)
    in_use: dict[str, OperatingPoint] = {}
    if (limits := adjustment.limits.get("cad")) is not None:
        in_use["in use"] = {
            "threshold": rounded(limits.bands[0].threshold),
            "sensitivity": rounded(np.mean(flagged[truth])),
            "specificity": rounded(np.mean(~flagged[~truth])),
            "falseAlarms": limits.falseAlarms,
        }
    points: dict[str, OperatingPoint] = {
        name: {
            "threshold": rounded(threshold),
            "sensitivity": rounded(np.mean(chance[truth] >= threshold)),
            "specificity": rounded(np.mean(chance[~truth] < threshold)),
        }
        for name, threshold in adjustment.thresholds["cad"].items()
    }
    return {
        **area(truth, score),
        **honesty.calibration(chance, truth),
        "byAge": honesty.by_age(flagged, truth, data.person[:, 1]),
        "brier": rounded(np.mean((chance - truth) ** 2)),
        "operatingPoints": points | in_use,
        "subgroups": {name: area(truth[rows], score[rows]) for name, rows in person_groups(data.person).items()},
        "leadSets": {name: area(fewer, answers[name].logits[:, CAD]) for name in LEAD_SETS},
        "withoutPerson": area(fewer, answers["withoutPerson"].logits[:, CAD]),
    }


def measure_proxies(screener: CachedScreener, data: EcgSet) -> dict[str, Proxy]:
    """What the virtual heads make of real people's hypertrophy statements: proxies, and no disease."""
    (whole,) = screener(data)
    report: dict[str, Proxy] = {}
    for name, (label, codes) in PROXIES.items():
        truth = np.array([bool(stated & codes) for stated in data.codes])
        report[name] = {"label": label, **area(truth, whole.logits[:, CONDITIONS.index(name)])}
    return report


def measure_flags(screener: CachedScreener, data: EcgSet, adjustment: Adjustment) -> Flags:
    """Who is flagged among real people: normal ones, by age; by the reader's statements; by heart rate alone.

    Every ECG of a group counts, borderline ones too: how many of the normal ones are borderline stands beside.
    """
    (whole,) = screener(data)
    flags, normal, age = adjustment.flags(whole, data.person), data.normal, data.person[:, 1]
    chance = np.clip(adjustment.chances(whole), 1e-9, 1 - 1e-9)
    distance = np.stack(
        [
            np.abs(logit(chance[:, i]) - logit(adjustment.thresholds_of(name, data.person, whole)))
            <= adjustment.borderline.get(name, -1.0)
            for i, name in enumerate(CONDITIONS)
        ],
        axis=1,
    )
    ages = {"under 50": (0, 50), "50–64": (50, 65), "65–79": (65, 80), "80 and over": (80, 200)}
    recordings = (np.asarray(data.recording(row), dtype=np.float64) for row in range(len(data)))
    rate = np.array([heart_rate(recording, data.rate_hz) for recording in recordings])
    return {
        "normals": {
            "n": int(normal.sum()),
            "flagged": honesty.shares(flags[normal]),
            "borderline": honesty.shares(distance[normal]),
            **gate.unanswered(data, normal),
            "byAge": {
                name: honesty.shares(flags[normal & (age >= low) & (age < high)]) for name, (low, high) in ages.items()
            },
        },
        "byStatement": honesty.by_statement(flags, data.codes, data.conditions[:, CAD]),
        "byHeartRate": honesty.by_heart_rate(flags, rate, data.codes, data.conditions[:, CAD]),
    }


def measure_teacher(screener: CachedScreener, data: EcgSet) -> dict[str, TeacherFigures]:
    """Agreement with the teacher of heart failure: no accuracy, as it is nobody's diagnosis."""
    if data.teacher is None:
        return {}
    (whole,) = screener(data)
    own, known = whole.logits[:, HF], ~np.isnan(data.teacher)
    return {"hf": {**honesty.agreement(data.teacher, own), "above": area(data.teacher[known] > 0, own[known])}}


def measure_virtual_flags(screener: CachedScreener, data: EcgSet, adjustment: Adjustment) -> dict[str, Accuracy]:
    """Sensitivity and specificity on virtual people at what is in use."""
    (whole,) = screener(data)
    flags = adjustment.flags(whole, data.person)
    return {
        name: {
            "sensitivity": honesty.share(flags[data.conditions[:, i], i]),
            "specificity": honesty.share(~flags[~data.conditions[:, i], i]),
        }
        for i, name in enumerate(CONDITIONS)
    }


def measure_blocks(screener: CachedScreener, data: HeldOut, adjustment: Adjustment) -> dict[str, BlockFigures]:
    """Bundle branch blocks; nothing of a bundle that knows none."""
    if not adjustment.block_thresholds:
        return {}
    (on_real,), (on_virtual,) = screener(data.real), screener(data.virtual)
    shown, of_virtual = adjustment.blocks(on_real), adjustment.blocks(on_virtual)
    stated, flags = stated_blocks(data.real.codes), adjustment.flags(on_virtual, data.virtual.person)
    report: dict[str, BlockFigures] = {}
    for name, limits in adjustment.limits.items():
        for each in limits.inBlocks:
            block, condition = BLOCKS.index(each.block), CONDITIONS.index(name)
            ill = data.virtual.conditions[:, condition] & of_virtual[:, block]
            report[each.block] = {
                "stated": honesty.share(shown[stated[:, block], block]),
                "others": honesty.share(shown[~stated[:, block], block]),
                "condition": name,
                "sensitivity": honesty.share(flags[ill, condition]),
            }
    return report


def measure_people(
    screener: CachedScreener, adjustment: Adjustment, cohort_dir: Path, folder: Path = ORACLE
) -> PeopleFigures:
    """What a bundle finds at its limits in the test people of a cohort that other code may have drawn.

    Beside the oracle's figures where the oracle was fitted on people of the same code.
    """
    data = virtual_set(cohort_dir, "test", any_version=True).thinned(VIRTUAL_PEOPLE)
    whole, without = screener(data, WHOLE, NO_PERSON)
    figures: PeopleFigures = {
        "people": len(data),
        "conditions": {name: area(data.conditions[:, i], whole.logits[:, i]) for i, name in enumerate(CONDITIONS)},
        "operating": measure_virtual_flags(screener, data, adjustment),
    }
    drawn_by = json.loads((cohort_dir / "meta.json").read_text())["version"]
    found = compare_oracle(group_figures(data, whole), group_figures(data, without), folder)
    if all(entry["version"] == drawn_by for entry in found.values()):
        figures["oracle"] = found
    return figures


def group_figures(data: EcgSet, answers: Predictions) -> GroupFigures:
    """Macro AUROC of the four virtual conditions and mean R of the indices."""
    return {
        "macroAuroc": rounded(macroarea(data.conditions, answers.logits)),
        "meanR": rounded(mean_r(data, answers)),
        "n": len(data),
    }


def measure_second_look(screener: CachedScreener, data: EcgSet, adjustment: Adjustment) -> SecondLook:
    """How often another window of the same recording (its second half for its first) changes what is flagged."""
    some = data.thinned(SECOND_LOOKS)
    first, second = (adjustment.flags(screener(half_twice(some, which))[0], some.person) for which in (0, 1))
    changed = first != second
    return {"changed": honesty.shares(changed), "ofNormals": honesty.shares(changed[some.normal])}


def measure_noise(screener: CachedScreener, data: HeldOut, ood_threshold: float) -> list[NoiseFigures]:
    """A sample of both test sets under each noise at each strength."""
    real, virtual = data.real.thinned(NOISE_SUBSET), data.virtual.thinned(NOISE_SUBSET)
    variants = {("none", None): WHOLE} | {
        (kind, snr): InputVariant(f"{kind} {snr} dB", disturbance=Disturbance(kind, snr))
        for kind in NOISE_KINDS
        for snr in SNR_DB
    }
    lines: list[NoiseFigures] = []
    answers = zip(variants, screener(real, *variants.values()), screener(virtual, *variants.values()), strict=True)
    for (kind, snr), on_real, on_virtual in answers:
        cad = auroc(real.conditions[:, CAD], on_real.logits[:, CAD])
        lines.append(
            {
                "noise": kind,
                "snrDb": snr,
                "cadAuroc": rounded(cad),
                "macroAuroc": rounded(macroarea(virtual.conditions, on_virtual.logits)),
                "meanR": rounded(mean_r(virtual, on_virtual)),
                "n": len(real),
                "ood": rounded(np.mean(on_real.ood > ood_threshold)),
            }
        )
    return lines


def measure_ood(screener: CachedScreener, data: HeldOut, threshold: float, unseen: Mapping[str, float]) -> OodFigures:
    """Each kind of outlier against real ECGs that it was not made of, and how often real ECGs are flagged."""
    half = len(data.real) // 2
    ecgs = data.real.rows(np.arange(half), f"{data.real.name}-first-half")
    others = data.real.rows(np.arange(half, len(data.real)), f"{data.real.name}-second-half").thinned(OUTLIERS)
    variants = lead_variants()
    some = data.real.thinned(LEAD_SUBSET)
    in_leads = dict(zip(variants, screener(some, *variants.values()), strict=True)) | {
        "12 leads": screener(data.real)[0]
    }
    inside = in_leads["12 leads"].ood[: len(ecgs)]
    kinds: dict[str, OutlierFigures] = {}
    for kind in KINDS:
        (found,) = screener(outlier_set(kind, others, SEED))
        truth = np.repeat([False, True], [len(inside), len(found.ood)])
        kinds[kind] = {
            **area(truth, np.concatenate([inside, found.ood])),
            "flagged": rounded(np.mean(found.ood > threshold)),
            "unseenAuroc": None if kind not in unseen else rounded(unseen[kind]),
        }

    def alarms(answers: Predictions) -> FalseAlarms:
        return {"flagged": rounded(np.mean(answers.ood > threshold)), "n": len(answers.ood)}

    elsewhere: dict[str, FalseAlarms] = {}
    for name, headers in _other_records().items():
        some = records_set(name, headers)
        chosen = ("12 leads", "6 (limb)", "1 (I)")
        for count, answers in zip(chosen, screener(some, *(variants[count] for count in chosen)), strict=True):
            elsewhere[f"{name}, {count}"] = alarms(answers)
    return {
        "threshold": threshold,
        "kinds": kinds,
        "falseAlarms": {f"{data.real.name}, {name}": alarms(answers) for name, answers in in_leads.items()}
        | elsewhere
        | {"virtual test people, 12 leads": alarms(screener(data.virtual)[0])},
    }


def _other_records() -> dict[str, list[Path]]:
    """Headers of the 500 Hz records that are there, by data set."""
    folders = {name: ptbxl.data_dir() / name for name in ("cinc2021", "ptbxl500")}
    folders["ludb"] = ptbxl.data_dir() / "ludb" / "data"
    found = {name: sorted(folder.glob("*.hea")) for name, folder in folders.items()}
    return {name: headers for name, headers in found.items() if headers}


def compare_rates(screener: CachedScreener, fast: EcgSet, calibration: Calibration) -> RateFigures:
    """The same 500 Hz ECG as it is, and brought down to 100 Hz and up again: embeddings and CAD probability."""
    slow = EcgSet(
        f"{fast.name}-100Hz",
        lambda row: resample(fast.recording(row), fast.rate_hz, 100),
        100,
        fast.person,
        fast.conditions,
    )
    (fine,), (coarse,) = screener(fast), screener(slow)

    def cosine(a: Array, b: Array) -> Array:
        return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))

    same = cosine(fine.embedding, coarse.embedding)
    strangers = cosine(fine.embedding, np.roll(fine.embedding, 1, axis=0))
    change = np.abs(probability(fine.logits[:, CAD], calibration) - probability(coarse.logits[:, CAD], calibration))
    return {
        "n": len(fast),
        "cosineMedian": rounded(np.median(same)),
        "cosineP5": rounded(np.quantile(same, 0.05)),
        "cosineOfStrangersMedian": rounded(np.median(strangers)),
        "cadProbabilityChangeMedian": rounded(np.median(change)),
        "cadProbabilityChangeP95": rounded(np.quantile(change, 0.95)),
        "cadProbabilityChangeMax": rounded(change.max()),
    }


def measure(screener: CachedScreener, data: HeldOut, adjustment: Adjustment, unseen: Mapping[str, float]) -> Measured:
    """Every figure that `screen.onnx` alone gives."""
    test = measure_test(screener, data.virtual, adjustment.interval_scale)
    return {
        "test": test,
        "oracle": compare_oracle(test, test["withoutPerson"]),
        "published": PUBLISHED,
        "real": {
            "cad": measure_cad(screener, data.real, adjustment),
            **measure_flags(screener, data.real, adjustment),
            "teacher": measure_teacher(screener, data.real),
            "secondLook": measure_second_look(screener, data.real, adjustment),
        },
        "operating": measure_virtual_flags(screener, data.virtual, adjustment),
        "blocks": measure_blocks(screener, data, adjustment),
        "proxies": measure_proxies(screener, data.real),
        "ood": measure_ood(screener, data, adjustment.ood_threshold, unseen),
        "noise": measure_noise(screener, data, adjustment.ood_threshold),
        "rates": {
            name: compare_rates(screener, records_set(name, headers), adjustment.calibrations["cad"])
            for name, headers in _other_records().items()
            if name != "ludb"
        },
    }
