"""The section of `docs/evaluation.md` about frozen encoders, from `reports/probes.json`."""

from collections.abc import Mapping
from typing import Any

from cardiacnets.evaluation.markdown import table
from cardiacnets.evaluation.probes import ALIGNED, DRAWS, INITIAL, SHUFFLED

TITLE = "## What pretraining leaves in a frozen encoder"
MEASURES = ("alone", "macroAuroc"), ("alone", "meanR"), ("withPerson", "macroAuroc"), ("withPerson", "meanR")
HEAD = "macro AUROC", "mean R", "with the person: macro AUROC", "with the person: mean R"


def levels(report: Mapping[str, Any]) -> str:
    """A table of every start at every share of the labels, by the ECG alone and with the person."""
    found = {(which, row["labels"], row["start"]): row for which, _ in MEASURES for row in report[which]["rows"]}
    lines = []
    for share, start in _keys(report):
        rows = [(name, found.get((which, share, start))) for which, name in MEASURES]
        lines.append([f"{share:.0%} ({found['withPerson', share, start]['people']:,})", start])
        lines[-1] += [f"{row[name]:.3f}" if row else "–" for name, row in rows]
    return table(["labels (people)", "start", *HEAD], lines)


def gains(report: Mapping[str, Any], of: str = ALIGNED) -> str:
    """A table of the gain of one start over each that comes before it; **bold** if zero is outside the interval."""
    pairs = {
        (which, pair["labels"], pair["than"]): pair
        for which, _ in MEASURES
        for pair in report[which]["pairs"]
        if pair["better"] == of
    }
    lines = [
        [f"{share:.0%}", start, *(_difference(pairs.get((which, share, start)), name) for which, name in MEASURES)]
        for share, start in _keys(report)
        if ("withPerson", share, start) in pairs
    ]
    return table(["labels", "compared with", *HEAD], lines)


def _keys(report: Mapping[str, Any]) -> list[tuple[float, str]]:
    return list(dict.fromkeys((row["labels"], row["start"]) for row in report["withPerson"]["rows"]))


def section(report: Mapping[str, Any]) -> str:
    """Of docs/evaluation.md, from `reports/probes.json`: the starts, and what contrast with CMR adds to each."""
    return f"""{TITLE}

`python -m cardiacnets.evaluation.probes` (in `models/training`): a ridge regression reads conditions and indices from the frozen encoder's tokens.
The figures are for {report["testPeople"]:,} virtual test people of cohort version {report["cohortVersion"]}. The people with labels are drawn {DRAWS[0.1]} times up to 10%,
{DRAWS[0.25]} times at 25%. {INITIAL} encoders have random weights; each pretraining ran once.
{SHUFFLED.capitalize()} had the same steps, but each ECG belonged to another person's cines.

{levels(report)}

The second table has the gain of contrast with CMR over each other start. Intervals are over draws of labels, random weights and people at once,
not over pretrainings (**bold** if zero is outside):

{gains(report)}
"""


def _difference(pair: Mapping[str, Any] | None, name: str) -> str:
    if pair is None:
        return "–"
    (low, high), value = pair[name]["ci"], pair[name]["difference"]
    text = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"**{text}**" if low > 0 or high < 0 else text
