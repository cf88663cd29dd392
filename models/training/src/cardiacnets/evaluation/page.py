"""`docs/evaluation.md`, written from the report so that its numbers cannot drift from it."""

from cardiacnets.bundle.write import NOTICE
from cardiacnets.domain import CONDITIONS
from cardiacnets.evaluation.figures import (
    PAIR,
    Area,
    CadFigures,
    EvaluationReport,
    OodFigures,
    TestFigures,
)
from cardiacnets.evaluation.markdown import table
from cardiacnets.evaluation.people_page import people_section, rule_line
from cardiacnets.stages.contrastive import QUERIES

NAMES = {
    "cad": "Coronary artery disease",
    "cm": "Cardiomyopathy",
    "pericarditis": "Pericarditis",
    "hf": "Heart failure",
    "ph": "Pulmonary hypertension",
}
FIGURES = "../models/training/reports/compact"


def three(value: float | None) -> str:
    """Three digits; an en dash for what is not known."""
    return "–" if value is None else f"{value:.3f}"


def with_ci(entry: Area) -> str:
    """0.912 (0.901–0.923)."""
    return f"{three(entry['auroc'])} ({entry['ci'][0]:.3f}–{entry['ci'][1]:.3f})" if entry["ci"] else "–"


def cad_groups(cad: CadFigures) -> str:
    """CAD by sex, age and leads."""
    groups = {
        "all": cad,
        **cad["subgroups"],
        "age and sex withheld": cad["withoutPerson"],
        **{name: entry for name, entry in cad["leadSets"].items() if name != "12 leads"},
    }
    rows = [[name, str(entry["n"]), str(entry["positive"]), with_ci(entry)] for name, entry in groups.items()]
    return table(["group", "ECGs", "CAD", "AUROC (95% CI)"], rows)


def operating_points(cad: CadFigures) -> str:
    """Sensitivity and specificity at both thresholds."""
    rows = [
        [name, *(f"{point[key]:.3f}" for key in ("threshold", "sensitivity", "specificity"))]
        for name, point in cad["operatingPoints"].items()
    ]
    return table(["operating point", "probability", "sensitivity", "specificity"], rows)


def virtual_groups(test: TestFigures) -> str:
    """Virtual people by sex, age and leads."""
    groups = {
        "all": test,
        **test["subgroups"],
        "person withheld": test["withoutPerson"],
        **{name: entry for name, entry in test["leadSets"].items() if name != "12 leads"},
    }
    rows = [
        [name, str(entry["n"]), three(entry["macroAuroc"]), three(entry["meanR"])] for name, entry in groups.items()
    ]
    return table(["group", "people", "macro AUROC of the four", "mean R"], rows)


def ood_kinds(ood: OodFigures) -> str:
    """How well each kind is told from real ECGs."""
    rows = [
        [kind, with_ci(entry), three(entry["unseenAuroc"]), f"{entry['flagged']:.1%}"]
        for kind, entry in ood["kinds"].items()
    ]
    return table(["kind", "AUROC (95% CI)", "AUROC if never shown", "flagged"], rows)


def false_alarms(ood: OodFigures) -> str:
    """Real ECGs flagged."""
    rows = [[name, str(entry["n"]), f"{entry['flagged']:.1%}"] for name, entry in ood["falseAlarms"].items()]
    return table(["ECGs", "n", "flagged"], rows)


def proxies(report: EvaluationReport) -> str:
    """Proxies on real people."""
    rows = [
        [f"{entry['label']} by the `{name}` head", str(entry["n"]), str(entry["positive"]), with_ci(entry)]
        for name, entry in report["proxies"].items()
    ]
    return table(["proxy (no disease)", "ECGs", "with it", "AUROC (95% CI)"], rows)


def coverage(test: TestFigures) -> str:
    """One sentence on the intervals."""
    low, high = test["coverage90Range"]
    outside = test["coverage90Outside"]
    which = f"Outside 85–95%: {', '.join(outside)}." if outside else "None is outside 85–95%."
    return f"The 90% intervals cover {test['coverage90']:.1%} on average, {low:.1%} to {high:.1%} per index.\n{which}"


