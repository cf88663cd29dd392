"""`cardiacnets-train`: the stages of making a model bundle, in order."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from tyro.conf import Positional

from cardiacnets.cli import synthesis as synthesis_cli
from cardiacnets.cli.cohort import Cohort
from cardiacnets.cli.segmentation import Segmentation
from cardiacnets.cli.synthesis import Synthesis
from cardiacnets.data.windows import cache_dir
from cardiacnets.signal.profile import REPOSITORY

BUNDLE = REPOSITORY / "models" / "cardiacnets-compact"
REPORT = REPOSITORY / "models" / "training" / "reports" / "compact.json"
EARLIER = REPORT.with_name("earlier-people.json")
Stage = Literal[
    "cohort", "segmentation", "hearts", "cmr", "ecg", "align", "screening", "vae", "diffusion", "distillation",
    "ablation",
]  # fmt: skip


@dataclass(frozen=True)
class Train:
    """Train every stage, from the virtual cohort to the ablation; resumes."""

    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    config: Literal["compact"] = "compact"
    """Sizes and steps; for the paper's, see docs/paper-configuration.md."""
    stage: Stage | None = None
    """Only this stage, and what it needs."""
    data: str = "virtual"
    """The people: virtual, ukb:DIR, mimic:DIR or csv:FILE."""
    afresh: bool = False
    """Train pretraining stages too whose weights the repository keeps."""
    from_bundle: Path | None = None
    """Stage screening keeps this bundle's convolutions and trains its heads."""
    all_weights: bool = False
    """With --from-bundle: the convolutions learn too, by small steps."""
    people: int | None = None
    """Virtual people; by default 24000."""
    cine_people: int | None = None
    """Of them with cines; screening needs none. By default 6000."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.device import has_bfloat16
        from cardiacnets.programme import STAGES, Programme, Run, in_bfloat16

        programme = in_bfloat16(Programme()) if has_bfloat16() else Programme()
        people = programme.people if self.people is None else self.people
        cines = programme.cine_people if self.cine_people is None else self.cine_people
        programme = replace(programme, people=people, cine_people=min(cines, people))
        run = Run(
            programme,
            self.run_dir,
            workers=torch.get_num_threads(),
            data=self.data,
            adopts=not self.afresh,
            start=self.from_bundle,
            keeps_convolutions=not self.all_weights,
        )
        for name in STAGES if self.stage is None else [self.stage]:
            for made in STAGES[name](run):
                print(f"{name}: {made}")
        return 0


@dataclass(frozen=True)
class Keep:
    """Put the weights of finished pretraining stages into the repository."""

    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets import weights

        for path in weights.keep(self.run_dir):
            print(path)
        return 0


@dataclass(frozen=True)
class Export:
    """Calibrate and write the bundle."""

    version: str
    """Of the bundle that is written, such as 1.0.0."""
    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    bundle: Path = BUNDLE
    """Bundle folder."""
    int8: bool = False
    """The quantised variant too (not loaded)."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.evaluation.export import export_bundle

        report = export_bundle(self.run_dir, self.bundle, self.version, with_int8=self.int8)
        print(f"{self.bundle}  PyTorch-ONNX difference {report['parity']:.1e}")
        print(json.dumps(report["choices"], indent=1))
        if (self.run_dir / "distillation" / "model.pt").exists():
            return synthesis_cli.Export(self.run_dir, self.bundle, self.version)()
        return 0


@dataclass(frozen=True)
class Recalibrate:
    """Fit limits and probabilities of the exported bundle again, as another version; its networks stay."""

    version: str
    """Of the bundle with these limits."""
    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    bundle: Path = BUNDLE
    """Bundle folder."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.evaluation.export import recalibrate_bundle

        print(json.dumps(recalibrate_bundle(self.run_dir, self.bundle, self.version), indent=1))
        return 0


@dataclass(frozen=True)
class Evaluate:
    """Report on what `export` wrote: on validation data, or with --final on fold 9 and virtual test people.

    --final also writes plots, docs/evaluation.md and the card.
    """

    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    bundle: Path = BUNDLE
    """Bundle folder."""
    report: Path = REPORT
    """The JSON that is written."""
    final: bool = False
    """On PTB-XL fold 9, at most twice a version; else on fold 8."""
    page: Path = REPOSITORY / "docs" / "evaluation.md"
    """Written by --final."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.evaluation.export import evaluate_bundle
        from cardiacnets.evaluation.markdown import put_section
        from cardiacnets.synthesis.page import choices_section, section, summary

        drawn = json.loads(synthesis_cli.REPORT.read_text()) if synthesis_cli.REPORT.exists() else None
        cmr = drawn and summary(drawn)
        report = evaluate_bundle(self.bundle, self.run_dir, self.report, self.page, cmr, final=self.final)
        figures = {
            "cad": [report["real"]["cad"][name] for name in ("auroc", "ci", "slope", "slopeCi")],
            "normalsFlagged": {name: entry["share"] for name, entry in report["real"]["normals"]["flagged"].items()},
            "hfTeacher": report["real"]["teacher"]["hf"]["r"] if "hf" in report["real"]["teacher"] else None,
            "virtual": {name: [entry["auroc"], entry["ci"]] for name, entry in report["test"]["conditions"].items()},
            **{name: report["test"][name] for name in ("macroAuroc", "meanR", "coverage90")},
            "closeness": {name: entry["closeness"] for name, entry in report["oracle"].items()},
            "ood": {name: entry["auroc"] for name, entry in report["ood"]["kinds"].items()},
        }
        print(json.dumps(figures, indent=1))
        if drawn and self.final:
            put_section(self.page, section(drawn))
        if self.final and synthesis_cli.CHOICES.exists():
            put_section(self.page, choices_section(json.loads(synthesis_cli.CHOICES.read_text())))
        return 0


@dataclass(frozen=True)
class Measure:
    """Sensitivity of the bundle's limits on the test people of any cohort folder, also of older code."""

    cohort: Positional[Path]
    """Folder that `cohort generate` wrote, of any version."""
    run_dir: Path = cache_dir() / "compact"
    """Folder of the stages."""
    bundle: Path = BUNDLE
    """Bundle folder."""
    report: Path = EARLIER
    """The JSON that is written."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.evaluation.export import measure_on

        print(json.dumps(measure_on(self.bundle, self.run_dir, self.cohort, self.report), indent=1))
        return 0


Command = Cohort | Segmentation | Synthesis | Train | Keep | Export | Recalibrate | Evaluate | Measure


@dataclass(frozen=True)
class Options:
    """The stages of making a model bundle, in order."""

    command: Command
    threads: int = 2
    """CPU threads."""


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The command and its options from a command line, by default this process's; exits with 2 if it is wrong."""
    omitted = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(Options, prog="cardiacnets-train", args=arguments, config=omitted)


def main() -> None:
    """Parse and run one command; its return value is the exit code."""
    try:
        try:
            options = parse()
            torch.set_num_threads(options.threads)
            code = options.command()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Its reader has enough, as `| head` does. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
