"""The model card, written from the measured report so that its numbers cannot drift from it."""

from cardiacnets.bundle.write import NOTICE, BundleFacts
from cardiacnets.domain import CONDITIONS
from cardiacnets.evaluation.figures import EvaluationReport, TestFigures
from cardiacnets.evaluation.markdown import table
from cardiacnets.evaluation.page import (
    NAMES,
    cad_groups,
    coverage,
    false_alarms,
    ood_kinds,
    operating_points,
    proxies,
    three,
    virtual_groups,
    with_ci,
)
from cardiacnets.evaluation.people_page import (
    ages,
    blocks,
    calibration_line,
    heart_rates,
    normals,
    operating,
    rule_line,
    statements,
    teacher_line,
)


def _virtual_conditions(test: TestFigures) -> str:
    entries = {name: test["conditions"][name] for name in CONDITIONS if name != "cad"}
    rows = [[NAMES[name], str(entry["positive"]), with_ci(entry)] for name, entry in entries.items()]
    return table(["condition", "people with it", "AUROC (95% CI)"], rows)


def _indices(test: TestFigures) -> str:
    per_index = {name: r for name, r in test["perIndexR"].items() if r is not None}
    ordered = sorted(per_index, key=lambda name: -per_index[name])
    highest, lowest = (
        ", ".join(f"{name} {per_index[name]:.2f}" for name in part) for part in (ordered[:6], ordered[-3:])
    )
    low, high = test["meanRCi"]
    return f"""Mean correlation over the 82 indices {test["meanR"]:.3f} ({low:.3f}–{high:.3f});
highest {highest};
lowest {lowest}.
{coverage(test)}"""


def _contrast(report: EvaluationReport) -> str:
    """What the contrast left behind, where it was measured."""
    if "retrieval" not in report:
        return ""
    parts = [
        f"{view.replace('_', ' ')}: median rank {entry['medianRank']:.0f} among {entry['among']:.0f}, R@10 {entry['recall10']:.1%}"
        for view, entry in report["retrieval"].items()
    ]
    lines = "\n".join(f"- {part}" for part in parts)
    return f"\n\nRetrieval of held-out virtual people's cines by their ECGs:\n\n{lines}"


