"""`cardiacnets-train`: the stages of making a model bundle, in order."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
import tyro
from tyro.conf import Positional

from cardiacnets.cli import synthesis as synthesis_cli
from cardiacnets.cli.cohort import Cohort
from cardiacnets.cli.segmentation import Segmentation
from cardiacnets.cli.synthesis import Synthesis
from cardiacnets.configuration import ConfigurationError
from cardiacnets.data.errors import SourceError
from cardiacnets.data.windows import cache_dir
from cardiacnets.signal.profile import REPOSITORY

if TYPE_CHECKING:
    from cardiacnets.data.source import CohortSource

BUNDLE = REPOSITORY / "models" / "cardiacnets-compact"
REPORT = REPOSITORY / "models" / "training" / "reports" / "compact.json"
EARLIER = REPORT.with_name("earlier-people.json")
VIRTUAL = "virtual"
Stage = Literal[
    "cohort", "segmentation", "hearts", "cmr", "ecg", "align", "screening", "vae", "diffusion", "distillation",
    "ablation",
]  # fmt: skip


@dataclass(frozen=True)
class Train:
    """Train every stage, from the virtual cohort to the ablation; resumes. A student only where it is shipped.

    On several GPUs: torchrun --standalone --nproc-per-node 8 -m cardiacnets.cli.main train …
    """

    run_dir: Path | None = None
    """Folder of the stages; by default one in the cache that has the configuration's name."""
    config: str = "compact"
    """Sizes and steps: compact, paper (GPUs, people of your own) or a TOML file like configurations/paper.toml."""
    stage: Stage | None = None
    """Only this stage, and what it needs."""
    data: str = VIRTUAL
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
    dry_run: int | None = None
    """Two steps of every stage on so many ECGs, into dry-run/ of the run folder, to find what is wrong before the GPUs
    are paid for."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.device import has_bfloat16, process
        from cardiacnets.models.frontend import RATE_HZ
        from cardiacnets.programme import COMPACT, STAGES, Run, in_bfloat16, read_programme, rehearsal, stages_of

        programme = read_programme(self.config)
        if self.config == COMPACT and has_bfloat16():
            programme = in_bfloat16(programme)
        if self.data == VIRTUAL and programme.trunk_hz != RATE_HZ:
            raise ConfigurationError(
                f"{self.config} reads ECGs of {programme.trunk_hz} Hz, but PTB-XL, learned beside virtual people, "
                f"has {RATE_HZ} Hz. Name people of your own: --data ukb:DIR, mimic:DIR, csv:FILE or virtual:DIR"
            )
        people = programme.people if self.people is None else self.people
        cines = programme.cine_people if self.cine_people is None else self.cine_people
        programme = replace(programme, people=people, cine_people=min(cines, people))
        folder = self.run_dir or cache_dir() / Path(self.config).stem
        if self.dry_run is not None:
            programme, folder = rehearsal(programme, self.dry_run), folder / "dry-run"
            if process()[0] == 0:
                shutil.rmtree(folder, ignore_errors=True)
        run = Run(
            programme,
            folder,
            workers=torch.get_num_threads(),
            data=self.data,
            adopts=not self.afresh,
            start=self.from_bundle,
            keeps_convolutions=not self.all_weights,
        )
        for name in stages_of(programme) if self.stage is None else [self.stage]:
            for made in STAGES[name](run):
                if process()[0] == 0:
                    print(f"{name}: {made}")
        return 0


def _own_people(data: str, run_dir: Path) -> "CohortSource":
    """A cohort of one's own, as the trunk of a finished run reads it."""
    from cardiacnets.data.source import load_source
    from cardiacnets.models.trunks import trunk_config

    path = run_dir / "screening" / "model.pt"
    if not path.exists():
        raise SourceError(f"{path} is not there: name the run that `train --data` made with --run-dir")
    config = torch.load(path, weights_only=True, mmap=True)["config"]
    return load_source(data, torch.get_num_threads(), trunk_config(config["encoder"]).rate_hz)


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
    """Bundle folder; with --data, by default bundle/ in the run folder."""
    int8: bool = False
    """The quantised variant too (not loaded)."""
    data: str = VIRTUAL
    """The people that the run learned from, as `train` got them; all but virtual are calibrated on alone."""

    def __call__(self) -> int:
        """Run the command."""
        if self.data != VIRTUAL:
            from cardiacnets.data.source import load_source
            from cardiacnets.evaluation.own import export_own

            source, slow = _own_people(self.data, self.run_dir), load_source(self.data, torch.get_num_threads())
            out = self.run_dir / "bundle" if self.bundle == BUNDLE else self.bundle
            print(f"{out}  PyTorch-ONNX difference {export_own(self.run_dir, source, slow, out, self.version):.1e}")
            return 0
        from cardiacnets.evaluation.export import export_bundle

        report = export_bundle(self.run_dir, self.bundle, self.version, with_int8=self.int8)
        print(f"{self.bundle}  PyTorch-ONNX difference {report['parity']:.1e}")
        print(json.dumps(report["choices"], indent=1))
        if (self.run_dir / "diffusion" / "model.pt").exists():
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
    data: str = VIRTUAL
    """The people that the run learned from. Of all but virtual, their test people are reported on, in evaluation/own.md
    of the run folder."""

    def __call__(self) -> int:
        """Run the command."""
        if self.data != VIRTUAL:
            from cardiacnets.evaluation.own import evaluate_own

            own = evaluate_own(self.run_dir, _own_people(self.data, self.run_dir))
            found = {name: entry.get("auroc") for name, entry in own["conditions"].items()}
            print(json.dumps({"auroc": found, "meanR": own["meanR"], "coverage90": own["coverage90"]}, indent=1))
            return 0
        from cardiacnets.evaluation.export import evaluate_bundle
        from cardiacnets.evaluation.markdown import put_section
        from cardiacnets.evaluation.probes import REPORT as PROBES
        from cardiacnets.evaluation.probes_page import section as probes_section
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
        if self.final and PROBES.exists():
            put_section(self.page, probes_section(json.loads(PROBES.read_text())))
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


