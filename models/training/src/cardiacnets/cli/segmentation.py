"""`cardiacnets-train segmentation`: measure the networks that find the heart in a cine."""

import argparse
import json
from pathlib import Path

from cardiacnets.data.windows import cache_dir
from cardiacnets.domain import VIEWS
from cardiacnets.signal.profile import REPOSITORY

REPORT = REPOSITORY / "models" / "training" / "reports" / "segmentation.json"
DEFAULT_PEOPLE = 400


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `segmentation` with its subcommands to the `cardiacnets` parser."""
    from cardiacnets.cli.cohort import DEFAULT_SEED

    parser = commands.add_parser("segmentation", help="how well the heart is found in a cine")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    shared = argparse.ArgumentParser(add_help=False)
    trained = cache_dir() / "compact" / "segmentation"
    shared.add_argument("--run-dir", type=Path, default=trained, help="default %(default)s")
    shared.add_argument("--people", type=int, default=DEFAULT_PEOPLE, help="virtual people (default %(default)s)")
    shared.add_argument("--cohort-seed", type=int, default=DEFAULT_SEED)

    command = actions.add_parser("evaluate", parents=[shared], help="Dice on virtual test people and real slices")
    command.add_argument("--report", type=Path, default=REPORT)
    command.set_defaults(run=evaluate)


def evaluate(options: argparse.Namespace) -> int:
    """Write the report and its picture; real slices are left out, with a message, where they are absent."""
    from cardiacnets.data.real_cmr import has_real_cmr, load_pig, load_sunnybrook_dicom, load_sunnybrook_jpeg
    from cardiacnets.data.segmentation_frames import load_frames
    from cardiacnets.evaluation.segmentation import report_segmentation
    from cardiacnets.stages.segmentation import load_segmenter

    views = [view for view in VIEWS if (options.run_dir / view / "model.pt").exists()]
    segmenters = {view: load_segmenter(options.run_dir / view / "model.pt") for view in views}
    virtual = {view: load_frames(view, options.people, options.cohort_seed).part("test") for view in views}
    people, pig = [], []
    if has_real_cmr():
        people, pig = load_sunnybrook_jpeg() + load_sunnybrook_dicom(), load_pig()
    else:
        print("no real CMR in the data folder: virtual people only")
    training = {view: json.loads((options.run_dir / view / "log.jsonl").read_text().splitlines()[-1]) for view in views}
    about = {"cohortSeed": options.cohort_seed, "virtualPeople": options.people, "training": training}
    figures = report_segmentation(segmenters, virtual, people, pig, options.report, about)
    printed = ("virtualTest", "virtualStacks", "people", "pig")
    print(json.dumps({name: figures[name] for name in printed if name in figures}, indent=1))
    return 0
