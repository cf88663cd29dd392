"""`cardiacnets-train synthesis`: put the drawing networks into a bundle, and measure what they draw."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from cardiacnets.data.windows import cache_dir
from cardiacnets.signal.profile import REPOSITORY

if TYPE_CHECKING:
    from cardiacnets.programme import Run
    from cardiacnets.synthesis.figures import ChoicesReport

BUNDLE = REPOSITORY / "models" / "cardiacnets-compact"
REPORT = REPOSITORY / "models" / "training" / "reports" / "synthesis.json"
CHOICES = REPORT.with_name("choices.json")
PAGE = REPOSITORY / "docs" / "evaluation.md"


def _run(run_dir: Path, config: str = "compact") -> "Run":
    from cardiacnets.device import has_bfloat16
    from cardiacnets.programme import COMPACT, Run, in_bfloat16, read_programme

    programme = read_programme(config)
    if config == COMPACT and has_bfloat16():
        programme = in_bfloat16(programme)
    return Run(programme, run_dir, adopts=True)


@dataclass(frozen=True)
class Export:
    """Fit the read-out and add the drawing networks to a bundle, and what `evaluate` measured to its card."""

    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    bundle: Path = BUNDLE
    """Bundle folder."""
    version: str | None = None
    """The bundle's new version; by default it stays."""
    config: str = "compact"
    """The sizes that the run was trained with, and the samplers: compact or a TOML file."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.synthesis.export import export_drawing
        from cardiacnets.synthesis.report import SynthesisReportConfig

        report = json.loads(REPORT.read_text()) if REPORT.exists() else None
        config = SynthesisReportConfig()
        run = _run(self.run_dir, self.config)
        difference = export_drawing(run, self.bundle, config, version=self.version, report=report)
        print(f"{self.bundle}  PyTorch-ONNX difference {difference:.1e}")
        return 0


@dataclass(frozen=True)
class Evaluate:
    """Draw virtual test people; write report, sheet and section of docs/evaluation.md."""

    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    people: int = 500
    """Test people."""
    report: Path = REPORT
    """The JSON that is written; its sheet is beside it."""
    page: Path = PAGE
    """Gets the section."""
    config: str = "compact"
    """The sizes that the run was trained with, and the samplers: compact or a TOML file."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.evaluation.markdown import put_section
        from cardiacnets.synthesis.page import section
        from cardiacnets.synthesis.report import SynthesisReportConfig, evaluate_synthesis

        run = _run(self.run_dir, self.config)
        report = evaluate_synthesis(run, SynthesisReportConfig(people=self.people), self.report)
        put_section(self.page, section(report))
        print(json.dumps({name: report["drawn"][name]["function"] for name in report["drawn"]}, indent=1))
        return 0


@dataclass(frozen=True)
class Guidance:
    """Draw validation people with each guidance; prints one line of JSON per guidance."""

    guidance: Positional[tuple[float, ...]]
    """Factors of classifier-free guidance."""
    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    steps: int = 12
    """DDIM steps."""
    people: int = 100
    """Validation people."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.synthesis.report import SynthesisReportConfig, try_guidance

        trials = [(self.steps, value) for value in self.guidance]
        for figures in try_guidance(_run(self.run_dir), SynthesisReportConfig(people=self.people), trials):
            print(json.dumps(figures), flush=True)
        return 0


@dataclass(frozen=True)
class Choices:
    """Compare prediction targets and distillation methods on validation people.

    Trains each candidate that is missing. Prints one line of JSON per candidate, and writes the report and a section of
    docs/evaluation.md.
    """

    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    people: int = 160
    """Validation people."""
    report: Path = CHOICES
    """The JSON that is written."""
    page: Path = PAGE
    """Gets the section."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.evaluation.markdown import put_section
        from cardiacnets.synthesis.page import choices_section
        from cardiacnets.synthesis.report import SynthesisReportConfig, compare_choices

        run = _run(self.run_dir)
        p = run.programme
        steps = {"diffusion": p.choice_steps, "distillation": p.distillation.optimisation.steps}
        report: ChoicesReport = {"trainingSteps": steps, "prediction": [], "distillation": []}
        for choice, figures in compare_choices(run, SynthesisReportConfig(people=self.people)):
            print(json.dumps({"choice": choice, **figures}), flush=True)
            report[choice].append(figures)
        self.report.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
        put_section(self.page, choices_section(report))
        return 0


@dataclass(frozen=True)
class Synthesis:
    """Draw cines: export to the bundle, and how faithful they are."""

    action: Export | Evaluate | Guidance | Choices

    def __call__(self) -> int:
        """Run the action."""
        return self.action()
