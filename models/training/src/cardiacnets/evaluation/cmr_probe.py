"""What a frozen CMR encoder contains of the heart: ridge regression from its embedding to the 82 indices.

Judge an encoder by this before an ECG encoder is aligned with it: the masked loss does not show it.

`python -m cardiacnets.evaluation.cmr_probe [--run-dir DIR] [--people 2000]`
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.data.cines import CROP, CineSet, plain_batches
from cardiacnets.data.windows import cache_dir
from cardiacnets.domain import INDICES
from cardiacnets.metrics import pearson
from cardiacnets.models.swin import SWIN_COMPACT, Swin
from cardiacnets.stages.cmr_pretraining import load_encoder

PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
NAMED = ("lvEdv", "lvEf", "lvMass", "rvEdv")


def ridge_r(
    fitted: tuple[NDArray[np.float64], NDArray[np.float64]],
    held_out: tuple[NDArray[np.float64], NDArray[np.float64]],
    penalties: tuple[float, ...] = PENALTIES,
) -> NDArray[np.float64]:
    """Correlation [K] on held-out people of a ridge regression from features [n,D] to values [n,K].

    The penalty is chosen on the last fifth of the people that it is fitted on.
    """
    features, values = fitted
    scale = features.std(axis=0) + 1e-6
    middle, level, spread = features.mean(axis=0), values.mean(axis=0), values.std(axis=0) + 1e-12

    def fit(rows: slice, penalty: float) -> NDArray[np.float64]:
        x, y = (features[rows] - middle) / scale, (values[rows] - level) / spread
        return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)

    def r(weights: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(pearson(y, (x - middle) / scale @ weights), np.float64)

    part = len(features) * 4 // 5
    inner = [r(fit(slice(part), p), features[part:], values[part:]).mean() for p in penalties]
    return r(fit(slice(None), penalties[int(np.argmax(inner))]), *held_out)


@torch.no_grad()
def embeddings(encoder: Swin, cines: CineSet, rows: NDArray[np.intp], crop: int) -> NDArray[np.float64]:
    """[len(rows),D] of cines that nobody changed."""
    parts = [encoder.embedding(x.cpu()) for x in plain_batches(cines, rows, crop, encoder.config.image, 32)]
    return torch.cat(parts).numpy().astype(np.float64)


def probe(encoder: Swin, cines: CineSet, indices: NDArray[np.floating], crop: int, people: int) -> NDArray[np.float64]:
    """R [82] on a third as many test people as the training people that the regression is fitted on."""
    train, test = cines.rows("train")[:people], cines.rows("test")[: people // 3]
    fitted, held_out = (
        (embeddings(encoder, cines, rows, crop), np.asarray(indices[rows], np.float64)) for rows in (train, test)
    )
    return ridge_r(fitted, held_out)


def main() -> None:
    """Print a JSON object: for each view the untrained encoder and the trained one."""
    from cardiacnets.domain import VIEWS
    from cardiacnets.programme import Programme, Run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact")
    parser.add_argument("--people", type=int, default=2000, help="training people to fit on (default %(default)s)")
    options = parser.parse_args()
    drawn = json.loads((options.run_dir / "cohort" / "meta.json").read_text())
    programme = replace(Programme(), people=drawn["n"], cine_people=drawn["cines"])
    run, report = Run(programme, options.run_dir, adopts=True), {}
    for view in VIEWS:
        torch.manual_seed(1)
        encoders = {"untrained": Swin(SWIN_COMPACT[view]).eval(), "trained": load_encoder(run.cmr(view))}
        for name, encoder in encoders.items():
            r = probe(encoder, run.cines(view), run.people.indices, CROP[view], options.people)
            named = {index: round(float(r[INDICES.index(index)]), 3) for index in NAMED}
            report[f"{view}, {name}"] = {"meanR": round(float(r.mean()), 3)} | named
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
