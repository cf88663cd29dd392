"""The virtual cohort: simulated people whose ECG and 82 cardiac function indices come from one heart.

>>> from cardiacnets.cohort import generate, load
>>> cohort = load(generate("~/.cache/cardiacnets/cohort", n=1000, seed=1, workers=2))
>>> cohort.ecg.shape, cohort.indices.shape, cohort.conditions.shape
((1000, 12, 5000), (1000, 82), (1000, 5))
"""

from .cache import Cohort, CohortIncompleteError, CohortMismatchError, generate, load
from .ecg import render_ecg
from .indices import index_ids, measure_indices
from .person import CONDITIONS, Person, draw_person

__all__ = [
    "CONDITIONS", "Cohort", "CohortIncompleteError", "CohortMismatchError", "Person",
    "draw_person", "generate", "index_ids", "load", "measure_indices", "render_ecg",
]  # fmt: skip
