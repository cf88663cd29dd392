"""What each pretraining leaves in a frozen ECG encoder, by the share of people whose labels are known.

A ridge regression reads conditions and indices from the encoder's pooled tokens, without the person and with it.
Nothing is fine-tuned, so that many draws of labels cost minutes. An interval covers draws of labels, initial weights
where there are several, and test people at once; pretraining itself ran once for each start and is not resampled.

`python -m cardiacnets.evaluation.probes [--run-dir DIR] [--control align-shuffled/model.pt]`
writes the report and a section of docs/evaluation.md.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cardiacnets.configuration import to_json
from cardiacnets.data.virtual import VirtualSet, load_virtual
from cardiacnets.data.windows import cache_dir
from cardiacnets.domain import CONDITIONS
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.encoder import EncoderConfig, Trunk
from cardiacnets.signal.profile import REPOSITORY
from cardiacnets.stages.ablation import FIRST_SEED
from cardiacnets.stages.screening import labelled_rows

Array = NDArray[np.floating]

DRAWS: Mapping[float, int] = {0.01: 8, 0.05: 8, 0.10: 8, 0.25: 5, 1.0: 1}
"""Share of labels → draws of who has them. All labels can be drawn in one way only."""
INITIAL = 3
"""Encoders with random weights: the start without pretraining."""
PENALTIES = (10.0, 100.0, 1000.0, 10_000.0)
ROUNDS = 100
TEST_PEOPLE = 1000
REPORT = REPOSITORY / "models" / "training" / "reports" / "probes.json"
PAGE = REPOSITORY / "docs" / "evaluation.md"
PERSON_ALONE, MASKED = "the person alone", "masked ECGs"
SHUFFLED, ALIGNED = "contrast with shuffled pairs", "contrast with CMR"
PERSON_WEIGHT = 12.0
"""Of each of the person's four fields beside 576 features: together they weigh as much."""


@dataclass(frozen=True)
class Probe:
    """Figures on test people: macro AUROC of the conditions, and mean R of the indices."""

    macroAuroc: float  # named as in the JSON
    meanR: float


@torch.no_grad()
def pooled(trunk: Trunk, millivolt: NDArray[np.floating], batch: int = 128) -> NDArray[np.float32]:
    """Mean, maximum and weighted mean of the tokens, [n,576], of ECGs with all leads."""
    trunk.eval()
    parts = []
    for start in range(0, len(millivolt), batch):
        ecg = torch.from_numpy(millivolt[start : start + batch].astype(np.float32))
        parts.append(trunk.pool(ecg, torch.ones(len(ecg), ecg.shape[1]))[1])
    return torch.cat(parts).numpy()


def read(
    fitted: Array,
    values: Array,
    held_out: Array,
    penalties: Sequence[float] = PENALTIES,
    weight: Array | float = 1.0,
) -> Array:
    """Values [m,K] that a ridge regression from features [n,D] reads from others [m,D].

    The penalty is the one that correlates best on the last fifth of the people it is fitted on. A feature of a larger
    `weight` [D] is penalised less.
    """
    middle, scale = fitted.mean(axis=0), (fitted.std(axis=0) + 1e-6) / weight
    level, spread = values.mean(axis=0), values.std(axis=0) + 1e-12
    x, y = (fitted - middle) / scale, (values - level) / spread
    part = len(x) * 4 // 5

    def weights(rows: slice, penalty: float) -> Array:
        some = x[rows]
        if len(some) < some.shape[1]:  # fewer people than features: the same solution by a smaller system
            return some.T @ np.linalg.solve(some @ some.T + penalty * np.eye(len(some)), y[rows])
        return np.linalg.solve(some.T @ some + penalty * np.eye(some.shape[1]), some.T @ y[rows])

    inner = [float(pearson(y[part:], x[part:] @ weights(slice(part), p)).mean()) for p in penalties]
    best = penalties[int(np.argmax(inner))]
    return np.asarray((held_out - middle) / scale @ weights(slice(None), best))


def probe(truth: Array, answers: Array) -> Probe:
    """Figures of answers [n, conditions + indices]."""
    some = len(CONDITIONS)
    macro = np.mean([auroc(truth[:, i] > 0, answers[:, i]) for i in range(some)])
    return Probe(float(macro), float(pearson(truth[:, some:], answers[:, some:]).mean()))


def answers_of(
    features: Sequence[Array], people: VirtualSet, test: NDArray[np.intp], share: float, *, with_person: bool = False
) -> Array:
    """[initial weights, draws, test people, conditions + indices] of one start.

    `with_person`: the regression also gets sex, age, height and weight.
    """
    truth = np.concatenate([people.conditions, people.indices], axis=1).astype(np.float64)

    def of(own: Array, draw: int) -> Array:
        rows = labelled_rows(people.split, share, FIRST_SEED + draw)
        weight = np.ones(own.shape[1])
        if with_person:
            own = np.concatenate([own, people.person], axis=1)
            weight = np.append(weight, np.full(people.person.shape[1], PERSON_WEIGHT))
        return read(own[rows].astype(np.float64), truth[rows], own[test].astype(np.float64), weight=weight)

    return np.stack([np.stack([of(own, draw) for draw in range(DRAWS[share])]) for own in features])


