import torch

from cardiacnets.weights import adopt, keep


def test_what_later_stages_read_comes_back_and_decoders_stay_behind(tmp_path):
    stage = tmp_path / "run" / "cmr" / "short_axis"
    stage.mkdir(parents=True)
    model = {"encoder.w": torch.tensor([0.5, -2.0]), "encoder.steps": torch.tensor(3), "decoder.w": torch.ones(9)}
    torch.save({"config": {"batch": 16}, "model": model}, stage / "model.pt")

    kept = keep(tmp_path / "run", tmp_path / "weights")
    taken = adopt("cmr/short_axis", tmp_path / "other", tmp_path / "weights")

    assert [path.name for path in kept] == ["cmr-short_axis.pt"]
    assert taken
    state = torch.load(tmp_path / "other" / "cmr" / "short_axis" / "model.pt", weights_only=True)
    assert state["config"] == {"batch": 16}
    assert set(state["model"]) == {"encoder.w", "encoder.steps"}
    assert torch.equal(state["model"]["encoder.w"], model["encoder.w"])
    assert not adopt("align", tmp_path / "other", tmp_path / "weights")
