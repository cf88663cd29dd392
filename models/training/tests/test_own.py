"""What a run learned of a hospital's people becomes a bundle, and is measured on their test people."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.bundle.write import SCREEN_OUTPUTS, example_inputs, inference_session
from cardiacnets.configuration import to_json
from cardiacnets.data.source import CohortSource
from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.evaluation.fit_ood import OodConfig
from cardiacnets.evaluation.own import UncalibratedError, evaluate_own, export_own
from cardiacnets.models.ecg_vit import EcgVitConfig
from cardiacnets.stages.loop import save_model
from cardiacnets.stages.screening import ScreeningConfig, TrainingModel

VIT = EcgVitConfig(patch=500, dim=16, depth=1, heads=2, embedding=32)
QUICK = OodConfig(real=8, rare=4, each_kind=4, steps=4, calibrated=8, checked=6)
PEOPLE = 60


@pytest.fixture
def hospital():
    """Two ECGs each of 60 people, of whom CAD, HF and two indices are known; the R wave is as high as LV mass says."""
    rng = np.random.default_rng(5)
    mass, sick = rng.normal(100, 20, PEOPLE), rng.random((PEOPLE, len(CONDITIONS))) < 0.5
    wave = np.exp(-0.5 * (((np.arange(5000) / 500 % 1) - 0.5) / 0.02) ** 2)
    ecg = mass[:, None, None] / 100 * wave + rng.normal(0, 0.02, (PEOPLE, 12, 5000))
    indices = np.full((PEOPLE, len(INDICES)), np.nan, dtype=np.float32)
    indices[:, INDICES.index("lvMass")] = mass
    about = np.stack([rng.integers(0, 2, PEOPLE), rng.uniform(40, 80, PEOPLE), *np.full((2, PEOPLE), np.nan)], axis=1)

    def twice(values):
        return np.concatenate([values, values])

    return CohortSource(
        name="hospital",
        millivolt=twice(ecg.astype(np.float16)),
        who=twice(np.arange(PEOPLE)),
        person=twice(about.astype(np.float32)),
        split=twice(np.repeat(["train", "val", "test"], PEOPLE // 3)),
        conditions=twice(sick.astype(np.float32)),
        indices=twice(indices),
        cines={},
        paired=0,
    )


@pytest.fixture
def run_dir(tmp_path):
    """A run whose network reads 500 Hz and has learned nothing."""
    torch.manual_seed(4)
    config = ScreeningConfig(encoder=VIT)
    path = tmp_path / "run" / "screening" / "model.pt"
    path.parent.mkdir(parents=True)
    save_model(path, to_json(config), TrainingModel(config, 1).state_dict())
    return tmp_path / "run"


def test_report_counts_test_people_and_what_is_known_of_them(hospital, run_dir):
    hospital.conditions[:, CONDITIONS.index("ph")] = np.nan

    report = evaluate_own(run_dir, hospital)

    assert report == json.loads((run_dir / "evaluation" / "own.json").read_text())
    assert (report["ecgs"], report["people"]) == (40, 20)
    test = hospital.split == "test"
    for index, name in enumerate(CONDITIONS):
        found = report["conditions"][name]
        if name == "ph":
            assert found == {"n": 0, "people": 0, "positive": 0}
            continue
        assert found["positive"] == hospital.conditions[test, index].sum()
        assert found["ci"][0] <= found["auroc"] <= found["ci"][1]
        assert found["sensitivity"]["n"] + found["specificity"]["n"] == 40
    assert report["indices"].keys() == {"lvMass"}
    page = (run_dir / "evaluation" / "own.md").read_text()
    assert "# hospital: 40 ECGs of 20 test people" in page
    assert "too few people" in page


def test_interval_draws_people_and_not_their_ecgs(hospital, run_dir):
    once = replace(hospital, split=np.where(np.arange(2 * PEOPLE) < PEOPLE, hospital.split, ""))

    twice, single = (evaluate_own(run_dir, source)["conditions"]["cad"] for source in (hospital, once))

    # The second ECG of everybody says nothing new, so it must not make an interval narrower.
    assert twice["ci"] == pytest.approx(single["ci"], abs=0.02)


def test_bundle_gives_what_the_network_gives_at_500_hz(hospital, run_dir, tmp_path):
    slow = replace(hospital, millivolt=hospital.millivolt[:, :, ::5])

    difference = export_own(run_dir, hospital, slow, tmp_path / "bundle", "0.1.0", QUICK)

    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert difference < 1e-4
    assert {entry["evidence"] for entry in (*manifest["conditions"], *manifest["indices"])} == {"real"}
    correlations = {entry["id"]: entry["correlation"] for entry in manifest["indices"]}
    assert [name for name, r in correlations.items() if r is not None] == ["lvMass"]
    session = inference_session(tmp_path / "bundle" / "screen.onnx")
    inputs = {name: value.numpy() for name, value in example_inputs(1).items()}
    first = session.run(SCREEN_OUTPUTS, inputs)[0]
    inputs["ecg"][:, :, 1::5] += 0.3  # samples that a trunk at 100 Hz would hardly see
    assert np.abs(session.run(SCREEN_OUTPUTS, inputs)[0] - first).max() > 1e-4


def test_condition_that_nobody_has_is_named_and_nothing_is_written(hospital, run_dir, tmp_path):
    hospital.conditions[hospital.split == "val", CONDITIONS.index("ph")] = 0

    with pytest.raises(UncalibratedError, match=r"^ph: fewer than 5 validation people of hospital"):
        export_own(run_dir, hospital, hospital, tmp_path / "bundle", "0.1.0", QUICK)

    assert not (tmp_path / "bundle").exists()
