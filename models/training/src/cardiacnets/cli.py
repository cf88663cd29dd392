"""`cardiacnets`: the stages of making a model bundle, in order."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from cardiacnets.cohort.cli import add_commands as add_cohort_commands
from cardiacnets.data.windows import cache_dir
from cardiacnets.pretraining_cli import add_commands as add_pretraining_commands
from cardiacnets.profile import REPOSITORY
from cardiacnets.segmentation_cli import add_commands as add_segmentation_commands

BUNDLE = REPOSITORY / "models" / "cardiacnets-compact"
REPORT = REPOSITORY / "models" / "training" / "reports" / "first.json"


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively (AVX-512 BF16), where autocast pays."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def train(options: argparse.Namespace) -> int:
    """Preprocess what is not cached yet, then train."""
    from cardiacnets.data.real import load_real
    from cardiacnets.data.virtual import load_virtual
    from cardiacnets.stages.screening import ScreeningConfig, TrainingData, train_screening

    config = replace(ScreeningConfig(), seed=options.seed, steps=options.steps, bfloat16=has_bfloat16())
    # Folds 1 to 8 only: training code never holds the test fold.
    data = TrainingData(load_real(tuple(range(1, 9))), load_virtual(options.cohort))
    print(train_screening(config, data, options.run_dir))
    return 0


def export(options: argparse.Namespace) -> int:
    """Calibrate, evaluate and write the bundle."""
    from cardiacnets.stages.export import export_bundle

    report = export_bundle(options.run_dir, options.cohort, options.bundle, options.version)
    print(f"{options.bundle}  PyTorch-ONNX difference {report['parity']:.1e}")
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a bundle on PTB-XL fold 9 and virtual test people."""
    from cardiacnets.stages.export import evaluate_bundle

    report = evaluate_bundle(options.bundle, options.cohort, options.report)
    summary = {
        "real": {name: [entry["auroc"], entry["ci"]] for name, entry in report["real"].items()},
        "virtual": {name: [entry["auroc"], entry["ci"]] for name, entry in report["test"]["conditions"].items()},
        **{name: report["test"][name] for name in ("meanR", "coverage90")},
    }
    print(json.dumps(summary, indent=1))
    return 0


def main() -> None:
    """Parse and run one command; its return value is the exit code."""
    parser = argparse.ArgumentParser(prog="cardiacnets", description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    cohort_option = argparse.ArgumentParser(add_help=False)
    cohort_option.add_argument(
        "--cohort", type=Path, default=cache_dir() / "cohort", help="folder of the virtual cohort (default %(default)s)"
    )
    run_option = argparse.ArgumentParser(add_help=False)
    run_option.add_argument(
        "--run-dir",
        type=Path,
        default=cache_dir() / "first",
        help="folder of checkpoints and log (default %(default)s)",
    )
    bundle_option = argparse.ArgumentParser(add_help=False)
    bundle_option.add_argument("--bundle", type=Path, default=BUNDLE, help="bundle folder (default %(default)s)")

    add_cohort_commands(commands)
    add_segmentation_commands(commands)
    add_pretraining_commands(commands, cohort_option)

    command = commands.add_parser(
        "train", parents=[cohort_option, run_option], help="train encoder and heads (resumes)"
    )
    command.add_argument("--steps", type=int, default=4400)
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(run=train)

    command = commands.add_parser(
        "export", parents=[cohort_option, run_option, bundle_option], help="calibrate and write the bundle"
    )
    command.add_argument("--version", default="0.1.0")
    command.set_defaults(run=export)

    command = commands.add_parser(
        "evaluate", parents=[cohort_option, bundle_option], help="report on PTB-XL fold 9 and virtual test people"
    )
    command.add_argument("--report", type=Path, default=REPORT)
    command.set_defaults(run=evaluate)

    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sys.exit(options.run(options))
