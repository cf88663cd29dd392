"""`cardiacnets-train cohort generate | gallery | oracle | compare | statements | ranges`: the virtual cohort."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

DEFAULT_SEED = 20241120
CPUS = os.cpu_count() or 1

# Imports stay in the commands: training starts without matplotlib and scikit-learn.


@dataclass(frozen=True)
class Generate:
    """Write people to disk; resumes where it was stopped."""

    out: Positional[Path]
    """Folder of the cohort."""
    n: int = 14_000
    """People."""
    workers: int = CPUS
    """Processes."""
    cines: int = 0
    """The first so many people get both cines (1.6 MB per person)."""
    seed: int = DEFAULT_SEED
    """Of the cohort."""

    def __call__(self) -> int:
        """Run the command."""
        from ..cohort.cache import generate

        print(generate(self.out, self.n, self.seed, self.workers, cines=self.cines))
        return 0


@dataclass(frozen=True)
class Gallery:
    """Draw ECG and cines of people of each condition as a PNG sheet."""

    out: Positional[Path]
    """The PNG."""
    people: int = 1
    """Of each kind."""
    seed: int = DEFAULT_SEED
    """Of the cohort."""

    def __call__(self) -> int:
        """Run the command."""
        from ..cohort.gallery import draw_gallery

        draw_gallery(self.out, self.seed, self.people)
        print(self.out)
        return 0


@dataclass(frozen=True)
class Oracle:
    """Measure the information in the noise-free ECG."""

    out: Positional[Path]
    """Folder for oracle.json and oracle-with-person.json."""
    n: int = 24_000
    """People."""
    workers: int = CPUS
    """Processes."""
    seed: int = DEFAULT_SEED
    """Of the cohort."""

    def __call__(self) -> int:
        """Run the command."""
        from ..cohort.oracle import describe_people, measure_oracle

        described = describe_people(self.n, self.seed, self.workers)
        self.out.mkdir(parents=True, exist_ok=True)
        # With sex, age, height and weight, too: the encoder is given them where they are known.
        for name, with_person in (("oracle", False), ("oracle-with-person", True)):
            path = self.out / f"{name}.json"
            path.write_text(json.dumps(measure_oracle(described, with_person), indent=2) + "\n")
            print(path)
        return 0


@dataclass(frozen=True)
class Compare:
    """Compare virtual people with real ECGs and real volumes."""

    out: Positional[Path]
    """Folder for compare.json and compare.md."""
    data: Path
    """Folder that holds ptbxl100 and cmr."""
    n: int = 2_000
    """People on each side."""
    seed: int = DEFAULT_SEED
    """Of the cohort."""

    def __call__(self) -> int:
        """Run the command."""
        from ..cohort.compare import compare_with_real, table

        report = compare_with_real(self.data, self.n, self.seed)
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "compare.json").write_text(json.dumps(report, indent=2) + "\n")
        (self.out / "compare.md").write_text(table(report))
        print(table(report))
        return 0


@dataclass(frozen=True)
class Statements:
    """Compare virtual blocks and loaded ventricles with real ECGs of the same statement."""

    out: Positional[Path]
    """Folder for statements.json and statements.md."""
    data: Path
    """Folder that holds ptbxl100."""
    n: int = 8_000
    """Virtual people."""
    seed: int = DEFAULT_SEED
    """Of the cohort."""

    def __call__(self) -> int:
        """Run the command."""
        from ..cohort.statements import compare_statements, table

        report = compare_statements(self.data, self.n, self.seed)
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "statements.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        (self.out / "statements.md").write_text(table(report))
        print(table(report))
        return 0


@dataclass(frozen=True)
class Ranges:
    """Write where the indices of healthy virtual people lie, for the console (shared/domain/virtual-ranges.json)."""

    out: Positional[Path]
    """The JSON."""
    n: int = 24_000
    """People, healthy or not."""
    seed: int = DEFAULT_SEED
    """Of the cohort."""

    def __call__(self) -> int:
        """Run the command."""
        from ..cohort.ranges import describe_ranges, draw_healthy

        document = describe_ranges(draw_healthy(self.n, self.seed), self.n, self.seed)
        self.out.write_text(json.dumps(document) + "\n")
        print(self.out)
        return 0


@dataclass(frozen=True)
class Cohort:
    """The virtual cohort."""

    action: Generate | Gallery | Oracle | Compare | Statements | Ranges

    def __call__(self) -> int:
        """Run the action."""
        return self.action()
