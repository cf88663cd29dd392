"""The part of `docs/evaluation.md` and of the card that tells what is flagged in real people, and how sure the figures are."""

import json
from pathlib import Path

from cardiacnets.domain import CONDITIONS
from cardiacnets.evaluation.figures import CadFigures, EvaluationReport, Share
from cardiacnets.evaluation.markdown import table
from cardiacnets.signal.profile import REPOSITORY

SHORT = {"cad": "CAD", "cm": "CM", "pericarditis": "pericarditis", "hf": "HF", "ph": "PH", "any": "anything"}
COLUMNS = (*CONDITIONS, "any")
FOLDS = REPOSITORY / "models" / "training" / "reports" / "folds.json"


def percent(entry: Share) -> str:
    """4.2% (3.1–5.6); an en dash where there is nobody."""
    if entry["share"] is None or entry["ci"] is None:
        return "–"
    low, high = entry["ci"]
    return f"{100 * entry['share']:.1f}% ({100 * low:.1f}–{100 * high:.1f})"


def bare(entry: Share) -> str:
    """4.2%."""
    return "–" if entry["share"] is None else f"{100 * entry['share']:.1f}%"


def normals(report: EvaluationReport) -> str:
    """What is flagged in ECGs that readers called normal."""
    found = report["real"]["normals"]
    rows = [
        ["flagged", str(found["n"]), *(percent(found["flagged"][name]) for name in COLUMNS)],
        ["borderline (in addition)", str(found["n"]), *(bare(found["borderline"][name]) for name in COLUMNS)],
    ]
    rows += [
        [name, str(entry["any"]["n"]), *(bare(entry[column]) for column in COLUMNS)]
        for name, entry in found["byAge"].items()
    ]
    rows += [
        [f"{name} (beside)", str(found["n"]), *["–"] * len(CONDITIONS), percent(found[name])]
        for name in ("refused", "withheld")
        if name in found
    ]
    return table(["normal ECGs", "n", *(SHORT[name] for name in COLUMNS)], rows)


def rule_line(cad: CadFigures) -> str:
    """Which operating point of CAD flags."""
    if "in use" not in cad["operatingPoints"]:
        return "`youden` is in use."
    share = cad["operatingPoints"]["in use"]["falseAlarms"]
    return f"`in use` is a limit that {100 * share:.1f}% of fold 8's normal ECGs may reach."


PREVALENCES = (0.01, 0.05, 0.2, 0.5)


def predictive_value(sensitivity: float, false_alarms: float, prevalence: float) -> float | None:
    """Share of those flagged who have it."""
    found, alarms = prevalence * sensitivity, (1 - prevalence) * false_alarms
    return found / (found + alarms) if found + alarms > 0 else None


def predictive_values(report: EvaluationReport) -> str:
    """How many of the flagged have the condition, by how frequent it is."""
    cad = report["real"]["cad"]["operatingPoints"]
    point = cad.get("in use", cad["youden"])
    known = {"CAD": (point["sensitivity"], point["specificity"])}
    known |= {
        SHORT[name]: (entry["sensitivity"]["share"], entry["specificity"]["share"])
        for name, entry in report["operating"].items()
        if name != CONDITIONS[0]
    }
    rows = []
    for name, (sensitivity, specificity) in known.items():
        if sensitivity is None or specificity is None:
            rows.append([name, *["–"] * len(PREVALENCES)])
            continue
        values = [predictive_value(sensitivity, 1 - specificity, prevalence) for prevalence in PREVALENCES]
        rows.append([name, *("–" if value is None else f"{100 * value:.0f}%" for value in values)])
    return table(["flagged for", *(f"where {100 * value:.0f}% have it" for value in PREVALENCES)], rows)


def second_look(report: EvaluationReport) -> str:
    """How often the other half of a recording is flagged otherwise."""
    found = report["real"].get("secondLook")
    if not found:
        return ""
    rows = [
        [name, str(entry["any"]["n"]), *(bare(entry[column]) for column in COLUMNS)]
        for name, entry in (("all", found["changed"]), ("normal ECGs", found["ofNormals"]))
    ]
    return table(["another window changes the flag", "n", *(SHORT[name] for name in COLUMNS)], rows)


def statements(report: EvaluationReport) -> str:
    """Flag rates by what a reader stated, alone and with whatever else."""
    rows = []
    for name, entry in report["real"]["byStatement"].items():
        for which in ("isolated", "all"):
            some = entry[which]
            if some["any"]["n"]:
                rows.append([f"{name}, {which}", str(some["any"]["n"]), *(bare(some[column]) for column in COLUMNS)])
    return table(["statement", "n", *(SHORT[name] for name in COLUMNS)], rows)


def heart_rates(report: EvaluationReport) -> str:
    """Flag rates by heart rate in ECGs free of disease."""
    rows = [
        [name, str(entry["any"]["n"]), *(bare(entry[column]) for column in COLUMNS)]
        for name, entry in report["real"]["byHeartRate"].items()
        if entry["any"]["n"]
    ]
    return table(["heart rate, /min", "n", *(SHORT[name] for name in COLUMNS)], rows)


