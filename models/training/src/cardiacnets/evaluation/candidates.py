"""Whether a further training replaces the shipped network: the rule of models/training/TRAININGS.md, as one command.

Candidates are what was trained from a bundle, and its means with that bundle. All figures are of PTB-XL fold 8 and of
virtual validation people; fold 9 is not read. Limits are fitted at the bundle's rates of false alarms.

`python -m cardiacnets.evaluation.candidates --run-dir DIR [--bundle DIR] [--share 0.85 …]`
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from cardiacnets.data.real import NORMAL, RealSet
from cardiacnets.data.virtual import VirtualSet, load_virtual
from cardiacnets.data.windows import cache_dir
from cardiacnets.domain import BLOCKS, CONDITIONS
from cardiacnets.evaluation.calibrate import fit_interval_scale, fit_platt, probability
from cardiacnets.evaluation.export import BLOCK_ALARMS, CALIBRATION_PEOPLE, ISOLATED, LOWEST, ONE_FOR_ALL
from cardiacnets.evaluation.fit_blocks import block_threshold, read_blocks
from cardiacnets.evaluation.limits import fit_in_block, fit_limits, limits_of
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.stages.screening import CAD, HF, STRUCTURAL, VALIDATION_FOLD, teacher_r

Array = NDArray[np.floating]

ROUNDS = 1000
CAD_LOSS = 0.002
HF_R = 0.93
COVERAGE = 0.88
ALONE = 0.30
"""Largest share of ECGs with nothing but a block that may be flagged."""
TACHYCARDIA = 0.10
ANYTHING = 0.10


@dataclass(frozen=True)
class Answers:
    """What a network says of n ECGs: logits [n,5], index means and log variances [n,82], and its pooled tokens."""

    logits: Array
    mean: Array
    logvar: Array
    pooled: Array

    def rows(self, chosen: NDArray[np.bool_]) -> "Answers":
        """Of some of the ECGs."""
        return Answers(*(getattr(self, each.name)[chosen] for each in fields(self)))


@dataclass(frozen=True)
class Figures:
    """Of one network; shares are 0 to 1."""

    cad: float
    hfTeacherR: float  # named as in the JSON
    coverage: float
    """Of 90% intervals fitted on some validation people, on the others."""
    rbbbAsPh: float
    lbbbAsCm: float
    tachycardiaAsHf: float
    """Shares of ECGs with nothing else that are flagged at the limits in use."""
    proxies: dict[str, float]
    areas: dict[str, float]
    """AUROC on virtual people."""
    meanR: float
    anything: float
    """Share of fold 8's normal ECGs that are flagged."""
    found: dict[str, float]
    """Share of virtual people with a condition who are flagged, at the same limits."""


@torch.no_grad()
def answers_of(screen: Screen, millivolt: NDArray[np.floating], person: Array, batch: int = 128) -> Answers:
    """Of mV [n,12,1000] with all leads; fields of the person that are NaN are unknown."""
    screen.eval()
    trunk = screen.encoder.trunk
    assert isinstance(trunk, Trunk), "the shipped kind"
    parts = []
    for start in range(0, len(millivolt), batch):
        rows = slice(start, start + batch)
        someone = torch.from_numpy(person[rows].astype(np.float32))
        ecg = torch.from_numpy(millivolt[rows].astype(np.float32))
        _, pooled = trunk.pool(ecg, torch.ones(len(ecg), 12))
        embedding = trunk.embed(pooled, someone, (~someone.isnan()).float())
        parts.append((screen.screening_head(embedding), *screen.function_head(embedding), pooled))
    return Answers(*(torch.cat(some).numpy() for some in zip(*parts, strict=True)))


class Blocks:
    """Bundle branch blocks as a network reads them, and its answers to ECGs that show one and nothing else."""

    def __init__(self, screen: Screen, learned: RealSet, on_real: Answers, real: RealSet) -> None:
        """`learned`: the training folds; `real`: the fold on which a block's limit is set, with answers to it."""
        assert learned.blocks is not None, "blocks are stated"
        assert learned.kind is not None, "and so are isolated ones"
        assert real.blocks is not None, "on the other fold too"
        known = self.known = answers_of(screen, learned.millivolt, learned.person)
        self._layer = read_blocks(known.pooled, learned.blocks)
        logits = self._logits(on_real.pooled)
        self._thresholds = [block_threshold(logits[:, i], real.blocks[:, i]) for i in range(len(BLOCKS))]
        shown = self.shown(known.pooled)
        self.alone = {
            block: known.rows((learned.kind == ISOLATED[block]) & shown[:, i]) for i, block in enumerate(BLOCKS)
        }

    def _logits(self, pooled: Array) -> Array:
        return np.asarray(self._layer(torch.from_numpy(pooled.astype(np.float32))))

    def shown(self, pooled: Array) -> NDArray[np.bool_]:
        """[n,2] of pooled tokens [n,576]."""
        return np.asarray(self._logits(pooled) >= np.array(self._thresholds))


