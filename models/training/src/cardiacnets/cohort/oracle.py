"""How much of a virtual person is left to know in their ECG, whatever reads it.

Boosted trees on features of the *noise-free* ECG, fitted on the training split and measured on the test split. Defined
before any network was trained; networks are judged by how close they come. With `with_person` the trees also get sex,
age, height and weight, as the encoder does when they are known.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score

from .cache import split_of
from .ecg import render_ecg
from .features import feature_names, measure_features
from .indices import index_ids, measure_indices
from .person import CONDITIONS, draw_person

# What the issue asks of the oracle, a little above the paper's model on people (arXiv 2411.13602, v1).
TARGETS = {
    "lvMass": 0.80, "rvEdv": 0.76, "lvEf": 0.52, "meanR": 0.47,
    "cad": 0.83, "cm": 0.92, "pericarditis": 0.80, "hf": 0.91, "ph": 0.85,
}  # fmt: skip
SHAPE_COMPONENTS = 40
_TREES = {
    "max_iter": 160, "learning_rate": 0.07, "max_leaf_nodes": 12, "min_samples_leaf": 25, "l2_regularization": 1.0,
}  # fmt: skip


def _describe(seed: int, index: int) -> tuple[np.ndarray, ...]:
    person = draw_person(seed, index)
    return measure_features(render_ecg(person, seed)), measure_indices(person), person.conditions(), person.row()


@dataclass(frozen=True)
class Described:
    """The first n people of a cohort as the oracle sees them; features are those of the ECG before noise is added."""

    seed: int
    features: np.ndarray  # [n, F]
    values: np.ndarray  # [n, 82]
    conditions: np.ndarray  # bool [n, 5]
    people: np.ndarray  # [n, 4]


def describe_people(n: int, seed: int, workers: int = 1) -> Described:
    """Draw the people and measure their noise-free ECGs."""
    with ProcessPoolExecutor(workers) as pool:
        rows = list(pool.map(partial(_describe, seed), range(n), chunksize=100))
    return Described(seed, *(np.stack(column) for column in zip(*rows, strict=True)))


def measure_oracle(
    described: Described, with_person: bool = False, indices: Sequence[str] | None = None
) -> dict[str, Any]:
    """Report of the oracle; `indices` narrows the work to some of the 82."""
    seed, n = described.seed, len(described.features)
    features, values, conditions, people = (
        described.features, described.values, described.conditions, described.people,
    )  # fmt: skip
    split = np.array([split_of(seed, index) for index in range(n)])
    train, test = split == 0, split == 2
    inputs = _inputs(features, people if with_person else None, train)
    report: dict[str, Any] = {
        "n": n,
        "seed": seed,
        "withPerson": with_person,
        "testPeople": int(test.sum()),
        "conditions": {},
    }
    for column, name in enumerate(CONDITIONS):
        model = HistGradientBoostingClassifier(**_TREES, random_state=0)
        model.fit(inputs[train], conditions[train, column])
        score = model.predict_proba(inputs[test])[:, 1]
        report["conditions"][name] = {
            "auroc": round(float(roc_auc_score(conditions[test, column], score)), 4),
            "prevalence": round(float(conditions[:, column].mean()), 4),
        }
    per_index = {}
    for name in indices or index_ids():
        column = index_ids().index(name)
        model = HistGradientBoostingRegressor(**_TREES, random_state=0)
        model.fit(inputs[train], values[train, column])
        per_index[name] = round(float(np.corrcoef(model.predict(inputs[test]), values[test, column])[0, 1]), 4)
        if sys.stderr.isatty():
            sys.stderr.write(f"\roracle {len(per_index)} indices")
    report["perIndexR"] = per_index
    report["meanR"] = round(float(np.mean(list(per_index.values()))), 4)
    report["macroAuroc"] = round(float(np.mean([entry["auroc"] for entry in report["conditions"].values()])), 4)
    report["targets"] = TARGETS
    return report


def _inputs(features: np.ndarray, people: np.ndarray | None, train: np.ndarray) -> np.ndarray:
    named = len(feature_names())
    components = PCA(SHAPE_COMPONENTS, random_state=0).fit(features[train, named:])
    parts = [features[:, :named], components.transform(features[:, named:])]
    return np.concatenate(parts if people is None else [*parts, people], axis=1)
