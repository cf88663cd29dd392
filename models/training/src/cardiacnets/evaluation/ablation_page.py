"""The section of `docs/evaluation.md` about fine-tuned networks, and its picture, from `reports/ablation.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from cardiacnets.evaluation.ablation import NAMES, SCRATCH
from cardiacnets.evaluation.figures import PAIR
from cardiacnets.evaluation.markdown import table
from cardiacnets.evaluation.plots import save
from cardiacnets.evaluation.probes import ALIGNED, MASKED, SHUFFLED
from cardiacnets.evaluation.probes_page import HEAD, MEASURES, gains, levels

TITLE = "## The effect of pretraining"
CLAIMS = (ALIGNED, SCRATCH), (ALIGNED, MASKED), (ALIGNED, SHUFFLED), (MASKED, SCRATCH)


def section(report: Mapping[str, Any]) -> str:
    """Of docs/evaluation.md: fine-tuned networks, what each pretraining adds, and where an interval says so."""
    config = report["config"]
    return f"""{TITLE}

`cardiacnets-train train --stage ablation`, then `python -m cardiacnets.evaluation.ablation` (in `models/training`): the whole network is fine-tuned.
The figures are for {report["testPeople"]:,} virtual test people of cohort version {report["cohortVersion"]}, the same as for [frozen encoders](#what-pretraining-leaves-in-a-frozen-encoder).

- Each run has a seed of its own, which draws the people with labels and the first weights.
  Seeds done of those planned: {_seeds(report)}.
- A run stops when {config["patience"]} validations in a row show no gain, and keeps its best step. Equal steps of {config["batch"]} ECGs are open to pretrained networks,
  {config["longer"]:g} times as many from scratch. {config["validation_people"]} validation people decide; their labels are not counted in the share.
- Networks saw the first {config["seconds"]} s of each ECG, in training and test, with all leads.
- **Intervals are over seeds and test people at once, not over pretrainings**: each pretraining ran once.
  Another pretraining of the same kind could differ by more than an interval says.
{_person_alone(report)}

{levels(report)}

How long they learned: the mean step of the best validation, the steps that were open, and the runs that stopped before.

{_learning(report)}

The gain of contrast with CMR over each other start (**bold** if zero is outside the interval):

{gains(report)}

The gain of masked ECGs:

{gains(report, MASKED)}

Where the interval says so:

{claims(report)}

![Fine-tuned networks by the share of labels](../models/training/reports/ablation.png)
"""


def _seeds(report: Mapping[str, Any]) -> str:
    config = report["config"]
    done = {row["labels"]: row["runs"] for row in report["alone"]["rows"] if row["start"] == ALIGNED}
    planned = zip(config["fractions"], config["seeds"], strict=True)
    return ", ".join(f"{done.get(share, 0)} of {seeds} at {share:.0%}" for share, seeds in planned)


def _person_alone(report: Mapping[str, Any]) -> str:
    """What the person alone says, read by a ridge regression (`probes`) from as many labels."""
    done = {row["labels"] for row in report["alone"]["rows"]}
    found = [f"{row['meanR']:.3f} at {row['labels']:.0%}" for row in report["personAlone"] if row["labels"] in done]
    return f"""- The person alone, read by a ridge regression, gives a mean R of {", ".join(found) or "–"}.
  A network whose R with the person is not above this has not learned to read the person in these steps.
  Contrast had the person as input, masked modelling had not: part of its gain with the person is that."""


def _learning(report: Mapping[str, Any]) -> str:
    lines = report["learning"]
    shares = sorted({line["labels"] for line in lines})
    found = {(line["start"], line["labels"]): line for line in lines}
    rows = [
        [start]
        + [
            f"{e['bestStep']} of {e['stepsOpen']}; {e['stopped']} of {e['runs']}"
            for e in (found[start, s] for s in shares)
        ]
        for start in NAMES.values()
    ]
    return table(["start", *(f"{share:.0%} of the labels" for share in shares)], rows)


def claims(report: Mapping[str, Any]) -> str:
    """A table of where one start is better or worse than another, beyond the interval."""
    lines = []
    for better, than in CLAIMS:
        for (which, name), title in zip(MEASURES, HEAD, strict=True):
            of = [pair for pair in report[which]["pairs"] if (pair["better"], pair["than"]) == (better, than)]
            won, lost = ([_percent(p) for p in of if test(p[name]["ci"])] for test in (_is_above, _is_below))
            open_ = [_percent(p) for p in of if not _is_above(p[name]["ci"]) and not _is_below(p[name]["ci"])]
            cells = [", ".join(where) or "–" for where in (won, lost, open_)]
            lines.append([f"{better} against {than}", title, *cells])
    return table(["compared", "figure", "better at", "worse at", "no difference shown at"], lines)


def _percent(pair: Mapping[str, Any]) -> str:
    return f"{pair['labels']:.0%}"


def _is_above(interval: list[float]) -> bool:
    return interval[0] > 0


def _is_below(interval: list[float]) -> bool:
    return interval[1] < 0


def draw(path: Path, report: Mapping[str, Any]) -> None:
    """Both figures by the ECG alone, over the share of labels: mean and standard deviation over seeds."""
    figure, grid = plt.subplots(1, 2, figsize=(10, 4.2))
    rows = report["alone"]["rows"]
    shares = sorted({row["labels"] for row in rows})
    for place, (axes, (name, label)) in enumerate(zip(grid, PAIR, strict=True)):
        for start in NAMES.values():
            own = [row for row in rows if row["start"] == start]
            axes.errorbar(
                [row["labels"] for row in own],
                [row[name] for row in own],
                [row["spread"][place] for row in own],
                label=start,
                capsize=3,
            )
        axes.set(xscale="log", xlabel="share of people whose labels are known", ylabel=label)
        axes.set_xticks(shares, [f"{100 * share:g}%" for share in shares])
        axes.minorticks_off()
    grid[0].legend(fontsize=8)
    grid[0].set_title("virtual test people, ECG alone; bars: SD over seeds", fontsize=9)
    save(figure, path)