class Limiter:
    """Limits of each condition from a fold's normal ECGs, as `export` fits them, and what they flag."""

    def __init__(
        self,
        on_real: Answers,
        unknown: Answers,
        real: RealSet,
        normal: NDArray[np.bool_],
        rates: Mapping[str, float],
        blocks: Blocks,
    ) -> None:
        """`unknown`: of the normal ECGs, with the person withheld. `rates`: of false alarms."""
        assert real.teacher is not None, "HF is calibrated on the teacher"
        known = ~np.isnan(real.teacher)
        self._hf = fit_platt(on_real.logits[known, HF], expit(real.teacher[known]))
        chances, withheld = self._chances(on_real)[normal], self._chances(unknown)
        self._limits = [
            fit_limits(
                chances[:, index],
                withheld[:, index],
                real.person[normal],
                rates[name],
                "",
                LOWEST["teacher"] if index == HF else 0.0,
                one_for_all=name in ONE_FOR_ALL,
            )
            for index, name in enumerate(CONDITIONS)
        ]
        self._blocks = blocks
        for index, name in enumerate(CONDITIONS):
            alone = tuple(
                fit_in_block(block, self._chances(blocks.alone[block])[:, index], rate)
                for block, rate in BLOCK_ALARMS.get(name, {}).items()
            )
            self._limits[index] = replace(self._limits[index], inBlocks=alone)

    def _chances(self, answers: Answers) -> Array:
        # Where a limit lies among scores does not depend on their calibration, unless the limit has a floor.
        chances = expit(answers.logits)
        chances[:, HF] = probability(answers.logits[:, HF], self._hf)
        return np.asarray(chances)

    def flags(self, answers: Answers, person: Array, in_blocks: bool = True) -> NDArray[np.bool_]:
        """[n,5]; without limits of blocks unless `in_blocks`."""
        shown = self._blocks.shown(answers.pooled) & in_blocks
        limits = np.stack([limits_of(each, person, shown) for each in self._limits], axis=1)
        return np.asarray(self._chances(answers) >= limits)


def figures(
    screen: Screen, real: RealSet, virtual: VirtualSet, rates: Mapping[str, float], learned: RealSet
) -> tuple[Figures, Answers]:
    """Of one network on real ECGs of one fold and on virtual people; the answers are those on virtual people.

    `rates`: of false alarms, at which limits are set. `learned`: the training folds.
    """
    assert real.kind is not None, "isolated findings are part of the rule"
    assert real.teacher is not None, "so is the teacher"
    on_real, on_virtual = (answers_of(screen, some.millivolt, some.person) for some in (real, virtual))
    normal = real.kind == NORMAL
    nobody = np.full_like(real.person[normal], np.nan)
    blocks = Blocks(screen, learned, on_real, real)
    limiter = Limiter(on_real, answers_of(screen, real.millivolt[normal], nobody), real, normal, rates, blocks)
    real_flags, virtual_flags = limiter.flags(on_real, real.person), limiter.flags(on_virtual, virtual.person)
    fitted = np.unique(np.linspace(0, len(virtual.person) - 1, CALIBRATION_PEOPLE).round().astype(int))
    others = np.setdiff1d(np.arange(len(virtual.person)), fitted)
    scale = fit_interval_scale(virtual.indices[fitted], on_virtual.mean[fitted], on_virtual.logvar[fitted])
    half = scale * np.exp(on_virtual.logvar[others] / 2)
    return Figures(
        cad=auroc(real.cad, on_real.logits[:, CAD]),
        hfTeacherR=teacher_r(real.teacher, on_real.logits[:, HF]),
        coverage=float(np.mean(np.abs(virtual.indices[others] - on_virtual.mean[others]) <= half)),
        rbbbAsPh=float(np.mean(real_flags[real.kind == "RBBB", CONDITIONS.index("ph")])),
        lbbbAsCm=float(np.mean(real_flags[real.kind == "LBBB", CONDITIONS.index("cm")])),
        tachycardiaAsHf=float(np.mean(real_flags[real.kind == "tachycardia", HF])),
        proxies={
            name: auroc(stated, on_real.logits[:, CONDITIONS.index(name)])
            for name, stated in (real.proxies or {}).items()
        },
        areas={CONDITIONS[i]: auroc(virtual.conditions[:, i], on_virtual.logits[:, i]) for i in STRUCTURAL},
        meanR=float(pearson(virtual.indices, on_virtual.mean).mean()),
        anything=float(real_flags[normal].any(axis=1).mean()),
        found={CONDITIONS[i]: float(virtual_flags[virtual.conditions[:, i], i].mean()) for i in STRUCTURAL},
    ), on_virtual


