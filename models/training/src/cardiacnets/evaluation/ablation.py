"""What the finished runs of the stage `ablation` show, by the ECG alone and with the person.

Compared as the frozen encoders of `probes` are: an interval covers seeds, each with its own draw of labels, and test
people at once. Each pretraining ran once and is not resampled.

`python -m cardiacnets.evaluation.ablation [--run-dir DIR]` writes the report and a section of docs/evaluation.md.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.configuration import from_json, to_json
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.data.windows import cache_dir
from cardiacnets.evaluation import probes
from cardiacnets.evaluation.probes import PAGE, REPORT, ROUNDS, Compared
from cardiacnets.stages import ablation
from cardiacnets.stages.ablation import VARIANTS, AblationConfig, AblationRun, people_of, runs_of, steps_open
from cardiacnets.stages.screening import labelled_rows

ABLATION_REPORT = REPORT.with_name("ablation.json")
SCRATCH = "from scratch"
NAMES: Mapping[str, str] = {
    ablation.SCRATCH: SCRATCH,
    ablation.MASKED: probes.MASKED,
    ablation.SHUFFLED: probes.SHUFFLED,
    ablation.ALIGNED: probes.ALIGNED,
}


def finished(config: AblationConfig, folder: Path) -> dict[float, list[list[AblationRun]]]:
    """The whole comparisons of each share of the labels: the runs of all variants with one seed."""
    found: dict[float, list[list[AblationRun]]] = {}
    runs = runs_of(config)
    for start in range(0, len(runs), len(VARIANTS)):
        comparison = runs[start : start + len(VARIANTS)]
        if all((folder / f"{run.name}.npz").exists() for run in comparison):
            found.setdefault(comparison[0].fraction, []).append(comparison)
    return dict(sorted(found.items()))


def measure_ablation(people: VirtualSet, folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Every variant at every share of the labels and each pair's difference, from the runs in `folder`.

    `people`: those of the cohort, as `run_ablation` had them.
    """
    config = from_json(AblationConfig, json.loads((folder / "config.json").read_text()))
    some = people_of(config, people)
    truth = np.concatenate([some.conditions, some.indices], axis=1)[some.split == "test"].astype(np.float64)
    comparisons = finished(config, folder)
    report: dict[str, Any] = {"config": to_json(config), "testPeople": len(truth)}
    for which in ("alone", "withPerson"):
        found = Compared([], [])
        for share, seeds in comparisons.items():
            labelled = len(labelled_rows(some.split, share, 0))
            found.add(truth, share, labelled, _answers(seeds, folder, which), rounds, fewer=1)
        report[which] = to_json(found)
    return report | {"learning": [line for seeds in comparisons.values() for line in _learning(config, seeds, folder)]}


def _answers(seeds: list[list[AblationRun]], folder: Path, which: str) -> dict[str, NDArray[np.floating]]:
    """[1,seeds,n,5+82] of each variant."""
    return {
        NAMES[runs[0].variant]: np.stack([np.load(folder / f"{run.name}.npz")[which] for run in runs])[None]
        for runs in zip(*seeds, strict=True)
    }


def _learning(config: AblationConfig, seeds: list[list[AblationRun]], folder: Path) -> Iterator[dict[str, Any]]:
    """How long the runs of each variant learned at one share.

    The mean step of the best validation, the steps that were open, and how many runs stopped before, as validation
    showed no gain.
    """
    for runs in zip(*seeds, strict=True):
        logs = [[json.loads(line) for line in (folder / run.name / "log.jsonl").open()] for run in runs]
        best = [max(log, key=lambda line: ablation.score(line["validation"]))["step"] for log in logs]
        most = steps_open(config, runs[0])
        yield {
            "labels": runs[0].fraction,
            "start": NAMES[runs[0].variant],
            "bestStep": round(float(np.mean(best))),
            "stepsOpen": most,
            "stopped": sum(log[-1]["step"] < most for log in logs),
            "runs": len(runs),
        }


def main() -> None:
    """Write the report, the picture and the section."""
    from cardiacnets.cohort.cache import COHORT_VERSION
    from cardiacnets.data.virtual import load_virtual
    from cardiacnets.evaluation.ablation_page import draw, section
    from cardiacnets.evaluation.markdown import put_section

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact")
    options = parser.parse_args()
    torch.set_num_threads(1)
    people = load_virtual(options.run_dir / "cohort")
    report = {"cohortVersion": COHORT_VERSION} | measure_ablation(people, options.run_dir / "ablation")
    frozen = json.loads(REPORT.read_text())["withPerson"]["rows"]
    report |= {"personAlone": [row for row in frozen if row["start"] == probes.PERSON_ALONE]}
    ABLATION_REPORT.write_text(json.dumps(report, indent=1) + "\n")
    draw(ABLATION_REPORT.with_suffix(".png"), report)
    put_section(PAGE, section(report))
    print(section(report))


if __name__ == "__main__":
    main()
