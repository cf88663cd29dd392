import json

import numpy as np
import pytest

from cardiacnets.data import ptbxl
from cardiacnets.evaluation.gate import unanswered
from cardiacnets.evaluation.inference import EcgSet
from cardiacnets.evaluation.people_page import predictive_value


def people(ages):
    person = np.stack([np.zeros(len(ages)), ages, ages, ages], axis=1)
    return EcgSet("made-up", lambda _: None, 100, person, np.zeros((len(ages), 5), dtype=bool))


@pytest.fixture
def verdicts(tmp_path, monkeypatch):
    monkeypatch.setattr(ptbxl, "read_ids", lambda _fold: np.array([3, 5, 8, 13]))
    written = {"fold": 9, "ecgs": 4, "refused": [5], "withheld": [8]}
    (tmp_path / "made-up.json").write_text(json.dumps(written))
    return tmp_path


def test_refused_and_withheld_are_counted_and_children_are_withheld(verdicts):
    found = unanswered(people([50, 60, 70, 12]), np.array([True, True, False, True]), verdicts)

    assert found["refused"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["withheld"]["share"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["withheld"]["n"] == 3


def test_table_of_other_ecgs_is_refused_and_a_missing_table_gives_nothing(verdicts, tmp_path):
    with pytest.raises(ValueError, match="of 4 ECGs, not of 2"):
        unanswered(people([50, 60]), np.ones(2, dtype=bool), verdicts)
    assert unanswered(people([50]), np.ones(1, dtype=bool), tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("sensitivity", "alarms", "prevalence", "value"), [(0.8, 0.1, 0.1, 0.08 / 0.17), (0.5, 0.0, 0.01, 1.0)]
)
def test_predictive_value_follows_from_prevalence(sensitivity, alarms, prevalence, value):
    assert predictive_value(sensitivity, alarms, prevalence) == pytest.approx(value)
    assert predictive_value(0, 0, prevalence) is None