def gain(truth: NDArray[np.bool_], logits: Array, than: Array, rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Mean AUROC of `STRUCTURAL` above another network's on the same people [n,5], and its 95% interval."""

    def difference(rows: NDArray[np.intp]) -> float:
        of_each = [[auroc(truth[rows, i], some[rows, i]) for i in STRUCTURAL] for some in (logits, than)]
        return float(np.subtract(*np.mean(of_each, axis=1)))

    rng = np.random.default_rng(0)
    spread = [difference(rng.integers(0, len(truth), len(truth))) for _ in range(rounds)]
    low, high = np.quantile(spread, (0.025, 0.975))
    return difference(np.arange(len(truth))), float(low), float(high)


def verdict(of: Figures, shipped: Figures, gained: tuple[float, float, float]) -> dict[str, bool]:
    """Each part of the rule; a candidate needs all."""
    return {
        "1": of.cad >= shipped.cad - CAD_LOSS and of.hfTeacherR >= HF_R and of.coverage >= COVERAGE,
        "2": max(of.rbbbAsPh, of.lbbbAsCm) <= ALONE and of.tachycardiaAsHf <= TACHYCARDIA,
        "3": sum(of.proxies.values()) >= sum(shipped.proxies.values()),
        "4": gained[1] > 0 and of.meanR >= shipped.meanR,
        "5": of.anything <= ANYTHING and of.found["ph"] >= shipped.found["ph"],
    }


def table(found: Mapping[str, Figures]) -> str:
    """In Markdown, a column for each network."""

    def row(name: str, *cells: str) -> str:
        return "| " + " | ".join((name, *cells)) + " |"

    each = list(found.values())
    return "\n".join(
        [
            row("fold 8 and virtual validation people", *found),
            row("---", *("---" for _ in each)),
            row("CAD AUROC; HF's R", *(f"{f.cad:.4f}; {f.hfTeacherR:.3f}" for f in each)),
            row("coverage of 90% intervals", *(f"{f.coverage:.1%}" for f in each)),
            row("RBBB as PH; LBBB as CM", *(f"{f.rbbbAsPh:.0%}; {f.lbbbAsCm:.0%}" for f in each)),
            row("tachycardia as HF", *(f"{f.tachycardiaAsHf:.0%}" for f in each)),
            row("LVH proxy; RVH proxy", *("; ".join(f"{value:.3f}" for value in f.proxies.values()) for f in each)),
            row("AUROC: CM; pericarditis; PH", *("; ".join(f"{v:.3f}" for v in f.areas.values()) for f in each)),
            row("mean R of the indices", *(f"{f.meanR:.3f}" for f in each)),
            row("normal ECGs flagged for anything", *(f"{f.anything:.1%}" for f in each)),
            row("found: CM; pericarditis; PH", *("; ".join(f"{v:.3f}" for v in f.found.values()) for f in each)),
        ]
    )


def main() -> None:
    """Print the table, and what the rule says of each candidate."""
    from cardiacnets.data.real import load_real
    from cardiacnets.models.encoder import EncoderConfig
    from cardiacnets.models.unfold import load_bundle
    from cardiacnets.programme import NORM_ECGS
    from cardiacnets.stages.screening import TRAIN_FOLDS, load_trained, mixed
    from cardiacnets.weights import BUNDLE

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact")
    parser.add_argument("--trained", default="onward/model.pt", help="in the run's folder (default %(default)s)")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="that training went on from (default %(default)s)")
    parser.add_argument("--share", type=float, nargs="*", default=[0.85, 0.5], help="of the trained one in a mean")
    options = parser.parse_args()
    torch.set_num_threads(1)
    virtual = load_virtual(options.run_dir / "cohort")
    samples = [load_real((TRAIN_FOLDS[0],)).millivolt[:NORM_ECGS], virtual.millivolt[:NORM_ECGS]]
    shipped = load_bundle(options.bundle, EncoderConfig(), torch.from_numpy(np.concatenate(samples).astype(np.float32)))
    trained, _ = load_trained(options.run_dir / options.trained)
    networks = {"shipped": shipped, "trained": trained}
    networks |= {f"{share:.0%}": mixed(shipped, trained, share) for share in options.share}
    learned = load_real(TRAIN_FOLDS)
    real, people = load_real((VALIDATION_FOLD,)), virtual.rows(np.flatnonzero(virtual.split == "val"))
    manifest = json.loads((options.bundle / "manifest.json").read_text())
    rates = {entry["id"]: entry["limits"]["falseAlarms"] for entry in manifest["conditions"]}
    found, logits = {}, {}
    for name, network in networks.items():
        found[name], answers = figures(network, real, people, rates, learned)
        logits[name] = answers.logits
    print(table(found))
    for name in list(networks)[1:]:
        gained = gain(people.conditions, logits[name], logits["shipped"])
        says = verdict(found[name], found["shipped"], gained)
        print(name, "passes" if all(says.values()) else "fails", json.dumps(says))
        print(f"  mean AUROC {gained[0]:+.4f} ({gained[1]:+.4f} to {gained[2]:+.4f})")


if __name__ == "__main__":
    main()
