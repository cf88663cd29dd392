from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.models.ecg_mim import EcgMimConfig
from cardiacnets.programme import STAGES, VIEWS, Programme, Run
from cardiacnets.stages.ablation import AblationConfig
from cardiacnets.stages.loop import OptimisationConfig
from cardiacnets.stages.screening import load_trained

from .conftest import TINY

TWO_STEPS = OptimisationConfig(steps=2, save_every=1)


def tiny_programme():
    default = Programme(people=120, cine_people=40, segmentation_people=25)
    return replace(
        default,
        segmentation={v: replace(c, batch=2, optimisation=TWO_STEPS) for v, c in default.segmentation.items()},
        cmr={v: replace(c, batch=4, validation_cines=4, optimisation=TWO_STEPS) for v, c in default.cmr.items()},
        ecg=replace(default.ecg, batch=4, mim=EcgMimConfig(encoder=TINY, decoder=8), optimisation=TWO_STEPS),
        align=replace(default.align, batch=4, cine_copies=1, encoder=TINY, optimisation=TWO_STEPS),
        screening=replace(default.screening, real_batch=4, virtual_batch=4, encoder=TINY, optimisation=TWO_STEPS),
        ablation=AblationConfig(fractions=(1.0,), steps=(1,), seeds=(1,), batch=4),
    )


@pytest.fixture
def run(training_data, tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path / "cache"))
    return Run(tiny_programme(), tmp_path / "run", load_real=lambda: training_data.real)


def test_the_stages_run_one_after_another_and_a_second_time_have_nothing_to_do(run):
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
    points = run.held_out_points()
    assert set(points) == {"ecg", *VIEWS}
    assert np.allclose(np.linalg.norm(points["ecg"], axis=1), 1, atol=1e-5)
