"""How well bundle branch blocks are read, and whom the limits flag: the figures in models/training/TRAININGS.md.

A block is read off the pooled tokens. The embedding, which knows the person, is read beside them. Limits are those of
`export`. What they flag of fold 8's normal ECGs, on which they are set, is cross-validated in five parts. All figures
are of PTB-XL folds 1 to 8 and of virtual validation people; fold 9 is not read.

`python -m cardiacnets.evaluation.blocks --run-dir DIR [--bundle DIR] [--trained FILE --share 0.5] [--rate ph=0.035 …]`
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.data.real import NORMAL, RealSet
from cardiacnets.data.virtual import VirtualSet, load_virtual
from cardiacnets.data.windows import cache_dir
from cardiacnets.domain import BLOCKS, CONDITIONS
from cardiacnets.evaluation.candidates import Answers, Blocks, Limiter, answers_of
from cardiacnets.evaluation.export import FALSE_ALARMS_OF, ISOLATED
from cardiacnets.evaluation.fit_blocks import FOUND, block_threshold, read_blocks
from cardiacnets.evaluation.markdown import table
from cardiacnets.metrics import auroc
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.stages.screening import CAD, TRAIN_FOLDS, VALIDATION_FOLD

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]

PARTS = 5
"""Of the normal ECGs: the limits of each part are set on the others."""


@dataclass(frozen=True)
class Features:
    """What a block is read off, [n,D]: of the training folds, of fold 8 and of virtual people."""

    learned: Array
    real: Array
    virtual: Array


@dataclass(frozen=True)
class Reading:
    """How one block is read; shares are 0 to 1."""

    block: str
    found: float
    """Share of fold 8's ECGs with the block, at the logit in use."""
    auroc: float
    """On fold 8."""
    others: float
    """Share of fold 8's other ECGs that are read as it."""
    alone: float
    """Share of the training folds' ECGs with the block and nothing else that are read as it."""
    virtual: float
    """Share of virtual people who are read as it."""


@dataclass(frozen=True)
class Alarms:
    """Whom the limits flag, by condition in the order of `CONDITIONS`."""

    validated: Flags
    """[n,5] of fold 8's normal ECGs, by limits that are set on the others."""
    learned: Flags
    """[m,5] of the training folds' normal ECGs, by limits that are set on all of fold 8's."""
    found: Mapping[str, float]
    """Condition → share of those who have it and are flagged: CAD of fold 8, the others of virtual people."""
    alone: Mapping[str, tuple[float, float]]
    """Block → share of fold 8's ECGs with nothing else that its condition is said of, without its limit and with it."""
    without: Mapping[str, float]
    """Condition → `found` without limits of blocks."""


@dataclass(frozen=True)
class Seen:
    """A network's answers."""

    real: Answers
    """To fold 8."""
    unknown: Answers
    """To its normal ECGs, with the person withheld."""
    learned: Answers
    """To the training folds."""
    virtual: Answers
    people: VirtualSet
    """Those of `virtual`."""


@torch.no_grad()
def embeddings(screen: Screen, pooled: Array, person: Array) -> Array:
    """[n,D] as the heads see them, from pooled tokens [n,576] and the person [n,4]."""
    trunk = screen.encoder.trunk
    assert isinstance(trunk, Trunk), "the shipped kind"
    someone = torch.from_numpy(person.astype(np.float32))
    known = (~someone.isnan()).float()
    return np.asarray(torch.relu(trunk.embed(torch.from_numpy(pooled), someone, known)))


def readings(features: Features, learned: RealSet, real: RealSet, found: float = FOUND) -> list[Reading]:
    """Of each block, by a regression on the training folds, at the logit that finds `found` of fold 8's."""
    assert learned.blocks is not None, "a reader stated blocks"
    assert learned.kind is not None, "and isolated ones"
    assert real.blocks is not None, "on fold 8 too"
    layer = read_blocks(features.learned, learned.blocks)

    def logits(of: Array, index: int) -> Array:
        return np.asarray(layer(torch.from_numpy(of.astype(np.float32))))[:, index]

    all_readings = []
    for index, block in enumerate(BLOCKS):
        stated, on_real = real.blocks[:, index], logits(features.real, index)
        threshold = block_threshold(on_real, stated, found)
        alone = logits(features.learned[learned.kind == ISOLATED[block]], index)
        all_readings.append(
            Reading(
                block=block,
                found=float(np.mean(on_real[stated] >= threshold)),
                auroc=auroc(stated, on_real),
                others=float(np.mean(on_real[~stated] >= threshold)),
                alone=float(np.mean(alone >= threshold)),
                virtual=float(np.mean(logits(features.virtual, index) >= threshold)),
            )
        )
    return all_readings