@dataclass(frozen=True)
class TenMinutes:
    """Better cines in the time that a large GPU is lent: the kept denoiser learns on, and a copy of the bundle has it.

    Virtual people are drawn first, by all --threads, and are kept: run it once with --minutes 0 where CPUs cost little.
    """

    minutes: float = 10
    """For everything but the export."""
    people: int = 3600
    """Virtual people with cines (1.6 MB each)."""
    batch: int | None = None
    """Cines a step; by default 96 on a GPU, 12 without one."""
    run_dir: Path = cache_dir() / "ten-minutes"
    """Keeps people and weights; another call goes on from them."""
    bundle: Path = BUNDLE
    """Bundle that is copied."""
    even_if_worse: bool = False
    """Export the denoiser although its error on validation people has not fallen."""
    out: Path | None = None
    """The copy with the new drawing networks; by default bundle/ in the run folder."""

    def __call__(self) -> int:
        """Run the command."""
        from cardiacnets.device import device
        from cardiacnets.programme import Programme, Run
        from cardiacnets.ten_minutes import Budget, NotBetterError, TimeIsUpError, ten_minutes

        programme = replace(Programme(), people=self.people, cine_people=self.people, drawn_people=self.people)
        run = Run(programme, self.run_dir, workers=torch.get_num_threads(), adopts=True)
        batch = self.batch or (96 if device().type == "cuda" else 12)
        budget = Budget(60 * self.minutes, batch=batch, even_if_worse=self.even_if_worse)
        try:
            found = ten_minutes(run, self.bundle, self.out or self.run_dir / "bundle", budget)
        except (TimeIsUpError, NotBetterError) as error:
            print(f"cardiacnets-train: {error}", file=sys.stderr)
            return 3
        print(json.dumps(found, indent=1))
        return 0


Command = Cohort | Segmentation | Synthesis | Train | TenMinutes | Keep | Export | Recalibrate | Evaluate | Measure


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
    """Parse and run one command; its return value is the exit code. What the caller can mend is said in a line: 2."""
    try:
        try:
            options = parse()
            torch.set_num_threads(options.threads)
            code = options.command()
        except (ConfigurationError, SourceError) as error:
            print(f"cardiacnets-train: {error}", file=sys.stderr)
            code = 2
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Its reader has enough, as `| head` does. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


if __name__ == "__main__":  # torchrun -m
    main()