def compare(
    truth: Array, first: Array, second: Array, rounds: int = ROUNDS, seed: int = 0, fewer: int = 0
) -> dict[str, Any]:
    """Difference of two starts' mean figures, with the interval over initial weights, draws of labels and people.

    Answers are as `answers_of` gives them. A round takes the same draws of labels and the same people for both.
    `fewer`: so many draws less than there are. Of few draws, one less gives the right variance, and as many as there
    are give too small a one (Rao and Wu 1988).
    """
    rng, draws, n = np.random.default_rng(seed), first.shape[1], len(truth)

    def figures(answers: Array, chosen: NDArray[np.intp], weights: NDArray[np.intp], rows: NDArray[np.intp]) -> Array:
        found = [probe(truth[rows], answers[w, d][rows]) for w in set(weights.tolist()) for d in set(chosen.tolist())]
        counts = [
            np.sum(weights == w) * np.sum(chosen == d) for w in set(weights.tolist()) for d in set(chosen.tolist())
        ]
        return np.average([[each.macroAuroc, each.meanR] for each in found], axis=0, weights=counts)

    def difference(chosen: NDArray[np.intp], rows: NDArray[np.intp], resample: bool) -> Array:
        of_each = []
        for answers in (first, second):
            every = np.arange(len(answers))
            weights = rng.integers(len(answers), size=len(answers)) if resample else every
            of_each.append(figures(answers, chosen, weights, rows))
        return np.asarray(of_each[0] - of_each[1])

    every, everybody = np.arange(draws), np.arange(n)
    observed = difference(every, everybody, resample=False)
    spread = [
        difference(
            every[rng.integers(0, draws, (max(1, draws - fewer),))], everybody[rng.integers(0, n, (n,))], resample=True
        )
        for _ in range(rounds)
    ]
    low, high = np.quantile(spread, (0.025, 0.975), axis=0)
    return {
        name: {"difference": round(float(observed[i]), 4), "ci": [round(float(low[i]), 4), round(float(high[i]), 4)]}
        for i, name in enumerate(("macroAuroc", "meanR"))
    }


def measure_probes(starts: Mapping[str, Sequence[Trunk]], people: VirtualSet, rounds: int = ROUNDS) -> dict[str, Any]:
    """Every start at every share of the labels and each pair's difference, for the ECG alone and with the person."""
    test = np.flatnonzero(people.split == "test")[:TEST_PEOPLE]
    features = {name: [pooled(trunk, people.millivolt) for trunk in trunks] for name, trunks in starts.items()}
    nothing = {PERSON_ALONE: [np.zeros((len(people.person), 0), dtype=np.float32)]}
    return {
        "testPeople": len(test),
        "alone": _measured(features, people, test, rounds, with_person=False),
        "withPerson": _measured(nothing | features, people, test, rounds, with_person=True),
    }


def _measured(
    features: Mapping[str, Sequence[Array]],
    people: VirtualSet,
    test: NDArray[np.intp],
    rounds: int,
    *,
    with_person: bool,
) -> dict[str, Any]:
    truth = np.concatenate([people.conditions, people.indices], axis=1)[test].astype(np.float64)
    found = Compared([], [])
    for share in DRAWS:
        answers = {
            name: answers_of(own, people, test, share, with_person=with_person) for name, own in features.items()
        }
        found.add(truth, share, len(labelled_rows(people.split, share, 0)), answers, rounds)
    return to_json(found)


@dataclass(frozen=True)
class Compared:
    """Figures of every start at every share of the labels, and the difference of every two."""

    rows: list[dict[str, Any]]
    pairs: list[dict[str, Any]]

    def add(
        self, truth: Array, share: float, people: int, answers: Mapping[str, Array], rounds: int, fewer: int = 0
    ) -> None:
        """A share of the labels, which so many people have: each start's answers, as `answers_of` gives them.

        `rounds` and `fewer` are those of `compare`.
        """
        for name, own in answers.items():
            found = [probe(truth, one) for of_weights in own for one in of_weights]
            macro, mean_r = np.array([each.macroAuroc for each in found]), np.array([each.meanR for each in found])
            self.rows.append(
                {"labels": share, "start": name, "people": people}
                | {"macroAuroc": round(float(macro.mean()), 4), "meanR": round(float(mean_r.mean()), 4)}
                | {"spread": [round(float(macro.std()), 4), round(float(mean_r.std()), 4)], "runs": len(found)}
            )
        for than, better in combinations(answers, 2):
            pair = {"labels": share, "better": better, "than": than}
            self.pairs.append(pair | compare(truth, answers[better], answers[than], rounds, fewer=fewer))


def main() -> None:
    """Write the report and the section."""
    from cardiacnets.cohort.cache import COHORT_VERSION
    from cardiacnets.evaluation.markdown import put_section
    from cardiacnets.evaluation.probes_page import section
    from cardiacnets.stages.contrastive import load_aligned_trunk
    from cardiacnets.stages.ecg_pretraining import load_pretrained_trunk

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact")
    parser.add_argument("--people", type=Path, help="cohort folder (default: the run's)")
    parser.add_argument("--most", type=int, default=5000, help="people of it (default %(default)s)")
    parser.add_argument("--control", type=Path, help="model.pt of an alignment with shuffled pairs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = []
    for seed in range(INITIAL):
        torch.manual_seed(seed)
        random.append(Trunk(EncoderConfig()))
    starts: dict[str, list[Any]] = {
        "random weights": random,
        MASKED: [load_pretrained_trunk(options.run_dir / "ecg" / "model.pt")],
    }
    if options.control:
        starts[SHUFFLED] = [load_aligned_trunk(options.control)]
    starts[ALIGNED] = [load_aligned_trunk(options.run_dir / "align" / "model.pt")]
    people = load_virtual(options.people or options.run_dir / "cohort").rows(slice(options.most))
    report = {"cohortVersion": COHORT_VERSION} | measure_probes(starts, people)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    put_section(PAGE, section(report))
    print(section(report))


if __name__ == "__main__":
    main()