def alarms(seen: Seen, blocks: Blocks, real: RealSet, learned: RealSet, rates: Mapping[str, float]) -> Alarms:
    """Whom limits flag that are set on the normal ECGs of `real`, fold 8, at `rates` of false alarms."""
    assert real.kind is not None, "normal ECGs are stated"
    assert learned.kind is not None, "here too"
    normal = np.flatnonzero(real.kind == NORMAL)
    part = np.random.default_rng(0).permutation(len(normal)) % PARTS
    validated = np.zeros((len(normal), len(CONDITIONS)), dtype=bool)
    for one in range(PARTS):
        fitted, out = np.zeros(len(real.kind), dtype=bool), np.zeros(len(real.kind), dtype=bool)
        fitted[normal[part != one]], out[normal[part == one]] = True, True
        limiter = Limiter(seen.real, seen.unknown.rows(part != one), real, fitted, rates, blocks)
        validated[part == one] = limiter.flags(seen.real.rows(out), real.person[out])
    limiter = Limiter(seen.real, seen.unknown, real, real.kind == NORMAL, rates, blocks)
    healthy = learned.kind == NORMAL
    found, alone = [], []
    for in_blocks in (False, True):
        flags = limiter.flags(seen.real, real.person, in_blocks)
        people = limiter.flags(seen.virtual, seen.people.person, in_blocks)
        found.append(
            {
                name: float(
                    np.mean(flags[real.cad, CAD] if index == CAD else people[seen.people.conditions[:, index], index])
                )
                for index, name in enumerate(CONDITIONS)
            }
        )
        alone.append(
            [
                float(np.mean(flags[real.kind == ISOLATED[block], CONDITIONS.index(condition)]))
                for block, condition in zip(BLOCKS, ("ph", "cm"), strict=True)
            ]
        )
    return Alarms(
        validated=validated,
        learned=limiter.flags(seen.learned.rows(healthy), learned.person[healthy]),
        found=found[1],
        alone={block: (alone[0][index], alone[1][index]) for index, block in enumerate(BLOCKS)},
        without=found[0],
    )


def described(read: Mapping[str, Sequence[Reading]], of: Alarms, rates: Mapping[str, float]) -> str:
    """Both tables; `read`: source → its readings."""
    reading = table(
        ("read off", "block", "AUROC", "found", "other ECGs", "alone, folds 1–7", "virtual people"),
        [
            (
                source,
                one.block,
                f"{one.auroc:.4f}",
                *(f"{share:.1%}" for share in (one.found, one.others, one.alone, one.virtual)),
            )
            for source, several in read.items()
            for one in several
        ],
    )
    rows = [
        (
            name,
            f"{rates[name]:.2%}",
            *(f"{flags[:, index].mean():.1%}" for flags in (of.validated, of.learned)),
            *(f"{found[name]:.3f}" for found in (of.found, of.without)),
        )
        for index, name in enumerate(CONDITIONS)
    ]
    anything = tuple(f"{flags.any(axis=1).mean():.1%}" for flags in (of.validated, of.learned))
    flagged = table(
        ("condition", "rate", "normal ECGs, fold 8", "normal ECGs, folds 1–7", "found", "without limits of blocks"),
        [*rows, ("anything", "", *anything, "", "")],
    )
    alone = "; ".join(f"{block.upper()} alone: {a:.0%}, with its limit {b:.0%}" for block, (a, b) in of.alone.items())
    return f"{reading}\n\n{flagged}\n\n{alone}"


def share_of(text: str) -> tuple[str, float]:
    """`ph=0.035` → condition and rate.

    Raises:
        argparse.ArgumentTypeError: another condition, or no share
    """
    name, _, rate = text.partition("=")
    try:
        share = float(rate)
    except ValueError:
        share = -1.0
    if name not in CONDITIONS or not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"one of {', '.join(CONDITIONS)}, then = and a share, as in ph=0.035")
    return name, share


def main() -> None:
    """Print both tables."""
    from cardiacnets.data.real import load_real
    from cardiacnets.models.encoder import EncoderConfig
    from cardiacnets.models.unfold import load_bundle
    from cardiacnets.programme import NORM_ECGS
    from cardiacnets.stages.screening import load_trained, mixed
    from cardiacnets.weights import BUNDLE

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact")
    parser.add_argument("--bundle", type=Path, default=BUNDLE, help="network (default %(default)s)")
    parser.add_argument("--trained", type=Path, help="checkpoint: a mean of the bundle and of this network")
    parser.add_argument("--share", type=float, default=1.0, help="of the trained one in the mean (default %(default)s)")
    parser.add_argument("--rate", type=share_of, nargs="*", default=[], help="of false alarms, as in ph=0.035")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rates = {**FALSE_ALARMS_OF, **dict(options.rate)}
    everybody = load_virtual(options.run_dir / "cohort")
    learned, real = load_real(TRAIN_FOLDS), load_real((VALIDATION_FOLD,))
    samples = [learned.millivolt[:NORM_ECGS], everybody.millivolt[:NORM_ECGS]]
    screen = load_bundle(options.bundle, EncoderConfig(), torch.from_numpy(np.concatenate(samples).astype(np.float32)))
    if options.trained is not None:
        screen = mixed(screen, load_trained(options.trained)[0], options.share)
    virtual = everybody.rows(np.flatnonzero(everybody.split == "val"))
    normal = real.kind == NORMAL
    on_real = answers_of(screen, real.millivolt, real.person)
    blocks = Blocks(screen, learned, on_real, real)
    seen = Seen(
        real=on_real,
        unknown=answers_of(screen, real.millivolt[normal], np.full_like(real.person[normal], np.nan)),
        learned=blocks.known,
        virtual=answers_of(screen, virtual.millivolt, virtual.person),
        people=virtual,
    )
    known = ((seen.learned, learned), (seen.real, real), (seen.virtual, virtual))
    sources = {
        "pooled tokens": Features(*(answers.pooled for answers, _ in known)),
        "embedding": Features(*(embeddings(screen, answers.pooled, some.person) for answers, some in known)),
    }
    read = {
        f"{source}, {share:.0%}": readings(features, learned, real, share)
        for source, features in sources.items()
        for share in (FOUND, 0.95)
    }
    print(described(read, alarms(seen, blocks, real, learned, rates), rates))


if __name__ == "__main__":
    main()
