"""`cardiacnets-train synthesis`: put what draws cines into a bundle, and measure what it draws."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiacnets.data.windows import cache_dir
from cardiacnets.signal.profile import REPOSITORY

if TYPE_CHECKING:
    from cardiacnets.programme import Run

BUNDLE = REPOSITORY / "models" / "cardiacnets-compact"
REPORT = REPOSITORY / "models" / "training" / "reports" / "synthesis.json"
CHOICES = REPORT.with_name("choices.json")
PAGE = REPOSITORY / "docs" / "evaluation.md"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `synthesis` with its subcommands to the `cardiacnets` parser."""
    parser = commands.add_parser("synthesis", help="draw cines: into the bundle, and how faithful they are")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--run-dir", type=Path, default=cache_dir() / "compact", help="default %(default)s")

    command = actions.add_parser("export", parents=[shared], help="add the drawing networks to a bundle")
    command.add_argument("--bundle", type=Path, default=BUNDLE, help="default %(default)s")
    command.add_argument("--version", help="the bundle's new one; default: as it is")
    command.set_defaults(run=export)

    command = actions.add_parser(
        "evaluate", parents=[shared], help="draw virtual test people; report, sheet and section of docs/evaluation.md"
    )
    command.add_argument("--people", type=int, default=160, help="default %(default)s")
    command.add_argument("--report", type=Path, default=REPORT)
    command.add_argument("--page", type=Path, default=PAGE)
    command.set_defaults(run=evaluate)

    command = actions.add_parser(
        "guidance", parents=[shared], help="what guidance does, on validation people: a line of JSON each"
    )
    command.add_argument("guidance", type=float, nargs="+")
    command.add_argument("--steps", type=int, default=12, help="default %(default)s")
    command.add_argument("--people", type=int, default=100, help="default %(default)s")
    command.set_defaults(run=guidance)

    command = actions.add_parser(
        "choices",
        parents=[shared],
        help="what the denoiser predicts and how it is distilled, each way trained and measured on validation people: "
        "a line of JSON each, report, and section of docs/evaluation.md",
    )
    command.add_argument("--people", type=int, default=160, help="default %(default)s")
    command.add_argument("--report", type=Path, default=CHOICES)
    command.add_argument("--page", type=Path, default=PAGE)
    command.set_defaults(run=choices)


def _run(options: argparse.Namespace) -> "Run":
    from cardiacnets.device import has_bfloat16
    from cardiacnets.programme import Programme, Run, in_bfloat16

    return Run(in_bfloat16(Programme()) if has_bfloat16() else Programme(), options.run_dir, adopts=True)


def export(options: argparse.Namespace) -> int:
    """Fit the read-out, export, and add `synthesis` to the manifest and what `evaluate` measured to the card."""
    from cardiacnets.synthesis.export import export_drawing
    from cardiacnets.synthesis.report import SynthesisReportConfig

    report = json.loads(REPORT.read_text()) if REPORT.exists() else None
    config = SynthesisReportConfig()
    difference = export_drawing(_run(options), options.bundle, config, version=options.version, report=report)
    print(f"{options.bundle}  PyTorch-ONNX difference {difference:.1e}")
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure, and write report, sheet and page."""
    from cardiacnets.evaluation.markdown import put_section
    from cardiacnets.synthesis.page import section
    from cardiacnets.synthesis.report import SynthesisReportConfig, evaluate_synthesis

    report = evaluate_synthesis(_run(options), SynthesisReportConfig(people=options.people), options.report)
    put_section(options.page, section(report))
    print(json.dumps({name: report["drawn"][name]["function"] for name in report["drawn"]}, indent=1))
    return 0


def guidance(options: argparse.Namespace) -> int:
    """Draw validation people with each guidance."""
    from cardiacnets.synthesis.report import SynthesisReportConfig, try_guidance

    ways = [(options.steps, value) for value in options.guidance]
    for figures in try_guidance(_run(options), SynthesisReportConfig(people=options.people), ways):
        print(json.dumps(figures), flush=True)
    return 0


def choices(options: argparse.Namespace) -> int:
    """Train what is missing, draw validation people in each way; report and section of the page."""
    from cardiacnets.evaluation.markdown import put_section
    from cardiacnets.synthesis.page import choices_section
    from cardiacnets.synthesis.report import SynthesisReportConfig, compare_choices

    run = _run(options)
    p = run.programme
    steps = {"diffusion": p.choice_steps, "distillation": p.distillation.optimisation.steps}
    report: dict[str, Any] = {"trainingSteps": steps}
    for choice, figures in compare_choices(run, SynthesisReportConfig(people=options.people)):
        print(json.dumps({"choice": choice} | figures), flush=True)
        report.setdefault(choice, []).append(figures)
    options.report.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    put_section(options.page, choices_section(report))
    return 0