def _has_teacher(report: EvaluationReport) -> bool:
    return bool(report["real"].get("teacher"))


def _main(report: EvaluationReport) -> str:
    test, published, cad = report["test"], report["published"], report["real"]["cad"]
    rows = [[NAMES["cad"], "real", f"PTB-XL fold 9, {cad['n']:,} ECGs", with_ci(cad), three(published["cad"])]]
    rows += [
        [
            NAMES[name],
            "teacher" if _has_teacher(report) and name == "hf" else "virtual",
            f"{test['n']:,} virtual people",
            with_ci(test["conditions"][name]),
            three(published[name]),
        ]
        for name in CONDITIONS
        if name != "cad"
    ]
    low, high = test["meanRCi"]
    where = f"{test['n']:,} virtual people"
    mean = f"{test['meanR']:.3f} ({low:.3f}–{high:.3f})"
    rows.append(["mean R, 82 indices", "virtual", where, mean, three(published["meanR"])])
    rows += [
        [f"R {name}", "virtual", where, three(test["perIndexR"][name]), three(published[name])]
        for name in ("lvMass", "rvEdv", "lvEf")
    ]
    return table(["output", "learned from", "measured on", "ours (95% CI)", "published, another population"], rows)


def _oracle(report: EvaluationReport) -> str:
    rows = []
    for name, label in (("withPerson", "with sex, age, height, weight"), ("withoutPerson", "ECG alone")):
        entry = report["oracle"][name]
        for figure, title in reversed(PAIR):
            cells = [three(of[figure]) for of in (entry["ours"], entry, entry["closeness"])]
            rows.append([label, f"{title} of the four" if figure == "macroAuroc" else title, *cells])
    return table(["both know", "figure", "ours", "oracle", "closeness (aim 0.95)"], rows)


def _versions(report: EvaluationReport) -> str:
    """Which people the oracle was fitted on, and whether the network was measured on the same."""
    fitted, measured = report["oracle"]["withPerson"].get("version", 2), report.get("cohortVersion", 4)
    if fitted == measured:
        return f"Both are of cohort version {fitted}."
    return f"""**Not comparable here**: this oracle was fitted on cohort version {fitted}, and the network was measured on version {measured}.
`cardiacnets-train measure DIR` compares both on people of one version ([README](../models/training/README.md))."""


def _noise(report: EvaluationReport) -> str:
    rows = [
        [line["noise"], "–" if line["snrDb"] is None else str(line["snrDb"])]
        + [three(line[name]) for name in ("cadAuroc", "macroAuroc", "meanR")]
        + [f"{line['ood']:.0%}"]
        for line in report["noise"]
    ]
    return table(
        ["noise", "SNR, dB", "CAD AUROC (real)", "macro AUROC (virtual)", "mean R (virtual)", "flagged as no ECG"], rows
    )


def _retrieval(report: EvaluationReport) -> str:
    if "retrieval" not in report:
        return "Not measured: the stage `align` has not been run."
    rows = [
        [
            view.replace("_", " "),
            QUERIES[query],
            f"{e['among']:.0f}",
            f"{e['medianRank']:.0f}" + (f" ({e['ci'][0]:.0f}–{e['ci'][1]:.0f})" if "ci" in e else ""),
            f"{e['recall1']:.1%}",
            f"{e['recall10']:.1%}",
        ]
        for view, entry in report["retrieval"].items()
        for query, e in entry.get("by", {"ecg": entry}).items()
    ]
    head = ["cine", "looked for by", "among", "median rank (95% CI over people)", "R@1", "R@10"]
    return f"""{table(head, rows)}

A stranger's ECG with one's own sex, age, height and weight shows how much is found without the ECG.

![Retrieval]({FIGURES}/retrieval.png)

![Shared space]({FIGURES}/shared-space.png)"""


