"""Ten minutes of a GPU, in a second of a CPU: networks of the least size, on people that are made up."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from cardiacnets.cli.synthesis_fixture import OUT
from cardiacnets.models.denoiser import Denoiser
from cardiacnets.models.diffusion import ScheduleConfig
from cardiacnets.stages.diffusion import Averaged, load_denoiser
from cardiacnets.stages.loop import save_model
from cardiacnets.ten_minutes import Budget, NotBetterError, TimeIsUpError, last_denoiser, ten_minutes
from tests.test_synthesis_report import DENOISER, REPORT, run  # noqa: F401


@pytest.fixture
def kept(run, monkeypatch, tmp_path):  # noqa: F811
    """The repository keeps weights of this run's sizes; what the run itself had is gone."""
    for stage in ("diffusion", "distillation"):
        shutil.rmtree(run.folder / stage)
        setattr(run, stage, lambda stage=stage: run.folder / stage / "model.pt")
    torch.manual_seed(3)
    model = Averaged(Denoiser(DENOISER), 0.9)

    def adopt(stage, folder):
        (folder / stage).mkdir(parents=True, exist_ok=True)
        config = {"denoiser": vars(DENOISER), "schedule": vars(ScheduleConfig())}
        save_model(folder / stage / "model.pt", json.loads(json.dumps(config)), model.state_dict())
        return True

    monkeypatch.setattr("cardiacnets.ten_minutes.adopt", adopt)
    monkeypatch.setattr("cardiacnets.ten_minutes.SynthesisReportConfig", lambda: REPORT)
    return run


BUDGET = Budget(1.5, batch=4, even_if_worse=True)


def test_kept_denoiser_learns_on_and_goes_into_a_copy_of_the_bundle(kept, tmp_path):
    said = []

    found = ten_minutes(kept, OUT, tmp_path / "bundle", BUDGET, said.append)

    assert len(found["errors"]) == 4
    # How far it comes depends on the machine: that it moved does not.
    learned, before = last_denoiser(kept), load_denoiser(kept.folder / "kept" / "diffusion" / "model.pt")[0]
    assert any(not torch.equal(a, b) for a, b in zip(learned.parameters(), before.parameters(), strict=True))
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["version"].endswith("+cines")
    assert [sampler["name"] for sampler in manifest["synthesis"]["samplers"]] == ["full", "quick"]
    assert said[1].startswith("denoiser: ")
    assert not said[1].startswith("denoiser: 0 steps")


def test_another_call_goes_on_from_the_last_one(kept, tmp_path):
    first = ten_minutes(kept, OUT, tmp_path / "bundle", BUDGET, print)
    left = load_denoiser(kept.folder / "diffusion" / "model.pt")[0].state_dict()

    started = last_denoiser(kept).state_dict()
    second = ten_minutes(kept, OUT, tmp_path / "bundle", BUDGET, print)

    assert all(torch.equal(value, started[name]) for name, value in left.items())
    for name, error in second["errors"].items():
        assert error["before"] == first["errors"][name]["after"]


def test_a_time_that_the_people_took_ends_without_training(kept, tmp_path):
    with pytest.raises(TimeIsUpError, match="run the same command again"):
        ten_minutes(kept, OUT, tmp_path / "bundle", replace(BUDGET, seconds=0), print)

    assert not (tmp_path / "bundle").exists()
    assert not (kept.folder / "diffusion" / "model.pt").exists()


def test_denoiser_that_gained_nothing_is_not_exported_and_the_one_before_stays(kept, tmp_path, monkeypatch):
    ten_minutes(kept, OUT, tmp_path / "bundle", BUDGET, print)
    before = last_denoiser(kept).state_dict()
    errors = iter([{"short_axis.withEcg": 0.2}, {"short_axis.withEcg": 0.3}])
    monkeypatch.setattr("cardiacnets.ten_minutes.validation_errors", lambda *_: next(errors))

    with pytest.raises(NotBetterError, match="nothing is exported"):
        ten_minutes(kept, OUT, tmp_path / "other", replace(BUDGET, even_if_worse=False), print)

    assert not (tmp_path / "other").exists()
    assert all(torch.equal(value, last_denoiser(kept).state_dict()[name]) for name, value in before.items())