def ages(cad: CadFigures) -> str:
    """Whom the CAD finding misses."""
    rows = [
        [name, *(f"{percent(entry[key])}, n {entry[key]['n']}" for key in ("sensitivity", "specificity"))]
        for name, entry in cad["byAge"].items()
    ]
    return table(["age", "sensitivity (95% CI)", "specificity (95% CI)"], rows)


def calibration_line(cad: CadFigures) -> str:
    """Slope and calibration in the large."""
    (low, high), (below, above) = cad["slopeCi"], cad["inTheLargeCi"]
    return (
        f"Calibration slope {cad['slope']:.3f} ({low:.3f}–{high:.3f}; below 1: overconfident), in the large "
        f"{cad['inTheLarge']:+.3f} ({below:+.3f} to {above:+.3f}).{_other_folds()}"
    )


def _other_folds(path: Path = FOLDS) -> str:
    """What the interval over people leaves out, where it was measured (`evaluation/folds.py`)."""
    if not path.exists():
        return ""
    low, high = json.loads(path.read_text())["expected"]
    return (
        "\nThis interval covers people only. Folds differ: calibrated on one of folds 1–8, another has a slope between "
        f"{low:.2f} and {high:.2f} (95%).\nThis is from a regression on an encoder without labels (`reports/folds.json`)."
    )


def operating(report: EvaluationReport) -> str:
    """Sensitivity and specificity on virtual people at the limits in use."""
    rows = [
        [SHORT[name], *(f"{percent(entry[key])}, n {entry[key]['n']}" for key in ("sensitivity", "specificity"))]
        for name, entry in report["operating"].items()
    ]
    return table(["finding, on virtual people", "sensitivity (95% CI)", "specificity (95% CI)"], rows)


BLOCK_NAMES = {"rbbb": "complete right bundle branch block", "lbbb": "complete left bundle branch block"}


def blocks(report: EvaluationReport) -> str:
    """Where a bundle branch block raises the limit of a condition, with a blank line before; nothing without such limits."""
    found = report.get("blocks")
    if not found:
        return ""
    rows = [
        [
            BLOCK_NAMES[name],
            f"{percent(entry['stated'])}, n {entry['stated']['n']}",
            f"{percent(entry['others'])}, n {entry['others']['n']}",
            f"{SHORT[entry['condition']]}: {percent(entry['sensitivity'])}, n {entry['sensitivity']['n']}",
        ]
        for name, entry in found.items()
    ]
    head = ["the ECG shows a", "found where a reader stated it", "found elsewhere", "sensitivity there, virtual people"]
    return f"""

A bundle branch block looks like what a loaded or dilated ventricle does. Where the network reads one, the condition has a higher limit,
which few ECGs with nothing but the block reach. The finding says so.

{table(head, rows)}"""


def teacher_line(report: EvaluationReport) -> str:
    """Agreement with the teacher."""
    found = report["real"].get("teacher", {}).get("hf")
    if not found:
        return ""
    low, high = found["ci"]
    above = found["above"]
    return (
        f"**HF learned from a teacher**, a published ensemble's reading of PTB-XL. On {found['n']:,} ECGs of fold 9, Pearson's R of the\n"
        f'logits is {found["r"]:.3f} ({low:.3f}–{high:.3f}), and the AUROC against "teacher above .5" is {above["auroc"]:.3f}.\n'
        "This is agreement with another model, not accuracy: no patient's heart failure was confirmed, and the probability is not that of the disease."
    )


def conclusions() -> str:
    """What a clinician may and may not conclude."""
    return """- **Valid**: a CAD flag means "a reader would probably state infarction or ischaemia", with the error rates above.
- **Not valid**: a flag is not a diagnosis, and its absence is not health. Under 50 years the CAD finding misses many patients.
- CM, pericarditis and PH learned from simulated people. On real people only their false alarms are known, not their sensitivity.
- HF repeats another model's reading of the same ECG. Two models that agree are not two opinions.
- Indices are typical values for a person with such an ECG. They hardly follow one person's LV EF, as the intervals show."""


def people_section(report: EvaluationReport) -> str:
    """The whole section."""
    return f"""{calibration_line(report["real"]["cad"])}

{ages(report["real"]["cad"])}

{teacher_line(report)}

### False flags

All ECGs of a group count. The limits were set on normal ECGs of fold 8, by sex and age (CAD: one limit for all).
The last rows count ECGs that the service refuses, and ECGs whose findings it withholds (exchanged electrodes, people under 18).
The rows above them include these ECGs.

{normals(report)}

By the reader's statements (`isolated`: none of the other statements, no infarction or ischaemia):

{statements(report)}

By heart rate, ECGs without infarction, ischaemia, LVH, bundle branch block, AF and pacing:

{heart_rates(report)}

Two windows of one recording can be flagged differently. Here one window repeats the first five seconds, the other the last five.
Whole windows of ten seconds should differ less.

{second_look(report)}

### The same limits on virtual people

{operating(report)}{blocks(report)}

### Positive predictive value

At the limits in use, by the prevalence of the condition. CAD uses sensitivity and specificity of fold 9.
The other findings use those of virtual people; the values on real people are unknown.

{predictive_values(report)}

### Conclusions

{conclusions()}"""