def model_card(version: str, facts: BundleFacts, report: EvaluationReport) -> str:
    """MODEL_CARD.md of a bundle; `report` as `report.measure` returns it, with what the export adds."""
    cad, test, ood = report["real"]["cad"], report["test"], report["ood"]
    cohort = next(data for data in facts.training["data"] if "people" in data)
    taught = any("heart-failure ensemble" in data["name"] for data in facts.training["data"] if "name" in data)
    teacher = (
        """
| teacher | HF | logits of the Ahus AIM ensemble (© 2025 Ahus AIM, Apache-2.0, s41746-026-02774-4) on PTB-XL, folds 1–7 |"""
        if taught
        else ""
    )
    before = facts.training.get("from")
    went_on = f"Training continued from {before}. " if before else ""
    rates = report["rates"].get("cinc2021")
    at_rates = (
        f"""The same ECG at 500 and at 100 Hz ({rates["n"]} recordings of the CinC Challenge 2021
  data): median cosine of the embeddings {rates["cosineMedian"]:.4f}; the CAD probability changes by
  {rates["cadProbabilityChangeMedian"]:.4f} (median) and {rates["cadProbabilityChangeP95"]:.3f} (95th percentile)."""
        if rates
        else ""
    )
    oracle = report["oracle"]["withPerson"]
    return f"""# {facts.name} {version}

**{NOTICE}** Do not use it for the care of any person.

The bundle is a small network (1-D ResNet) that reads one 10-s ECG (profile `cardiacnets-v1`). Its outputs are

- five condition probabilities,
- 82 cardiac function indices with intervals,
- a score (`ood`) that shows whether the input resembles an ECG.

## Intended use

Research and integration: pipelines, user interfaces, studies of method. **Not for** diagnosis, triage, monitoring,
exclusion of disease, children, paced rhythms, or any decision about a person.

## How it learned

| evidence | targets | data |
| --- | --- | --- |
| real | CAD | PTB-XL 1.0.3, folds 1–7, 100 Hz (Wagner et al. 2020, doi 10.13026/kfzx-aw45, CC BY 4.0) |{teacher}
| virtual | all others | virtual cohort, {cohort["people"]:,} people, seed {cohort["seed"]}, 7:1:2 by person |

The method is that of CardiacNets v1 (arXiv 2411.13602) at a small size. The encoder is trained in three steps:

1. Masked modelling: it fills in masked parts of ECGs (PTB-XL folds 1–7 and virtual people).
2. Contrast: it places an ECG near the cardiac MRI of the same person (InfoNCE against two frozen CMR encoders).
3. Targets: it learns the conditions and indices.

{went_on}**The MRI is simulated: the model has seen no real CMR.**{_contrast(report)}

**CAD is a statement of the ECG's reader**: any infarction, or ischaemia (subclasses ISC_, ISCA, ISCI). Angiography
did not confirm it. PTB-XL's other statements helped to shape the encoder in training and are not in the bundle.

Probabilities, thresholds, interval widths and the limit of the ECG score were fitted on PTB-XL fold 8 and on virtual
validation people. The manifest states each condition's prevalence there, for sites with another prevalence.

## Measured on real ECGs: CAD on PTB-XL fold 9

95% bootstrap intervals, 1,000 resamples. These patients are in no other fold.

{cad_groups(cad)}

{operating_points(cad)}

{rule_line(cad)}
{calibration_line(cad)} Brier score {cad["brier"]:.3f}.

{ages(cad)}

{teacher_line(report)}

Flags in ECGs that readers called normal (limits by sex and age, set on fold 8), by statement and by heart rate:

{normals(report)}

{statements(report)}

{heart_rates(report)}

Two of the virtual heads against real people's statements. These are proxies, and no evidence about the disease:

{proxies(report)}

## Measured on virtual people: test split, {test["n"]:,} people

These figures show how well the network reads the *simulator*. They are no evidence about people.

{_virtual_conditions(test)}

At the limits in use:

{operating(report)}{blocks(report)}

{_indices(test)}
An oracle reads the noise-free ECG (trees on its features; both know sex, age, height and weight).
It reaches mean R {three(oracle["meanR"])} and macro AUROC {three(oracle["macroAuroc"])} over these four conditions.
The network reaches {three(test["meanR"])} and {three(test["macroAuroc"])}.

{virtual_groups(test)}

## Detection of input that is not an ECG

Fold 9 against artificial signals. The score was fitted to these kinds (made from other people's ECGs). The third
column shows the result for a kind that was left out of the fit.

{ood_kinds(ood)}

{false_alarms(ood)}

## Limits

- **Virtual findings do not transfer to people without further work.** The tables above show how often they flag normal ECGs.
- Right and left bundle branch block, AF and tachycardia must not count as PH, CM or pericarditis. The network learned this from an
  assumption (alone, they are no evidence of these), not from labels.
- PTB-XL ends at 50 Hz, and the network's first layer removes frequencies above about 45 Hz. It sees no late potentials, notches or
  pacing spikes. {at_rates}
- PTB-XL is one country and one family of devices, 1989–1996.
- The ECG score was fitted to the disorders in its table. A low score does not prove that the leads are correct: an exchange of two
  neighbouring chest leads, or of the arm electrodes, is not in the table.
- Removing baseline and noise lowers sharp peaks by a few percent.
- Height and weight were known for virtual people only.

Licence Apache-2.0. Seed {facts.training["seeds"][0]}, commit {facts.training["commit"][:12]}.
"""


def pending_card(version: str, facts: BundleFacts) -> str:
    """The card until the bundle has been measured on people that nothing was chosen on."""
    return f"""# {facts.name} {version}

**{NOTICE}** Do not use it for the care of any person.

This bundle has not been measured on held-out people. `uv run cardiacnets-train evaluate --final` (in `models/training`) measures it and writes its card.

Licence Apache-2.0. Seed {facts.training["seeds"][0]}, commit {facts.training["commit"][:12]}.
"""
