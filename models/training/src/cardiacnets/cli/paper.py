"""The paper's sizes on GPUs: `torchrun --standalone --nproc-per-node 8 -m cardiacnets.cli.paper VIEW --out DIR`.

Trains the CMR encoder of one view, on the cines of a run of the programme (`cardiacnets-train train --stage hearts`).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cardiacnets.data.cines import CROP, load_cines
from cardiacnets.data.windows import cache_dir
from cardiacnets.device import process
from cardiacnets.stages.cmr_pretraining import paper, pretrain_cmr
from cardiacnets.stages.loop import OptimisationConfig


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("view", choices=list(CROP))
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact", help="has cohort and hearts")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=64, help="cines on each GPU (default %(default)s)")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--compile", action="store_true", help="torch.compile the blocks")
    options = parser.parse_args()

    optimisation = OptimisationConfig(
        steps=options.steps,
        learning_rate=options.learning_rate,
        bfloat16=torch.cuda.is_available(),
        compile=options.compile,
    )
    config = replace(paper(options.view), batch=options.batch * process()[1], optimisation=optimisation)
    cines = load_cines(options.run_dir / "cohort", options.view)
    hearts = np.load(options.run_dir / "hearts" / f"{options.view}.npy")
    print(pretrain_cmr(config, replace(cines, centre=hearts), options.out))


if __name__ == "__main__":
    main()
