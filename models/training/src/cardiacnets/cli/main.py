"""`cardiacnets-train`: the stages of making a model bundle, in order."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from cardiacnets.cli import synthesis as synthesis_cli
from cardiacnets.cli.cohort import add_commands as add_cohort_commands
from cardiacnets.cli.segmentation import add_commands as add_segmentation_commands
from cardiacnets.data.windows import cache_dir
from cardiacnets.signal.profile import REPOSITORY

BUNDLE = REPOSITORY / "models" / "cardiacnets-compact"
REPORT = REPOSITORY / "models" / "training" / "reports" / "compact.json"
STAGE_NAMES = (
    "cohort", "segmentation", "hearts", "cmr", "ecg", "align", "screening", "vae", "diffusion", "distillation",
    "ablation",
)  # fmt: skip


def train(options: argparse.Namespace) -> int:
    """Run the programme, or one stage of it and what that stage needs."""
    from cardiacnets.device import has_bfloat16
    from cardiacnets.programme import STAGES, Programme, Run, in_bfloat16

    programme = in_bfloat16(Programme()) if has_bfloat16() else Programme()
    people = programme.people if options.people is None else options.people
    cines = programme.cine_people if options.cine_people is None else options.cine_people
    programme = replace(programme, people=people, cine_people=min(cines, people))
    run = Run(
        programme,
        options.run_dir,
        workers=options.threads,
        data=options.data,
        adopts=not options.afresh,
        start=options.from_bundle,
        keeps_convolutions=not options.all_weights,
    )
    for name in STAGES if options.stage is None else [options.stage]:
        for made in STAGES[name](run):
            print(f"{name}: {made}")
    return 0


def keep(options: argparse.Namespace) -> int:
    """Write the weights that a new machine need not train again."""
    from cardiacnets import weights

    for path in weights.keep(options.run_dir):
        print(path)
    return 0


def export(options: argparse.Namespace) -> int:
    """Calibrate, evaluate and write the bundle."""
    from cardiacnets.evaluation.export import export_bundle

    report = export_bundle(options.run_dir, options.bundle, options.version, with_int8=options.int8)
    print(f"{options.bundle}  PyTorch-ONNX difference {report['parity']:.1e}")
    print(json.dumps(report["choices"], indent=1))
    if (options.run_dir / "distillation" / "model.pt").exists():
        return synthesis_cli.export(options)
    return 0


def recalibrate(options: argparse.Namespace) -> int:
    """Other limits for the same networks."""
    from cardiacnets.evaluation.export import recalibrate_bundle

    print(json.dumps(recalibrate_bundle(options.run_dir, options.bundle, options.version), indent=1))
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Report on what `export` wrote: on validation data, or with `--final` on fold 9 and virtual test people.

    `--final` also writes plots, page and card.
    """
    from cardiacnets.evaluation.export import evaluate_bundle
    from cardiacnets.evaluation.markdown import put_section
    from cardiacnets.synthesis.page import choices_section, section, summary

    drawn = json.loads(synthesis_cli.REPORT.read_text()) if synthesis_cli.REPORT.exists() else None
    cmr = drawn and summary(drawn)
    report = evaluate_bundle(options.bundle, options.run_dir, options.report, options.page, cmr, final=options.final)
    figures = {
        "cad": [report["real"]["cad"][name] for name in ("auroc", "ci", "slope", "slopeCi")],
        "normalsFlagged": {name: entry["share"] for name, entry in report["real"]["normals"]["flagged"].items()},
        "hfTeacher": report["real"]["teacher"].get("hf", {}).get("r"),
        "virtual": {name: [entry["auroc"], entry["ci"]] for name, entry in report["test"]["conditions"].items()},
        **{name: report["test"][name] for name in ("macroAuroc", "meanR", "coverage90")},
        "closeness": {name: entry["closeness"] for name, entry in report["oracle"].items()},
        "ood": {name: entry["auroc"] for name, entry in report["ood"]["kinds"].items()},
    }
    print(json.dumps(figures, indent=1))
    if drawn and options.final:
        put_section(options.page, section(drawn))
    if options.final and synthesis_cli.CHOICES.exists():
        put_section(options.page, choices_section(json.loads(synthesis_cli.CHOICES.read_text())))
    return 0


def main() -> None:
    """Parse and run one command; its return value is the exit code."""
    parser = argparse.ArgumentParser(prog="cardiacnets-train", description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run_option = argparse.ArgumentParser(add_help=False)
    run_option.add_argument(
        "--run-dir",
        type=Path,
        default=cache_dir() / "compact",
        help="folder of the stages (default %(default)s)",
    )
    bundle_option = argparse.ArgumentParser(add_help=False)
    bundle_option.add_argument("--bundle", type=Path, default=BUNDLE, help="bundle folder (default %(default)s)")

    add_cohort_commands(commands)
    add_segmentation_commands(commands)
    synthesis_cli.add_commands(commands)

    command = commands.add_parser(
        "train", parents=[run_option], help="every stage from the virtual cohort to the ablation (resumes)"
    )
    command.add_argument(
        "--config",
        choices=["compact"],
        default="compact",
        help="sizes and steps (default %(default)s; for the paper's, docs/paper-configuration.md)",
    )
    command.add_argument(
        "--stage",
        choices=STAGE_NAMES,
        help="only this one, and what it needs",
    )
    command.add_argument(
        "--data", default="virtual", help="the people: virtual, ukb:DIR, mimic:DIR or csv:FILE (default %(default)s)"
    )
    command.add_argument(
        "--afresh", action="store_true", help="train pretraining stages too whose weights the repository keeps"
    )
    command.add_argument(
        "--from-bundle",
        type=Path,
        metavar="DIR",
        help="stage screening keeps this bundle's convolutions and trains its heads",
    )
    command.add_argument(
        "--all-weights", action="store_true", help="with --from-bundle: the convolutions learn too, by small steps"
    )
    command.add_argument("--people", type=int, help="virtual people (default 24000)")
    command.add_argument("--cine-people", type=int, help="of them with cines; screening needs none (default 6000)")
    command.set_defaults(run=train)

    command = commands.add_parser(
        "keep", parents=[run_option], help="put the weights of finished pretraining stages into the repository"
    )
    command.set_defaults(run=keep)

    command = commands.add_parser("export", parents=[run_option, bundle_option], help="calibrate and write the bundle")
    command.add_argument("--version", required=True, help="of the bundle that is written, such as 1.0.0")
    command.add_argument("--int8", action="store_true", help="the quantised variant too (not loaded)")
    command.set_defaults(run=export)

    command = commands.add_parser(
        "recalibrate",
        parents=[run_option, bundle_option],
        help="the limits and probabilities of the bundle that the run exported, anew, as another version",
    )
    command.add_argument("--version", required=True, help="of the bundle with these limits")
    command.set_defaults(run=recalibrate)

    command = commands.add_parser(
        "evaluate", parents=[run_option, bundle_option], help="write the report, its plots and docs/evaluation.md"
    )
    command.add_argument("--report", type=Path, default=REPORT)
    command.add_argument("--final", action="store_true", help="on PTB-XL fold 9, at most twice a version; else fold 8")
    command.add_argument("--page", type=Path, default=REPOSITORY / "docs" / "evaluation.md")
    command.set_defaults(run=evaluate)

    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sys.exit(options.run(options))
