import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from cardiacnets.weights import KEPT, adopt, keep, kept_path, tensors_of


def put_network(folder, **tensors):
    """An ONNX file that holds these tensors."""
    folder.mkdir(exist_ok=True)
    initializers = [numpy_helper.from_array(np.asarray(values), name) for name, values in tensors.items()]
    onnx.save(helper.make_model(helper.make_graph([], "made", [], [], initializers)), folder / "made.onnx")


def put_stage(run_dir, stage, model):
    (run_dir / stage).mkdir(parents=True)
    torch.save({"config": {"batch": 16}, "model": model}, run_dir / stage / "model.pt")


def adopted(stage, run_dir):
    return torch.load(run_dir / stage / "model.pt", weights_only=True)


def test_kept_weights_restore_later_stages_without_decoders(tmp_path):
    model = {"encoder.w": torch.tensor([0.5, -2.0]), "encoder.steps": torch.tensor(3), "decoder.w": torch.ones(9)}
    put_stage(tmp_path / "run", "cmr/short_axis", model)

    kept = keep(tmp_path / "run", tmp_path / "weights", tmp_path / "bundle")
    taken = adopt("cmr/short_axis", tmp_path / "other", tmp_path / "weights", tmp_path / "bundle")

    assert [path.name for path in kept] == ["cmr-short_axis.pt"]
    assert taken
    state = adopted("cmr/short_axis", tmp_path / "other")
    assert state["config"] == {"batch": 16}
    assert set(state["model"]) == {"encoder.w", "encoder.steps"}
    assert torch.equal(state["model"]["encoder.w"], model["encoder.w"])
    assert not adopt("align", tmp_path / "other", tmp_path / "weights", tmp_path / "bundle")


def test_files_of_stages_that_are_no_longer_kept_go(tmp_path):
    put_stage(tmp_path / "run", "vae", {"w": torch.ones(2)})
    put_stage(tmp_path / "run", "distillation", {"ema.w": torch.ones(2)})
    (tmp_path / "weights").mkdir()
    for name in ("align.pt", "distillation.pt"):
        (tmp_path / "weights" / name).write_bytes(b"of before")

    keep(tmp_path / "run", tmp_path / "weights", tmp_path / "bundle")

    assert {path.name for path in (tmp_path / "weights").iterdir()} == {"align.pt", "vae.pt"}
    assert not adopt("distillation", tmp_path / "other", tmp_path / "weights", tmp_path / "bundle")


@pytest.fixture
def shared(tmp_path):
    """A stage whose convolution and matrix a bundle holds too, in other shapes and in half precision."""
    torch.manual_seed(1)
    model = {"ema.conv": torch.randn(8, 8, 5), "ema.line": torch.randn(32, 16), "ema.bias": torch.randn(32)}
    model["ema.own"] = torch.randn(300)
    put_stage(tmp_path / "run", "diffusion", model)
    half = {name: value.half().numpy() for name, value in model.items()}
    put_network(
        tmp_path / "bundle", conv=half["ema.conv"].reshape(8, 8, 5, 1), line=half["ema.line"].T, bias=half["ema.bias"]
    )
    keep(tmp_path / "run", tmp_path / "weights", tmp_path / "bundle")
    return model


def test_weights_in_a_bundle_are_not_stored_twice(shared, tmp_path):
    kept = torch.load(kept_path("diffusion", tmp_path / "weights"), weights_only=True)

    adopt("diffusion", tmp_path / "other", tmp_path / "weights", tmp_path / "bundle")

    assert set(kept["model"]) == {"ema.bias", "ema.own"}  # small, and not in the bundle
    found = adopted("diffusion", tmp_path / "other")["model"]
    assert set(found) == set(shared)
    for name, value in shared.items():
        assert torch.equal(found[name], value.half().float()), name


def test_bundle_without_the_expected_weights_is_named(shared, tmp_path):
    put_network(tmp_path / "bundle", conv=np.zeros((8, 8, 5), dtype=np.float32))

    with pytest.raises(ValueError, match=r"diffusion\.pt leaves ema\.conv to .*bundle"):
        adopt("diffusion", tmp_path / "other", tmp_path / "weights", tmp_path / "bundle")


def test_the_repository_keeps_every_stage_whole():
    held = tensors_of(kept_path("align").parents[2] / "cardiacnets-compact")

    for stage in KEPT:
        kept = torch.load(kept_path(stage), weights_only=True)
        missing = [name for name, place in kept.get("elsewhere", {}).items() if place["digest"] not in held]
        assert not missing, stage
