"""`cardiacnets-train segmentation`: measure the networks that find the heart in a cine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from cardiacnets.cli.cohort import DEFAULT_SEED
from cardiacnets.data.windows import cache_dir
from cardiacnets.domain import VIEWS
from cardiacnets.signal.profile import REPOSITORY

REPORT = REPOSITORY / "models" / "training" / "reports" / "segmentation.json"
DEFAULT_PEOPLE = 400


@dataclass(frozen=True)
class Segmentation:
    """How well the heart is found in a cine: Dice on virtual test people and real slices."""

    action: Positional[Literal["evaluate"]]
    run_dir: Path = cache_dir() / "compact" / "segmentation"
    """Folder of the stage."""
    people: int = DEFAULT_PEOPLE
    """Virtual people."""
    cohort_seed: int = DEFAULT_SEED
    """Of the cohort."""
    report: Path = REPORT
    """The JSON that is written; its picture is beside it."""

    def __call__(self) -> int:
        """Write the report and its picture; real slices are left out, with a message, where they are absent."""
        from cardiacnets.data.real_cmr import has_real_cmr, load_pig, load_sunnybrook_dicom, load_sunnybrook_jpeg
        from cardiacnets.data.segmentation_frames import load_frames
        from cardiacnets.evaluation.segmentation import report_segmentation
        from cardiacnets.stages.segmentation import load_segmenter

        views = [view for view in VIEWS if (self.run_dir / view / "model.pt").exists()]
        segmenters = {view: load_segmenter(self.run_dir / view / "model.pt") for view in views}
        virtual = {view: load_frames(view, self.people, self.cohort_seed).part("test") for view in views}
        people, pig = [], []
        if has_real_cmr():
            people, pig = load_sunnybrook_jpeg() + load_sunnybrook_dicom(), load_pig()
        else:
            print("no real CMR in the data folder: virtual people only")
        logs = {view: (self.run_dir / view / "log.jsonl").read_text() for view in views}
        training = {view: json.loads(log.splitlines()[-1]) for view, log in logs.items()}
        about = {"cohortSeed": self.cohort_seed, "virtualPeople": self.people, "training": training}
        figures = report_segmentation(segmenters, virtual, people, pig, self.report, about)
        printed = ("virtualTest", "virtualStacks", "people", "pig")
        print(json.dumps({name: figures[name] for name in printed if name in figures}, indent=1))
        return 0
