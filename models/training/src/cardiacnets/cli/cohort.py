"""`cohort generate | gallery | oracle | compare`: the commands of the virtual cohort."""

import argparse
import json
import os
from pathlib import Path

DEFAULT_SEED = 20241120


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `cohort` and its commands; each sets `run`, a function of the parsed arguments that returns an exit code."""
    cohort = subparsers.add_parser("cohort", help="the virtual cohort")
    commands = cohort.add_subparsers(dest="cohort_command", required=True)

    generate = commands.add_parser("generate", help="write people to disk; resumes where it was stopped")
    generate.add_argument("out", type=Path)
    generate.add_argument("--n", type=int, default=14_000)
    generate.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    generate.add_argument("--cines", type=int, default=0, help="so many of them get both cines (1.6 MB a person)")
    generate.set_defaults(run=_generate)

    gallery = commands.add_parser("gallery", help="draw ECG and cines of people of each condition as a PNG sheet")
    gallery.add_argument("out", type=Path)
    gallery.add_argument("--people", type=int, default=1, help="of each kind")
    gallery.set_defaults(run=_gallery)

    oracle = commands.add_parser("oracle", help="measure what the noise-free ECG tells")
    oracle.add_argument("out", type=Path, help="folder for oracle.json and oracle-with-person.json")
    oracle.add_argument("--n", type=int, default=14_000)
    oracle.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    oracle.set_defaults(run=_oracle)

    compare = commands.add_parser("compare", help="virtual people against real ECGs and real volumes")
    compare.add_argument("out", type=Path, help="folder for compare.json and compare.md")
    compare.add_argument("--data", type=Path, required=True, help="folder that holds ptbxl100 and cmr")
    compare.add_argument("--n", type=int, default=2_000)
    compare.set_defaults(run=_compare)

    for command in (generate, gallery, oracle, compare):
        command.add_argument("--seed", type=int, default=DEFAULT_SEED)


# Imports stay in the commands: training starts without matplotlib and scikit-learn.


def _generate(arguments: argparse.Namespace) -> int:
    from ..cohort.cache import generate

    print(generate(arguments.out, arguments.n, arguments.seed, arguments.workers, cines=arguments.cines))
    return 0


def _gallery(arguments: argparse.Namespace) -> int:
    from ..cohort.gallery import draw_gallery

    draw_gallery(arguments.out, arguments.seed, arguments.people)
    print(arguments.out)
    return 0


def _oracle(arguments: argparse.Namespace) -> int:
    from ..cohort.oracle import describe_people, measure_oracle

    described = describe_people(arguments.n, arguments.seed, arguments.workers)
    arguments.out.mkdir(parents=True, exist_ok=True)
    # With sex, age, height and weight, too: the encoder is given them where they are known.
    for name, with_person in (("oracle", False), ("oracle-with-person", True)):
        path = arguments.out / f"{name}.json"
        path.write_text(json.dumps(measure_oracle(described, with_person), indent=2) + "\n")
        print(path)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from ..cohort.compare import compare_with_real, table

    report = compare_with_real(arguments.data, arguments.n, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "compare.json").write_text(json.dumps(report, indent=2) + "\n")
    (arguments.out / "compare.md").write_text(table(report))
    print(table(report))
    return 0