def _int8(report: EvaluationReport) -> str:
    if "int8" not in report:
        return ""
    int8 = report["int8"]
    lost = ", ".join(f"{name} {value:+.4f}" for name, value in int8["aurocLost"].items())
    ms, mb = int8["milliseconds"], int8["megabytes"]
    verdict = (
        "It is shipped." if int8["kept"] else "It is **not** shipped: it must lose less than 0.005 and be 10% faster."
    )
    return f"""## int8

Static QDQ of the encoder's convolutions, with one scale per channel. AUROC lost on validation data: {lost}.
One window on one thread: {ms["int8"]:.2f} ms against {ms["float32"]:.2f} ms; {mb["int8"]:.1f} MB against {mb["float32"]:.1f} MB. {verdict}
"""


def evaluation_page(report: EvaluationReport) -> str:
    """The page; `report` as `evaluate_bundle` makes it."""
    test, cad = report["test"], report["real"]["cad"]
    on_virtual = with_ci(test["conditions"]["cad"])
    rates = report["rates"].get("cinc2021")
    at_rates = (
        f"The same ECG at 500 and at 100 Hz ({rates['n']} of the CinC Challenge 2021): median cosine of the embeddings "
        f"{rates['cosineMedian']:.4f}, CAD\nprobability changes by {rates['cadProbabilityChangeMedian']:.4f} (median), "
        f"{rates['cadProbabilityChangeP95']:.3f} (95th percentile)."
        if rates
        else ""
    )
    return f"""# Evaluation of the shipped bundle

**{NOTICE}** `uv run cardiacnets-train evaluate` (in `models/training`) writes this page
from `models/training/reports/compact.json`: do not edit it. Bundle `{report["bundle"]}`, trained at commit `{report["commit"][:12]}`.

{_main(report)}

Intervals: 1,000 bootstrap resamples (200 for means). **Only CAD learned from labels of people and was measured against them.**
The other figures show how well the network reads the simulator or the teacher.

The published model (arXiv 2411.13602, v1) was measured on UK Biobank (PH: MIMIC). Its figures are listed for context, not for comparison.
CAD on people is a statement of the ECG's reader (infarction or ischaemia), not of angiography.
The same head finds virtual CAD, which it never saw, with AUROC {on_virtual}.

![ROC]({FIGURES}/roc.png)

## Distance from the oracle

The oracle reads the noise-free virtual ECG: boosted trees, and from cohort version 5 on also a linear model
({report["oracle"]["withPerson"]["people"]:,} people). *Closeness* is the ratio
of mean R, and of macro (AUROC − 0.5) over the four conditions that the bundle learned from virtual people.
{_versions(report)}

{_oracle(report)}

## Real people

{cad_groups(cad)}

{operating_points(cad)}

Brier score {cad["brier"]:.3f}. Thresholds were set on fold 8. {rule_line(cad)}

{proxies(report)}

{people_section(report)}

![Calibration]({FIGURES}/calibration.png)

## Virtual people

{virtual_groups(test)}

The lead sets are for {test["leadSets"]["12 leads"]["n"]:,} of them. {coverage(test)}

![Bland-Altman]({FIGURES}/bland-altman.png)

## Detection of input that is not an ECG (`ood`)

Every result has a score. Above {report["ood"]["threshold"]:g} the result is flagged. The limit flags 1% of PTB-XL fold 8, separately for each number of leads.
The table compares fold 9 with {next(iter(report["ood"]["kinds"].values()))["n"] - cad["n"] // 2} signals of each kind, made from its other ECGs.
The score was fitted to all kinds. The third column is the result with that kind left out of the fit (fold 8).

{ood_kinds(report["ood"])}

{false_alarms(report["ood"])}

## Noise

{report["noise"][0]["n"]} people of each test set, with noise added at the electrodes.

{_noise(report)}

{at_rates}

## ECG and CMR in one space

Retrieval belongs to a stage before `screening`. If its run did not include it, the figures are from the last run that did.

{_retrieval(report)}

{_int8(report)}"""
