from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data import segmentation_frames
from cardiacnets.domain import VIEWS
from cardiacnets.programme import STAGES, Run, in_bfloat16, stages_of
from cardiacnets.stages.contrastive import QUERIES
from cardiacnets.stages.screening import load_trained

from .conftest import tiny_programme


@pytest.fixture
def run(training_data, tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(segmentation_frames, "SHARD_PEOPLE", tiny_programme().segmentation_people)
    return Run(tiny_programme(), tmp_path / "run", load_real=lambda: training_data.real)


def test_stages_run_in_order_and_are_not_repeated(run):
    made = {name: stage(run) for name, stage in STAGES.items()}
    written = {path: path.stat().st_mtime_ns for path in run.folder.rglob("model.pt")}

    again = Run(run.programme, run.folder, load_real=run.load_real)
    repeated = {name: stage(again) for name, stage in STAGES.items()}

    assert repeated == made
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("model.pt")} == written
    model, _ = load_trained(run.screening())
    assert model.encoder.trunk(*[torch.zeros(1, *shape) for shape in ((12, 1000), (12,), (4,), (4,))])[1].shape == (
        1,
        32,
    )
    # Another alignment leaves the denoiser the encoder that it knows.
    known = run.drawing_trunk().state_dict()
    aligned = torch.load(run.align(), weights_only=True)
    torch.save(aligned | {"model": {name: value + 1 for name, value in aligned["model"].items()}}, run.align())
    assert all(torch.equal(value, run.drawing_trunk().state_dict()[name]) for name, value in known.items())
    torch.save(aligned, run.align())
    points = run.held_out_points()
    assert set(points) == {*QUERIES, *VIEWS}
    # A stranger's point has another's ECG and one's own person: neither one's own point nor the other's.
    others = np.roll(points["ecg"], -1, axis=0)
    assert np.abs(points["stranger"] - points["ecg"]).max() > 1e-3
    assert np.abs(points["stranger"] - others).max() > 1e-3
    assert np.abs(points["ecgAlone"] - points["ecg"]).max() > 1e-3
    assert np.allclose(np.linalg.norm(points["ecg"], axis=1), 1, atol=1e-5)


def test_whole_training_makes_a_student_only_if_it_is_shipped():
    programme = tiny_programme()

    assert set(STAGES) - set(stages_of(programme)) == {"distillation"}
    assert stages_of(replace(programme, default_sampler="distilled")) == list(STAGES)


def test_bfloat16_applies_to_every_stage_except_segmentation():
    programme = in_bfloat16(tiny_programme())

    others = [programme.cmr, programme.ecg, programme.align, programme.screening]
    assert all(config.optimisation.bfloat16 for config in others)
    assert not any(config.optimisation.bfloat16 for config in programme.segmentation.values())
