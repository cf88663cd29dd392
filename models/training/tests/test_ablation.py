import json

import numpy as np
import pytest
import torch

from cardiacnets.evaluation import ablation as evaluation
from cardiacnets.evaluation import ablation_page, probes
from cardiacnets.models.encoder import Trunk
from cardiacnets.stages.ablation import (
    ALIGNED,
    FIRST_SEED,
    MASKED,
    SCRATCH,
    VARIANTS,
    AblationConfig,
    people_of,
    run_ablation,
    runs_of,
)
from cardiacnets.stages.screening import labelled_rows

from .conftest import TINY, tiny_config

CONFIG = AblationConfig(fractions=(0.5, 1.0), steps=(4, 4), seeds=(2, 1), longer=2, checks=2, patience=1, batch=8)


@pytest.fixture(scope="module")
def trunks():
    torch.manual_seed(0)
    return {variant: (lambda: Trunk(TINY)) if variant != SCRATCH else (lambda: None) for variant in VARIANTS}


@pytest.fixture
def people(training_data):
    return training_data.virtual


def test_a_stopped_ablation_has_whole_comparisons_and_few_labels_first():
    config = AblationConfig(fractions=(0.01, 0.1, 0.25, 1.0), steps=(1, 2, 3, 4), seeds=(3, 3, 2, 1))

    runs = runs_of(config)

    assert [run.variant for run in runs[:4]] == list(VARIANTS)
    assert [(run.fraction, run.seed - FIRST_SEED, run.steps) for run in runs[::4]] == [
        (0.01, 0, 1), (0.1, 0, 2), (0.01, 1, 1), (0.1, 1, 2), (0.01, 2, 1), (0.1, 2, 2),
        (0.25, 0, 3), (0.25, 1, 3), (1.0, 0, 4),
    ]  # fmt: skip


def test_each_seed_labels_other_people_and_all_variants_of_a_seed_the_same():
    split = np.repeat("train", 200)
    runs = [run for run in runs_of(AblationConfig()) if run.fraction == 0.1]

    drawn = {(run.seed, tuple(labelled_rows(split, run.fraction, run.seed))) for run in runs}

    assert len(runs) == 8 * len(VARIANTS)
    assert len(drawn) == len({rows for _, rows in drawn}) == 8


def test_resumes_and_answers_by_the_ecg_alone_and_with_the_person(people, trunks, tmp_path):
    run_ablation(CONFIG, tiny_config(), people, trunks, tmp_path)
    (tmp_path / "masked-1-100.npz").unlink()
    kept = (tmp_path / "scratch-1-100.npz").stat().st_mtime_ns
    run_ablation(CONFIG, tiny_config(), people, trunks, tmp_path)

    assert (tmp_path / "scratch-1-100.npz").stat().st_mtime_ns == kept
    assert len(list(tmp_path.glob("*.npz"))) == 3 * len(VARIANTS)
    found = np.load(tmp_path / "aligned-0.5-101.npz")
    assert found["alone"].shape == found["withPerson"].shape == (18, 87)
    assert not np.allclose(found["alone"], found["withPerson"])
    steps = {run: json.loads((tmp_path / run / "log.jsonl").read_text().splitlines()[-1])["step"]
             for run in ("masked-0.5-100", "scratch-0.5-100")}  # fmt: skip
    assert steps["masked-0.5-100"] <= 4
    assert 2 < steps["scratch-0.5-100"] <= 8
    assert not list(tmp_path.glob("*/*.pt"))


def test_runs_of_another_configuration_are_not_mixed_in(people, trunks, tmp_path):
    config = AblationConfig(fractions=(1.0,), steps=(1,), seeds=(0,))
    run_ablation(config, tiny_config(), people, trunks, tmp_path)

    with pytest.raises(ValueError, match="another configuration"):
        run_ablation(AblationConfig(fractions=(1.0,), steps=(2,), seeds=(0,)), tiny_config(), people, trunks, tmp_path)


def test_an_ecg_is_cut_and_only_the_first_people_are_taken(people):
    some = people_of(AblationConfig(people=80, validation_people=4, test_people=5, seconds=5), people)

    assert some.millivolt.shape == (63 + 4 + 5, 12, 500)
    np.testing.assert_array_equal(some.millivolt[0], people.millivolt[0, :, :500])
    assert [int((some.split == split).sum()) for split in ("train", "val", "test")] == [63, 4, 5]


@pytest.fixture
def answered(people, tmp_path):
    """Runs of eight seeds: contrast with CMR knows the truth, scratch and masked ECGs the same noise."""
    people = people.rows(np.arange(90).repeat(4))
    config = AblationConfig(fractions=(0.1,), steps=(4,), seeds=(8,))
    (tmp_path / "config.json").write_text(json.dumps(evaluation.to_json(config)))
    test = people_of(config, people).split == "test"
    some = people_of(config, people).rows(np.flatnonzero(test))
    truth = np.concatenate([some.conditions, some.indices], axis=1).astype(np.float32)
    for run in runs_of(config):
        rng = np.random.default_rng([run.seed, 0 if run.variant in (SCRATCH, MASKED) else 1])
        noise = rng.normal(size=truth.shape) * truth.std(axis=0)
        found = (truth if run.variant == ALIGNED else 0) + noise
        np.savez(tmp_path / f"{run.name}.npz", alone=found, withPerson=found)
        (tmp_path / run.name).mkdir()
        line = {"step": 4, "validation": {"cm": 0.5, "meanR": 0.1}}
        (tmp_path / run.name / "log.jsonl").write_text(json.dumps(line) + "\n")
    return people, tmp_path


def test_the_report_says_better_only_where_the_interval_does(answered):
    people, folder = answered

    report = evaluation.measure_ablation(people, folder, rounds=20)

    pairs = {(pair["better"], pair["than"]): pair for pair in report["alone"]["pairs"]}
    assert pairs[probes.ALIGNED, evaluation.SCRATCH]["meanR"]["ci"][0] > 0
    assert pairs[probes.MASKED, evaluation.SCRATCH]["meanR"] == {"difference": 0, "ci": [0, 0]}
    assert {row["runs"] for row in report["alone"]["rows"]} == {8}
    assert report["learning"][0] == {
        "labels": 0.1, "start": evaluation.SCRATCH, "bestStep": 4, "stepsOpen": 6, "stopped": 8, "runs": 8,
    }  # fmt: skip
    assert report["learning"][1]["stepsOpen"] == 4
    assert report["learning"][1]["stopped"] == 0
    page = ablation_page.section(report | {"cohortVersion": 5, "personAlone": [{"labels": 0.1, "meanR": 0.2}]})
    assert "| contrast with CMR against from scratch | mean R | 10% | – | – |" in page
    assert "8 of 8 at 10%" in page
    assert "a mean R of 0.200 at 10%." in page
    assert "| from scratch | 4 of 6; 8 of 8 |" in page
    assert "| masked ECGs against from scratch | mean R | – | – | 10% |" in page


def test_a_comparison_that_was_stopped_halfway_is_left_out(answered):
    people, folder = answered
    (folder / f"aligned-0.1-{FIRST_SEED + 7}.npz").unlink()

    report = evaluation.measure_ablation(people, folder, rounds=5)

    assert {row["runs"] for row in report["withPerson"]["rows"]} == {7}
    ablation_page.draw(folder / "picture.png", report)
    assert (folder / "picture.png").exists()
