"""The model card, written from the measured report so that its numbers cannot drift from it."""

from typing import Any

from cardiacnets.bundle import NOTICE, BundleFacts

NAMES = {
    "cad": "Coronary artery disease",
    "cm": "Cardiomyopathy",
    "pericarditis": "Pericarditis",
    "hf": "Heart failure",
    "ph": "Pulmonary hypertension",
}
Entries = dict[str, dict[str, Any]]


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _auroc(entry: dict[str, Any]) -> str:
    return f"{entry['auroc']:.3f} ({entry['ci'][0]:.3f}–{entry['ci'][1]:.3f})"


def _cad_table(cad: dict[str, Any]) -> str:
    groups: Entries = {
        "all": cad,
        **cad["subgroups"],
        "age and sex withheld": cad["withoutPerson"],
        **{name: entry for name, entry in cad["leadSets"].items() if name != "12 leads"},
    }
    rows = [[name, str(entry["n"]), str(entry["positive"]), _auroc(entry)] for name, entry in groups.items()]
    return _table(["group", "ECGs", "CAD", "AUROC (95% CI)"], rows)


def _operating_points(cad: dict[str, Any]) -> str:
    rows = [
        [name, *(f"{point[key]:.3f}" for key in ("threshold", "sensitivity", "specificity"))]
        for name, point in cad["operatingPoints"].items()
    ]
    return _table(["operating point", "probability", "sensitivity", "specificity"], rows)


def _virtual_conditions(test: dict[str, Any]) -> str:
    rows = [[NAMES[name], str(entry["positive"]), _auroc(entry)] for name, entry in test["conditions"].items()]
    return _table(["condition", "people with it", "AUROC (95% CI)"], rows)


def _virtual_groups(test: dict[str, Any]) -> str:
    groups: Entries = {
        "all": test,
        **test["subgroups"],
        "person withheld": test["withoutPerson"],
        **{name: entry for name, entry in test["leadSets"].items() if name != "12 leads"},
    }
    rows = [[name, f"{entry['macroAuroc']:.3f}", f"{entry['meanR']:.3f}"] for name, entry in groups.items()]
    return _table(["virtual group", "macro AUROC of the four", "mean R"], rows)


def _indices(test: dict[str, Any]) -> str:
    per_index: dict[str, float] = test["perIndexR"]
    ordered = sorted(per_index, key=lambda name: -per_index[name])
    highest, lowest = (
        ", ".join(f"{name} {per_index[name]:.2f}" for name in part) for part in (ordered[:6], ordered[-3:])
    )
    low, high = test["meanRCi"]
    narrow, wide = test["coverage90Range"]
    return f"""Mean correlation over the 82 indices {test["meanR"]:.3f} ({low:.3f}–{high:.3f});
highest {highest};
lowest {lowest}.
The 90% intervals cover {test["coverage90"]:.1%} ({narrow:.1%} to {wide:.1%} an index)."""


def model_card(version: str, facts: BundleFacts, report: dict[str, Any]) -> str:
    """MODEL_CARD.md of a bundle; `report` as `evaluate_files` returns it."""
    cad, test = report["real"]["cad"], report["test"]
    cohort = next(data for data in facts.training["data"] if "people" in data)
    normals = report["virtualFindingsOnRealNormals"]
    flagged = ", ".join(f"{NAMES[name]} {share:.0%}" for name, share in normals.items())
    rates = report["rates"]["cinc2021"]
    return f"""# {facts.name} {version}

**{NOTICE}** It must not guide the care of anyone.

A small network (1-D ResNet, 2.3 million weights) that reads one 10-s ECG (profile `cardiacnets-v1`) and gives five
condition probabilities and 82 cardiac function indices with intervals. It is the project's first bundle: it learned
from ECGs only, no cardiac MRI.

## Intended use

Research and integration work: pipelines, user interfaces, studies of method. **Not for** diagnosis, triage, monitoring,
exclusion of disease, children, paced rhythms, or any decision about a person.

## What it learned from

| evidence | targets | data |
| --- | --- | --- |
| real | CAD | PTB-XL 1.0.3, folds 1–7, 100 Hz (Wagner et al. 2020, doi 10.13026/kfzx-aw45, CC BY 4.0) |
| virtual | all else | virtual cohort, {cohort["people"]:,} people, seed {cohort["seed"]}, 7:1:2 by person |

CAD **is a statement of the ECG's reader** here: any infarction, or ischaemia (subclasses ISC_, ISCA, ISCI). Angiography
did not confirm it. PTB-XL's other statements helped to shape the encoder in training and are not in the bundle.
Probabilities, thresholds and interval widths were fitted on PTB-XL fold 8 and on virtual validation people.

## Measured on real ECGs: CAD on PTB-XL fold 9

95% bootstrap intervals, 1,000 resamples. The patients are in no other fold.

{_cad_table(cad)}

{_operating_points(cad)}

`youden` is in use. Brier score {cad["brier"]:.3f}.

## Measured on virtual people: test split, {test["n"]:,} people

These figures say how well the network reads the *simulator*. They are no evidence about people.

{_virtual_conditions(test)}

{_indices(test)}

{_virtual_groups(test)}

## Limits

- **Virtual findings do not carry over to people as they are.** Of the real ECGs of fold 9 that readers called normal,
  they flag: {flagged}.
- PTB-XL stops at 50 Hz, and the network's first layer removes what lies above about 45 Hz: late potentials, notches and
  pacing spikes are not seen. The same ECG at 500 and at 100 Hz ({rates["n"]} recordings of the CinC Challenge 2021
  data): median cosine of the embeddings {rates["cosineMedian"]:.4f}; the CAD probability changes by
  {rates["cadProbabilityChangeMedian"]:.4f} (median) and {rates["cadProbabilityChangeP95"]:.3f} (95th percentile).
- PTB-XL is one country and one family of devices, 1989–1996.
- Removing baseline and noise lowers sharp peaks by a few percent.
- Height and weight were known of virtual people only.

Licence Apache-2.0. Seed {facts.training["seeds"][0]}, commit {facts.training["commit"][:12]}.
"""
