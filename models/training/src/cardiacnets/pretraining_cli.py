"""`cardiacnets pretrain`: the stages before the heads, on the virtual cohort's cines and ECGs."""

import argparse
from dataclasses import replace
from pathlib import Path

from cardiacnets.data.windows import cache_dir


def add_commands(commands: "argparse._SubParsersAction", cohort_option: argparse.ArgumentParser) -> None:
    """Add `pretrain` with its subcommands to the `cardiacnets` parser."""
    parser = commands.add_parser("pretrain", help="learn from cines: masked modelling, then contrast with ECGs")
    actions = parser.add_subparsers(required=True, metavar="STAGE")
    shared = argparse.ArgumentParser(add_help=False, parents=[cohort_option])
    shared.add_argument("--run-dir", type=Path, default=cache_dir() / "pretraining", help="default %(default)s")
    shared.add_argument("--steps", type=int, default=4000)
    shared.add_argument("--seed", type=int, default=1)

    command = actions.add_parser("cmr", parents=[shared], help="masked modelling of one view (resumes)")
    command.add_argument("view", choices=["short_axis", "four_chamber"])
    command.add_argument("--config", choices=["compact", "paper"], default="compact")
    command.set_defaults(run=cmr)

    command = actions.add_parser("align", parents=[shared], help="ECG encoder against both frozen views (resumes)")
    command.set_defaults(run=align)


def cmr(options: argparse.Namespace) -> int:
    """Train the encoder of one view."""
    from cardiacnets.cli import has_bfloat16
    from cardiacnets.stages import cmr_pretraining
    from cardiacnets.stages.cines import load_cines

    config = getattr(cmr_pretraining, options.config)(options.view)
    optimisation = replace(config.optimisation, seed=options.seed, steps=options.steps, bfloat16=has_bfloat16())
    cines = load_cines(options.cohort, options.view)
    print(
        cmr_pretraining.pretrain_cmr(replace(config, optimisation=optimisation), cines, options.run_dir / options.view)
    )
    return 0


def align(options: argparse.Namespace) -> int:
    """Train the ECG encoder against the views that were trained in the same folder."""
    from cardiacnets.cli import has_bfloat16
    from cardiacnets.data.virtual import load_virtual
    from cardiacnets.stages import contrastive
    from cardiacnets.stages.cines import load_cines
    from cardiacnets.stages.cmr_pretraining import CROP, load_encoder

    encoders = {view: load_encoder(options.run_dir / view / "model.pt") for view in CROP}
    people = load_virtual(options.cohort)
    cines = {view: load_cines(options.cohort, view) for view in CROP}
    data = contrastive.PairedSet(people.millivolt, people.person, cines, people.split)
    config = contrastive.ContrastiveConfig()
    optimisation = replace(config.optimisation, seed=options.seed, steps=options.steps, bfloat16=has_bfloat16())
    print(
        contrastive.align(replace(config, optimisation=optimisation), data, encoders, options.run_dir / "contrastive")
    )
    return 0
