"""The report on a cohort of one's own as Markdown, and the card of its bundle."""

from typing import Any

from cardiacnets.bundle.write import NOTICE, BundleFacts
from cardiacnets.evaluation.markdown import table


def own_page(report: dict[str, Any]) -> str:
    """What `own.report_of` found."""
    conditions = [
        [
            name,
            f"{entry['positive']} of {entry['n']}",
            f"{entry['auroc']:.3f} ({entry['ci'][0]:.3f}–{entry['ci'][1]:.3f})"
            if "auroc" in entry
            else "too few people",
            _share(entry.get("sensitivity")),
            _share(entry.get("specificity")),
            f"{entry['calibration']['slope']:.2f}" if "calibration" in entry else "–",
        ]
        for name, entry in report["conditions"].items()
    ]
    by_r = sorted(report["indices"].items(), key=lambda item: -(item[1]["r"] or 0))
    indices = [[name, str(entry["n"]), f"{entry['r']:.3f}"] for name, entry in by_r]
    return (
        f"""# {report["data"]}: {report["ecgs"]} ECGs of {report["people"]} test people

**{NOTICE}** 95% intervals. AUROC: over draws of people, who may have several ECGs each. Thresholds (Youden) and calibration: validation people.

{table(["condition", "with it", "AUROC", "sensitivity", "specificity", "calibration slope"], conditions)}

{_summary(report)}
{table(["index", "n", "R"], indices) if indices else ""}
""".rstrip()
        + "\n"
    )


def _share(found: dict[str, Any] | None) -> str:
    return f"{found['share']:.2f} ({found['ci'][0]:.2f}–{found['ci'][1]:.2f})" if found and found["ci"] else "–"


def _summary(report: dict[str, Any]) -> str:
    if report["meanR"] is None:
        return "No index of enough people is known."
    inside = (
        ""
        if report["coverage90"] is None
        else f"; {report['coverage90']:.1%} of the true values lie within the 90% intervals"
    )
    return f"Mean R {report['meanR']:.3f}{inside}.\n"


def own_card(facts: BundleFacts, data: str) -> str:
    """MODEL_CARD.md."""
    return f"""# {facts.name} {facts.version}

**{NOTICE}** Do not use it for the care of any person.

Trained, calibrated and measured on {data} alone. `cardiacnets-train evaluate --data` reports on its test people.

Licence Apache-2.0. Seed {facts.training["seeds"][0]}, commit {facts.training["commit"][:12]}.
"""
